//! The thread on which uploads pass the gate: compiling takes about 0.2 s for each MB, in which the engine serves others.
//!
//! One after the other, so that uploads take one processor at most, and only the time of it that nobody else wants. A request that needs a module waits for the verdict as
//! others wait for the disk, and then runs again.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};

use tokio::sync::mpsc::UnboundedSender;

use super::Engine;
use super::limits::MAX_WAITING_UPLOADS;
use super::persistence::Arrival;
use super::wait::Wait;
use super::workers::lower_priority;
use crate::procedure::limits::fixed::NATIVE_STACK_BYTES;
use crate::protocol::ErrorReply;
use crate::state::{Compilation, Session, Upload};

/// See the module's description.
pub(super) struct Gate {
    /// Started when it is needed first.
    thread: Option<Sender<Weak<Compilation>>>,
    /// What requests wait for; those whose requests are gone are left out.
    waiting: Vec<Weak<Compilation>>,
    engine: UnboundedSender<Arrival>,
}

impl Gate {
    /// A gate that tells the engine of verdicts through this channel.
    pub fn new(engine: UnboundedSender<Arrival>) -> Self {
        Self { thread: None, waiting: Vec::new(), engine }
    }

    /// How many uploads wait for their verdict.
    fn count_waiting(&mut self) -> usize {
        self.waiting.retain(|waiting| waiting.upgrade().is_some_and(|waiting| waiting.verdict().is_none()));
        self.waiting.len()
    }

    fn submit(&mut self, upload: Upload) -> io::Result<Arc<Compilation>> {
        // Many clients that start together upload the same.
        let mut waiting = self.waiting.iter().filter_map(Weak::upgrade);
        if let Some(same) = waiting.find(|waiting| waiting.is_of(&upload.bytes, &upload.limits)) {
            return Ok(same);
        }
        let compilation = Arc::new(Compilation::new(upload));
        self.waiting.push(Arc::downgrade(&compilation));
        // The thread ends only with the engine.
        let _ = self.thread()?.send(Arc::downgrade(&compilation));
        Ok(compilation)
    }

    fn thread(&mut self) -> io::Result<&Sender<Weak<Compilation>>> {
        if self.thread.is_none() {
            let (sender, uploads) = channel();
            let engine = self.engine.clone();
            let thread = std::thread::Builder::new().name("kvasm-gate".into()).stack_size(NATIVE_STACK_BYTES);
            thread.spawn(move || run(&uploads, &engine))?;
            self.thread = Some(sender);
        }
        Ok(self.thread.as_ref().expect("it has just been started"))
    }
}

fn run(uploads: &Receiver<Weak<Compilation>>, engine: &UnboundedSender<Arrival>) {
    lower_priority();
    for upload in uploads {
        // Otherwise its clients have gone.
        if let Some(compilation) = upload.upgrade() {
            compilation.run();
        }
        if engine.send(Arrival::Compiled).is_err() {
            return;
        }
    }
}

impl Engine {
    /// Has the gate look at what a request uploads.
    pub(super) fn compile(
        &mut self,
        session: &mut Session,
        uploads: Vec<Upload>,
    ) -> Result<Wait, ErrorReply> {
        if self.gate.count_waiting() >= MAX_WAITING_UPLOADS {
            return Err("BUSY too many uploaded modules wait to be compiled".into());
        }
        let submitted: io::Result<Vec<_>> =
            uploads.into_iter().map(|upload| self.gate.submit(upload)).collect();
        let submitted = submitted.map_err(|error| format!("ERR no thread to compile it: {error}"))?;
        session.compilations.extend_from_slice(&submitted);
        Ok(Wait::Compiled(submitted))
    }

    /// Wakes the requests that wait for the gate.
    pub(super) fn on_compiled(&self) {
        self.signals().compiled.notify_waiters();
    }
}
