//! Ids, ranges, and the options that XADD and XTRIM have in common.

use super::super::{Error, Result, flag, integer, unsigned};
use crate::options::Options;
use crate::types::stream::{Kept, NodeLimits, StreamId, Trim};

const INVALID_ID: Error = Error::text("ERR Invalid stream ID specified as stream command argument");

/// So many full blocks are removed at most by an approximate trimming without LIMIT, as in Redis.
const TRIMMED_NODES: u64 = 100;
/// Entries that an approximate trimming without LIMIT removes at most, if blocks are not limited, and in any case.
const TRIMMED_DEFAULT: u64 = 10_000;
const TRIMMED_MAX: u64 = 1_000_000;

/// An id; `missing_seq` is the number of one that is only a time.
pub(super) fn id(argument: &[u8], missing_seq: u64) -> Result<StreamId> {
    StreamId::parse(argument, missing_seq).ok_or(INVALID_ID)
}

/// All of these are ids.
pub(super) fn ids(arguments: &[&[u8]]) -> Result<Vec<StreamId>> {
    arguments.iter().map(|argument| id(argument, 0)).collect()
}

/// An id, or `-` for the lowest and `+` for the highest one.
pub(super) fn id_or_edge(argument: &[u8], missing_seq: u64) -> Result<StreamId> {
    match argument {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        _ => id(argument, missing_seq),
    }
}

/// The first id of a range, which may be excluded by a parenthesis before it.
pub(super) fn range_start(argument: &[u8]) -> Result<StreamId> {
    match argument.strip_prefix(b"(") {
        Some(excluded) if !excluded.is_empty() => {
            id(excluded, 0)?.next().ok_or(Error::text("ERR invalid start ID for the interval"))
        }
        _ => id_or_edge(argument, 0),
    }
}

/// The last id of a range, which may be excluded by a parenthesis before it.
pub(super) fn range_end(argument: &[u8]) -> Result<StreamId> {
    match argument.strip_prefix(b"(") {
        Some(excluded) if !excluded.is_empty() => {
            id(excluded, u64::MAX)?.previous().ok_or(Error::text("ERR invalid end ID for the interval"))
        }
        _ => id_or_edge(argument, u64::MAX),
    }
}

/// How much a block of entries holds.
pub fn node_limits(options: &Options) -> NodeLimits {
    NodeLimits {
        entries: options.stream_node_max_entries as usize,
        bytes: options.stream_node_max_bytes as usize,
    }
}

/// The id that XADD is asked to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewId {
    /// Any.
    Any,
    /// Any of this time, in milliseconds.
    OfTime(u64),
    /// This one.
    Exactly(StreamId),
}

impl NewId {
    fn parse(argument: &[u8]) -> Result<Self> {
        match StreamId::parse_time(argument) {
            Some(ms) => Ok(Self::OfTime(ms)),
            None => Ok(Self::Exactly(id(argument, 0)?)),
        }
    }

    /// The id for an entry behind `last`; `None` if there is none.
    pub fn choose(self, last: StreamId, now_ms: u64) -> Option<StreamId> {
        let chosen = match self {
            Self::Any if now_ms > last.ms => StreamId::new(now_ms, 0),
            Self::Any => last.next()?,
            Self::OfTime(ms) if ms == last.ms => StreamId::new(ms, last.seq.checked_add(1)?),
            Self::OfTime(ms) => StreamId::new(ms, 0),
            Self::Exactly(id) => id,
        };
        (chosen > last).then_some(chosen)
    }
}

/// The options of XADD and XTRIM.
#[derive(Clone, Debug, Default)]
pub(super) struct ChangeOptions {
    pub trim: Option<Trim>,
    /// Whether the stream is not to be created.
    pub must_exist: bool,
    /// Of XADD; `None` if the arguments end before it.
    pub id: Option<NewId>,
    /// Where the arguments behind the options begin.
    pub end: usize,
}

/// The options as they are read, before it is checked that they go together.
#[derive(Default)]
struct Parsed {
    kept: Option<Kept>,
    is_approximate: bool,
    limit: Option<u64>,
    must_exist: bool,
}

impl ChangeOptions {
    /// Of XADD, up to its id.
    pub fn of_xadd(args: &[&[u8]], options: &Options) -> Result<Self> {
        let mut parsed = Parsed::default();
        let (mut next, mut new_id) = (2, None);
        while let Some(argument) = args.get(next) {
            if let Some(behind) = parsed.take(args, next, *argument == b"*")? {
                next = behind;
            } else if flag(argument, "NOMKSTREAM") {
                parsed.must_exist = true;
                next += 1;
            } else {
                new_id = Some(if *argument == b"*" { NewId::Any } else { NewId::parse(argument)? });
                break;
            }
        }
        Ok(Self {
            trim: parsed.trim(options)?,
            must_exist: parsed.must_exist,
            id: new_id,
            end: (next + 1).min(args.len()),
        })
    }

    /// Of XTRIM.
    pub fn of_xtrim(args: &[&[u8]], options: &Options) -> Result<Trim> {
        let (mut parsed, mut next) = (Parsed::default(), 2);
        while next < args.len() {
            next = parsed.take(args, next, false)?.ok_or(Error::SYNTAX)?;
        }
        parsed
            .trim(options)?
            .ok_or(Error::text("ERR syntax error, XTRIM must be called with a trimming strategy"))
    }
}

impl Parsed {
    /// Reads one of the options that concern trimming, and tells where the next argument is; `None` if it is none.
    fn take(&mut self, args: &[&[u8]], at: usize, is_id: bool) -> Result<Option<usize>> {
        let [option, value, ..] = args[at..] else { return Ok(None) };
        if is_id {
            return Ok(None);
        }
        if flag(option, "LIMIT") {
            self.limit = Some(unsigned(value, "ERR The LIMIT argument must be >= 0.")?);
            return Ok(Some(at + 2));
        }
        let is_length = flag(option, "MAXLEN");
        if !is_length && !flag(option, "MINID") {
            return Ok(None);
        }
        if self.kept.is_some() {
            return Err(Error::text(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        let (value, behind) = match (value, args.get(at + 2)) {
            (b"~" | b"=", Some(threshold)) => (*threshold, at + 3),
            _ => (value, at + 2),
        };
        self.is_approximate = behind == at + 3 && args[at + 1] == b"~";
        self.kept = Some(if is_length {
            let kept = usize::try_from(integer(value)?);
            Kept::Last(kept.map_err(|_| Error::text("ERR The MAXLEN argument must be >= 0."))?)
        } else {
            Kept::From(id(value, 0)?)
        });
        Ok(Some(behind))
    }

    fn trim(&self, options: &Options) -> Result<Option<Trim>> {
        if self.kept.is_none() && self.limit.is_some_and(|limit| limit > 0) {
            return Err(Error::text(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            ));
        }
        let Some(kept) = self.kept else { return Ok(None) };
        let limit = match self.limit {
            Some(_) if !self.is_approximate => {
                return Err(Error::text(
                    "ERR syntax error, LIMIT cannot be used without the special ~ option",
                ));
            }
            Some(0) => None,
            None if !self.is_approximate => None,
            Some(limit) => Some(limit),
            None if options.stream_node_max_entries == 0 => Some(TRIMMED_DEFAULT),
            None => Some(options.stream_node_max_entries.saturating_mul(TRIMMED_NODES).min(TRIMMED_MAX)),
        };
        let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(Some(Trim { kept, is_approximate: self.is_approximate, limit }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(choice: NewId, last: StreamId, expected: Option<StreamId>) {
        assert_eq!(choice.choose(last, 100), expected, "{choice:?} behind {last}");
    }

    #[test]
    fn new_ids_are_behind_the_last_one() {
        let id = StreamId::new;
        check(NewId::Any, StreamId::MIN, Some(id(100, 0)));
        check(NewId::Any, id(100, 0), Some(id(100, 1)));
        check(NewId::Any, id(200, u64::MAX), Some(id(201, 0)));
        check(NewId::Any, StreamId::MAX, None);
        check(NewId::OfTime(0), StreamId::MIN, Some(id(0, 1)));
        check(NewId::OfTime(7), id(5, 9), Some(id(7, 0)));
        check(NewId::OfTime(7), id(7, 9), Some(id(7, 10)));
        check(NewId::OfTime(7), id(7, u64::MAX), None);
        check(NewId::OfTime(7), id(8, 0), None);
        check(NewId::Exactly(id(7, 1)), id(7, 0), Some(id(7, 1)));
        check(NewId::Exactly(id(7, 0)), id(7, 0), None);
    }
}
