//! Workers: threads that run procedures beside the engine, as optimistic transactions.
//!
//! A worker has a detached keyspace, in which all commands work, and asks the engine for what that lacks; the engine
//! answers from the snapshot that the call was given. What the procedure did comes back as data, and it is the engine
//! (`engine::job`) that judges whether it holds. Must not know clients, jobs' tries, or the engine's state.
//!
//! - `task`: what goes to a worker and comes back, `host`: what a procedure reaches there, `thread`: the loop.

mod host;
mod task;
mod thread;

pub(super) use task::{Answer, Failed, Finished, FromWorker, JobId, Question, Request, Task};
pub(super) use thread::lower_priority;

use std::io;
use std::sync::mpsc::Sender;

use tokio::sync::mpsc::UnboundedSender;

use super::persistence::Arrival;
use crate::procedure::limits::fixed::NATIVE_STACK_BYTES;
use task::ToWorker;

/// The threads that there are, started when they are needed first.
pub(super) struct Pool {
    workers: Vec<Sender<ToWorker>>,
    /// Workers without a task, the one that ended its task last at the end: its caches are the warmest.
    idle: Vec<usize>,
    engine: UnboundedSender<Arrival>,
    /// How many there can be.
    max: usize,
}

impl Pool {
    /// A pool of at most `max` workers, or one for each processor if that is 0, which talk to the engine through this
    /// channel. The system is asked once: it reads files for that.
    pub fn new(engine: UnboundedSender<Arrival>, max: usize) -> Self {
        let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let max = if max == 0 { processors() } else { max };
        Self { workers: Vec::new(), idle: Vec::new(), engine, max }
    }

    /// Takes a worker without a task, or starts one while there may be more.
    pub fn take_idle(&mut self) -> io::Result<Option<usize>> {
        if let Some(worker) = self.idle.pop() {
            return Ok(Some(worker));
        }
        if self.workers.len() >= self.max {
            return Ok(None);
        }
        let worker = self.workers.len();
        let (sender, tasks) = std::sync::mpsc::channel();
        let engine = self.engine.clone();
        std::thread::Builder::new()
            .name(format!("kvasm-worker-{worker}"))
            .stack_size(NATIVE_STACK_BYTES)
            .spawn(move || thread::run(worker, tasks, engine))?;
        self.workers.push(sender);
        Ok(Some(worker))
    }

    /// Gives a task to a worker that was taken.
    pub fn run(&self, worker: usize, task: Task) {
        // A worker ends only with the engine.
        let _ = self.workers[worker].send(ToWorker::Run(Box::new(task)));
    }

    /// Answers what a worker has asked.
    pub fn answer(&self, worker: usize, answer: Answer) {
        let _ = self.workers[worker].send(ToWorker::Answer(answer));
    }

    /// Notes that a worker has ended its task.
    pub fn put_idle(&mut self, worker: usize) {
        self.idle.push(worker);
    }
}
