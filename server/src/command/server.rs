//! The server as a whole: its databases, its slow log, its clock, its end.

use std::time::Duration;

use super::arguments::{is_flush_mode, log_count};
use super::connection::database;
use super::help::{help, wrong_arguments};
use super::table::ADMIN;
use super::{Command, Context, Error, Flags, Group, Outcome, Result, flag, integer};
use crate::protocol::Reply;
use crate::types::parse_float;

const SLOWLOG_FLAGS: &[Flags] = &[Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::ABOUT_SERVER];

/// Entries that `SLOWLOG GET` returns when it is not told how many.
const SLOWLOG_GET_DEFAULT: usize = 10;
/// The longest time for which `DEBUG SLEEP` stops the server.
const MAX_SLEEP: Duration = Duration::from_secs(3600);

/// The rows of this file.
pub const COMMANDS: &[Command] =
    &[
        Command::new("dbsize", 1, dbsize).flags(&[Flags::READONLY, Flags::FAST]).docs(
            Group::Server,
            "1.0.0",
            "O(1)",
            "Returns the number of keys in the database.",
            "",
        ),
        Command::new("flushdb", -1, flush_database).flags(&[Flags::WRITE]).docs(
            Group::Server,
            "1.0.0",
            "O(1); the memory is freed in the background",
            "Removes all keys from the database.",
            "[ASYNC | SYNC]",
        ),
        Command::new("flushall", -1, flush_all).flags(&[Flags::WRITE]).docs(
            Group::Server,
            "1.0.0",
            "O(1) for each database; the memory is freed in the background",
            "Removes all keys from all databases.",
            "[ASYNC | SYNC]",
        ),
        Command::new("swapdb", 3, swap_databases).flags(&[Flags::WRITE, Flags::FAST]).docs(
            Group::Server,
            "4.0.0",
            "O(N) where N is the number of watched keys",
            "Exchanges two databases.",
            "index1 index2",
        ),
        Command::new("time", 1, time).flags(&[Flags::LOADING, Flags::STALE, Flags::FAST]).docs(
            Group::Server,
            "2.6.0",
            "O(1)",
            "Returns the server's time as seconds and microseconds of unix time.",
            "",
        ),
        Command::new("lastsave", 1, last_save)
            .flags(&[Flags::LOADING, Flags::STALE, Flags::FAST, Flags::ABOUT_SERVER])
            .docs(
                Group::Server,
                "1.0.0",
                "O(1)",
                "Returns when changes last became durable, in seconds of unix time.",
                "",
            ),
        Command::new("role", 1, role)
            .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::FAST])
            .docs(Group::Server, "2.8.12", "O(1)", "Returns the server's part in replication.", ""),
        Command::outcome("shutdown", -1, shutdown)
            .flags(ADMIN)
            .flags(&[Flags::NO_MULTI, Flags::ALLOW_BUSY])
            .docs(
                Group::Server,
                "1.0.0",
                "O(N) where N is the number of changes that are not durable yet",
                "Makes all changes durable and stops the server.",
                "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
            ),
        Command::container("slowlog", SLOWLOG).docs(
            Group::Server,
            "2.2.12",
            "Depends on the subcommand",
            "Shows the commands that took long.",
            "",
        ),
        Command::container("debug", DEBUG).flags(ADMIN).docs(
            Group::Server,
            "1.0.0",
            "Depends on the subcommand",
            "Helps to test clients.",
            "",
        ),
    ];

const SLOWLOG: &[Command] = &[
    Command::new("get", -2, slow_commands).flags(SLOWLOG_FLAGS).docs(
        Group::Server,
        "2.2.12",
        "O(N) where N is the number of entries returned",
        "Returns the newest entries of the slow log: number, time, microseconds, arguments, address and name of the \
         client.",
        "[count]",
    ),
    Command::new("len", 2, slow_command_count).flags(SLOWLOG_FLAGS).docs(
        Group::Server,
        "2.2.12",
        "O(1)",
        "Returns the number of entries in the slow log.",
        "",
    ),
    Command::new("reset", 2, forget_slow_commands).flags(SLOWLOG_FLAGS).docs(
        Group::Server,
        "2.2.12",
        "O(N) where N is the number of entries",
        "Empties the slow log.",
        "",
    ),
    help(Group::Server, "6.2.0"),
];

const DEBUG: &[Command] = &[
    Command::new("sleep", 3, sleep).flags(ADMIN).docs(
        Group::Server,
        "2.2.0",
        "O(1)",
        "Makes the server sleep, for an hour at most.",
        "seconds",
    ),
    help(Group::Server, "6.2.0"),
];

fn dbsize(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    Ok(ctx.keyspace.count(ctx.session.database).0.into())
}

fn flush_database(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    check_flush(args)?;
    ctx.keyspace.flush(ctx.session.database);
    Ok(Reply::OK)
}

fn flush_all(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    check_flush(args)?;
    for database in 0..ctx.keyspace.databases() {
        ctx.keyspace.flush(database);
    }
    Ok(Reply::OK)
}

/// Both ways to flush are the same here: the keys are gone at once, and their memory is freed elsewhere.
fn check_flush(args: &[&[u8]]) -> Result<()> {
    match args[1..] {
        [] => Ok(()),
        [mode] if is_flush_mode(mode) => Ok(()),
        _ => Err(Error::SYNTAX),
    }
}

fn swap_databases(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let number = |argument, message| {
        let number = integer(argument).ok().filter(|number| i32::try_from(*number).is_ok());
        number.ok_or(Error::text(message))
    };
    let first = number(args[1], "ERR invalid first DB index")?;
    let second = number(args[2], "ERR invalid second DB index")?;
    let (first, second) = (database(ctx, first)?, database(ctx, second)?);
    ctx.keyspace.swap(first, second);
    Ok(Reply::OK)
}

fn time(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    /// Microseconds of a second.
    const SECOND_US: u64 = 1_000_000;
    let now_us = ctx.keyspace.now_us();
    Ok(Reply::list([(now_us / SECOND_US).to_string(), (now_us % SECOND_US).to_string()]))
}

fn last_save(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    Ok(ctx.server.store.last_commit_s.into())
}

fn role(_: &mut Context<'_>, _: &[&[u8]]) -> Result {
    Ok(Reply::Array(vec![Reply::text("master"), Reply::Integer(0), Reply::Array(Vec::new())]))
}

fn shutdown(_: &mut Context<'_>, args: &[&[u8]]) -> Result<Outcome> {
    let has = |word| args[1..].iter().any(|option| flag(option, word));
    let known = ["NOSAVE", "SAVE", "NOW", "FORCE", "ABORT"];
    let is_known = |option: &&[u8]| known.iter().any(|word| flag(option, word));
    let others_than_abort = args[1..].iter().any(|option| !flag(option, "ABORT"));
    if !args[1..].iter().all(is_known)
        || (has("NOSAVE") && has("SAVE"))
        || (has("ABORT") && others_than_abort)
    {
        return Err(Error::SYNTAX);
    }
    if has("ABORT") {
        // Nothing can come between the start of a shutdown and its end.
        return Err(Error::text("ERR No shutdown in progress."));
    }
    Ok(Outcome::Shutdown { force: has("FORCE") || has("NOSAVE") })
}

fn slow_commands(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let count = match args[2..] {
        [] => SLOWLOG_GET_DEFAULT,
        [count] => log_count(count)?,
        _ => return Err(wrong_arguments(args)),
    };
    let entries = ctx.server.slow_log.iter().take(count).map(|entry| {
        Reply::Array(vec![
            entry.id.into(),
            entry.time_s.into(),
            entry.duration_us.into(),
            Reply::list(&entry.arguments),
            Reply::bytes(entry.address.as_bytes()),
            Reply::bytes(&entry.name),
        ])
    });
    Ok(Reply::Array(entries.collect()))
}

fn slow_command_count(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    Ok(ctx.server.slow_log.len().into())
}

fn forget_slow_commands(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    ctx.server.slow_log.clear();
    Ok(Reply::OK)
}

fn sleep(_: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let seconds = parse_float(args[2]).ok_or(Error::NOT_A_FLOAT)?;
    let duration = Duration::try_from_secs_f64(seconds).ok().filter(|duration| *duration <= MAX_SLEEP);
    let duration = duration.ok_or(Error::text("ERR value is out of range"))?;
    std::thread::sleep(duration);
    Ok(Reply::OK)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;
    use crate::state::SlowLogEntry;

    #[test]
    fn databases_are_counted_emptied_and_exchanged() {
        let mut fixture = Fixture::new();
        fixture.run("MSET a 1 b 2");
        fixture.check(&[
            ("DBSIZE", ":2"),
            ("SWAPDB 0 1", "+OK"),
            ("DBSIZE", ":0"),
            ("SWAPDB x 1", "-ERR invalid first DB index"),
            ("SWAPDB 1 99999999999", "-ERR invalid second DB index"),
            ("SWAPDB 1 16", "-ERR DB index is out of range"),
            ("FLUSHALL now", "-ERR syntax error"),
            ("FLUSHDB async", "+OK"),
            ("SELECT 1", "+OK"),
            ("DBSIZE", ":2"),
            ("FLUSHALL sync", "+OK"),
            ("DBSIZE", ":0"),
        ]);
    }

    #[test]
    fn the_slow_log_is_shown_newest_first() {
        let mut fixture = Fixture::new();
        for name in ["a", "b"] {
            let entry = SlowLogEntry {
                id: 0,
                time_s: 7,
                duration_us: 9,
                arguments: vec![b"GET".to_vec(), name.into()],
                address: "127.0.0.1:1".to_owned(),
                name: Vec::new(),
            };
            fixture.server.slow_log.add(entry, 10);
        }
        let (a, b) = ("[:0 :7 :9 [$GET $a] $127.0.0.1:1 $]", "[:1 :7 :9 [$GET $b] $127.0.0.1:1 $]");
        fixture.check(&[
            ("SLOWLOG GET", &format!("[{b} {a}]")),
            ("SLOWLOG GET 1", &format!("[{b}]")),
            ("SLOWLOG GET -1", &format!("[{b} {a}]")),
            ("SLOWLOG GET -2", "-ERR count should be greater than or equal to -1"),
            ("SLOWLOG LEN", ":2"),
            ("SLOWLOG RESET", "+OK"),
            ("SLOWLOG GET", "[]"),
        ]);
    }

    #[track_caller]
    fn check_shutdown(options: &[&str], expected: &Result<bool>) {
        let mut fixture = Fixture::new();
        let words: Vec<&[u8]> = ["shutdown"].iter().chain(options).map(|word| word.as_bytes()).collect();
        let outcome = fixture.with_context(|ctx| shutdown(ctx, &words));
        let force = outcome.map(|outcome| matches!(outcome, Outcome::Shutdown { force: true }));
        assert_eq!(&force, expected, "{options:?}");
    }

    #[test]
    fn a_shutdown_is_forced_only_when_asked() {
        check_shutdown(&[], &Ok(false));
        check_shutdown(&["save", "now"], &Ok(false));
        check_shutdown(&["NOSAVE"], &Ok(true));
        check_shutdown(&["NOW", "FORCE"], &Ok(true));
        check_shutdown(&["SAVE", "NOSAVE"], &Err(Error::SYNTAX));
        check_shutdown(&["ABORT", "NOW"], &Err(Error::SYNTAX));
        check_shutdown(&["soon"], &Err(Error::SYNTAX));
        check_shutdown(&["ABORT"], &Err(Error::text("ERR No shutdown in progress.")));
    }

    #[test]
    fn a_sleep_without_sense_or_end_is_refused() {
        Fixture::new().check(&[
            ("DEBUG SLEEP 0", "+OK"),
            ("DEBUG SLEEP x", "-ERR value is not a valid float"),
            ("DEBUG SLEEP -1", "-ERR value is out of range"),
            ("DEBUG SLEEP 3600.1", "-ERR value is out of range"),
            ("DEBUG SLEEP inf", "-ERR value is out of range"),
            ("ROLE", "[$master :0 []]"),
            ("TIME", "[$1704067200 $0]"),
        ]);
    }
}
