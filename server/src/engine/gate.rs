//! The thread on which uploads pass the gate: that takes long for big ones, and the engine serves others meanwhile.
//!
//! One after the other, so that uploads take one processor at most, and only the time of it that nobody else wants. A
//! request that needs a module waits for the verdict as others wait for the disk, and then runs again.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};

use tokio::sync::mpsc::UnboundedSender;

use super::Engine;
use super::limits::{MAX_WAITING_UPLOAD_BYTES, MAX_WAITING_UPLOADS};
use super::persistence::Arrival;
use super::wait::Wait;
use super::workers::lower_priority;
use crate::procedure::limits::fixed::NATIVE_STACK_BYTES;
use crate::protocol::ErrorReply;
use crate::state::{Compilation, Digest, Session, Upload};

/// See the module's description.
pub(super) struct Gate {
    /// Started when it is needed first.
    thread: Option<Sender<Weak<Compilation>>>,
    /// What waited for its verdict when the last request came.
    waiting: HashMap<Digest, Weak<Compilation>>,
    engine: UnboundedSender<Arrival>,
}

impl Gate {
    /// A gate that tells the engine of verdicts through this channel.
    pub fn new(engine: UnboundedSender<Arrival>) -> Self {
        Self { thread: None, waiting: HashMap::new(), engine }
    }

    /// Whether what a request brings may wait, too. Alone anything may.
    fn has_room_for(&mut self, uploads: &[Upload]) -> bool {
        let mut waiting_bytes = 0;
        self.waiting.retain(|_, waiting| {
            let Some(waiting) = waiting.upgrade().filter(|waiting| waiting.verdict().is_none()) else {
                return false;
            };
            waiting_bytes += waiting.upload().bytes.len();
            true
        });
        let more = uploads.iter().filter(|upload| !self.waiting.contains_key(&upload.digest));
        let (len, bytes) = more.fold((0, 0), |(len, bytes), upload| (len + 1, bytes + upload.bytes.len()));
        self.waiting.is_empty()
            || self.waiting.len() + len <= MAX_WAITING_UPLOADS
                && waiting_bytes + bytes <= MAX_WAITING_UPLOAD_BYTES
    }

    fn submit(&mut self, upload: Upload) -> io::Result<Arc<Compilation>> {
        // Many clients that start together upload the same.
        let same = self.waiting.get(&upload.digest).and_then(Weak::upgrade);
        if let Some(same) = same.filter(|same| *same.upload() == upload) {
            return Ok(same);
        }
        let digest = upload.digest;
        let compilation = Arc::new(Compilation::new(upload));
        self.waiting.insert(digest, Arc::downgrade(&compilation));
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
        if !self.gate.has_room_for(&uploads) {
            return Err("BUSY too many uploaded modules wait to be compiled".into());
        }
        // This may take long, so the rerun uses the time that it has then, not that of the first attempt.
        session.retry = None;
        let mut compilations = Vec::with_capacity(uploads.len());
        for upload in uploads {
            let submitted = self.gate.submit(upload);
            let compilation = submitted.map_err(|error| format!("ERR no thread to compile it: {error}"))?;
            session.compilations.add(Arc::clone(&compilation));
            compilations.push(compilation);
        }
        Ok(Wait::Compiled(compilations))
    }

    /// Wakes the requests that wait for the gate.
    pub(super) fn on_compiled(&self) {
        self.signals().compiled.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procedure::Limits;

    #[test]
    fn uploads_that_wait_are_bounded_by_their_bytes_unless_one_is_alone() {
        let (engine, _events) = tokio::sync::mpsc::unbounded_channel();
        let mut gate = Gate::new(engine);
        let upload = |number: u8, len: usize| Upload {
            digest: [number; 20],
            bytes: vec![0; len].into(),
            limits: Limits::default(),
        };
        assert!(gate.has_room_for(&[upload(1, MAX_WAITING_UPLOAD_BYTES + 1)]));
        let waiting = Arc::new(Compilation::new(upload(1, MAX_WAITING_UPLOAD_BYTES - 10)));
        gate.waiting.insert([1; 20], Arc::downgrade(&waiting));
        for (uploads, has_room) in [
            (vec![upload(2, 10)], true),
            (vec![upload(2, 11)], false),
            (vec![upload(2, 5), upload(3, 6)], false),
            (vec![upload(1, 1000)], true),
        ] {
            assert_eq!(gate.has_room_for(&uploads), has_room, "{} uploads", uploads.len());
        }
        drop(waiting);
        assert!(gate.has_room_for(&[upload(2, 1000)]));
    }
}
