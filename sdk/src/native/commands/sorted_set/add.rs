//! `ZADD` with its options, and `ZINCRBY`.

use alloc::vec::Vec;

use super::super::arguments::{SYNTAX_ERROR, count, double, is};
use crate::native::store::Store;
use crate::native::value::SortedSet;
use crate::{Reply, Result};

/// The options of `ZADD`.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command, which go together in many ways")]
struct Options {
    only_new: bool,
    only_existing: bool,
    only_greater: bool,
    only_less: bool,
    counts_changed: bool,
    increments: bool,
}

impl Options {
    /// The options, and what follows them.
    fn parse<'w, 'a>(mut words: &'w [&'a [u8]]) -> Result<(Self, &'w [&'a [u8]])> {
        let mut options = Self::default();
        while let [word, rest @ ..] = words {
            let flag = match *word {
                word if is(word, "NX") => &mut options.only_new,
                word if is(word, "XX") => &mut options.only_existing,
                word if is(word, "GT") => &mut options.only_greater,
                word if is(word, "LT") => &mut options.only_less,
                word if is(word, "CH") => &mut options.counts_changed,
                word if is(word, "INCR") => &mut options.increments,
                _ => break,
            };
            *flag = true;
            words = rest;
        }
        Ok((options, words))
    }

    fn check(&self, words: usize) -> Result<()> {
        let excluding =
            [self.only_new, self.only_greater, self.only_less].iter().filter(|flag| **flag).count();
        if words == 0 || !words.is_multiple_of(2) {
            Err(SYNTAX_ERROR.into())
        } else if self.only_new && self.only_existing {
            Err("ERR XX and NX options at the same time are not compatible".into())
        } else if excluding > 1 {
            Err("ERR GT, LT, and/or NX options at the same time are not compatible".into())
        } else if self.increments && words > 2 {
            Err("ERR INCR option supports a single increment-element pair".into())
        } else {
            Ok(())
        }
    }

    /// The score that a member gets; `None` when it is to stay as it is.
    fn new_score(&self, before: Option<f64>, given: f64) -> Result<Option<f64>> {
        let Some(before) = before else { return Ok(Some(given).filter(|_| !self.only_existing)) };
        if self.only_new {
            return Ok(None);
        }
        let score = if self.increments { before + given } else { given };
        if score.is_nan() {
            return Err("ERR resulting score is not a number (NaN)".into());
        }
        let is_refused = (self.only_greater && score <= before) || (self.only_less && score >= before);
        Ok(Some(score).filter(|_| !is_refused))
    }
}

pub fn add(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    let (options, pairs) = Options::parse(&words[2..])?;
    options.check(pairs.len())?;
    apply(store, words[1], &options, pairs)
}

pub fn increment(store: &mut Store, words: &[&[u8]]) -> Result<Reply> {
    let options = Options { increments: true, ..Options::default() };
    apply(store, words[1], &options, &words[2..])
}

fn apply(store: &mut Store, key: &[u8], options: &Options, pairs: &[&[u8]]) -> Result<Reply> {
    let scores = pairs.chunks(2).map(|pair| double(pair[0])).collect::<Result<Vec<_>>>()?;
    let event = if options.increments { "zincr" } else { "zadd" };
    store.update(event, key, |set: &mut SortedSet, changed| {
        let (mut added, mut updated, mut last) = (0, 0, None);
        for (pair, score) in pairs.chunks(2).zip(scores) {
            let member = pair[1];
            let before = set.0.get(member).copied();
            last = options.new_score(before, score)?;
            // There is only one zero.
            let Some(score) = last.map(|score| score + 0.0).filter(|score| before != Some(*score)) else {
                continue;
            };
            set.0.insert(member.into(), score);
            changed.element(member);
            *if before.is_some() { &mut updated } else { &mut added } += 1;
        }
        Ok(match last {
            Some(score) if options.increments => Reply::from(score),
            None if options.increments => Reply::Nil,
            _ if options.counts_changed => count(added + updated),
            _ => count(added),
        })
    })
}
