//! A guest that runs the requests it is given and answers with all their replies, slowly if it is told to: what tests
//! of procedures in the background call.

use crate::guest::module;
use crate::line;

/// A request of [`recorder`] that is none: it computes for about a millisecond.
pub const PAUSE: &str = "~";

/// Longer requests and replies do not fit.
const MAX_BYTES: u32 = 20_000;
/// Where the reply is collected.
const REPLY: u32 = 24_000;

/// A module whose procedure `run` runs each argument but the first as a request in RESP and answers an array of the replies. With
/// `placement` it says where it runs; it writes unless it `only_reads`; at the end it does `end`.
#[must_use]
pub fn recorder(placement: Option<&str>, only_reads: bool, end: &str) -> String {
    let command = if only_reads { "command_ro" } else { "command" };
    let placement = placement.map_or_else(String::new, |placement| {
        format!("  (@custom \"kvasm.placement\" \"run {placement}\")\n")
    });
    let fields = format!(
        "{placement}
  (func $pause (local $left i32) (local.set $left (i32.const 250000))
    (loop $again
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $again (local.get $left))))
  (func (export \"run\") (local $index i32) (local $length i32) (local $end i32)
    ;; The first argument is the head of the reply.
    (local.set $end (i32.add (i32.const {REPLY})
      (call $arg (i32.const 0) (i32.const {REPLY}) (i32.const 20))))
    (local.set $index (i32.const 1))
    (block $done (loop $next
      (br_if $done (i32.ge_s (local.get $index) (call $arg_count)))
      (local.set $length (call $arg (local.get $index) (i32.const 0) (i32.const {MAX_BYTES})))
      (if (i32.eq (local.get $length) (i32.const 1))
        (then (call $pause))
        (else
          (local.set $end (i32.add (local.get $end) (i32.wrap_i64
            (call ${command} (i32.const 0) (local.get $length) (local.get $end) (i32.const {MAX_BYTES})))))))
      (local.set $index (i32.add (local.get $index) (i32.const 1)))
      (br $next)))
    {end}
    (call $reply_resp (i32.const {REPLY}) (i32.sub (local.get $end) (i32.const {REPLY}))))"
    );
    module(&format!("arg_count arg {command} reply_resp"), &fields)
}

/// The words of an `EVALWASM` of such a module for these requests.
#[must_use]
pub fn call(module: &str, requests: &[&str]) -> Vec<Vec<u8>> {
    let requests: Vec<_> = requests.iter().map(|request| line::arguments(request)).collect();
    call_with(module, &requests)
}

/// The same, for requests in words.
#[must_use]
pub fn call_with(module: &str, requests: &[Vec<Vec<u8>>]) -> Vec<Vec<u8>> {
    let is_pause = |request: &Vec<Vec<u8>>| request[..] == [PAUSE.as_bytes().to_vec()];
    let count = requests.iter().filter(|request| !is_pause(request)).count();
    let head = format!("*{count}\r\n");
    let mut words = vec![b"EVALWASM".to_vec(), module.into(), b"0".to_vec(), head.into()];
    words.extend(requests.iter().map(
        |request| {
            if is_pause(request) { PAUSE.into() } else { line::encode(request) }
        },
    ));
    words
}
