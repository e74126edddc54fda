//! Transactions: MULTI to EXEC, and watched keys. The engine queues the commands between and runs them.

use super::{Command, Context, Error, Flags, Group, Outcome, Result};
use crate::protocol::Reply;
use crate::state::Transaction;

/// What is allowed in every state of the server.
const ANY_TIME: &[Flags] = &[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::FAST, Flags::ALLOW_BUSY];

/// What begins, ends or prepares a transaction is not a part of it.
const AT_ONCE: &[Flags] = &[Flags::RUNS_IN_MULTI];

/// The rows of this file.
pub const COMMANDS: &[Command] = &[
    Command::new("multi", 1, multi).flags(ANY_TIME).flags(AT_ONCE).docs(
        Group::Transactions,
        "1.2.0",
        "O(1)",
        "Starts a transaction: the commands that follow wait for EXEC.",
        "",
    ),
    Command::outcome("exec", 1, exec)
        .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::SKIP_SLOWLOG])
        .flags(AT_ONCE)
        .docs(
            Group::Transactions,
            "1.2.0",
            "Depends on the commands of the transaction",
            "Runs the commands of the transaction, unless a watched key was touched.",
            "",
        ),
    Command::new("discard", 1, discard).flags(ANY_TIME).flags(AT_ONCE).docs(
        Group::Transactions,
        "2.0.0",
        "O(N) where N is the number of commands that wait",
        "Forgets the transaction.",
        "",
    ),
    Command::new("watch", -2, watch).flags(ANY_TIME).flags(AT_ONCE).keys(1, -1, 1).docs(
        Group::Transactions,
        "2.2.0",
        "O(1) for each key",
        "Makes the next EXEC refuse if one of the keys is touched before it.",
        "key [key ...]",
    ),
    Command::new("unwatch", 1, unwatch).flags(ANY_TIME).docs(
        Group::Transactions,
        "2.2.0",
        "O(1)",
        "Forgets the watched keys of the connection.",
        "",
    ),
];

fn multi(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    if ctx.session.transaction.is_some() {
        return Err(Error::text("ERR MULTI calls can not be nested"));
    }
    ctx.session.transaction = Some(Transaction::default());
    Ok(Reply::OK)
}

fn exec(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result<Outcome> {
    if ctx.session.transaction.is_none() {
        return Err(Error::text("ERR EXEC without MULTI"));
    }
    Ok(Outcome::Execute)
}

fn discard(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    if ctx.session.transaction.is_none() {
        return Err(Error::text("ERR DISCARD without MULTI"));
    }
    leave(ctx);
    Ok(Reply::OK)
}

fn watch(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    if ctx.session.transaction.is_some() {
        return Err(Error::text("ERR WATCH inside MULTI is not allowed"));
    }
    for key in &args[1..] {
        ctx.keyspace.watch(ctx.session.id, ctx.session.database, key)?;
    }
    ctx.session.watching = true;
    Ok(Reply::OK)
}

fn unwatch(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    forget_watched(ctx);
    Ok(Reply::OK)
}

/// Forgets the transaction and the watched keys of the client.
pub(super) fn leave(ctx: &mut Context<'_>) {
    ctx.session.transaction = None;
    forget_watched(ctx);
}

fn forget_watched(ctx: &mut Context<'_>) {
    if std::mem::take(&mut ctx.session.watching) {
        ctx.keyspace.unwatch(ctx.session.id);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;

    #[test]
    fn a_transaction_is_opened_once_and_watching_comes_before_it() {
        let mut fixture = Fixture::new();
        fixture.check(&[
            ("EXEC", "-ERR EXEC without MULTI"),
            ("DISCARD", "-ERR DISCARD without MULTI"),
            ("WATCH a b", "+OK"),
            ("MULTI", "+OK"),
            ("MULTI", "-ERR MULTI calls can not be nested"),
            ("WATCH c", "-ERR WATCH inside MULTI is not allowed"),
        ]);
        assert!(fixture.session.watching && fixture.session.transaction.is_some());
        fixture.check(&[("DISCARD", "+OK")]);
        assert!(!fixture.session.watching && fixture.session.transaction.is_none());
    }

    #[test]
    fn only_a_key_that_is_still_watched_makes_the_client_dirty() {
        for (requests, expected) in [
            (&["WATCH j k", "SET k 1"][..], true),
            (&["WATCH k", "SET other 1"], false),
            (&["WATCH k", "SET k 1", "UNWATCH"], false),
            (&["WATCH k", "UNWATCH", "SET k 1"], false),
        ] {
            let mut fixture = Fixture::new();
            for request in requests {
                fixture.run(request);
            }
            assert_eq!(fixture.keyspace.is_dirty(fixture.session.id), expected, "{requests:?}");
        }
    }
}
