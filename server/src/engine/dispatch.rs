//! The way of one request: found, checked, queued or run, answered.

use std::rc::Rc;
use std::time::Instant;

use super::limits::{MAX_QUEUED_BYTES, MAX_QUOTED_LEN, MAX_RETRIES};
use super::wait::Wait;
use super::{Engine, core};
use crate::command::{self, Command, Error, Flags, Outcome};
use crate::keyspace::Need;
use crate::options::OutputClass;
use crate::protocol::{ErrorReply, Reply, Version, encode};
use crate::state::{Mailbox, Queued, ReplyMode, Retry, Session, Transaction};
use crate::types::parse_integer;

/// What becomes of a request.
#[derive(Debug)]
pub enum Step {
    /// It is answered: the reply is in the output.
    Done,
    /// It is to be executed again after this.
    Wait(Wait),
    /// Its command waits for a key to be written, until then at the latest. It is to be executed again when the answer is
    /// in the mailbox.
    Block(Option<Instant>),
    /// It is answered, and the connection is to be closed.
    Close,
    /// The server is to stop; `force` says that nothing may keep it.
    Shutdown {
        /// Whether to stop even if not everything can be made durable.
        force: bool,
    },
}

/// The answer to a request.
struct Answer {
    /// What the client is told now; nothing if it has to wait.
    reply: Reply,
    step: Step,
    /// Whether the command has run, rather than been refused or queued: then it counts as a call.
    has_run: bool,
}

impl Answer {
    fn to(reply: Reply) -> Self {
        Self { reply, step: Step::Done, has_run: true }
    }

    fn before_run(reply: Reply) -> Self {
        Self { reply, step: Step::Done, has_run: false }
    }

    fn without_reply(step: Step) -> Self {
        Self { reply: Reply::Sequence(Vec::new()), step, has_run: true }
    }

    fn wait(wait: Wait) -> Self {
        Self::without_reply(Step::Wait(wait))
    }
}

/// A request that has been found in the table.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub row: &'static Command,
    /// The container of a subcommand, or the row itself.
    parent: &'static Command,
    /// Its place among all commands and subcommands.
    pub place: usize,
}

impl Engine {
    /// Executes one request of a client, and appends its reply to `output`.
    pub fn execute(
        &mut self,
        session: &mut Session,
        mailbox: &Rc<Mailbox>,
        arguments: &[&[u8]],
        output: &mut Vec<u8>,
    ) -> Step {
        if let Some(reply) = mailbox.take_answer() {
            return self.send(session, &reply, output, Step::Done);
        }
        if session.reply_mode == ReplyMode::SkipNext {
            session.reply_mode = ReplyMode::Skip;
        }
        let now_us = match &session.retry {
            Some(retry) => retry.time_us,
            None => self.clock.unix_us(),
        };
        self.core().keyspace.begin(now_us);
        let found = find(arguments);
        if found.is_err() && is_http(arguments) {
            tracing::warn!(
                client = session.id,
                "closed: it speaks HTTP, perhaps made to by somebody's web page"
            );
            return Step::Close;
        }
        let answer = match &found {
            Ok(found) => self.answer(session, mailbox, *found, arguments),
            Err(error) => Err(self.reject(session, arguments, error.clone())),
        };
        let name = found.as_ref().map_or("", |found| found.parent.name);
        let answer = answer.or_else(|error| self.wait_or_fail(session, error)).unwrap_or_else(|text| {
            if name == "exec" && session.transaction.take().is_some() {
                // Whatever was the matter, for the client EXEC has ended the transaction.
                self.leave_transaction(session);
            }
            Answer::to(Reply::Error(text))
        });
        if let Step::Wait(_) = answer.step {
            self.suspend_transaction(Some(session));
            return answer.step;
        }
        session.retry = None;
        session.seed = None;
        self.account(session, found.ok().filter(|_| answer.has_run), arguments, &answer.reply);
        if name != "client" && session.transaction.is_none() {
            self.core().server.tracking.end_caching(session.id);
        }
        self.finish_transaction(Some(session));
        match answer.step {
            // The answer comes when it is served.
            Step::Block(_) => {
                self.dispatch_jobs();
                answer.step
            }
            step => self.send(session, &answer.reply, output, step),
        }
    }

    /// Lets a request wait that cannot run yet; otherwise gives the error reply.
    fn wait_or_fail(&mut self, session: &mut Session, error: Error) -> Result<Answer, ErrorReply> {
        match error {
            Error::Reply(text) => Err(text),
            Error::NotResident(need) => self.wait_for(session, &[need]),
            Error::QueueFull(shortage) => {
                // Waiting for room may take long, so the rerun uses the time that it has then, not that of the first attempt.
                session.retry = None;
                self.wait_for_room(shortage).map(Answer::wait)
            }
        }
    }

    /// Appends a reply to the output if the client wants it; gives `step`, or the end of a client whose replies are
    /// larger than it may have. The values in a reply are shared, so it may be much larger encoded.
    fn send(&mut self, session: &mut Session, reply: &Reply, output: &mut Vec<u8>, step: Step) -> Step {
        match session.reply_mode {
            ReplyMode::On | ReplyMode::SkipNext => {
                let limit = self.options().client_output_buffer_limit[OutputClass::Normal].hard_bytes;
                if limit > 0 && (output.len() + reply.value_bytes()) as u64 > limit {
                    tracing::warn!(
                        client = session.id,
                        "closed: its replies exceed client-output-buffer-limit"
                    );
                    self.count_too_much_output();
                    return Step::Close;
                }
                encode(reply, session.version, output);
            }
            ReplyMode::Off => {}
            ReplyMode::Skip => session.reply_mode = ReplyMode::On,
        }
        step
    }

    /// What a client is told whose request is refused before it runs: it spoils the transaction that it would have
    /// been queued in, and a refused EXEC ends it.
    fn reject(&mut self, session: &mut Session, arguments: &[&[u8]], error: Error) -> Error {
        let is_exec = arguments.first().is_some_and(|name| name.eq_ignore_ascii_case(b"exec"));
        match error {
            Error::Reply(text) if is_exec => {
                session.transaction = None;
                self.leave_transaction(session);
                let reason = text.strip_prefix("ERR ").unwrap_or(&text);
                format!("EXECABORT Transaction discarded because of: {reason}").into()
            }
            error => {
                if let Some(transaction) = &mut session.transaction {
                    transaction.aborted = true;
                }
                error
            }
        }
    }

    /// Checks a request and runs or queues it.
    fn answer(
        &mut self,
        session: &mut Session,
        mailbox: &Rc<Mailbox>,
        found: Found,
        arguments: &[&[u8]],
    ) -> command::Result<Answer> {
        session.last_command = command::full_name(found.place);
        if let Err(text) = self.check(session, found) {
            self.core().server.statistics.command(found.place).rejected_calls += 1;
            return match self.reject(session, arguments, Error::Reply(text)) {
                Error::Reply(text) => Ok(Answer::before_run(Reply::Error(text))),
                other => Err(other),
            };
        }
        if let Some(wait) = self.pause_for(session, found) {
            return Ok(Answer::wait(wait));
        }
        // A subcommand may be called as a command is, so it is the parent's name that counts.
        let (row, name) = (found.row, found.parent.name);
        if let Some(transaction) = &mut session.transaction
            && !matches!(name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset")
        {
            let queued = Queued::new(arguments);
            session.queued_bytes += queued.bytes();
            if session.queued_bytes > MAX_QUEUED_BYTES {
                transaction.aborted = true;
                return Err(Error::text("ERR too many bytes queued in this transaction"));
            }
            transaction.queue.push(queued);
            transaction.changes_settings |= changes_settings(name);
            transaction.writes |= row.is(Flags::WRITE);
            transaction.needs_memory |= row.is(Flags::DENYOOM);
            transaction.may_write |= may_write(row);
            return Ok(Answer::before_run(Reply::simple("QUEUED")));
        }
        let queue_may_write =
            name == "exec" && session.transaction.as_ref().is_some_and(|transaction| transaction.may_write);
        if (may_write(row) || queue_may_write)
            && let Some(wait) = self.persistence.back_pressure(self.core_ref())
        {
            return Ok(Answer::wait(wait));
        }
        if let Some(wait) = self.wait_for_held(session, row, name, arguments) {
            return Ok(Answer::wait(wait));
        }
        let needs = match (&session.transaction, name) {
            (Some(transaction), "exec") => self.needs_of_queue(session.database, transaction),
            _ => self.needs_of(session.database, row, arguments),
        };
        if !needs.is_empty() {
            return self.wait_for(session, &needs).map_err(Error::Reply);
        }
        let queue = session.transaction.as_ref().filter(|_| name == "exec");
        let changes_settings = changes_settings(name) || queue.is_some_and(|queue| queue.changes_settings);
        let outcome = self.perform(session, Some(mailbox), row, arguments, true)?;
        let answer = match outcome {
            Outcome::Reply(reply) => Answer::to(reply),
            Outcome::Close(reply) => Answer { step: Step::Close, ..Answer::to(reply) },
            Outcome::Shutdown { force } => Answer::without_reply(Step::Shutdown { force }),
            Outcome::Block(block) => Answer::without_reply(Step::Block(self.block(session, *block))),
            Outcome::Execute => Answer::to(self.execute_queue(session, mailbox)?),
            Outcome::Call(call) => {
                self.start_job(session, &call, arguments)?;
                Answer::without_reply(Step::Block(None))
            }
        };
        if changes_settings {
            self.apply_settings();
        }
        if matches!(name, "client" | "exec") {
            self.signal_pause();
        }
        Ok(answer)
    }

    /// Runs one command with everything that belongs to its transaction: a called procedure, and triggers. When it
    /// fails, everything that it did is undone. One that stands alone may have a procedure run in the background, for
    /// which [`Outcome::Call`] asks.
    pub(super) fn perform(
        &mut self,
        session: &mut Session,
        mailbox: Option<&Rc<Mailbox>>,
        row: &'static Command,
        arguments: &[&[u8]],
        is_alone: bool,
    ) -> command::Result<Outcome> {
        let core = self.core();
        core.keyspace.set_no_touch(session.no_touch && row.name != "touch");
        if core.server.triggers.is_idle() || calls_procedure(row) {
            return match core.run(session, mailbox, row, arguments)? {
                Outcome::Call(call) => self.call(session, call, arguments, is_alone),
                other => Ok(other),
            };
        }
        self.undoable(|engine| engine.core().run(session, mailbox, row, arguments))
    }

    /// What a command that may change a key has to wait for because that is held for a call in the background.
    fn wait_for_held(
        &self,
        session: &Session,
        row: &Command,
        name: &str,
        arguments: &[&[u8]],
    ) -> Option<Wait> {
        if self.is_nothing_held() {
            return None;
        }
        let held = |row: &Command, arguments: &[&[u8]]| {
            let keys = row.key_places(arguments).map(|place| arguments[place]);
            if may_write(row) { self.held_for_another(session.database, keys) } else { None }
        };
        match &session.transaction {
            Some(transaction) if name == "exec" => transaction.queue.iter().find_map(|queued| {
                let arguments = queued.arguments();
                find(&arguments).ok().and_then(|found| held(found.row, &arguments))
            }),
            _ => held(row, arguments),
        }
    }

    fn check(&mut self, session: &Session, found: Found) -> Result<(), ErrorReply> {
        let row = found.row;
        if !session.authenticated && !row.is(Flags::NO_AUTH) {
            return Err("NOAUTH Authentication required.".into());
        }
        if session.transaction.is_some() && row.is(Flags::NO_MULTI) {
            return Err("ERR Command not allowed inside a transaction".into());
        }
        // An EXEC that was rolled back to wait for something may already have subscribed its client.
        let was_attempted = session.transaction.as_ref().is_some_and(|queue| !queue.attempted.is_empty());
        if session.version == Version::Resp2
            && session.is_subscriber()
            && !was_attempted
            && !SUBSCRIBER_COMMANDS.contains(&found.parent.name)
        {
            return Err(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
                 this context",
                command::full_name(found.place)
            )
            .into());
        }
        if session.is_monitor
            && [Flags::WRITE, Flags::READONLY, Flags::MAY_REPLICATE].iter().any(|flag| row.is(*flag))
        {
            return Err("ERR Replica can't interact with the keyspace".into());
        }
        let core = self.core();
        // EXEC is what its queue is.
        let queue = session.transaction.as_ref().filter(|_| found.parent.name == "exec");
        let needs_memory = row.is(Flags::DENYOOM) || queue.is_some_and(|queue| queue.needs_memory);
        if needs_memory && core.is_out_of_memory() {
            return Err(core::OUT_OF_MEMORY.into());
        }
        let writes = row.is(Flags::WRITE) || queue.is_some_and(|queue| queue.writes);
        if writes && let Some(text) = core.write_failure() {
            return Err(text.into());
        }
        Ok(())
    }

    /// What has to be loaded before queued commands can run, which begin in this database.
    fn needs_of_queue(&self, mut database: u8, transaction: &Transaction) -> Vec<Need> {
        let databases = self.core_ref().keyspace.databases();
        let mut needs = Vec::new();
        for queued in &transaction.queue {
            let arguments = queued.arguments();
            let Ok(found) = find(&arguments) else { continue };
            if found.row.name == "select" {
                let selected = parse_integer(arguments[1]).and_then(|number| u8::try_from(number).ok());
                database = selected.filter(|number| *number < databases).unwrap_or(database);
            }
            needs.extend(self.needs_of(database, found.row, &arguments));
        }
        needs
    }

    /// What has to be loaded before a command can run.
    pub(super) fn needs_of(&self, database: u8, row: &Command, arguments: &[&[u8]]) -> Vec<Need> {
        let keyspace = &self.core_ref().keyspace;
        if !keyspace.is_any_cold(database) {
            return Vec::new();
        }
        keyspace.needs(database, row.key_places(arguments).map(|place| arguments[place]))
    }

    /// Has something loaded, and the request executed again afterwards.
    fn wait_for(&mut self, session: &mut Session, needs: &[Need]) -> Result<Answer, ErrorReply> {
        let (time_us, count) = match &session.retry {
            Some(retry) => {
                if let Some(reason) = needs.iter().find_map(|need| retry.load.failure_of(need)) {
                    return Err(unreadable(&reason));
                }
                (retry.time_us, retry.count)
            }
            None => (self.core_ref().keyspace.now_us(), 0),
        };
        if count >= MAX_RETRIES {
            return Err(TOO_MANY_RETRIES.into());
        }
        let load = self.load(needs);
        session.retry = Some(Retry { time_us, count: count + 1, load: Rc::clone(&load) });
        Ok(Answer::wait(Wait::Loaded(load)))
    }
}

/// What is said when something that a request needs cannot be read.
pub(super) fn unreadable(reason: &str) -> ErrorReply {
    format!("ERR the data cannot be read from disk: {reason}").into()
}

const TOO_MANY_RETRIES: &str = "ERR the request needed too many keys from disk that it did not name";

/// What a RESP2 client may do while it is subscribed to something.
const SUBSCRIBER_COMMANDS: [&str; 7] =
    ["subscribe", "psubscribe", "unsubscribe", "punsubscribe", "ping", "quit", "reset"];

/// Whether a command is held back while the log is full. A procedure that is not read-only is, but it is refused only
/// when it does write.
fn may_write(row: &Command) -> bool {
    row.is(Flags::WRITE) || calls_procedure(row) && !row.is(Flags::READONLY)
}

/// Whether a command may change options, libraries or triggers, which others have to be told of.
fn changes_settings(name: &str) -> bool {
    matches!(name, "config" | "function" | "trigger")
}

/// Whether a command does nothing but call a procedure.
fn calls_procedure(row: &Command) -> bool {
    row.is(Flags::NO_MANDATORY_KEYS)
}

/// Whether a request is a line of an HTTP request. As in Redis such a client is not listened to any longer: a browser
/// that was made to post commands here would send them in the lines that follow.
fn is_http(arguments: &[&[u8]]) -> bool {
    arguments
        .first()
        .is_some_and(|name| [b"post".as_slice(), b"host:"].iter().any(|line| name.eq_ignore_ascii_case(line)))
}

/// Finds the row of a request, and checks the number of arguments.
pub(super) fn find(arguments: &[&[u8]]) -> Result<Found, Error> {
    let Some((parent, place)) = arguments.first().and_then(|name| command::lookup(name)) else {
        return Err(unknown(arguments));
    };
    let (row, behind) = match arguments.get(1) {
        Some(name) if !parent.subcommands.is_empty() => {
            command::subcommand(parent, name).ok_or_else(|| unknown_subcommand(parent, name))?
        }
        _ => (parent, 0),
    };
    let place = place + behind;
    if !row.accepts(arguments.len()) {
        let name = command::full_name(place);
        return Err(format!("ERR wrong number of arguments for '{name}' command").into());
    }
    Ok(Found { row, parent, place })
}

fn unknown(arguments: &[&[u8]]) -> Error {
    let quote = |argument: &&[u8]| {
        let shown = &argument[..argument.len().min(MAX_QUOTED_LEN)];
        format!("'{}'", String::from_utf8_lossy(shown))
    };
    let name = arguments.first().map(quote).unwrap_or_default();
    let mut shown = String::new();
    for argument in arguments.iter().skip(1) {
        if shown.len() >= MAX_QUOTED_LEN {
            break;
        }
        shown.push_str(&quote(argument));
        shown.push(' ');
    }
    format!("ERR unknown command {name}, with args beginning with: {shown}").into()
}

fn unknown_subcommand(parent: &Command, name: &[u8]) -> Error {
    let shown = String::from_utf8_lossy(&name[..name.len().min(MAX_QUOTED_LEN)]);
    let parent = parent.name.to_ascii_uppercase();
    format!("ERR unknown subcommand '{shown}'. Try {parent} HELP.").into()
}
