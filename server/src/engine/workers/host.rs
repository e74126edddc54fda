//! What a procedure reaches on a worker: the same core as on the engine's thread, around a detached keyspace.
//!
//! Where the core says that something is not in memory, it is fetched from the engine and the host function goes on.
//! Only when a command has changed something already does the procedure run again from the start.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvError, TryRecvError};
use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;

use super::super::core::{self, Core, RunningProcedure};
use super::super::limits::{MAX_BACKGROUND_READS, MEMORY_CHECK_PAUSE, STAY_AWAKE};
use super::super::persistence::Arrival;
use super::task::{Answer, Failed, FromWorker, JobId, Question, Task, ToWorker};
use crate::command::{self, Error, Flags};
use crate::keyspace::{Key, Keyspace, Need, Outside, Reads};
use crate::options::Options;
use crate::procedure::{Host, Severity};
use crate::protocol::Reply;
use crate::state::{Mailbox, Server};
use crate::store::Seed;

/// The way to the engine.
pub(super) struct Link {
    pub worker: usize,
    pub job: JobId,
    pub engine: UnboundedSender<Arrival>,
    pub tasks: Receiver<ToWorker>,
}

impl Link {
    /// Asks the engine and waits for the answer.
    fn ask(&self, question: Question) -> Answer {
        let (worker, job) = (self.worker, self.job);
        let asked = self.engine.send(Arrival::Worker(FromWorker::Asks { worker, job, question }));
        match (asked, self.receive()) {
            (Ok(()), Ok(ToWorker::Answer(answer))) => answer,
            // The engine is about to end.
            _ => Answer::None(Failed::Lost),
        }
    }

    /// The next message. A worker stays awake for it for a moment: to be woken takes longer than most tasks do.
    pub fn receive(&self) -> Result<ToWorker, RecvError> {
        let asleep_from = Instant::now() + STAY_AWAKE;
        loop {
            match self.tasks.try_recv() {
                Ok(message) => return Ok(message),
                Err(TryRecvError::Disconnected) => return Err(RecvError),
                Err(TryRecvError::Empty) if Instant::now() < asleep_from => std::hint::spin_loop(),
                Err(TryRecvError::Empty) => return self.tasks.recv(),
            }
        }
    }
}

/// See the module's description.
pub(super) struct Remote {
    pub core: Core,
    pub link: Link,
    pub reads: Reads,
    /// Why the try must end, whatever the procedure says.
    pub failed: Option<Failed>,
    /// Bytes of the messages that it has published.
    published_bytes: usize,
    /// What the core's options were cloned from.
    options: Arc<Options>,
    memory_checked: Instant,
}

impl Remote {
    pub fn new(link: Link) -> Self {
        let core = Core::new(nothing(), Server::new(Options::default(), None));
        Self {
            core,
            link,
            reads: Reads::default(),
            failed: None,
            published_bytes: 0,
            options: Arc::default(),
            memory_checked: Instant::now(),
        }
    }

    /// Starts a try, or starts it again.
    pub fn begin(&mut self, task: &Task) {
        let Self { core, .. } = self;
        core.keyspace = Keyspace::detached(&task.outside, task.time_us);
        core.keyspace.journal_mut().listen(task.listened.0, task.listened.1);
        core.keyspace.hold_expiry(task.request.read_only);
        core.running = RunningProcedure::new(task.request.name.clone(), task.request.database, None);
        core.messages.clear();
        core.shown.clear();
        if !Arc::ptr_eq(&self.options, &task.options) {
            core.server.options.clone_from(&task.options);
            self.options = Arc::clone(&task.options);
        }
        core.server.monitors.clear();
        if task.is_shown {
            // That there is one has the commands shown.
            core.server.monitors.insert(0, Rc::new(Mailbox::default()));
        }
        self.link.job = task.job;
        self.failed = None;
        self.published_bytes = 0;
        self.reads = Reads::default();
        for (database, key, entry) in &task.fetched {
            self.core.keyspace.receive(*database, key, entry.clone());
            self.reads.keys.push((*database, key.clone()));
        }
    }

    /// Takes the keyspace out, with what the try has read.
    pub fn end(&mut self, outside: &Outside) -> (Keyspace, Reads) {
        let keyspace = std::mem::replace(&mut self.core.keyspace, nothing());
        let mut reads = std::mem::take(&mut self.reads);
        reads.at_ms = keyspace.now_ms();
        let counted = keyspace.counted();
        reads.counts = counted.iter().map(|number| (*number, outside.counts[usize::from(*number)])).collect();
        (keyspace, reads)
    }

    /// Fetches what is missing.
    pub fn fetch(&mut self, need: &Need) -> Result<(), Error> {
        let Some(remote) = self.core.keyspace.remote_database(need) else {
            return Err(Error::text("ERR what is missing is nowhere"));
        };
        match need {
            Need::Key { database, key } => self.fetch_keys(*database, remote, vec![key.clone()]),
            Need::Keys { database, keys } => self.fetch_keys(*database, remote, keys.clone()),
            Need::Page { database, from, limit } => {
                let (database, from, limit) = (*database, *from, *limit);
                self.check_reads(1)?;
                match self.link.ask(Question::Page { database: remote, from, limit }) {
                    Answer::Page(page) => {
                        self.reads.note_page(remote, from, page.next);
                        self.core.keyspace.receive_page(database, from, limit, page);
                        Ok(())
                    }
                    answer => Err(self.fail(answer)),
                }
            }
        }
    }

    fn fetch_keys(&mut self, database: u8, remote: u8, keys: Vec<Key>) -> Result<(), Error> {
        self.check_reads(keys.len())?;
        match self.link.ask(Question::Keys { database: remote, keys: keys.clone() }) {
            Answer::Keys(entries) => {
                for (key, entry) in keys.into_iter().zip(entries) {
                    self.core.keyspace.receive(database, &key, entry);
                    self.reads.keys.push((remote, key));
                }
                Ok(())
            }
            answer => Err(self.fail(answer)),
        }
    }

    /// To be called before something is read: how many more keys or pages of names.
    fn check_reads(&self, more: usize) -> Result<(), Error> {
        if self.reads.keys.len() + self.reads.pages.len() + more > MAX_BACKGROUND_READS {
            let text = format!(
                "WASMLIMIT the procedure reads more than {MAX_BACKGROUND_READS} keys and ranges of names"
            );
            return Err(text.into());
        }
        Ok(())
    }

    /// Notes that the engine has no answer, and ends the procedure.
    fn fail(&mut self, answer: Answer) -> Error {
        if let Answer::None(failed) = answer {
            self.failed = Some(failed);
        }
        RUN_AGAIN
    }

    /// Runs a host function of one key, which changes nothing before it knows that key.
    fn with_key<T>(&mut self, mut run: impl FnMut(&mut Core) -> Result<T, Error>) -> Result<T, Error> {
        loop {
            let shown = self.core.shown.mark();
            match run(&mut self.core) {
                Err(Error::NotResident(need)) => {
                    self.core.shown.rollback(shown);
                    self.fetch(&need)?;
                }
                other => return other,
            }
        }
    }

    /// To be called before something is written.
    fn check_changes(&mut self) -> Result<(), Error> {
        let (bytes, _) = self.core.keyspace.changed_so_far();
        if (bytes + self.published_bytes) as u64 > self.options.wasm_max_changes_size {
            return Err(Error::text("WASMLIMIT the changes are too large (wasm-max-changes-size)"));
        }
        if self.memory_checked.elapsed() > MEMORY_CHECK_PAUSE {
            self.memory_checked = Instant::now();
            // The core goes by the time of the transaction, which stands still here.
            self.core.measured_us = 0;
        }
        Ok(())
    }

    /// Keeps a message for the end of the transaction, if it would reach anybody now.
    fn keep_message(&mut self, channel: &[u8], payload: &[u8]) -> Result<Reply, Error> {
        let reply = match self.link.ask(Question::Receivers(channel.to_vec())) {
            Answer::Reply(reply) => reply,
            answer => return Err(self.fail(answer)),
        };
        if reply != Reply::Integer(0) {
            self.published_bytes += channel.len() + payload.len();
            let Core { keyspace, messages, .. } = &mut self.core;
            command::note_message(keyspace, messages, channel, payload);
        }
        Ok(reply)
    }

    fn run(&mut self, arguments: &[&[u8]], read_only: bool) -> Result<Reply, Error> {
        let row = command::find(arguments).ok().map(|found| found.row);
        if row.is_some_and(|row| row.is(Flags::ABOUT_SERVER)) {
            let words = arguments.iter().map(|word| word.to_vec()).collect();
            return match self.link.ask(Question::Server(words)) {
                Answer::Reply(reply) => Ok(reply),
                answer => Err(self.fail(answer)),
            };
        }
        if let Some(row) = row
            && row.name == "publish"
            && row.accepts(arguments.len())
            && !read_only
        {
            return self.keep_message(arguments[1], arguments[2]);
        }
        if let Some(row) = row {
            let keys = row.key_places(arguments).map(|place| arguments[place]);
            let database = self.core.running.session.database;
            let needed = self.core.keyspace.needs(database, keys).into_iter().filter_map(|need| match need {
                Need::Key { key, .. } => Some(key),
                _ => None,
            });
            let needed: HashSet<Key> = needed.collect();
            if !needed.is_empty() {
                self.fetch(&Need::Keys { database, keys: needed.into_iter().collect() })?;
            }
        }
        loop {
            let before = self.core.keyspace.changed_so_far();
            let shown = self.core.shown.mark();
            match self.core.run_for_procedure(arguments, read_only) {
                Err(Error::NotResident(need)) if self.core.keyspace.changed_so_far() == before => {
                    self.core.shown.rollback(shown);
                    self.fetch(&need)?;
                }
                other => return other,
            }
        }
    }
}

impl Host for Remote {
    type Error = Error;

    fn get(
        &mut self,
        key: &[u8],
        offset: u64,
        limit: usize,
        copy: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<u64>, Error> {
        self.with_key(|core| core.get(key, offset, limit, copy))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.check_changes()?;
        self.with_key(|core| core.put(key, value))
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool, Error> {
        self.with_key(|core| core.delete(key))
    }

    fn exists(&mut self, key: &[u8]) -> Result<bool, Error> {
        self.with_key(|core| core.exists(key))
    }

    fn increment(&mut self, key: &[u8], delta: i64) -> Result<i64, Error> {
        self.check_changes()?;
        self.with_key(|core| core.increment(key, delta))
    }

    fn command(&mut self, request: &[u8], read_only: bool, reply: &mut Vec<u8>) -> Result<(), Error> {
        self.check_changes()?;
        core::answer_request(request, reply, |arguments| self.run(arguments, read_only))?;
        // An error of the link ends the procedure; one of the command is its reply.
        if self.failed.is_some() { Err(RUN_AGAIN) } else { Ok(()) }
    }

    fn log(&mut self, level: Severity, message: &[u8]) {
        self.core.log(level, message);
    }

    fn validate_resp(&self, value: &[u8]) -> Result<u64, Error> {
        self.core.validate_resp(value)
    }
}

/// Ends a procedure whose result is of no interest any more.
const RUN_AGAIN: Error = Error::text("ERR the procedure is to run again");

/// A keyspace for the time between two tries.
fn nothing() -> Keyspace {
    Keyspace::detached(&Outside { snapshot: 0, seed: Seed::new(0), counts: Vec::new() }, 0)
}
