//! Walking the keys of a database in the order of their positions, resident and cold ones alike.

use super::cold::ColdPage;
use super::limits::RANDOM_TRIES;
use super::{Error, Key, Keyspace, Need};
use crate::store::Position;
use crate::types::Kind;

/// A key that a walk found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// Its name.
    pub key: Key,
    /// The type of its value.
    pub kind: Kind,
}

/// One step of a walk.
#[derive(Clone, Debug, Default)]
pub struct ScanPage {
    /// The keys found.
    pub keys: Vec<Scanned>,
    /// Where the next step starts; `None` at the end.
    pub next: Option<Position>,
}

impl Keyspace {
    /// About `limit` keys, starting at a position. A walk finds every key that exists during all of it.
    pub fn scan(&mut self, database: u8, from: Position, limit: usize) -> Result<ScanPage, Error> {
        let limit = limit.max(1);
        let (seed, now_ms) = (self.seed, self.now_ms);
        let number = self.number_to_load_from(database);
        let held = &mut self.databases[usize::from(database)];
        let nothing = ColdPage::default();
        let page = if held.cold.is_empty() {
            &nothing
        } else {
            self.used_pages.push((database, from, limit));
            let need = Need::Page { database: number, from, limit };
            held.cold.page(from, limit).ok_or(Error::NotResident(need))?
        };
        let (resident, resident_next) = held.table.scan(&seed, from, limit);
        // Memory and disk were read up to different positions. Only up to the nearer one are both known.
        let next = match (resident_next, page.next) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let before_end = |position: Position| next.is_none_or(|end| position < end);
        let resident = resident
            .iter()
            .filter(|(position, entry)| before_end(*position) && !entry.is_expired(now_ms))
            .map(|(_, entry)| Scanned { key: entry.key.clone(), kind: entry.value.kind() });
        let mut keys: Vec<Scanned> = resident.collect();
        let cold = page
            .keys
            .iter()
            .filter(|cold| before_end(cold.position) && cold.expires_at_ms.is_none_or(|at| at >= now_ms))
            .filter(|cold| !held.table.contains(cold.position, &cold.key) && !held.cold.is_absent(&cold.key))
            .map(|cold| Scanned { key: cold.key.clone(), kind: cold.kind });
        keys.extend(cold);
        Ok(ScanPage { keys, next })
    }

    /// A random key of a database. The choice depends on the transaction's time and on how many it has made before, so
    /// that a retry makes the same ones.
    pub fn random_key(&mut self, database: u8) -> Result<Option<Key>, Error> {
        let mut random = fastrand::Rng::with_seed(self.now_us ^ self.choices.rotate_left(u64::BITS / 2));
        let chosen = self.choose_key(database, &mut random)?;
        self.choices += 1;
        Ok(chosen)
    }

    fn choose_key(&mut self, database: u8, random: &mut fastrand::Rng) -> Result<Option<Key>, Error> {
        for _ in 0..RANDOM_TRIES {
            let held = &self.databases[usize::from(database)];
            if held.len() == 0 {
                return Ok(None);
            }
            if random.usize(..held.len()) < held.table.len() {
                let entry = held.table.random(|below| random.usize(..below));
                if let Some(entry) = entry.filter(|entry| !entry.is_expired(self.now_ms)) {
                    return Ok(Some(entry.key.clone()));
                }
                continue;
            }
            let from = Position::new(random.u64(..=Position::MAX.get())).unwrap_or(Position::MIN);
            let mut page = self.scan(database, from, 1)?;
            if page.keys.is_empty() {
                page = self.scan(database, Position::MIN, 1)?;
            }
            if let Some(scanned) = page.keys.first() {
                return Ok(Some(scanned.key.clone()));
            }
        }
        Ok(None)
    }
}
