//! All triggers of the server, in the order of their names, which is the order in which they fire.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::Definition;
use crate::keyspace::{Event, EventClasses};

/// A trigger with what is counted of it.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// Its rule.
    pub definition: Definition,
    /// How often it ran since the server started.
    pub runs: u64,
    /// How often it failed since the server started.
    pub failures: u64,
    /// The error of its last failure.
    pub last_error: Option<String>,
}

/// See the module's description.
#[derive(Clone, Debug, Default)]
pub struct Triggers {
    triggers: BTreeMap<String, Trigger>,
    classes: EventClasses,
}

impl Triggers {
    /// Adds a trigger, or replaces the rule of the one of that name.
    pub fn insert(&mut self, definition: Definition) {
        match self.triggers.entry(definition.name.clone()) {
            Entry::Occupied(mut known) => known.get_mut().definition = definition,
            Entry::Vacant(new) => {
                new.insert(Trigger { definition, runs: 0, failures: 0, last_error: None });
            }
        }
        self.update_classes();
    }

    /// Removes a trigger; `false` when there is none of that name.
    pub fn remove(&mut self, name: &str) -> bool {
        let removed = self.triggers.remove(name).is_some();
        self.update_classes();
        removed
    }

    /// The trigger of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Trigger> {
        self.triggers.get(name)
    }

    /// All triggers.
    pub fn iter(&self) -> impl Iterator<Item = &Trigger> {
        self.triggers.values()
    }

    /// The classes of events that any enabled trigger waits for.
    #[must_use]
    pub fn classes(&self) -> EventClasses {
        self.classes
    }

    /// Whether no trigger is enabled.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.classes == EventClasses::NONE
    }

    /// Names and functions of the triggers that an event fires.
    #[must_use]
    pub fn fired_by(&self, event: &Event) -> Vec<(String, String)> {
        let fired = self.triggers.values().filter(|trigger| trigger.definition.matches(event));
        fired.map(|trigger| (trigger.definition.name.clone(), trigger.definition.function.clone())).collect()
    }

    /// Counts a run and how it ended.
    pub fn count(&mut self, name: &str, error: Option<&str>) {
        if let Some(trigger) = self.triggers.get_mut(name) {
            trigger.runs += 1;
            if let Some(error) = error {
                trigger.failures += 1;
                trigger.last_error = Some(error.to_owned());
            }
        }
    }

    fn update_classes(&mut self) {
        let enabled = self.triggers.values().filter(|trigger| trigger.definition.enabled);
        self.classes =
            enabled.fold(EventClasses::NONE, |classes, trigger| classes.with(trigger.definition.classes()));
    }
}
