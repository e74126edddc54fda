//! Calling procedures on the engine's own thread, within a budget; what needs more goes on in the background.

use std::time::{Duration, Instant};

use super::Engine;
use super::core::RunningProcedure;
use super::limits::{INLINE_TURN, INLINE_TURN_NS_PER_FUEL, MAX_COLD_MODULE_BYTES, MAX_ERROR_BYTES};
use crate::command::{self, Call, Error, Outcome};
use crate::procedure::{CallError, CallInput, Placement, ProcedureReply, Turn};
use crate::protocol::{ErrorReply, Reply, decode_reply};
use crate::state::{ClientId, Session, module_limits};
use crate::types::StringValue;

/// A procedure and what it is given.
pub(super) struct Invocation<'a> {
    pub call: &'a Call,
    pub database: u8,
    /// The client that calls; `None` for a trigger.
    pub caller: Option<ClientId>,
    pub keys: &'a [&'a [u8]],
    pub arguments: &'a [Option<&'a [u8]>],
    /// What it may use.
    pub budget: Budget,
    /// Where its random numbers start.
    pub random_seed: u64,
}

/// Fuel on the engine's thread.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    /// Units, at most.
    pub fuel: u64,
    /// What an error says of the limit; `None` when the call goes on in the background instead.
    pub limit: Option<&'static str>,
}

/// How an invocation ended.
pub(super) struct Invoked {
    pub result: command::Result<Reply>,
    pub fuel_used: u64,
    /// It used up its budget and is to go on in the background.
    pub outlived: bool,
    /// Its turn was over before its fuel.
    pub turn_over: bool,
}

/// What bounds a call that could have had more fuel in the background, and why it is not there.
pub(super) const FUEL: &str = "wasm-fuel";
const INLINE_ONLY: &str = "wasm-inline-fuel: it says that it never runs in the background";
const IN_TRANSACTION: &str = "wasm-inline-fuel: inside MULTI procedures do not run in the background";
pub(super) const IN_TRIGGER: &str = "wasm-inline-fuel: synchronous triggers do not run in the background";

impl Engine {
    /// Calls a procedure for a client's command; undoes what it did when it fails. Gives [`Outcome::Call`] when it is
    /// to run in the background, which only one that stands alone may.
    pub(super) fn call(
        &mut self,
        session: &mut Session,
        call: Call,
        arguments: &[&[u8]],
        is_alone: bool,
    ) -> command::Result<Outcome> {
        let placement = call.module.procedures()[call.procedure].placement;
        let may_detach = is_alone && placement != Placement::Inline;
        if !self.runtime.is_warm(&call.module) && call.module.size_bytes() > MAX_COLD_MODULE_BYTES {
            self.jobs.note_cold(&call);
        }
        if may_detach && (placement == Placement::Background || self.jobs.takes_long(&call)) {
            return Ok(Outcome::Call(call));
        }
        // The same for a retry, so that a procedure that is run again does the same.
        let random_seed = *session.seed.get_or_insert_with(|| fastrand::u64(..));
        let given: Vec<Option<&[u8]>> = arguments[call.arguments.clone()].iter().copied().map(Some).collect();
        let options = self.options();
        let fuel = options.wasm_inline_fuel.min(options.wasm_fuel);
        let limit = match (is_alone, placement) {
            _ if fuel == options.wasm_fuel => Some(FUEL),
            (_, Placement::Inline) => Some(INLINE_ONLY),
            (false, _) => Some(IN_TRANSACTION),
            (true, _) => None,
        };
        let invocation = Invocation {
            call: &call,
            database: session.database,
            caller: Some(session.id),
            keys: &arguments[call.keys.clone()],
            arguments: &given,
            budget: Budget { fuel, limit },
            random_seed,
        };
        let shown = self.core_ref().shown.mark();
        let (mut outlived, mut turn_over) = (false, false);
        let done = self.undoable(|engine| {
            let invoked = engine.invoke(&invocation);
            (outlived, turn_over) = (invoked.outlived, invoked.turn_over);
            invoked.result.map(Outcome::Reply)
        });
        if turn_over {
            self.jobs.note_turn_over(&call);
        } else if outlived {
            self.jobs.note_habit(&call, true);
        }
        if outlived {
            self.core().shown.rollback(shown);
            return Ok(Outcome::Call(call));
        }
        done
    }

    /// Calls a procedure on this thread.
    pub(super) fn invoke(&mut self, invocation: &Invocation<'_>) -> Invoked {
        let (call, budget) = (invocation.call, invocation.budget);
        let options = self.options();
        let now = Instant::now();
        let deadline = now + Duration::from_millis(options.wasm_deadline_ms);
        let turn = budget.limit.is_none().then(|| {
            let length = Duration::from_nanos(budget.fuel.saturating_mul(INLINE_TURN_NS_PER_FUEL));
            let length = length.max(INLINE_TURN).min(deadline - now);
            Turn { ends: now + length, length }
        });
        let (max_reply_bytes, max_log_bytes) = (options.wasm_max_reply_size, options.wasm_max_log_size);
        let Some(mut core) = self.core.take() else {
            let result = Err(Error::text("ERR a procedure cannot call another one"));
            return Invoked { result, fuel_used: 0, outlived: false, turn_over: false };
        };
        core.running = RunningProcedure::new(call.name.clone(), invocation.database, invocation.caller);
        let input = CallInput {
            keys: invocation.keys,
            args: invocation.arguments,
            read_only: call.read_only,
            fuel: budget.fuel,
            deadline,
            turn,
            control: None,
            time_us: core.keyspace.now_us() as i64,
            random_seed: invocation.random_seed,
            max_reply_bytes,
            max_log_bytes,
        };
        let (mut core, outcome) = self.runtime.call(&call.module, call.procedure, core, &input);
        let out_of_fuel = matches!(outcome.result, Err(CallError::OutOfFuel));
        let turn_over = matches!(outcome.result, Err(CallError::TurnOver));
        let outlived = turn_over || out_of_fuel && budget.limit.is_none();
        let runs_again = outlived || matches!(outcome.result, Err(CallError::Host(Error::NotResident(_))));
        if !runs_again {
            core.server.statistics.procedure_calls += 1;
            core.keep_lines();
        }
        self.core = Some(core);
        let result = match budget.limit {
            Some(limit) if out_of_fuel => {
                Err(format!("WASMFUEL procedure '{}': out of fuel ({limit})", call.name).into())
            }
            _ => answer(outcome.result, &call.name),
        };
        Invoked { result, fuel_used: outcome.fuel_used, outlived, turn_over }
    }

    /// Takes over limits of procedures that `CONFIG SET` has changed.
    pub(super) fn update_procedure_limits(&mut self) {
        let limits = module_limits(self.options());
        self.runtime.set_limits(limits);
        self.jobs.forget_options();
    }
}

/// What a call answers, whoever ran it. A reply that is an error undoes the procedure, whoever made it.
pub(super) fn answer(result: Result<ProcedureReply, CallError<Error>>, name: &str) -> command::Result<Reply> {
    result.map_err(|error| failure(&error, name)).and_then(reply).map_err(|error| match error {
        Error::Reply(text) if text.len() > MAX_ERROR_BYTES => {
            let end = (0..=MAX_ERROR_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            format!("{}...", &text[..end]).into()
        }
        other => other,
    })
}

fn reply(reply: ProcedureReply) -> command::Result<Reply> {
    match reply {
        ProcedureReply::None => Ok(Reply::Null),
        ProcedureReply::Integer(integer) => Ok(Reply::Integer(integer)),
        ProcedureReply::Bulk(bytes) => Ok(Reply::Bulk(StringValue::raw(&bytes))),
        // The host has validated it when the procedure gave it.
        ProcedureReply::Resp(bytes) => match decode_reply(&bytes).unwrap_or(Reply::Null) {
            Reply::Error(text) => Err(Error::Reply(text)),
            other => Ok(other),
        },
    }
}

fn failure(error: &CallError<Error>, name: &str) -> Error {
    match error {
        CallError::Host(Error::Reply(text)) => format!("{text} (procedure '{name}')").into(),
        CallError::Host(error) => error.clone(),
        // One byte more shows that it was cut.
        CallError::Abort(text) => {
            with_code(&String::from_utf8_lossy(&text[..text.len().min(MAX_ERROR_BYTES + 1)])).into()
        }
        other => Error::Reply(own_failure(other, name)),
    }
}

/// The error reply for a failure of the call itself, neither the host's nor an abort.
pub(super) fn own_failure(error: &CallError<Error>, name: &str) -> ErrorReply {
    format!("{} {}", error.code().unwrap_or("ERR"), error.describe(name)).into()
}

/// An error text starts with a code in capitals; one that does not gets `ERR`.
fn with_code(text: &str) -> String {
    let code = text.split(' ').next().unwrap_or_default();
    let is_code =
        code.len() > 1 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if is_code { text.to_owned() } else { format!("ERR {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts_of_procedures_are_bounded_whoever_made_them() {
        let long = "\u{e9}".repeat(MAX_ERROR_BYTES);
        let resp = |text: &str| Ok(ProcedureReply::Resp(text.to_owned().into_bytes()));
        for result in [
            Err(CallError::Abort(format!("E1 {long}").into_bytes())),
            Err(CallError::Abort(long.clone().into_bytes())),
            Err(CallError::Host(format!("E1 {long}").into())),
            resp(&format!("-E1 {long}\r\n")),
            resp(&format!("!{}\r\n{long}\r\n", long.len())),
        ] {
            let Err(Error::Reply(text)) = answer(result, "f") else { panic!("not an error reply") };
            assert!(text.len() <= MAX_ERROR_BYTES + 3 && text.ends_with("..."), "{} bytes", text.len());
        }
        let short = answer(Err(CallError::Abort(b"E1 short".to_vec())), "f");
        assert!(matches!(short, Err(Error::Reply(text)) if text == "E1 short"));
    }

    #[test]
    fn an_aborting_procedure_chooses_its_code_or_gets_err() {
        for (text, expected) in [
            ("INSUFFICIENT funds", "INSUFFICIENT funds"),
            ("no funds", "ERR no funds"),
            ("", "ERR "),
            ("A b", "ERR A b"),
            ("E2BIG x", "E2BIG x"),
        ] {
            assert_eq!(with_code(text), expected);
        }
    }
}
