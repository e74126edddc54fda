//! What workers are answered: the data as the snapshot of their try sees it.

use std::rc::Rc;

use super::super::Engine;
use super::super::dispatch::unreadable;
use super::super::workers::{Answer, Failed, JobId, Question};
use crate::keyspace::{self, Need};
use crate::state::Load;

impl Engine {
    /// Answers what a worker has asked; `Err` is what has to be loaded before.
    pub(in crate::engine) fn answer_worker(
        &mut self,
        worker: usize,
        id: JobId,
        question: &Question,
    ) -> Result<(), Rc<Load>> {
        let answer = match self.find_answer(id, question) {
            Ok(answer) => answer,
            Err(need) => return Err(self.load(&[need])),
        };
        self.jobs.pool.answer(worker, answer);
        Ok(())
    }

    /// Tells a worker that what it asked for cannot be read.
    pub(in crate::engine) fn refuse_worker(&mut self, worker: usize, reason: &str) {
        let failed = Failed::Error(unreadable(reason));
        self.jobs.pool.answer(worker, Answer::None(failed));
    }

    fn find_answer(&mut self, id: JobId, question: &Question) -> Result<Answer, Need> {
        self.clock.restart();
        let now_us = self.clock.unix_us();
        let (core, jobs, _) = self.parts();
        let Some(running) = jobs.calls.get(&id).and_then(|job| job.running.as_ref()) else {
            return Ok(Answer::None(Failed::Lost));
        };
        let snapshot = running.outside.snapshot;
        let is_of_data = matches!(question, Question::Keys { .. } | Question::Page { .. });
        if is_of_data && core.keyspace.is_lost(snapshot) {
            return Ok(Answer::None(Failed::Lost));
        }
        core.keyspace.begin(now_us);
        let found = match question {
            Question::Keys { database, keys } => {
                core.keyspace.entries_at(snapshot, *database, keys).map(Answer::Keys)
            }
            Question::Page { database, from, limit } => {
                core.keyspace.page_at(snapshot, *database, *from, *limit).map(Answer::Page)
            }
            Question::Receivers(channel) => Ok(Answer::Reply(core.server.pubsub.receivers(channel).into())),
            Question::Server(words) => {
                let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                Ok(Answer::Reply(core.tell_of_server(&words)))
            }
        };
        match found {
            Ok(answer) => Ok(answer),
            Err(keyspace::Error::NotResident(need)) => Err(need),
            Err(keyspace::Error::WrongType) => Ok(Answer::None(Failed::Lost)),
        }
    }
}
