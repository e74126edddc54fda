//! `CLIENT PAUSE` and `CLIENT UNPAUSE`.

use super::super::blocking::timeout_in_ms;
use super::super::help::wrong_arguments;
use super::super::{Command, Context, Error, Group, Result, flag};
use super::ADMIN;
use crate::protocol::Reply;
use crate::state::{Pause, Paused};

pub(super) const PAUSE: Command = Command::new("pause", -3, pause).flags(ADMIN).docs(
    Group::Connection,
    "3.0.0",
    "O(1)",
    "Makes the commands of all clients, or only those that write, wait for so many milliseconds.",
    "timeout [WRITE | ALL]",
);

pub(super) const UNPAUSE: Command = Command::new("unpause", 2, unpause).flags(ADMIN).docs(
    Group::Connection,
    "6.2.0",
    "O(N) where N is the number of clients that wait",
    "Ends the pause.",
    "",
);

fn pause(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let what = match args[3..] {
        [] => Paused::All,
        [mode] if flag(mode, "ALL") => Paused::All,
        [mode] if flag(mode, "WRITE") => Paused::Writes,
        [_] => return Err(Error::text("ERR CLIENT PAUSE mode must be WRITE or ALL")),
        _ => return Err(wrong_arguments(args)),
    };
    let timeout_ms = timeout_in_ms(args[2])?.map_or(0, |timeout| timeout.as_millis() as u64);
    let now_ms = ctx.keyspace.now_ms();
    let asked = Pause { what, until_ms: now_ms.saturating_add(timeout_ms) };
    // A pause that lasts is neither shortened nor softened by another one.
    let lasting = ctx.server.pause.filter(|pause| pause.until_ms > now_ms);
    ctx.server.pause = Some(lasting.map_or(asked, |lasting| Pause {
        what: lasting.what.max(asked.what),
        until_ms: lasting.until_ms.max(asked.until_ms),
    }));
    Ok(Reply::OK)
}

fn unpause(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    ctx.server.pause = None;
    ctx.keyspace.hold_expiry(false);
    Ok(Reply::OK)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Fixture;
    use super::*;

    #[test]
    fn a_pause_is_neither_shortened_nor_softened() {
        let mut fixture = Fixture::new();
        fixture.keyspace.begin(1_704_067_200_000_000);
        let now_ms = fixture.keyspace.now_ms();
        for (request, what, lasts_ms) in [
            ("CLIENT PAUSE 100 WRITE", Paused::Writes, 100),
            ("CLIENT PAUSE 50 all", Paused::All, 100),
            ("CLIENT PAUSE 200 write", Paused::All, 200),
            ("CLIENT PAUSE 9223372036854775807", Paused::All, i64::MAX as u64),
        ] {
            assert_eq!(fixture.run(request), Reply::OK);
            assert_eq!(fixture.server.pause, Some(Pause { what, until_ms: now_ms + lasts_ms }), "{request}");
        }
        fixture.check(&[
            ("CLIENT UNPAUSE", "+OK"),
            ("CLIENT PAUSE x", "-ERR timeout is not an integer or out of range"),
            ("CLIENT PAUSE -1", "-ERR timeout is negative"),
            ("CLIENT PAUSE 1 some", "-ERR CLIENT PAUSE mode must be WRITE or ALL"),
            (
                "CLIENT PAUSE 1 all x",
                "-ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.",
            ),
        ]);
        assert_eq!(fixture.server.pause, None);
    }
}
