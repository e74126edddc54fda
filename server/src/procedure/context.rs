//! What one call has and may use: its input, its limits, its reply. The host functions work on it.
//!
//! Owns the accounts (fuel, reply, log). Knows the host only as a type parameter.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::ClockId;
use wasm3x::Memory;

use super::error::CallError;
use super::host::Host;

/// The most fuel handed to the guest at once: the deadline is looked at between two slices, so this is well under a
/// millisecond of work.
pub(super) const SLICE_FUEL: i32 = 1 << 18;

/// A scratch buffer that grew beyond this is not kept for the next call, in bytes.
const KEPT_SCRATCH_BYTES: usize = 1 << 20;

/// A hand on a call from outside of its thread.
#[derive(Debug, Default)]
pub struct Control {
    stopped: AtomicBool,
    fuel_used: AtomicU64,
}

impl Control {
    /// Has the call end with [`CallError::Stopped`], at its next host function or slice of fuel.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether it was told to end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Fuel that the call has used so far, less than one slice behind.
    #[must_use]
    pub fn fuel_used(&self) -> u64 {
        self.fuel_used.load(Ordering::Relaxed)
    }
}

/// How long a call may stay on its thread before it ends with [`CallError::TurnOver`], to go on elsewhere.
///
/// The clock says when its turn is over. But then somebody else may have had the processor, so the call is given as much
/// of the thread's own time once more.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// When it is over by the clock.
    pub ends: Instant,
    /// How much of the thread's own time follows.
    pub length: Duration,
}

/// What a call is given.
pub struct CallInput<'a> {
    /// The keys, in order.
    pub keys: &'a [&'a [u8]],
    /// The arguments, in order; `None` is one that is absent (a trigger's value before or after).
    pub args: &'a [Option<&'a [u8]>],
    /// Whether a write ends the call.
    pub read_only: bool,
    /// Fuel, at most; about one unit per instruction.
    pub fuel: u64,
    /// When the call must have ended.
    pub deadline: Instant,
    /// When it is the turn of others on this thread; `None` for a call that must end here.
    pub turn: Option<Turn>,
    /// Who can look at the call and stop it, if anybody can.
    pub control: Option<&'a Arc<Control>>,
    /// Unix time in microseconds that the procedure sees.
    pub time_us: i64,
    /// Where its random numbers start; the same seed gives the same numbers.
    pub random_seed: u64,
    /// Bytes of the reply, at most.
    pub max_reply_bytes: u64,
    /// Bytes of all log lines together, at most.
    pub max_log_bytes: u64,
}

/// What a procedure replied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProcedureReply {
    /// It set no reply: nil.
    #[default]
    None,
    /// An integer.
    Integer(i64),
    /// A bulk string.
    Bulk(Vec<u8>),
    /// One complete RESP value, checked by the host.
    Resp(Vec<u8>),
}

/// Keys and arguments, copied once into one buffer that is used again by the next call.
#[derive(Default)]
pub(super) struct Strings {
    bytes: Vec<u8>,
    /// Start and end of each string; an absent one ends before it starts.
    spans: Vec<(usize, usize)>,
    key_count: usize,
}

impl Strings {
    fn set(&mut self, input: &CallInput<'_>) {
        self.bytes.clear();
        self.spans.clear();
        self.key_count = input.keys.len();
        let strings = input.keys.iter().map(|key| Some(*key)).chain(input.args.iter().copied());
        for string in strings {
            let start = self.bytes.len();
            match string {
                Some(string) => {
                    self.bytes.extend_from_slice(string);
                    self.spans.push((start, self.bytes.len()));
                }
                None => self.spans.push((1, 0)),
            }
        }
    }

    pub(super) fn key_count(&self) -> usize {
        self.key_count
    }

    pub(super) fn arg_count(&self) -> usize {
        self.spans.len() - self.key_count
    }

    pub(super) fn key(&self, index: u32) -> Option<&[u8]> {
        let index = index as usize;
        if index < self.key_count { self.string(index) } else { None }
    }

    pub(super) fn arg(&self, index: u32) -> Option<&[u8]> {
        self.string(self.key_count.checked_add(index as usize)?)
    }

    fn string(&self, index: usize) -> Option<&[u8]> {
        let (start, end) = *self.spans.get(index)?;
        self.bytes.get(start..end)
    }
}

/// The data of an instance's store.
pub(super) struct Context<H: Host> {
    /// Here during a call, except while one of its own methods runs.
    pub(super) host: Option<Box<H>>,
    /// `None` while the memory is empty.
    pub(super) memory: Option<Memory>,
    pub(super) strings: Strings,
    /// Fuel not yet handed out; below 0 by what host functions took from the present slice.
    reserve_fuel: i64,
    /// The slice that the guest works on.
    slice_fuel: i64,
    /// When the reserve falls below this, because host functions took it, the clock is to be looked at.
    floor_fuel: i64,
    deadline: Instant,
    turn: Option<Turn>,
    /// The thread's own time at which the turn is over in any case; `None` while the clock says that it is not.
    turn_ends: Option<Duration>,
    control: Option<Arc<Control>>,
    /// All fuel of the call.
    fuel: i64,
    pub(super) read_only: bool,
    pub(super) wrote: bool,
    pub(super) time_us: i64,
    pub(super) random: fastrand::Rng,
    pub(super) reply: ProcedureReply,
    pub(super) max_reply_bytes: u64,
    pub(super) log_bytes_left: u64,
    /// Why a host function ended the call; wasm3 carries no value.
    pub(super) failure: Option<CallError<H::Error>>,
    pub(super) scratch: Vec<u8>,
    /// The last command's reply.
    pub(super) command_reply: Vec<u8>,
}

impl<H: Host> Context<H> {
    pub(super) fn new() -> Self {
        Self {
            host: None,
            memory: None,
            strings: Strings::default(),
            reserve_fuel: 0,
            slice_fuel: 0,
            floor_fuel: 0,
            deadline: Instant::now(),
            turn: None,
            turn_ends: None,
            control: None,
            fuel: 0,
            read_only: true,
            wrote: false,
            time_us: 0,
            random: fastrand::Rng::with_seed(0),
            reply: ProcedureReply::None,
            max_reply_bytes: 0,
            log_bytes_left: 0,
            failure: None,
            scratch: Vec::new(),
            command_reply: Vec::new(),
        }
    }

    /// Prepares a call that has used some fuel already; returns the fuel of the first slice.
    pub(super) fn begin(&mut self, host: Box<H>, input: &CallInput<'_>, used_fuel: u64) -> i32 {
        self.host = Some(host);
        self.strings.set(input);
        self.fuel = i64::try_from(input.fuel).unwrap_or(i64::MAX);
        self.reserve_fuel = self.fuel.saturating_sub_unsigned(used_fuel);
        self.deadline = input.deadline;
        (self.turn, self.turn_ends) = (input.turn, None);
        self.control = input.control.map(Arc::clone);
        self.read_only = input.read_only;
        self.wrote = false;
        self.time_us = input.time_us;
        self.random = fastrand::Rng::with_seed(input.random_seed);
        self.reply = ProcedureReply::None;
        self.max_reply_bytes = input.max_reply_bytes;
        self.log_bytes_left = input.max_log_bytes;
        self.failure = None;
        self.command_reply.clear();
        self.take_slice()
    }

    /// Gives back what was lent for the call, and large buffers.
    pub(super) fn end(&mut self) -> Option<Box<H>> {
        for buffer in [&mut self.scratch, &mut self.command_reply, &mut self.strings.bytes] {
            if buffer.capacity() > KEPT_SCRATCH_BYTES {
                *buffer = Vec::new();
            }
        }
        self.control = None;
        self.host.take()
    }

    /// Fuel that is neither spent nor with the guest; below 0 if host functions overdrew it.
    pub(super) fn reserve_fuel(&self) -> i64 {
        self.reserve_fuel
    }

    fn take_slice(&mut self) -> i32 {
        let slice = self.reserve_fuel.clamp(0, SLICE_FUEL.into());
        self.reserve_fuel -= slice;
        self.slice_fuel = slice;
        self.lower_floor();
        slice as i32
    }

    /// The guest's counter fell below 0: settles what it overdrew and hands out the next slice.
    pub(super) fn refill(&mut self, counter: i32) -> Result<i32, CallError<H::Error>> {
        self.reserve_fuel += i64::from(counter);
        if self.reserve_fuel <= 0 {
            return Err(CallError::OutOfFuel);
        }
        self.check_deadline()?;
        Ok(self.take_slice())
    }

    /// Ends the call when its time is over, or it is to be stopped.
    pub(super) fn check_deadline(&mut self) -> Result<(), CallError<H::Error>> {
        if let Some(control) = &self.control {
            control.fuel_used.store((self.fuel - self.reserve_fuel).max(0) as u64, Ordering::Relaxed);
            if control.is_stopped() {
                return Err(CallError::Stopped);
            }
        }
        let now = Instant::now();
        if now >= self.deadline {
            return Err(CallError::DeadlineExceeded);
        }
        match self.turn {
            Some(turn) if now >= turn.ends => self.check_turn(turn.length),
            _ => Ok(()),
        }
    }

    fn check_turn(&mut self, length: Duration) -> Result<(), CallError<H::Error>> {
        let own_time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
        let own_time = Duration::try_from(own_time).unwrap_or_default();
        let ends = *self.turn_ends.get_or_insert(own_time + length);
        if own_time >= ends { Err(CallError::TurnOver) } else { Ok(()) }
    }

    /// Pays for bytes that a host function moves, one unit for 16 of them.
    pub(super) fn pay_for_bytes(&mut self, bytes: u64) -> Result<(), CallError<H::Error>> {
        self.pay(bytes / 16)
    }

    /// Pays for what a host function does. The guest's counter is out of reach here, so this may overdraw the reserve by
    /// the present slice.
    pub(super) fn pay(&mut self, fuel: u64) -> Result<(), CallError<H::Error>> {
        self.reserve_fuel = self.reserve_fuel.saturating_sub_unsigned(fuel);
        if self.reserve_fuel >= self.floor_fuel {
            return Ok(());
        }
        if self.reserve_fuel < -self.slice_fuel {
            return Err(CallError::OutOfFuel);
        }
        self.lower_floor();
        self.check_deadline()
    }

    /// Host functions may take another slice before the clock is looked at, but no more than there is.
    fn lower_floor(&mut self) {
        self.floor_fuel = self.reserve_fuel.saturating_sub(SLICE_FUEL.into()).max(-self.slice_fuel);
    }
}
