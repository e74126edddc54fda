//! The part of the engine that a running procedure may reach: data, server state, and what its transaction collects.

use std::rc::Rc;

use super::limits::{MAX_REPLY_VALUES, MEMORY_CHECK_PAUSE};
use super::monitor::Shown;
use super::tracking::Read;
use crate::command::{self, Context, Error, Flags, NotFound, Outcome, Run};
use crate::keyspace::{Content, Expiry, Keyspace, events};
use crate::memory;
use crate::options::AppendFsync;
use crate::procedure::{Host, Severity};
use crate::protocol::{BadReply, Reply, Version, check_reply, decode_request, encode};
use crate::state::{ClientId, Mailbox, Message, ProcedureLogEntry, Server, Session};
use crate::types::IntegerBuffer;

/// See the module's description. Moves into the interpreter for the time of a call, and back.
pub(super) struct Core {
    pub keyspace: Keyspace,
    pub server: Server,
    /// Messages published in the current transaction; they go out when it commits.
    pub messages: Vec<Message>,
    /// Keys that clients read in the current transaction when it had changed something already.
    pub reads: Vec<Read>,
    /// What monitors are to see of the current transaction.
    pub shown: Shown,
    pub running: RunningProcedure,
    /// Memory in use when it was last measured, in bytes.
    pub used_bytes: u64,
    /// When that was, in microseconds of unix time.
    pub measured_us: u64,
}

/// The procedure that runs now.
pub(super) struct RunningProcedure {
    /// Its name, for the log.
    pub name: String,
    /// As whom its commands run.
    pub session: Session,
    /// The client that called it; `None` for a trigger's.
    pub caller: Option<ClientId>,
    /// What it logged. It is kept back until the call has ended, because a call that needs a key from disk is run again.
    pub lines: Vec<(Severity, Vec<u8>)>,
}

impl RunningProcedure {
    pub fn new(name: String, database: u8, caller: Option<ClientId>) -> Self {
        Self { name, session: Session::of_procedure(database), caller, lines: Vec::new() }
    }
}

impl Core {
    /// One in which nothing runs.
    pub fn new(keyspace: Keyspace, server: Server) -> Self {
        Self {
            keyspace,
            server,
            messages: Vec::new(),
            reads: Vec::new(),
            shown: Shown::default(),
            running: RunningProcedure::new(String::new(), 0, None),
            used_bytes: 0,
            measured_us: 0,
        }
    }

    /// Runs a handler as it is, without any of the checks of the front door.
    pub fn run(
        &mut self,
        session: &mut Session,
        mailbox: Option<&Rc<Mailbox>>,
        row: &command::Command,
        arguments: &[&[u8]],
    ) -> command::Result<Outcome> {
        if row.is(Flags::SKIP_MONITOR) && !self.server.monitors.is_empty() {
            self.show(session, arguments);
        }
        let Self { keyspace, server, messages, .. } = self;
        let mut context = Context { keyspace, server, session, mailbox, messages };
        match row.run {
            Run::Reply(run) => run(&mut context, arguments).map(Outcome::Reply),
            Run::Outcome(run) => run(&mut context, arguments),
            Run::Container => Err(Error::SYNTAX),
        }
    }

    /// Whether a command that needs memory has to be refused.
    pub fn is_out_of_memory(&mut self) -> bool {
        let limit = self.server.options.maxmemory;
        if limit == 0 {
            return false;
        }
        let now_us = self.keyspace.now_us();
        if now_us.abs_diff(self.measured_us) >= MEMORY_CHECK_PAUSE.as_micros() as u64 {
            self.measured_us = now_us;
            self.used_bytes = memory::used_bytes();
        }
        self.used_bytes > limit
    }

    /// Writes what the procedure logged to the server's log and to the ring of `FUNCTION LOG`.
    pub fn keep_lines(&mut self) {
        let procedure = &self.running.name;
        let ring = &mut self.server.procedure_log;
        for (level, message) in self.running.lines.drain(..) {
            let text = on_one_line(&String::from_utf8_lossy(&message));
            match level {
                Severity::Debug | Severity::Verbose => tracing::debug!(%procedure, "{text}"),
                Severity::Notice => tracing::info!(%procedure, "{text}"),
                Severity::Warning => tracing::warn!(%procedure, "{text}"),
            }
            let (procedure, time_us) = (procedure.clone(), self.keyspace.now_us());
            ring.push_front(ProcedureLogEntry { time_us, level, procedure, message });
        }
        ring.truncate(self.server.options.wasm_log_ring_len as usize);
    }

    fn database(&self) -> u8 {
        self.running.session.database
    }

    /// The client that called the procedure that runs, if anybody caches anything.
    fn caching_caller(&self) -> Option<ClientId> {
        self.running.caller.filter(|_| !self.server.tracking.is_idle())
    }

    /// Notes that the procedure that runs has read a key: for its caller that is as if it had done so itself.
    fn note_read_of_procedure(&mut self, key: &[u8]) {
        if let Some(caller) = self.caching_caller() {
            self.note_read(caller, key);
        }
    }

    fn refuse_when_full(&mut self) -> command::Result<()> {
        if self.is_out_of_memory() { Err(Error::text(OUT_OF_MEMORY)) } else { Ok(()) }
    }

    /// What a write is answered because what it changes could not be kept; `None` when it can.
    pub fn write_failure(&self) -> Option<String> {
        let Server { options, store, .. } = &self.server;
        // With `appendfsync always` the process ends instead.
        let commit = store.failure.as_ref().filter(|_| options.appendfsync != AppendFsync::Always);
        // A log that is full and cannot be applied would let writes wait for ever.
        let apply = store.apply_failure.as_ref().filter(|_| store.log_bytes > options.log_max_size);
        commit.or(apply).map(|failure| format!("MISCONF Errors writing to the AOF file: {failure}"))
    }

    fn refuse_unkept(&self) -> command::Result<()> {
        self.write_failure().map_or(Ok(()), |text| Err(text.into()))
    }

    /// What a command about the server answers to a procedure that runs elsewhere.
    pub fn tell_of_server(&mut self, arguments: &[&[u8]]) -> Reply {
        self.running = RunningProcedure::new(String::new(), 0, None);
        match self.run_for_procedure(arguments, false) {
            Ok(reply) => reply,
            Err(Error::Reply(text)) => Reply::Error(text),
            Err(_) => Reply::error("ERR this is not known here"),
        }
    }

    /// The checks of a command that a procedure sends, and the command.
    pub fn run_for_procedure(&mut self, arguments: &[&[u8]], read_only: bool) -> command::Result<Reply> {
        if arguments.is_empty() {
            return Err(Error::text(
                "ERR Please specify at least one argument for this command call from a procedure",
            ));
        }
        let found = command::find(arguments).map_err(|missing| match missing {
            NotFound::Command => Error::text("ERR Unknown command called from script"),
            NotFound::Subcommand(_) => Error::text("ERR Unknown subcommand called from script"),
        });
        let row = found?.row;
        if !row.accepts(arguments.len()) {
            return Err(Error::text("ERR Wrong number of args calling command from script"));
        }
        if row.is(Flags::NOSCRIPT) {
            return Err(Error::text("ERR This Redis command is not allowed from script"));
        }
        // As in Redis, what is published counts as written.
        if read_only && row.affects_others() {
            return Err(Error::text("ERR Write commands are not allowed from read-only scripts."));
        }
        if row.is(Flags::WRITE) {
            self.refuse_unkept()?;
        }
        if row.is(Flags::DENYOOM) {
            self.refuse_when_full()?;
        }
        let mut session = std::mem::replace(&mut self.running.session, Session::of_procedure(0));
        let outcome = self.run(&mut session, None, row, arguments);
        self.running.session = session;
        if !row.is(Flags::ADMIN) {
            self.show_of_procedure(arguments);
        }
        if let Some(caller) = self.caching_caller() {
            self.note_reads(caller, row, arguments);
        }
        match outcome? {
            Outcome::Reply(reply) => Ok(reply),
            Outcome::Block(block) => Ok(block.refused),
            _ => Err(Error::text("ERR This Redis command is not allowed from script")),
        }
    }
}

/// A guest's text as the server's log shows it: with its control characters written out, so that nobody can write what
/// looks like lines of others.
pub(super) fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Answers a procedure's request: appends the encoded reply, which is an error reply if the command gave one.
pub(super) fn answer_request(
    request: &[u8],
    reply: &mut Vec<u8>,
    run: impl FnOnce(&[&[u8]]) -> command::Result<Reply>,
) -> command::Result<()> {
    let answer = match decode_request(request) {
        Some(arguments) => run(&arguments),
        None => Err(Error::text("ERR the request is not a RESP array of bulk strings")),
    };
    let answer = match answer {
        Err(Error::Reply(text)) => Reply::Error(text),
        other => other?,
    };
    encode(&answer, Version::Resp3, reply);
    Ok(())
}

/// What a command that needs memory is answered when there is none.
pub(super) const OUT_OF_MEMORY: &str = "OOM command not allowed when used memory > 'maxmemory'.";

impl Host for Core {
    type Error = Error;

    fn get(
        &mut self,
        key: &[u8],
        offset: u64,
        limit: usize,
        copy: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<u64>, Error> {
        let database = self.database();
        self.note_read_of_procedure(key);
        self.show_of_procedure(&[b"GET", key]);
        let Some(string) = self.keyspace.get_string(database, key)? else { return Ok(None) };
        let mut scratch = IntegerBuffer::new();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(string.len());
        let end = start.saturating_add(limit).min(string.len());
        string.slices(start, end, &mut scratch).for_each(copy);
        Ok(Some(string.len() as u64))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.refuse_unkept()?;
        self.refuse_when_full()?;
        if value.len() as u64 > self.server.options.proto_max_bulk_len {
            return Err(Error::STRING_TOO_LONG);
        }
        let database = self.database();
        self.show_of_procedure(&[b"SET", key, value]);
        Ok(self.keyspace.set(database, key, Content::String(value), Expiry::Clear, events::SET)?)
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool, Error> {
        self.refuse_unkept()?;
        let database = self.database();
        self.show_of_procedure(&[b"DEL", key]);
        Ok(self.keyspace.delete(database, key, events::DEL)?)
    }

    fn exists(&mut self, key: &[u8]) -> Result<bool, Error> {
        let database = self.database();
        self.note_read_of_procedure(key);
        self.show_of_procedure(&[b"EXISTS", key]);
        Ok(self.keyspace.exists(database, key)?)
    }

    fn increment(&mut self, key: &[u8], delta: i64) -> Result<i64, Error> {
        self.refuse_unkept()?;
        self.refuse_when_full()?;
        let database = self.database();
        self.show_of_procedure(&[b"INCRBY", key, itoa::Buffer::new().format(delta).as_bytes()]);
        command::add_integer(&mut self.keyspace, database, key, delta)
    }

    fn command(&mut self, request: &[u8], read_only: bool, reply: &mut Vec<u8>) -> Result<(), Error> {
        answer_request(request, reply, |arguments| self.run_for_procedure(arguments, read_only))
    }

    fn log(&mut self, level: Severity, message: &[u8]) {
        self.running.lines.push((level, message.to_vec()));
    }

    fn validate_resp(&self, value: &[u8]) -> Result<u64, Error> {
        match check_reply(value, MAX_REPLY_VALUES) {
            Ok(values) => Ok(values as u64),
            Err(BadReply::Malformed) => {
                Err(Error::text("ERR the procedure's reply is not one valid RESP value"))
            }
            Err(BadReply::TooManyValues) => {
                Err(format!("WASMLIMIT the procedure's reply has more than {MAX_REPLY_VALUES} values").into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_the_log_stays_one_whatever_a_guest_writes() {
        for (text, line) in [
            ("plain 'text', \u{e9}", "plain 'text', \u{e9}"),
            ("a\n2026-01-01 INFO kvasm: b", "a\\n2026-01-01 INFO kvasm: b"),
            ("\r\t\u{1b}[2J\u{85}", "\\r\\t\\u{1b}[2J\\u{85}"),
        ] {
            assert_eq!(on_one_line(text), line);
        }
    }
}
