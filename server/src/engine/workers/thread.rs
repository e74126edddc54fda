//! A worker's loop: one task after the other, each tried once.

use std::sync::mpsc::Receiver;

use thread_priority::ThreadPriority;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use tokio::sync::mpsc::UnboundedSender;

use super::super::call;
use super::super::limits::{MAX_BACKGROUND_CHANGES, MAX_RETRIES};
use super::super::persistence::Arrival;
use super::host::{Link, Remote};
use super::task::{Failed, Finished, FromWorker, Task, ToWorker};
use crate::command::Error;
use crate::keyspace::{Effects, Need};
use crate::procedure::{CallError, CallInput, CallOutcome, Limits, Runtime};
use crate::state::module_limits;

/// Runs until the engine is gone.
pub(super) fn run(worker: usize, tasks: Receiver<ToWorker>, engine: UnboundedSender<Arrival>) {
    lower_priority();
    let _guard = TellOfPanic { worker, engine: engine.clone() };
    let mut runtime = Runtime::new(Limits::default());
    let mut remote = Box::new(Remote::new(Link { worker, job: 0, engine, tasks }));
    while let Ok(message) = remote.link.receive() {
        // An answer that nobody waits for any more is to a question of a try that has ended.
        let ToWorker::Run(task) = message else { continue };
        let finished;
        (remote, finished) = run_task(&mut runtime, remote, &task);
        let message = FromWorker::Finished { worker, job: task.job, finished: Box::new(finished) };
        if remote.link.engine.send(Arrival::Worker(message)).is_err() {
            return;
        }
    }
}

/// After a defect nobody would answer the call that ran, so the engine has to know.
struct TellOfPanic {
    worker: usize,
    engine: UnboundedSender<Arrival>,
}

impl Drop for TellOfPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The engine may be about to end itself.
            let _ = self.engine.send(Arrival::Worker(FromWorker::Panicked { worker: self.worker }));
        }
    }
}

/// The engine goes first: it serves everybody, a worker one. A thread of this class has only the time that nobody else
/// wants; the lowest priority of the usual class would take turns with the engine.
pub fn lower_priority() {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy) {
        tracing::debug!("a thread keeps its priority: {error:?}");
    }
}

/// Tries a call once. When a command needed something from the engine half-way, it is run again from the start, and is
/// given that beforehand.
fn run_task(runtime: &mut Runtime<Remote>, mut remote: Box<Remote>, task: &Task) -> (Box<Remote>, Finished) {
    runtime.set_limits(module_limits(&task.options));
    let mut needs: Vec<Need> = Vec::new();
    loop {
        remote.begin(task);
        let fetched = needs.iter().try_for_each(|need| remote.fetch(need));
        // What is changed from here on is the transaction.
        let _open = remote.core.keyspace.savepoint();
        let outcome;
        (remote, outcome) = match fetched {
            Ok(()) => call_once(runtime, remote, task),
            Err(error) => (remote, refused(error)),
        };
        match outcome.result {
            Err(CallError::Host(Error::NotResident(need))) if needs.len() < MAX_RETRIES as usize => {
                // Here databases may have been exchanged, in the next run they are not yet.
                let database = remote.core.keyspace.remote_database(&need).unwrap_or(need.database());
                needs.push(need.of_database(database));
            }
            _ => return finish(remote, task, outcome),
        }
    }
}

fn refused(error: Error) -> CallOutcome<Error> {
    CallOutcome { result: Err(CallError::Host(error)), fuel_used: 0, memory_bytes: 0, wrote: false }
}

fn call_once(
    runtime: &mut Runtime<Remote>,
    remote: Box<Remote>,
    task: &Task,
) -> (Box<Remote>, CallOutcome<Error>) {
    let request = &task.request;
    let keys: Vec<&[u8]> = request.keys.iter().map(Vec::as_slice).collect();
    let args: Vec<Option<&[u8]>> = request.arguments.iter().map(Option::as_deref).collect();
    let input = CallInput {
        keys: &keys,
        args: &args,
        read_only: request.read_only,
        fuel: request.fuel,
        deadline: request.deadline,
        turn: None,
        control: Some(&request.control),
        time_us: task.time_us as i64,
        random_seed: request.random_seed,
        max_reply_bytes: task.options.wasm_max_reply_size,
        max_log_bytes: task.options.wasm_max_log_size,
    };
    runtime.call(&request.module, request.procedure, remote, &input)
}

fn finish(mut remote: Box<Remote>, task: &Task, outcome: CallOutcome<Error>) -> (Box<Remote>, Finished) {
    let fuel_used = outcome.fuel_used;
    let mut result = match (remote.failed.take(), call::answer(outcome.result, &task.request.name)) {
        (Some(failed), _) => Err(failed),
        (None, Ok(reply)) => Ok(reply),
        (None, Err(Error::Reply(text))) => Err(Failed::Error(text)),
        (None, Err(_)) => {
            Err(Failed::Error("ERR the procedure needed too many keys that it did not name".into()))
        }
    };
    let (keyspace, reads) = remote.end(&task.outside);
    let core = &mut remote.core;
    let mut effects = if result.is_ok() { keyspace.into_effects() } else { Effects::default() };
    if effects.keys().count() > MAX_BACKGROUND_CHANGES {
        effects = Effects::default();
        let name = &task.request.name;
        let text = format!("WASMLIMIT the procedure changes too many keys (procedure '{name}')");
        result = Err(Failed::Error(text.into()));
    }
    let messages = std::mem::take(&mut core.messages);
    let lines = std::mem::take(&mut core.running.lines);
    let shown = std::mem::take(&mut core.shown);
    let finished = Finished {
        messages: if result.is_ok() { messages } else { Vec::new() },
        result,
        effects,
        reads,
        lines,
        shown,
        fuel_used,
    };
    (remote, finished)
}
