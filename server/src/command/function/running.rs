//! Calls in the background: `FUNCTION STATS` and `FUNCTION KILL`.

use super::super::{Context, Error, Result};
use crate::protocol::Reply;
use crate::state::RunningCall;

/// As in Redis, `running_script` is one call: here the oldest. All of them stand behind it.
pub(super) fn stats(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    let libraries = &ctx.server.libraries;
    let engine = Reply::fields([
        ("libraries_count", libraries.iter().count().into()),
        ("functions_count", libraries.function_count().into()),
    ]);
    let mut running = ctx.server.running.values();
    let all = running.clone().map(|call| Reply::fields(describe(call, true))).collect();
    Ok(Reply::fields([
        ("running_script", running.next().map_or(Reply::Null, |call| Reply::fields(describe(call, false)))),
        ("engines", Reply::fields([("WASM", engine)])),
        ("running_scripts", Reply::Array(all)),
    ]))
}

fn describe(call: &RunningCall, in_detail: bool) -> Vec<(&'static str, Reply)> {
    let mut fields = vec![
        ("name", call.name.clone().into()),
        ("command", Reply::list(&call.command)),
        ("duration_ms", call.elapsed_ms().into()),
    ];
    if in_detail {
        fields.extend([
            ("client", call.client.map(|client| client as i64).into()),
            ("fuel", call.control.fuel_used().into()),
            ("tries", Reply::Integer(call.tries.into())),
        ]);
    }
    fields
}

/// Stops all calls, or those of one procedure; whatever they did is undone.
pub(super) fn kill(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let name = match &args[2..] {
        [] => None,
        [name] => Some(*name),
        _ => return Err(Error::SYNTAX),
    };
    let mut calls =
        ctx.server.running.values().filter(|call| {
            !call.control.is_stopped() && name.is_none_or(|name| call.name.as_bytes() == name)
        });
    let Some(first) = calls.next() else {
        return Err(Error::text("NOTBUSY No scripts in execution right now."));
    };
    first.control.stop();
    calls.for_each(|call| call.control.stop());
    Ok(Reply::OK)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::super::super::testing::Fixture;
    use crate::state::RunningCall;

    #[test]
    fn what_runs_in_the_background_is_told_and_can_be_stopped() {
        let mut fixture = Fixture::new();
        fixture.check(&[("FUNCTION KILL", "-NOTBUSY No scripts in execution right now.")]);
        for (number, name) in [(1, "one"), (2, "two")] {
            let call = RunningCall {
                name: name.to_owned(),
                command: vec![b"fcall".to_vec(), name.into()],
                client: Some(9),
                started: Instant::now(),
                tries: 1,
                control: Arc::default(),
            };
            fixture.server.running.insert(number, call);
        }
        let stats = format!("{:?}", fixture.run("FUNCTION STATS"));
        for part in ["running_script", "one", "two", "tries", "fuel"] {
            assert!(stats.contains(part), "{part}: {stats}");
        }
        fixture.check(&[
            ("FUNCTION KILL three", "-NOTBUSY No scripts in execution right now."),
            ("FUNCTION KILL two", "+OK"),
            ("FUNCTION KILL two", "-NOTBUSY No scripts in execution right now."),
        ]);
        let stopped: Vec<bool> =
            fixture.server.running.values().map(|call| call.control.is_stopped()).collect();
        assert_eq!(stopped, [false, true]);
        fixture.check(&[("FUNCTION KILL", "+OK"), ("FUNCTION KILL x y", "-ERR syntax error")]);
    }
}
