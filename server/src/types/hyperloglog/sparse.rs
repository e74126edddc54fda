//! The sparse form of a sketch: its registers as runs of equal ones.
//!
//! A run is one byte or two: `00llllll` are 1 to 64 zeroes, `01llllll llllllll` 1 to 16384 zeroes, `1vvvvvll` 1 to 4
//! registers of the value 1 to 32. How runs are divided and joined decides when a sketch becomes dense, so it is done
//! as Redis does it.

use std::ops::Range;

use smallvec::SmallVec;

use super::REGISTERS;

/// The runs of a sketch that has seen nothing.
pub(super) const NOTHING: [u8; 2] = [LONG_ZEROES | ((REGISTERS - 1) >> 8) as u8, (REGISTERS - 1) as u8];

const LONG_ZEROES: u8 = 0x40;
const RANKED: u8 = 0x80;
const SHORT_ZEROES_MAX: usize = 64;
const RANKED_MAX: usize = 4;
/// The highest value of a register that a run can tell.
const RANK_MAX: u8 = 32;
/// Behind a change, so many runs are looked at for others to join them with.
const JOINED_RUNS: usize = 5;

/// Bytes of the few runs that one becomes.
type Bytes = SmallVec<[u8; 8]>;

/// Registers of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub registers: Range<usize>,
    pub rank: u8,
    /// Where it stands.
    at: Range<usize>,
}

/// What became of the runs when a register was raised.
pub(super) enum Insertion {
    /// It was as high already.
    Unchanged,
    Changed(Vec<u8>),
    /// The dense form is needed.
    TooLong,
}

/// The runs in order; `None` in the place of one that makes no sense, also of one that is missing at the end.
pub(super) fn runs(bytes: &[u8]) -> impl Iterator<Item = Option<Run>> {
    let (mut at, mut register) = (0, 0);
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed || (at == bytes.len() && register == REGISTERS) {
            return None;
        }
        let run = read(bytes, at, register).filter(|run| run.registers.end <= REGISTERS);
        match &run {
            Some(run) => (at, register) = (run.at.end, run.registers.end),
            None => failed = true,
        }
        Some(run)
    })
}

fn read(bytes: &[u8], at: usize, register: usize) -> Option<Run> {
    let first = *bytes.get(at)?;
    let (len, rank, width) = if first & RANKED != 0 {
        (usize::from(first & 3) + 1, (first >> 2 & 31) + 1, 1)
    } else if first & LONG_ZEROES != 0 {
        let second = *bytes.get(at + 1)?;
        (usize::from(u16::from_be_bytes([first & 0x3f, second])) + 1, 0, 2)
    } else {
        (usize::from(first) + 1, 0, 1)
    };
    Some(Run { registers: register..register + len, rank, at: at..at + width })
}

fn write(output: &mut Bytes, len: usize, rank: u8) {
    match (len, rank) {
        (0, _) => {}
        (1..=SHORT_ZEROES_MAX, 0) => output.push(len as u8 - 1),
        (_, 0) => output.extend_from_slice(&[LONG_ZEROES | ((len - 1) >> 8) as u8, (len - 1) as u8]),
        _ => output.push(RANKED | (rank - 1) << 2 | (len as u8 - 1)),
    }
}

/// Raises a register in these runs, which may become `max_bytes` long. `None` if the runs make no sense.
pub(super) fn insert(bytes: &[u8], register: usize, rank: u8, max_bytes: usize) -> Option<Insertion> {
    if rank > RANK_MAX {
        return Some(Insertion::TooLong);
    }
    let mut before = None;
    let mut found = None;
    for run in runs(bytes) {
        let run = run?;
        if run.registers.contains(&register) {
            found = Some(run);
            break;
        }
        before = Some(run.at.start);
    }
    let run = found?;
    if run.rank >= rank {
        return Some(Insertion::Unchanged);
    }
    let mut replacement = Bytes::new();
    write(&mut replacement, register - run.registers.start, run.rank);
    write(&mut replacement, 1, rank);
    write(&mut replacement, run.registers.end - register - 1, run.rank);
    if replacement.len() > run.at.len() && bytes.len() - run.at.len() + replacement.len() > max_bytes {
        return Some(Insertion::TooLong);
    }
    let mut new = [&bytes[..run.at.start], &replacement, &bytes[run.at.end..]].concat();
    join(&mut new, before.unwrap_or(0));
    Some(Insertion::Changed(new))
}

/// Joins runs of the same value, not zero, among the few that begin at `at`.
fn join(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOINED_RUNS {
        let Some(run) = read(bytes, at, 0) else { return };
        match read(bytes, run.at.end, 0) {
            Some(next) if run.rank > 0 && next.rank == run.rank => {
                let len = run.registers.len() + next.registers.len();
                if len <= RANKED_MAX {
                    let mut joined = Bytes::new();
                    write(&mut joined, len, run.rank);
                    bytes.splice(run.at.start..next.at.end, joined);
                    continue;
                }
            }
            _ => {}
        }
        at = run.at.end;
    }
}
