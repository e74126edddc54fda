//! Calling procedures.

use std::time::{Duration, Instant};

use super::Engine;
use super::core::Running;
use crate::command::{self, Call, Error};
use crate::procedure::{CallError, CallInput, ProcedureReply};
use crate::protocol::{Reply, decode_reply};
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
    /// Fuel, at most.
    pub fuel: u64,
    /// Where its random numbers start.
    pub random_seed: u64,
}

impl Engine {
    /// Calls a procedure for a client's command. What it did is to be undone when it fails.
    pub(super) fn call(
        &mut self,
        session: &mut Session,
        call: &Call,
        arguments: &[&[u8]],
    ) -> command::Result<Reply> {
        // The same for a retry, so that a procedure that is run again does the same.
        let random_seed = *session.seed.get_or_insert_with(|| fastrand::u64(..));
        let given: Vec<Option<&[u8]>> = arguments[call.arguments.clone()].iter().copied().map(Some).collect();
        let invocation = Invocation {
            call,
            database: session.database,
            caller: Some(session.id),
            keys: &arguments[call.keys.clone()],
            arguments: &given,
            fuel: self.options().wasm_fuel,
            random_seed,
        };
        let (result, _) = self.invoke(&invocation);
        result
    }

    /// Calls a procedure; gives its reply and the fuel it used.
    pub(super) fn invoke(&mut self, invocation: &Invocation<'_>) -> (command::Result<Reply>, u64) {
        let call = invocation.call;
        let options = self.options();
        let deadline = Instant::now() + Duration::from_millis(options.wasm_deadline_ms);
        let (max_reply_bytes, max_log_bytes) = (options.wasm_max_reply_size, options.wasm_max_log_size);
        let Some(mut core) = self.core.take() else {
            return (Err(Error::text("ERR a procedure cannot call another one")), 0);
        };
        core.running = Running::new(call.name.clone(), invocation.database, invocation.caller);
        let input = CallInput {
            keys: invocation.keys,
            args: invocation.arguments,
            read_only: call.read_only,
            fuel: invocation.fuel,
            deadline,
            time_us: core.keyspace.now_us() as i64,
            random_seed: invocation.random_seed,
            max_reply_bytes,
            max_log_bytes,
        };
        let (mut core, outcome) = self.runtime.call(&call.module, call.procedure, core, &input);
        let runs_again = matches!(outcome.result, Err(CallError::Host(Error::NotResident(_))));
        if !runs_again {
            core.server.statistics.procedure_calls += 1;
            core.keep_lines();
        }
        self.core = Some(core);
        (outcome.result.map_err(|error| failure(&error, &call.name)).and_then(reply), outcome.fuel_used)
    }

    /// Takes over limits of procedures that `CONFIG SET` has changed.
    pub(super) fn update_procedure_limits(&mut self) {
        let limits = module_limits(self.options());
        self.runtime.set_limits(limits);
    }
}

/// A reply that is an error undoes the procedure, whoever made it.
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
        CallError::Abort(text) => with_code(&String::from_utf8_lossy(text)).into(),
        other => format!("{} {}", other.code().unwrap_or("ERR"), other.describe(name)).into(),
    }
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
