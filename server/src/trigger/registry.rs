//! All triggers of the server, in the order of their names, which is the order in which they fire.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::Definition;
use crate::keyspace::{Event, EventClasses};

/// Counters of a trigger since the server started or the trigger was created.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// How often it ran.
    pub runs: u64,
    /// How often it failed.
    pub failures: u64,
    /// How often a delivery was tried again.
    pub retries: u64,
    /// The error of its last failure.
    pub last_error: Option<String>,
}

/// A trigger with its counters.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// Its rule.
    pub definition: Rc<Definition>,
    /// Shared by all clones, so that undoing a transaction does not undo the counting of runs.
    counts: Rc<RefCell<Counts>>,
}

impl Trigger {
    /// Its counters.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts.borrow().clone()
    }
}

/// See the module's description. Clones in O(1), so that undo can put the old ones back.
#[derive(Clone, Debug, Default)]
pub struct Triggers {
    by_name: Rc<BTreeMap<String, Trigger>>,
    classes: EventClasses,
    has_asynchronous: bool,
}

impl Triggers {
    /// Adds a trigger, or replaces the rule of the trigger with this name.
    pub fn insert(&mut self, definition: Definition) {
        let counts = self.by_name.get(&definition.name).map(|known| Rc::clone(&known.counts));
        let trigger = Trigger { counts: counts.unwrap_or_default(), definition: definition.into() };
        Rc::make_mut(&mut self.by_name).insert(trigger.definition.name.clone(), trigger);
        self.update_classes();
    }

    /// Removes a trigger; `false` if there is none with this name.
    pub fn remove(&mut self, name: &str) -> bool {
        let removed = Rc::make_mut(&mut self.by_name).remove(name).is_some();
        self.update_classes();
        removed
    }

    /// The trigger of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Trigger> {
        self.by_name.get(name)
    }

    /// All triggers.
    pub fn iter(&self) -> impl Iterator<Item = &Trigger> {
        self.by_name.values()
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

    /// Whether both are clones of each other and neither has changed.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.by_name, &other.by_name)
    }

    /// Whether an enabled trigger is asynchronous.
    #[must_use]
    pub fn has_asynchronous(&self) -> bool {
        self.has_asynchronous
    }

    /// The triggers that run in the transaction of an event.
    #[must_use]
    pub fn fired_by(&self, event: &Event) -> Vec<Rc<Definition>> {
        let definitions = self.by_name.values().map(|trigger| &trigger.definition);
        let fired = definitions.filter(|rule| rule.asynchronous.is_none() && rule.matches(event));
        fired.map(Rc::clone).collect()
    }

    /// Counts a run and how it ended.
    pub fn count(&self, name: &str, error: Option<&str>) {
        if let Some(trigger) = self.by_name.get(name) {
            let mut counts = trigger.counts.borrow_mut();
            counts.runs += 1;
            if let Some(error) = error {
                counts.failures += 1;
                counts.last_error = Some(error.to_owned());
            }
        }
    }

    /// Counts a delivery that is tried again.
    pub fn count_retry(&self, name: &str) {
        if let Some(trigger) = self.by_name.get(name) {
            trigger.counts.borrow_mut().retries += 1;
        }
    }

    fn update_classes(&mut self) {
        let mut enabled = self.by_name.values().filter(|trigger| trigger.definition.enabled);
        self.has_asynchronous = enabled.clone().any(|trigger| trigger.definition.asynchronous.is_some());
        self.classes = enabled
            .by_ref()
            .fold(EventClasses::NONE, |classes, trigger| classes.with(trigger.definition.classes()));
    }
}
