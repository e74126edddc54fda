//! The way of one request: found, checked, queued or run, answered.

use std::rc::Rc;
use std::time::Instant;

use super::limits::{MAX_QUEUED_BYTES, MAX_QUOTED_LEN, MAX_RETRIES};
use super::wait::Wait;
use super::{Engine, core};
use crate::command::{self, Command, Error, Flags, Found, NotFound, Outcome};
use crate::keyspace::Need;
use crate::options::OutputClass;
use crate::protocol::{ErrorReply, Reply, Version, encode};
use crate::state::{Arguments, Mailbox, Queued, ReplyMode, Retry, Session, Transaction, Upload};
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
        let found = command::find(arguments);
        if found.is_err() && is_http(arguments) {
            tracing::warn!(
                client = session.id,
                "closed: it speaks HTTP, perhaps made to by somebody's web page"
            );
            return Step::Close;
        }
        let answer = match found {
            Ok(found) => self.answer(session, mailbox, found, arguments),
            Err(missing) => Ok(self.refuse(session, None, unknown(missing, arguments))),
        };
        let (found, name) = (found.ok(), found.map_or("", |found| found.parent.name));
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
        session.compilations.forget();
        session.seed = None;
        self.account(session, found.filter(|_| answer.has_run), arguments, &answer.reply);
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
            Error::NotResident(need) => self.wait_for(session, &[need]).map(Answer::wait),
            Error::NotCompiled(uploads) => self.compile(session, uploads).map(Answer::wait),
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
        let is_wanted = match session.reply_mode {
            ReplyMode::On | ReplyMode::SkipNext => true,
            ReplyMode::Off => false,
            ReplyMode::Skip => {
                session.reply_mode = ReplyMode::On;
                false
            }
        };
        // A client that wants no replies still wants messages, and such a confirmation is one.
        if !is_wanted && !confirms_subscriptions(reply) {
            return step;
        }
        let limit = self.options().client_output_buffer_limit[OutputClass::Normal].hard_bytes;
        if limit > 0 && (output.len() + reply.value_bytes()) as u64 > limit {
            tracing::warn!(client = session.id, "closed: its replies exceed client-output-buffer-limit");
            self.count_too_much_output();
            return Step::Close;
        }
        encode(reply, session.version, output);
        step
    }

    /// Checks a request, and runs or queues it.
    fn answer(
        &mut self,
        session: &mut Session,
        mailbox: &Rc<Mailbox>,
        found: Found,
        arguments: &[&[u8]],
    ) -> command::Result<Answer> {
        session.last_command = found.full_name();
        if let Err(text) = self.check(session, found, arguments.len()) {
            return Ok(self.refuse(session, Some(found), text));
        }
        if let Some(wait) = self.pause_for(session, found) {
            return Ok(Answer::wait(wait));
        }
        if let Some(transaction) = &mut session.transaction
            && !found.row.is(Flags::RUNS_IN_MULTI)
        {
            return queue_command(transaction, found, arguments);
        }
        match self.wait_before(session, found, arguments) {
            Ok(None) => self.run_alone(session, mailbox, found, arguments),
            Ok(Some(wait)) => Ok(Answer::wait(wait)),
            Err(text) => Err(Error::Reply(text)),
        }
    }

    /// What is wrong with a request, whatever its arguments are.
    fn check(&mut self, session: &Session, found: Found, arguments: usize) -> Result<(), ErrorReply> {
        let row = found.row;
        if !row.accepts(arguments) {
            return Err(command::wrong_arity(found.full_name()));
        }
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
            && !row.is(Flags::WHILE_SUBSCRIBED)
        {
            return Err(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
                 this context",
                found.full_name()
            )
            .into());
        }
        if session.is_monitor && (row.is(Flags::READONLY) || row.affects_others()) {
            return Err("ERR Replica can't interact with the keyspace".into());
        }
        let core = self.core();
        let queue = queue_of(session, found);
        // A queue takes memory whatever is in it.
        let is_queued = session.transaction.is_some() && !row.is(Flags::RUNS_IN_MULTI);
        let needs_memory =
            row.is(Flags::DENYOOM) || is_queued || queue.is_some_and(|queue| queue.needs_memory);
        if needs_memory && core.is_out_of_memory() {
            return Err(core::OUT_OF_MEMORY.into());
        }
        let writes = row.is(Flags::WRITE) || queue.is_some_and(|queue| queue.writes);
        if writes && let Some(text) = core.write_failure() {
            return Err(text.into());
        }
        Ok(())
    }

    /// Refuses a request before it runs: it spoils the transaction that it would have been queued in, and a refused EXEC
    /// ends it. `found` is the command, if there is such a one.
    fn refuse(&mut self, session: &mut Session, found: Option<Found>, text: ErrorReply) -> Answer {
        if let Some(found) = found {
            self.core().server.statistics.command(found.place).rejected_calls += 1;
        }
        if found.is_some_and(is_exec) {
            session.transaction = None;
            self.leave_transaction(session);
            let reason = text.strip_prefix("ERR ").unwrap_or(&text);
            let text = format!("EXECABORT Transaction discarded because of: {reason}");
            return Answer::before_run(Reply::Error(text.into()));
        }
        if let Some(transaction) = &mut session.transaction {
            transaction.aborted = true;
        }
        Answer::before_run(Reply::Error(text))
    }

    /// What a command has to wait for before it can run.
    fn wait_before(
        &mut self,
        session: &mut Session,
        found: Found,
        arguments: &[&[u8]],
    ) -> Result<Option<Wait>, ErrorReply> {
        let (row, queue) = (found.row, queue_of(session, found));
        let may_write = row.may_write() || queue.is_some_and(|queue| queue.may_write);
        if may_write && let Some(wait) = self.persistence.back_pressure(self.core_ref()) {
            return Ok(Some(wait));
        }
        let database = session.database;
        let held = match queue {
            _ if self.is_nothing_held() => None,
            Some(queue) => in_queue(queue).find_map(|(row, arguments)| self.held(database, row, &arguments)),
            None => self.held(database, row, arguments),
        };
        if held.is_some() {
            return Ok(held);
        }
        if let Some(queue) = queue {
            let uploads = self.uploads_of_queue(session, queue);
            if !uploads.is_empty() {
                return self.compile(session, uploads).map(Some);
            }
        }
        let needs = match queue {
            Some(queue) => self.needs_of_queue(database, queue),
            None => self.needs_of(database, row, arguments),
        };
        if needs.is_empty() { Ok(None) } else { self.wait_for(session, &needs).map(Some) }
    }

    /// Runs a command that is not in a queue, or EXEC.
    fn run_alone(
        &mut self,
        session: &mut Session,
        mailbox: &Rc<Mailbox>,
        found: Found,
        arguments: &[&[u8]],
    ) -> command::Result<Answer> {
        let changes_settings = found.row.is(Flags::CHANGES_SETTINGS)
            || queue_of(session, found).is_some_and(|queue| queue.changes_settings);
        let outcome = self.perform(session, Some(mailbox), found.row, arguments, true)?;
        let answer = match outcome {
            Outcome::Reply(reply) => Ok(Answer::to(reply)),
            Outcome::Close(reply) => Ok(Answer { step: Step::Close, ..Answer::to(reply) }),
            Outcome::Shutdown { force } => Ok(Answer::without_reply(Step::Shutdown { force })),
            Outcome::Block(block) => Ok(Answer::without_reply(Step::Block(self.block(session, *block)))),
            // An EXEC that has to run again may have changed settings all the same.
            Outcome::Execute => self.execute_queue(session, mailbox).map(Answer::to),
            Outcome::Call(call) => {
                let started = self.start_job(session, &call, arguments);
                started.map(|()| Answer::without_reply(Step::Block(None)))
            }
        };
        if changes_settings {
            self.apply_settings();
        }
        if is_exec(found) || found.parent.name == "client" {
            self.signal_pause();
        }
        answer
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
        if core.server.triggers.is_idle() || row.calls_procedure() {
            return match core.run(session, mailbox, row, arguments)? {
                Outcome::Call(call) => self.call(session, call, arguments, is_alone),
                other => Ok(other),
            };
        }
        self.undoable(|engine| engine.core().run(session, mailbox, row, arguments))
    }

    /// What a command that may change a key has to wait for because that is held for a call in the background.
    fn held(&self, database: u8, row: &Command, arguments: &[&[u8]]) -> Option<Wait> {
        let keys = row.key_places(arguments).map(|place| arguments[place]);
        if row.may_write() { self.held_for_another(database, keys) } else { None }
    }

    /// What has to pass the gate before the commands of a queue can run: all of it at once, so that EXEC runs once.
    fn uploads_of_queue(&self, session: &Session, queue: &Transaction) -> Vec<Upload> {
        let uploads = |(row, arguments): (&Command, Vec<&[u8]>)| {
            let uploads = row.uploads?;
            Some(uploads(&self.core_ref().server, session, &arguments))
        };
        if queue.aborted { Vec::new() } else { in_queue(queue).filter_map(uploads).flatten().collect() }
    }

    /// What has to be loaded before the commands of a queue can run, which begin in this database.
    fn needs_of_queue(&self, mut database: u8, queue: &Transaction) -> Vec<Need> {
        let databases = self.core_ref().keyspace.databases();
        let mut needs = Vec::new();
        for (row, arguments) in in_queue(queue) {
            if row.name == "select" {
                let selected = parse_integer(arguments[1]).and_then(|number| u8::try_from(number).ok());
                database = selected.filter(|number| *number < databases).unwrap_or(database);
            }
            needs.extend(self.needs_of(database, row, &arguments));
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
    fn wait_for(&mut self, session: &mut Session, needs: &[Need]) -> Result<Wait, ErrorReply> {
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
        Ok(Wait::Loaded(load))
    }
}

/// What is said when something that a request needs cannot be read.
pub(super) fn unreadable(reason: &str) -> ErrorReply {
    format!("ERR the data cannot be read from disk: {reason}").into()
}

const TOO_MANY_RETRIES: &str = "ERR the request needed too many keys from disk that it did not name";

/// Puts a command into the transaction that its client is collecting.
fn queue_command(
    transaction: &mut Transaction,
    found: Found,
    arguments: &[&[u8]],
) -> command::Result<Answer> {
    let (row, queued) = (found.row, Queued { place: found.place, arguments: Arguments::new(arguments) });
    transaction.queued_bytes += queued.bytes();
    if transaction.queued_bytes > MAX_QUEUED_BYTES {
        transaction.aborted = true;
        return Err(Error::text("ERR too many bytes queued in this transaction"));
    }
    transaction.queue.push(queued);
    transaction.changes_settings |= row.is(Flags::CHANGES_SETTINGS);
    transaction.writes |= row.is(Flags::WRITE);
    transaction.needs_memory |= row.is(Flags::DENYOOM);
    transaction.may_write |= row.may_write();
    transaction.affects_others |= row.affects_others();
    Ok(Answer::before_run(Reply::simple("QUEUED")))
}

fn is_exec(found: Found) -> bool {
    found.row.name == "exec"
}

/// The transaction that a command runs if it is EXEC, which is what its queue is.
pub(super) fn queue_of(session: &Session, found: Found) -> Option<&Transaction> {
    session.transaction.as_ref().filter(|_| is_exec(found))
}

/// The rows and arguments of the commands in a queue.
fn in_queue(transaction: &Transaction) -> impl Iterator<Item = (&'static Command, Vec<&[u8]>)> {
    let queue = transaction.queue.iter();
    queue.map(|queued| (command::at(queued.place).row, queued.arguments.slices()))
}

/// Whether a reply is that of SUBSCRIBE or one of its relatives.
fn confirms_subscriptions(reply: &Reply) -> bool {
    matches!(reply, Reply::Sequence(parts) if matches!(parts.first(), Some(Reply::Push(_))))
}

/// Whether a request is a line of an HTTP request. As in Redis such a client is not listened to any longer: a browser
/// that was made to post commands here would send them in the lines that follow.
fn is_http(arguments: &[&[u8]]) -> bool {
    arguments
        .first()
        .is_some_and(|name| [b"post".as_slice(), b"host:"].iter().any(|line| name.eq_ignore_ascii_case(line)))
}

/// The error text for a command or subcommand that there is not.
fn unknown(missing: NotFound, arguments: &[&[u8]]) -> ErrorReply {
    let cut = |argument: &[u8]| {
        String::from_utf8_lossy(&argument[..argument.len().min(MAX_QUOTED_LEN)]).into_owned()
    };
    if let NotFound::Subcommand(parent) = missing {
        let name = arguments.get(1).map(|name| cut(name)).unwrap_or_default();
        return format!("ERR unknown subcommand '{name}'. Try {} HELP.", parent.name.to_ascii_uppercase())
            .into();
    }
    let mut quoted = arguments.iter().map(|argument| format!("'{}'", cut(argument)));
    let name = quoted.next().unwrap_or_default();
    let mut shown = String::new();
    for argument in quoted {
        if shown.len() >= MAX_QUOTED_LEN {
            break;
        }
        shown.push_str(&argument);
        shown.push(' ');
    }
    format!("ERR unknown command {name}, with args beginning with: {shown}").into()
}
