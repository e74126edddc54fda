//! MONITOR: a client that sees the commands of all others. The engine shows them.

use std::rc::Rc;

use super::{Command, Context, Error, Flags, Group, Result};
use crate::protocol::Reply;

/// The rows of this file.
pub const COMMANDS: &[Command] = &[Command::new("monitor", 1, monitor)
    .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::NO_MULTI])
    .docs(
        Group::Server,
        "1.0.0",
        "O(1)",
        "Shows the commands that all clients and procedures run, until the connection ends or RESET.",
        "",
    )];

fn monitor(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    let mailbox = ctx.mailbox.ok_or(Error::text("ERR Only a connection can monitor"))?;
    if std::mem::replace(&mut ctx.session.is_monitor, true) {
        return Ok(Reply::Sequence(Vec::new()));
    }
    ctx.server.monitors.insert(ctx.session.id, Rc::clone(mailbox));
    Ok(Reply::OK)
}
