//! The registry of connected clients.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Mailbox, Session};

/// Number of a client, never used twice; 0 stands for a procedure.
pub type ClientId = u64;

/// What the registry knows about a client.
#[derive(Debug)]
pub struct Handle {
    /// Its session; `None` while one of its commands runs, because the command owns it then.
    pub session: Option<Box<Session>>,
    /// Its mailbox.
    pub mailbox: Rc<Mailbox>,
}

/// See the module's description. In the order of numbers, which is the order of connecting.
#[derive(Debug, Default)]
pub struct Clients {
    handles: BTreeMap<ClientId, Handle>,
    last_id: ClientId,
}

impl Clients {
    /// A number for a new client.
    pub fn next_id(&mut self) -> ClientId {
        self.last_id += 1;
        self.last_id
    }

    /// Adds a client.
    pub fn add(&mut self, session: Box<Session>, mailbox: Rc<Mailbox>) {
        self.handles.insert(session.id, Handle { session: Some(session), mailbox });
    }

    /// Removes a client that has gone.
    pub fn remove(&mut self, id: ClientId) {
        self.handles.remove(&id);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.handles.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// A client.
    #[must_use]
    pub fn get(&self, id: ClientId) -> Option<&Handle> {
        self.handles.get(&id)
    }

    /// A client, to be changed.
    pub fn get_mut(&mut self, id: ClientId) -> Option<&mut Handle> {
        self.handles.get_mut(&id)
    }

    /// All clients.
    pub fn iter(&self) -> impl Iterator<Item = (ClientId, &Handle)> {
        self.handles.iter().map(|(id, handle)| (*id, handle))
    }
}
