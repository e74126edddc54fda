//! A queue in which each job waits at most once. A list has the order; a set has the same jobs, to find out at once
//! whether one is waiting. Both change in one transaction, so they never differ.

#![no_std]

#[cfg(not(target_arch = "wasm32"))]
pub mod scenarios;

use kvasm_sdk::prelude::*;

/// Queues those jobs that are not waiting yet: `FCALL enqueue 2 jobs jobs:waiting mail:7`. How many these are.
#[procedure]
pub fn enqueue(db: &mut Db, queue: &[u8], waiting: &[u8], jobs: &[&[u8]]) -> Result<usize> {
    let mut new = Vec::new();
    for job in jobs {
        if db.set_mut(waiting).add(job)? {
            new.push(*job);
        }
    }
    db.list_mut(queue).push_back_all(&new)?;
    Ok(new.len())
}

/// Takes the jobs that have waited for longest, one or as many as told.
#[procedure]
pub fn dequeue(db: &mut Db, queue: &[u8], waiting: &[u8], count: Option<u32>) -> Result<Vec<Vec<u8>>> {
    let mut jobs = Vec::new();
    for _ in 0..count.unwrap_or(1) {
        let Some(job) = db.list_mut(queue).pop_front()? else { break };
        jobs.push(job);
    }
    db.set_mut(waiting).remove_all(&jobs)?;
    Ok(jobs)
}

/// Takes a job out of the queue, wherever it stands. Whether it was waiting.
#[procedure]
pub fn cancel(db: &mut Db, queue: &[u8], waiting: &[u8], job: &[u8]) -> Result<bool> {
    let was_waiting = db.set_mut(waiting).remove(job)?;
    if was_waiting {
        db.list_mut(queue).remove(job)?;
    }
    Ok(was_waiting)
}

/// How many jobs wait, and whether this one does: `FCALL_RO waiting 2 jobs jobs:waiting mail:7`.
#[procedure]
pub fn waiting(db: &Db, queue: &[u8], waiting: &[u8], job: &[u8]) -> Result<(usize, bool)> {
    Ok((db.list(queue).len()?, db.set(waiting).contains(job)?))
}
