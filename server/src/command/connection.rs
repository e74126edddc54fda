//! Connections: authentication, the protocol version, the database, and the end.

use super::client::{self, check_word};
use super::info::REDIS_VERSION;
use super::transaction;
use super::{Command, Context, Error, Flags, Group, Outcome, Result, flag, integer};
use crate::protocol::{Reply, Version};

/// What a client may run before it has authenticated, and while the server is busy.
const OPENING: &[Flags] =
    &[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::FAST, Flags::NO_AUTH, Flags::ALLOW_BUSY];

/// What changes the connection itself, at once.
const AT_ONCE: &[Flags] = &[Flags::WHILE_SUBSCRIBED, Flags::RUNS_IN_MULTI];

/// The rows of this file.
pub const COMMANDS: &[Command] = &[
    Command::new("auth", -2, auth).flags(OPENING).docs(
        Group::Connection,
        "1.0.0",
        "O(1)",
        "Authenticates the connection.",
        "[username] password",
    ),
    Command::new("ping", -1, ping).flags(&[Flags::FAST, Flags::WHILE_SUBSCRIBED]).docs(
        Group::Connection,
        "1.0.0",
        "O(1)",
        "Answers PONG, or the message if there is one.",
        "[message]",
    ),
    Command::new("echo", 2, echo).flags(&[Flags::LOADING, Flags::STALE, Flags::FAST]).docs(
        Group::Connection,
        "1.0.0",
        "O(1)",
        "Returns the message.",
        "message",
    ),
    Command::new("hello", -1, hello).flags(OPENING).docs(
        Group::Connection,
        "6.0.0",
        "O(1)",
        "Chooses the protocol version, may authenticate and name the connection, and describes the server.",
        "[protover [AUTH username password] [SETNAME clientname]]",
    ),
    Command::new("select", 2, select).flags(&[Flags::LOADING, Flags::STALE, Flags::FAST]).docs(
        Group::Connection,
        "1.0.0",
        "O(1)",
        "Selects the database of the connection.",
        "index",
    ),
    Command::outcome("quit", -1, quit).flags(OPENING).flags(AT_ONCE).docs(
        Group::Connection,
        "1.0.0",
        "O(1)",
        "Closes the connection after the replies to all earlier commands.",
        "",
    ),
    Command::new("reset", 1, reset).flags(OPENING).flags(AT_ONCE).docs(
        Group::Connection,
        "6.2.0",
        "O(1)",
        "Resets the connection to the state in which it began.",
        "",
    ),
];

/// The only user; there are no others, because there is no ACL.
pub(super) const DEFAULT_USER: &[u8] = b"default";

fn auth(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    match *args {
        [_, _] if ctx.server.options.requirepass.is_empty() => Err(Error::text(
            "ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        )),
        [_, password] => authenticate(ctx, DEFAULT_USER, password),
        [_, user, password] => authenticate(ctx, user, password),
        _ => Err(Error::SYNTAX),
    }
}

fn authenticate(ctx: &mut Context<'_>, user: &[u8], password: &[u8]) -> Result {
    let required = ctx.server.options.requirepass.as_bytes();
    if user != DEFAULT_USER || !(required.is_empty() || is_same_secret(required, password)) {
        return Err(Error::text("WRONGPASS invalid username-password pair or user is disabled."));
    }
    ctx.session.authenticated = true;
    Ok(Reply::OK)
}

/// Compares in a time that depends on the lengths alone, so that it tells nothing about the secret's bytes.
fn is_same_secret(secret: &[u8], guess: &[u8]) -> bool {
    let difference = secret.iter().zip(guess).fold(0, |difference, (one, other)| difference | (one ^ other));
    secret.len() == guess.len() && difference == 0
}

fn ping(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let message = args.get(1).copied();
    if args.len() > 2 {
        return Err(Error::wrong_arity("ping"));
    }
    if ctx.session.is_subscriber() && ctx.session.version == Version::Resp2 {
        return Ok(Reply::Array(vec![Reply::text("pong"), Reply::bytes(message.unwrap_or_default())]));
    }
    Ok(message.map_or(Reply::simple("PONG"), Reply::bytes))
}

fn echo(_: &mut Context<'_>, args: &[&[u8]]) -> Result {
    Ok(Reply::bytes(args[1]))
}

fn hello(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let version = args.get(1).map(|version| protocol_version(version)).transpose()?;
    let (mut credentials, mut name) = (None, None);
    let mut rest = args.get(2..).unwrap_or_default();
    while let [option, values @ ..] = rest {
        rest = match *values {
            [user, password, ref after @ ..] if flag(option, "AUTH") => {
                credentials = Some((user, password));
                after
            }
            [word, ref after @ ..] if flag(option, "SETNAME") => {
                check_word("Client names", word)?;
                name = Some(word);
                after
            }
            _ => {
                let option = String::from_utf8_lossy(option);
                return Err(format!("ERR Syntax error in HELLO option '{option}'").into());
            }
        };
    }
    if let Some((user, password)) = credentials {
        authenticate(ctx, user, password)?;
    }
    if !ctx.session.authenticated {
        return Err(Error::text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
             <user> <pass> option can be used to authenticate the client and select the RESP protocol version at \
             the same time",
        ));
    }
    if let Some(name) = name {
        ctx.session.name = name.to_vec();
    }
    if let Some(version) = version {
        ctx.session.version = version;
    }
    Ok(describe_server(ctx))
}

fn protocol_version(argument: &[u8]) -> Result<Version> {
    let unreadable = |_| Error::text("ERR Protocol version is not an integer or out of range");
    match integer(argument).map_err(unreadable)? {
        2 => Ok(Version::Resp2),
        3 => Ok(Version::Resp3),
        _ => Err(Error::text("NOPROTO unsupported protocol version")),
    }
}

fn describe_server(ctx: &Context<'_>) -> Reply {
    Reply::fields([
        ("server", Reply::text("redis")),
        ("version", Reply::text(REDIS_VERSION)),
        ("proto", ctx.session.version.number().into()),
        ("id", ctx.session.id.into()),
        ("mode", Reply::text("standalone")),
        ("role", Reply::text("master")),
        ("modules", Reply::Array(Vec::new())),
    ])
}

fn select(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    ctx.session.database = database(ctx, integer(args[1])?)?;
    Ok(Reply::OK)
}

/// The number of a database that exists.
pub(super) fn database(ctx: &Context<'_>, number: i64) -> Result<u8> {
    if i32::try_from(number).is_err() {
        let (min, max) = (i32::MIN, i32::MAX);
        return Err(format!("ERR value is out of range, value must between {min} and {max}").into());
    }
    let number = u8::try_from(number).ok().filter(|number| *number < ctx.keyspace.databases());
    number.ok_or(Error::text("ERR DB index is out of range"))
}

fn quit(_: &mut Context<'_>, _: &[&[u8]]) -> Result<Outcome> {
    Ok(Outcome::Close(Reply::OK))
}

fn reset(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    transaction::leave(ctx);
    client::tracking::stop(ctx);
    ctx.server.monitors.remove(&ctx.session.id);
    ctx.server.pubsub.remove(ctx.session.id);
    ctx.session.reset();
    ctx.session.authenticated = ctx.server.options.requirepass.is_empty();
    Ok(Reply::simple("RESET"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    const WRONG_PASSWORD: &str = "-WRONGPASS invalid username-password pair or user is disabled.";

    #[test]
    fn the_password_opens_the_door_for_the_default_user_alone() {
        let mut fixture = Fixture::new();
        fixture.server.options.requirepass = "secret".to_owned();
        fixture.check(&[
            ("AUTH secre", WRONG_PASSWORD),
            ("AUTH secrets", WRONG_PASSWORD),
            ("AUTH Secret", WRONG_PASSWORD),
            ("AUTH other secret", WRONG_PASSWORD),
            ("AUTH a b c", "-ERR syntax error"),
        ]);
        assert!(!fixture.session.authenticated);
        fixture.check(&[("AUTH default secret", "+OK")]);
        assert!(fixture.session.authenticated);
        fixture.check(&[("RESET", "+RESET")]);
        assert!(!fixture.session.authenticated, "RESET closes it again");
    }

    #[test]
    fn a_refused_hello_changes_nothing() {
        let mut fixture = Fixture::new();
        fixture.server.options.requirepass = "secret".to_owned();
        fixture.check(&[
            ("HELLO 4", "-NOPROTO unsupported protocol version"),
            ("HELLO x", "-ERR Protocol version is not an integer or out of range"),
            ("HELLO 3 AUTH default", "-ERR Syntax error in HELLO option 'AUTH'"),
            ("HELLO 3 SETNAME me AUTH default wrong", WRONG_PASSWORD),
            (
                "HELLO 3 SETNAME 'a b' AUTH default secret",
                "-ERR Client names cannot contain spaces, newlines or special characters.",
            ),
        ]);
        assert!(fixture.run("HELLO 3").is_error(), "the password has not been given");
        assert_eq!((fixture.session.version, fixture.session.name.len()), (Version::Resp2, 0));
        fixture.check(&[(
            "HELLO 3 AUTH default secret SETNAME me",
            "{$server: $redis, $version: $7.4.0, $proto: :3, $id: :1, $mode: $standalone, $role: $master, \
             $modules: []}",
        )]);
        assert_eq!((fixture.session.version, &fixture.session.name[..]), (Version::Resp3, b"me".as_slice()));
    }

    #[test]
    fn only_databases_that_exist_are_selected() {
        let mut fixture = Fixture::new();
        fixture.check(&[
            ("SELECT 15", "+OK"),
            ("SELECT 16", "-ERR DB index is out of range"),
            ("SELECT -1", "-ERR DB index is out of range"),
            (
                "SELECT 99999999999",
                "-ERR value is out of range, value must between -2147483648 and 2147483647",
            ),
            ("SELECT x", "-ERR value is not an integer or out of range"),
        ]);
        assert_eq!(fixture.session.database, 15);
    }

    #[test]
    fn a_ping_is_answered_in_the_form_that_the_client_can_tell_from_messages() {
        let mut fixture = Fixture::new();
        fixture.check(&[
            ("PING", "+PONG"),
            ("PING hi", "$hi"),
            ("PING a b", "-ERR wrong number of arguments for 'ping' command"),
            ("SUBSCRIBE c", "[[$subscribe $c :1]]"),
            ("PING", "[$pong $]"),
            ("PING hi", "[$pong $hi]"),
        ]);
        fixture.session.version = Version::Resp3;
        fixture.check(&[("PING", "+PONG"), ("ECHO hi", "$hi")]);
    }

    #[test]
    fn reset_forgets_what_the_client_has_chosen() {
        let mut fixture = Fixture::new();
        for request in ["SELECT 3", "CLIENT SETNAME me", "WATCH k", "SUBSCRIBE c", "PSUBSCRIBE p", "MULTI"] {
            assert!(!fixture.run(request).is_error(), "{request}");
        }
        fixture.check(&[("RESET", "+RESET"), ("PUBLISH c x", ":0"), ("PUBSUB NUMPAT", ":0")]);
        let session = &fixture.session;
        assert!(session.transaction.is_none() && !session.watching && !session.is_subscriber());
        assert_eq!((session.database, session.name.len()), (0, 0));
    }
}
