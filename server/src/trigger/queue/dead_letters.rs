//! Deliveries that were given up: listing them, queueing them again, dropping them.

use super::{AddError, DeadLetter, Limits, Queues, stored};
use crate::keyspace::{self, Keyspace};
use crate::trigger::asynchronous::Asynchronous;
use crate::types::stream::StreamId;

impl Queues {
    /// At most `limit` of the oldest dead letters of a trigger; or only the one with the given id.
    pub fn dead_letters(
        &mut self,
        keyspace: &mut Keyspace,
        trigger: &str,
        id: Option<StreamId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, keyspace::Error> {
        self.open(keyspace, trigger)?;
        stored::dead_letters(keyspace, trigger, id, limit)
    }

    /// Puts dead letters back at the end of the queue. If only the latest state of a key matters, letters whose key has
    /// a newer event in the queue are dropped.
    pub fn revive(
        &mut self,
        keyspace: &mut Keyspace,
        trigger: &str,
        options: &Asynchronous,
        letters: &[DeadLetter],
        limits: Limits,
    ) -> Result<(), AddError> {
        self.open(keyspace, trigger)?;
        let bytes = letters.iter().map(|letter| letter.entry.bytes()).sum();
        let shortage = self.shortage(trigger, letters.len() as u64, bytes);
        if !self.has_room(&shortage, limits) {
            return Err(AddError::Full(shortage));
        }
        self.bury_for_good(keyspace, trigger, letters)?;
        for letter in letters {
            let entry = &letter.entry;
            let lane = self.lane_of(entry.database, &entry.key);
            let Some(queue) = self.by_trigger.get_mut(trigger) else { break };
            if options.coalesce && queue.replaceable(keyspace, lane, entry)?.is_some() {
                continue;
            }
            let id = stored::append(keyspace, trigger, entry)?;
            let change = queue.push(lane, id, entry.bytes());
            self.changes.push(change);
        }
        Ok(())
    }

    /// Removes dead letters.
    pub fn bury_for_good(
        &mut self,
        keyspace: &mut Keyspace,
        trigger: &str,
        letters: &[DeadLetter],
    ) -> Result<(), keyspace::Error> {
        let ids: Vec<StreamId> = letters.iter().map(|letter| letter.id).collect();
        stored::remove_dead_letters(keyspace, trigger, &ids)?;
        let before = self.by_trigger.get(trigger).map_or(0, |queue| queue.dead_letters);
        self.set_dead_letters(trigger, before.saturating_sub(ids.len()));
        Ok(())
    }
}
