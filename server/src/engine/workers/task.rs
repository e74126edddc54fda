//! What the engine and its workers tell each other: plain data.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::monitor::Shown;
use crate::command::Call;
use crate::keyspace::{ColdPage, Effects, Entry, EventClasses, Key, Outside, Reads};
use crate::options::Options;
use crate::procedure::{Control, Module, Severity};
use crate::protocol::{ErrorReply, Reply};
use crate::state::Message;
use crate::store::Position;

/// Number of a call that runs in the background, never used twice.
pub type JobId = u64;

/// Which procedure is called with what; the same for all tries.
#[derive(Debug)]
pub struct Request {
    pub module: Arc<Module>,
    /// Its place among the module's procedures.
    pub procedure: usize,
    /// What errors and logs call it.
    pub name: String,
    pub read_only: bool,
    pub database: u8,
    pub keys: Vec<Vec<u8>>,
    pub arguments: Vec<Option<Vec<u8>>>,
    /// Where its random numbers start.
    pub random_seed: u64,
    /// Fuel of one try.
    pub fuel: u64,
    /// When all tries must have ended.
    pub deadline: Instant,
    pub control: Arc<Control>,
}

impl Request {
    /// A call with all that the options permit, and random numbers of its own.
    pub fn new(
        call: &Call,
        options: &Options,
        database: u8,
        keys: Vec<Vec<u8>>,
        arguments: Vec<Option<Vec<u8>>>,
    ) -> Self {
        Self {
            module: Arc::clone(&call.module),
            procedure: call.procedure,
            name: call.name.clone(),
            read_only: call.read_only,
            database,
            keys,
            arguments,
            random_seed: fastrand::u64(..),
            fuel: options.wasm_fuel,
            deadline: Instant::now() + Duration::from_millis(options.wasm_deadline_ms),
            control: Arc::default(),
        }
    }
}

/// One try of a call.
pub struct Task {
    pub job: JobId,
    pub request: Arc<Request>,
    pub options: Arc<Options>,
    /// What it sees.
    pub outside: Outside,
    /// What is known to be needed and at hand.
    pub fetched: Vec<(u8, Key, Option<Box<Entry>>)>,
    /// Which events are to be kept, and whether with values.
    pub listened: (EventClasses, bool),
    /// Whether monitors want to see what it does.
    pub is_shown: bool,
    /// Unix time in microseconds.
    pub time_us: u64,
}

/// To a worker.
pub enum ToWorker {
    Run(Box<Task>),
    Answer(Answer),
}

/// What a worker lacks.
#[derive(Debug)]
pub enum Question {
    /// What these keys hold.
    Keys { database: u8, keys: Vec<Key> },
    /// Which keys there are.
    Page { database: u8, from: Position, limit: usize },
    /// How many clients a message on this channel would reach.
    Receivers(Vec<u8>),
    /// What the server answers to a command about itself.
    Server(Vec<Vec<u8>>),
}

/// The answer to a [`Question`].
pub enum Answer {
    Keys(Vec<Option<Box<Entry>>>),
    Page(ColdPage),
    Reply(Reply),
    /// There is none: the try ends with this.
    None(Failed),
}

/// Why a try has no reply.
#[derive(Clone, Debug)]
pub enum Failed {
    /// The procedure failed; an error reply.
    Error(ErrorReply),
    /// What it reads is gone; it is to be tried again.
    Lost,
}

/// How a try ended.
pub struct Finished {
    pub result: Result<Reply, Failed>,
    pub effects: Effects,
    pub reads: Reads,
    pub messages: Vec<Message>,
    pub lines: Vec<(Severity, Vec<u8>)>,
    pub shown: Shown,
    pub fuel_used: u64,
}

impl Finished {
    /// Whether nobody will see that it has run, but for its reply.
    pub fn changes_nothing(&self) -> bool {
        self.effects.is_empty() && self.messages.is_empty()
    }

    /// Makes it a failure with this error reply.
    pub fn fail(&mut self, text: ErrorReply) {
        self.result = Err(Failed::Error(text));
    }
}

/// From a worker.
pub enum FromWorker {
    Asks {
        worker: usize,
        job: JobId,
        question: Question,
    },
    Finished {
        worker: usize,
        job: JobId,
        finished: Box<Finished>,
    },
    /// It has a defect, and is gone.
    Panicked {
        worker: usize,
    },
}
