//! What workers tell the engine. Where the engine cannot go on at once, a task waits and comes again.

use std::rc::Rc;

use super::dispatch::unreadable;
use super::job::Next;
use super::limits::END_CHECK_PAUSE;
use super::wait::{Wait, over};
use super::workers::{Finished, FromWorker, JobId, Question};
use super::{EndOnPanic, Shared};

/// Takes in what a worker tells.
pub(super) fn on_worker(engine: &Shared, message: FromWorker) {
    match message {
        FromWorker::Asks { worker, job, question } => {
            let asked = engine.borrow_mut().answer_worker(worker, job, &question);
            if let Err(load) = asked {
                let engine = Rc::clone(engine);
                tokio::task::spawn_local(answer_later(engine, worker, job, question, Wait::Loaded(load)));
            }
        }
        FromWorker::Finished { worker, job, finished } => {
            on_finished(engine, job, finished);
            engine.borrow_mut().release_worker(worker);
        }
        // As after a panic on the engine's own thread: what is durable is whole, so a restart is safe.
        FromWorker::Panicked { worker } => engine.borrow_mut().fail(format!("worker {worker} panicked")),
    }
}

async fn answer_later(engine: Shared, worker: usize, job: JobId, question: Question, mut wait: Wait) {
    let _guard = EndOnPanic(Rc::clone(&engine));
    loop {
        over(&engine, &wait).await;
        if let Some(reason) = failure_of_load(&wait) {
            return engine.borrow_mut().refuse_worker(worker, &reason);
        }
        let answered = engine.borrow_mut().answer_worker(worker, job, &question);
        match answered {
            Ok(()) => return,
            Err(load) => wait = Wait::Loaded(load),
        }
    }
}

fn on_finished(engine: &Shared, job: JobId, finished: Box<Finished>) {
    let next = engine.borrow_mut().end_try(job, finished);
    if !matches!(next, Next::Done) {
        tokio::task::spawn_local(end_later(Rc::clone(engine), job, next));
    }
}

async fn end_later(engine: Shared, job: JobId, mut next: Next) {
    let _guard = EndOnPanic(Rc::clone(&engine));
    loop {
        match next {
            Next::Done => return,
            Next::Again(pause) => {
                tokio::time::sleep(pause).await;
                return engine.borrow_mut().requeue_job(job);
            }
            Next::Wait(wait, mut finished) => {
                over_or_ended(&engine, &wait, job).await;
                if let Some(reason) = failure_of_load(&wait) {
                    finished.fail(unreadable(&reason));
                }
                next = engine.borrow_mut().end_try(job, finished);
            }
        }
    }
}

/// Waits until a wait is over, or the call that waits has to end.
async fn over_or_ended(engine: &Shared, wait: &Wait, job: JobId) {
    let over = std::pin::pin!(over(engine, wait));
    let ended = async {
        while engine.borrow().must_end(job).is_none() {
            tokio::time::sleep(END_CHECK_PAUSE).await;
        }
    };
    tokio::select! {
        () = over => {}
        () = ended => {}
    }
}

fn failure_of_load(wait: &Wait) -> Option<String> {
    if let Wait::Loaded(load) = wait { load.failure() } else { None }
}
