//! Keys and names of keys on their way from the disk: requests to the reader thread, and what its answers mean.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::super::Engine;
use super::super::limits::COLD_EXPIRY_PAUSE_MS;
use super::Persistence;
use crate::keyspace::{ColdKey, ColdPage, Key, Keyspace, Loaded, Need};
use crate::state::Load;
use crate::store::{DuePage, KeyAt, Position, ScanPage, StorageId, StoreError};
use crate::types::Kind;

/// A request to the reader thread.
pub(super) enum DiskRequest {
    Keys { needs: Vec<Need>, keys: Vec<KeyAt> },
    Page { need: Need, storage: StorageId, from: Position, limit: usize },
    Due,
}

/// The requests that have not been answered yet.
#[derive(Default)]
pub(super) struct Unanswered {
    /// By token, with the group up to which data.redb was applied at the time of the request.
    by_token: BTreeMap<u64, (DiskRequest, u64)>,
    last_token: u64,
}

impl Unanswered {
    /// Notes a request, and returns its token.
    fn add(&mut self, request: DiskRequest, applied: u64) -> u64 {
        self.last_token += 1;
        self.by_token.insert(self.last_token, (request, applied));
        self.last_token
    }

    fn take(&mut self, token: u64) -> Option<DiskRequest> {
        self.by_token.remove(&token).map(|(request, _)| request)
    }
}

impl Persistence {
    /// Requests whatever of this is not being loaded already. `load`, if somebody waits, is told of each answer.
    fn request(&mut self, keyspace: &Keyspace, needs: &[Need], load: Option<&Rc<Load>>) {
        if self.store.is_none() {
            return;
        }
        let (mut keys, mut asked) = (Vec::new(), Vec::new());
        for need in needs {
            if let Some(waiting) = self.loading.get_mut(need) {
                waiting.extend(load.cloned());
                continue;
            }
            self.loading.insert(need.clone(), load.cloned().into_iter().collect());
            let storage = keyspace.storage(need.database());
            let at = |key: &Key| KeyAt { storage, key: key.to_vec().into() };
            match need {
                Need::Key { key, .. } => {
                    keys.push(at(key));
                    asked.push(need.clone());
                }
                Need::Keys { keys, .. } => {
                    self.request_keys(vec![need.clone()], keys.iter().map(at).collect());
                }
                Need::Page { from, limit, .. } => self.request_page(need.clone(), storage, *from, *limit),
            }
        }
        if !keys.is_empty() {
            self.request_keys(asked, keys);
        }
    }

    fn request_keys(&mut self, needs: Vec<Need>, keys: Vec<KeyAt>) {
        let Some(store) = &self.store else { return };
        let token = self.unanswered.add(DiskRequest::Keys { needs, keys: keys.clone() }, self.applied);
        store.load(token, keys);
    }

    fn request_page(&mut self, need: Need, storage: StorageId, from: Position, limit: usize) {
        let Some(store) = &self.store else { return };
        let token = self.unanswered.add(DiskRequest::Page { need, storage, from, limit }, self.applied);
        store.scan_page(token, storage, from, limit);
    }

    /// Looks for expired keys on disk, unless that is being done.
    pub fn ask_due(&mut self, now_ms: u64, limit: usize) {
        let mut unanswered = self.unanswered.by_token.values();
        let is_asked = unanswered.any(|(request, _)| matches!(request, DiskRequest::Due));
        if let (Some(store), false) = (&self.store, is_asked) {
            let token = self.unanswered.add(DiskRequest::Due, self.applied);
            store.due_expiries(token, now_ms, self.cold_expiry_from.clone(), limit);
        }
    }
}

impl Engine {
    /// Requests things from disk. The result tells when they have been loaded.
    pub(in crate::engine) fn load(&mut self, needs: &[Need]) -> Rc<Load> {
        let load = Rc::new(Load::new(needs.len()));
        let (core, _, persistence) = self.parts();
        persistence.request(&core.keyspace, needs, Some(&load));
        load
    }

    pub(in crate::engine) fn on_loaded(&mut self, token: u64, result: Result<Vec<Option<Loaded>>, String>) {
        let Some(DiskRequest::Keys { needs, keys }) = self.persistence.unanswered.take(token) else {
            return;
        };
        match result {
            Ok(values) => {
                self.core().keyspace.limit_missing();
                for (at, loaded) in keys.iter().zip(values) {
                    self.core().keyspace.install(at.storage, &at.key, loaded);
                }
                if self.core_ref().keyspace.next_due().is_some() {
                    self.persistence.signals.expiry.notify_one();
                }
                self.answered(&needs, None);
            }
            Err(error) => self.answered(&needs, Some(&error)),
        }
    }

    pub(super) fn on_scanned(&mut self, token: u64, result: Result<ScanPage, StoreError>) {
        let request = self.persistence.unanswered.take(token);
        let Some(DiskRequest::Page { need, storage, from, limit }) = request else { return };
        match result {
            Ok(page) => {
                let keys = page.keys.iter().filter_map(|scanned| {
                    Some(ColdKey {
                        position: scanned.position,
                        key: Key::new(&scanned.key),
                        // A number that stands for no type is reported when the key is loaded.
                        kind: Kind::from_number(scanned.kind)?,
                        expires_at_ms: scanned.expires_at_ms,
                    })
                });
                let page = ColdPage { keys: keys.collect(), next: page.next };
                self.core().keyspace.install_page(storage, from, limit, page);
                self.answered(&[need], None);
            }
            Err(error) => self.answered(&[need], Some(&error)),
        }
    }

    /// Loads expired keys from disk; then they are removed like any others.
    pub(super) fn on_due(&mut self, token: u64, result: Result<DuePage, StoreError>) {
        self.persistence.unanswered.take(token);
        let now_ms = self.core().keyspace.now_ms();
        let pause_ms = COLD_EXPIRY_PAUSE_MS;
        match result {
            Ok(page) => {
                let keyspace = &mut self.core().keyspace;
                let mut needs = Vec::new();
                for due in &page.keys {
                    if let Some(database) = keyspace.database_of(due.at.storage) {
                        needs.extend(keyspace.needs(database, std::iter::once(&due.at.key[..])));
                    }
                }
                let next = page.next_at_ms.unwrap_or(u64::MAX);
                let next = if page.more.is_some() { now_ms } else { next };
                self.persistence.next_cold_expiry_ms = next.min(now_ms + pause_ms);
                self.persistence.cold_expiry_from = page.more;
                // Otherwise the search continues when these keys have been loaded.
                if needs.is_empty() && self.persistence.cold_expiry_from.is_some() {
                    self.persistence.signals.expiry.notify_one();
                }
                let (core, _, persistence) = self.parts();
                persistence.request(&core.keyspace, &needs, None);
            }
            Err(error) => {
                tracing::error!("expiries cannot be read: {error}");
                self.persistence.next_cold_expiry_ms = now_ms + pause_ms;
                self.persistence.cold_expiry_from = None;
            }
        }
        self.forget_absent();
    }

    /// Tells everybody who waits for these needs that they have been loaded, or could not be.
    fn answered(&mut self, needs: &[Need], error: Option<&dyn std::fmt::Display>) {
        let error = error.map(ToString::to_string);
        if let Some(error) = &error {
            tracing::error!("data.redb cannot be read: {error}");
        }
        for need in needs {
            for load in self.persistence.loading.remove(need).unwrap_or_default() {
                load.answer(need, error.as_deref());
            }
        }
        self.forget_absent();
        self.resume_serving();
        if self.deliveries.are_waiting() {
            self.persistence.signals.deliveries.notify_one();
        }
    }

    /// Drops deletion marks that data.redb already reflects. A read still under way may have seen an older state.
    pub(super) fn forget_absent(&mut self) {
        let oldest = self.persistence.unanswered.by_token.first_key_value();
        let oldest = oldest.map(|(_, (_, applied))| *applied);
        let applied = oldest.unwrap_or(self.persistence.applied);
        if applied > self.persistence.forgotten {
            self.persistence.forgotten = applied;
            self.core().keyspace.forget_absent(applied);
        }
    }
}
