//! One client's state: its settings, and the transaction that it is collecting.

use std::net::SocketAddr;
use std::rc::Rc;

use super::{ClientId, Compilations, Load};
use crate::keyspace::Key;
use crate::protocol::{Reply, Version};

/// Which replies a client wants, as set with `CLIENT REPLY`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyMode {
    /// All.
    #[default]
    On,
    /// None.
    Off,
    /// All but the one to the next command.
    SkipNext,
    /// All but the one to this command.
    Skip,
}

/// A request's arguments in one buffer.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Arguments {
    /// Copies them.
    #[must_use]
    pub fn new(arguments: &[&[u8]]) -> Self {
        let mut copied = Self::default();
        for argument in arguments {
            copied.bytes.extend_from_slice(argument);
            copied.ends.push(copied.bytes.len());
        }
        copied
    }

    /// One by one.
    #[must_use]
    pub fn slices(&self) -> Vec<&[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end]).collect()
    }

    /// Bytes of memory that they take, the fields of this included: with short commands those are most of it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity() + self.ends.capacity() * size_of::<usize>()
    }
}

/// A command that waits for EXEC.
#[derive(Clone, Debug)]
pub struct Queued {
    /// Its place among all commands and subcommands.
    pub place: usize,
    /// Its arguments, its name included.
    pub arguments: Arguments,
}

impl Queued {
    /// Bytes of memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(&self.place) + self.arguments.bytes()
    }
}

/// What a client collects between MULTI and EXEC.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each asked for on its own")]
pub struct Transaction {
    /// The commands, in order.
    pub queue: Vec<Queued>,
    /// Bytes of memory that they take.
    pub queued_bytes: usize,
    /// Whether a command could not be queued, so that EXEC must refuse.
    pub aborted: bool,
    /// Whether a queued command is a write.
    pub writes: bool,
    /// Whether one may change options, libraries or triggers.
    pub changes_settings: bool,
    /// Whether one needs memory, so that EXEC is refused while there is none.
    pub needs_memory: bool,
    /// Whether a queued command is a write or a procedure that may write.
    pub may_write: bool,
    /// Whether one may change anything that other clients can see.
    pub affects_others: bool,
    /// Replies of the first queued commands from an earlier EXEC attempt that was rolled back. All of them have been
    /// counted; those with a reply have done what cannot be undone, and are not run again.
    pub attempted: Vec<Option<Reply>>,
}

/// A request that is run again, with the time of its first run.
#[derive(Clone, Debug)]
pub struct Retry {
    /// That time, in microseconds of unix time.
    pub time_us: u64,
    /// How often it has been run.
    pub count: u32,
    /// What it waited for last.
    pub load: Rc<Load>,
}

/// See the module's description.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what a client has asked for goes together in any way")]
pub struct Session {
    /// Number of the client, never used twice.
    pub id: ClientId,
    /// The client's address; `None` for a procedure.
    pub address: Option<SocketAddr>,
    /// The address it connected to.
    pub local_address: Option<SocketAddr>,
    /// The selected database.
    pub database: u8,
    /// The protocol version of its replies.
    pub version: Version,
    /// Whether it has given the password, or needs none.
    pub authenticated: bool,
    /// Its name, as set with `CLIENT SETNAME`.
    pub name: Vec<u8>,
    /// The name of its library, as set with `CLIENT SETINFO`.
    pub library_name: Vec<u8>,
    /// The version of its library.
    pub library_version: Vec<u8>,
    /// Which replies it wants.
    pub reply_mode: ReplyMode,
    /// The transaction that it is collecting.
    pub transaction: Option<Transaction>,
    /// Set while its request waits for something from disk and must be run again.
    pub retry: Option<Retry>,
    /// What the gate was asked for its request.
    pub compilations: Compilations,
    /// Its request waits before it can run, for whatever reason.
    pub is_parked: bool,
    /// The random seed of the procedure that it calls.
    pub seed: Option<u64>,
    /// While a blocked command is run again: the key that was written.
    pub woken_by: Option<Key>,
    /// Whether it watches keys.
    pub watching: bool,
    /// How many channels it is subscribed to.
    pub channels: usize,
    /// How many patterns it is subscribed to.
    pub patterns: usize,
    /// Whether it has asked not to be evicted.
    pub no_evict: bool,
    /// Whether its commands do not count as uses of keys (`CLIENT NO-TOUCH`).
    pub no_touch: bool,
    /// Whether it runs MONITOR.
    pub is_monitor: bool,
    /// When it connected, in seconds of unix time.
    pub connected_s: u64,
    /// When it last sent a command, in seconds of unix time.
    pub active_s: u64,
    /// Its last command: `get`, `client|list`.
    pub last_command: &'static str,
    /// Bytes of requests that are not complete yet.
    pub query_buffer_bytes: usize,
}

impl Session {
    /// A client that has just connected.
    #[must_use]
    pub fn new(
        id: ClientId,
        address: Option<SocketAddr>,
        local_address: Option<SocketAddr>,
        now_s: u64,
    ) -> Self {
        Self {
            id,
            address,
            local_address,
            database: 0,
            version: Version::Resp2,
            authenticated: false,
            name: Vec::new(),
            library_name: Vec::new(),
            library_version: Vec::new(),
            reply_mode: ReplyMode::On,
            transaction: None,
            retry: None,
            compilations: Compilations::default(),
            is_parked: false,
            seed: None,
            woken_by: None,
            watching: false,
            channels: 0,
            patterns: 0,
            no_evict: false,
            no_touch: false,
            is_monitor: false,
            connected_s: now_s,
            active_s: now_s,
            last_command: "NULL",
            query_buffer_bytes: 0,
        }
    }

    /// The client that a procedure's commands run as: RESP3, with all rights that scripts have.
    #[must_use]
    pub fn of_procedure(database: u8) -> Self {
        Self { database, version: Version::Resp3, authenticated: true, ..Self::new(0, None, None, 0) }
    }

    /// Resets the client's settings, as `RESET` does; the name and version of its library stay.
    pub fn reset(&mut self) {
        self.database = 0;
        self.version = Version::Resp2;
        self.authenticated = false;
        self.name.clear();
        self.reply_mode = ReplyMode::On;
        self.transaction = None;
        self.watching = false;
        (self.channels, self.patterns) = (0, 0);
        (self.no_evict, self.no_touch, self.is_monitor) = (false, false, false);
    }

    /// Bytes of memory that the commands of its transaction take.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.transaction.as_ref().map_or(0, |transaction| transaction.queued_bytes)
    }

    /// Whether it is subscribed to anything.
    #[must_use]
    pub fn is_subscriber(&self) -> bool {
        self.channels + self.patterns > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queued_command_counts_what_it_takes_however_short_it_is() {
        let parts = size_of::<Arguments>() + size_of::<usize>();
        for (arguments, least) in
            [(&[b"PING".as_slice()][..], parts + 4), (&[b"", b""], parts), (&[&[0; 9000]], parts + 9000)]
        {
            let bytes = Arguments::new(arguments).bytes();
            assert!((least..2 * least + 64).contains(&bytes), "{bytes}, at least {least}");
        }
    }
}
