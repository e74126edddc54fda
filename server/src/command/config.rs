//! `CONFIG`: the option table, to clients.

use super::help::help;
use super::table::ADMIN;
use super::{Command, Context, Error, Flags, Group, Result};
use crate::options::rewrite_file;
use crate::protocol::Reply;
use crate::types::glob;

/// The rows of this file.
pub const COMMANDS: &[Command] = &[Command::container("config", CONFIG).docs(
    Group::Server,
    "2.0.0",
    "Depends on the subcommand",
    "Shows and changes the options of the server.",
    "",
)];

const CONFIG: &[Command] = &[
    Command::new("get", -3, get).flags(ADMIN).docs(
        Group::Server,
        "2.0.0",
        "O(N) where N is the number of options",
        "Returns the options whose names match a pattern, and their values.",
        "pattern [pattern ...]",
    ),
    Command::new("set", -4, set).flags(ADMIN).flags(&[Flags::CHANGES_SETTINGS]).docs(
        Group::Server,
        "2.0.0",
        "O(N) where N is the number of options",
        "Sets options, all of them or none.",
        "parameter value [parameter value ...]",
    ),
    Command::new("resetstat", 2, reset_statistics).flags(ADMIN).docs(
        Group::Server,
        "2.0.0",
        "O(1)",
        "Sets the counters of INFO back to 0.",
        "",
    ),
    Command::new("rewrite", 2, rewrite).flags(ADMIN).docs(
        Group::Server,
        "2.8.0",
        "O(N) where N is the length of the file",
        "Writes the present options into the configuration file.",
        "",
    ),
    help(Group::Server, "5.0.0"),
];

fn get(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let wanted =
        |name: &str| args[2..].iter().find(|pattern| glob::matches_ignoring_case(pattern, name.as_bytes()));
    let pairs = ctx.server.options.get_matching(|name| wanted(name).is_some());
    let named = pairs.into_iter().map(|(name, value)| {
        // As in Redis, an option is told by the name by which it was asked for.
        let asked = wanted(name).filter(|asked| asked.eq_ignore_ascii_case(name.as_bytes()));
        (asked.map_or(Reply::text(name), |asked| Reply::bytes(asked)), value.into())
    });
    Ok(Reply::Map(named.collect()))
}

fn set(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (pairs, rest) = args[2..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Error::SYNTAX);
    }
    let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|[name, value]| (*name, *value)).collect();
    let mut options = ctx.server.options.clone();
    options.set_all(&pairs).map_err(|error| format!("ERR {error}"))?;
    let possible = ctx.server.clients_possible;
    if options.maxclients > possible {
        return Err(format!(
            "ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating system is not able to \
             handle the specified number of clients, try with {possible}"
        )
        .into());
    }
    ctx.server.options = options;
    Ok(Reply::OK)
}

fn reset_statistics(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    ctx.server.statistics.reset();
    ctx.keyspace.reset_statistics();
    Ok(Reply::OK)
}

fn rewrite(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    let Some(path) = &ctx.server.config_file else {
        return Err(Error::text("ERR The server is running without a config file"));
    };
    match rewrite_file(path, &ctx.server.options) {
        Ok(()) => Ok(Reply::OK),
        Err(error) => Err(format!("ERR Rewriting config file: {error}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;

    #[test]
    fn options_are_shown_by_pattern_and_set_all_or_none() {
        let mut fixture = Fixture::new();
        fixture.check(&[
            ("CONFIG GET HZ time?ut", "{$timeout: $0, $HZ: $10}"),
            ("CONFIG GET TIME?UT hz HZ", "{$timeout: $0, $hz: $10}"),
            ("CONFIG GET nothing", "{}"),
            ("CONFIG SET hz 20 timeout", "-ERR syntax error"),
            ("CONFIG SET hz 20 foo 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'foo'"),
            (
                "CONFIG SET hz 20 port 1",
                "-ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable config",
            ),
            ("CONFIG GET hz", "{$hz: $10}"),
            ("CONFIG SET hz 20 timeout 5", "+OK"),
            ("CONFIG GET hz timeout", "{$timeout: $5, $hz: $20}"),
            ("CONFIG REWRITE", "-ERR The server is running without a config file"),
        ]);
    }

    #[test]
    fn no_more_clients_are_promised_than_the_system_has_room_for() {
        let mut fixture = Fixture::new();
        fixture.server.clients_possible = 50;
        fixture.server.options.maxclients = 50;
        fixture.check(&[
            ("CONFIG SET maxclients 40", "+OK"),
            ("CONFIG SET maxclients 50 hz 20", "+OK"),
            (
                "CONFIG SET hz 30 maxclients 51",
                "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating system is not \
                 able to handle the specified number of clients, try with 50",
            ),
            ("CONFIG GET maxclients hz", "{$maxclients: $50, $hz: $20}"),
        ]);
    }

    #[test]
    fn the_counters_of_keys_and_commands_are_set_back_together() {
        let mut fixture = Fixture::new();
        fixture.run("GET missing");
        fixture.server.statistics.commands = 7;
        fixture.check(&[("CONFIG RESETSTAT", "+OK")]);
        assert_eq!((fixture.keyspace.statistics().misses, fixture.server.statistics.commands), (0, 0));
    }

    #[test]
    fn rewriting_writes_the_present_options_into_the_file() {
        let mut fixture = Fixture::new();
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("kvasm.conf");
        std::fs::write(&path, "# mine\n").expect("a file");
        fixture.server.config_file = Some(path.clone());
        fixture.check(&[("CONFIG SET hz 20", "+OK"), ("CONFIG REWRITE", "+OK")]);
        let text = std::fs::read_to_string(&path).expect("a file");
        assert!(text.starts_with("# mine\n") && text.contains("\nhz 20\n"), "{text}");
        fixture.server.config_file = Some(directory.path().join("gone"));
        assert!(fixture.run("CONFIG REWRITE").is_error());
    }
}
