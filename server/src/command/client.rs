//! `CLIENT`: what clients say about themselves, and what one can learn of and do to the others.

mod filter;
mod pause;
pub(super) mod tracking;

use filter::{ClientType, Filter};

use super::help::{help, wrong_arguments};
use super::table::ADMIN;
use super::{Command, Context, Error, Flags, Group, Result, flag, integer};
use crate::protocol::Reply;
use crate::state::{Closing, Mailbox, ReplyMode, RunningCall, Session, TrackingMode};

const OWN: &[Flags] = &[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];

/// The rows of this file.
pub const COMMANDS: &[Command] = &[Command::container("client", CLIENT).docs(
    Group::Connection,
    "2.4.0",
    "Depends on the subcommand",
    "Manages the connections of clients.",
    "",
)];

const CLIENT: &[Command] = &[
    Command::new("id", 2, id).flags(OWN).docs(
        Group::Connection,
        "5.0.0",
        "O(1)",
        "Returns the number of the connection, which is never used twice.",
        "",
    ),
    Command::new("info", 2, info).flags(OWN).docs(
        Group::Connection,
        "6.2.0",
        "O(1)",
        "Describes the connection.",
        "",
    ),
    Command::new("list", -2, list).flags(ADMIN).docs(
        Group::Connection,
        "2.4.0",
        "O(N) where N is the number of clients",
        "Describes all connections, or those of a type or with these numbers.",
        "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]",
    ),
    Command::new("kill", -3, kill).flags(ADMIN).docs(
        Group::Connection,
        "2.4.0",
        "O(N) where N is the number of clients",
        "Closes the connection with this address, or all that pass every filter.",
        "<ip:port | <[ID client-id] [TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [USER username] [ADDR ip:port] \
         [LADDR ip:port] [SKIPME <YES | NO>] [MAXAGE maxage]>>",
    ),
    Command::new("unblock", -3, unblock).flags(ADMIN).docs(
        Group::Connection,
        "5.0.0",
        "O(log N) where N is the number of clients that wait",
        "Ends the wait of another client for a key, as if its time were over or with an error.",
        "client-id [TIMEOUT | ERROR]",
    ),
    Command::new("setname", 3, set_name).flags(OWN).docs(
        Group::Connection,
        "2.6.9",
        "O(1)",
        "Names the connection.",
        "connection-name",
    ),
    Command::new("getname", 2, name).flags(OWN).docs(
        Group::Connection,
        "2.6.9",
        "O(1)",
        "Returns the name of the connection.",
        "",
    ),
    Command::new("setinfo", 4, set_info).flags(OWN).docs(
        Group::Connection,
        "7.2.0",
        "O(1)",
        "Tells the name or version of the client library.",
        "<LIB-NAME libname | LIB-VER libver>",
    ),
    Command::new("reply", 3, reply).flags(OWN).docs(
        Group::Connection,
        "3.2.0",
        "O(1)",
        "Turns replies on or off, or skips the reply to the next command.",
        "<ON | OFF | SKIP>",
    ),
    Command::new("no-evict", 3, no_evict).flags(ADMIN).docs(
        Group::Connection,
        "7.0.0",
        "O(1)",
        "Says whether the connection is never to be closed to free memory.",
        "<ON | OFF>",
    ),
    Command::new("no-touch", 3, no_touch).flags(OWN).docs(
        Group::Connection,
        "7.2.0",
        "O(1)",
        "Says whether the commands of the connection do not count as use of their keys.",
        "<ON | OFF>",
    ),
    pause::PAUSE,
    pause::UNPAUSE,
    tracking::TRACKING,
    tracking::CACHING,
    tracking::TRACKING_INFO,
    tracking::REDIRECTION,
    help(Group::Connection, "5.0.0"),
];

fn id(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    Ok(ctx.session.id.into())
}

fn info(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    let own = ctx.mailbox.map(|mailbox| describe(ctx, ctx.session, mailbox));
    Ok(Reply::Verbatim(own.unwrap_or_default()))
}

fn list(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (mut wanted_type, mut wanted_ids) = (None, None);
    match args[2..] {
        [] => {}
        [option, name] if flag(option, "TYPE") => wanted_type = Some(ClientType::named(name)?),
        [option, ref ids @ ..] if flag(option, "ID") && !ids.is_empty() => {
            let ids = ids.iter().map(|id| integer(id).map_err(|_| Error::text("ERR Invalid client ID")));
            wanted_ids = Some(ids.collect::<Result<Vec<i64>>>()?);
        }
        _ => return Err(Error::SYNTAX),
    }
    let is_wanted = |session: &Session| {
        wanted_type.is_none_or(|wanted| wanted == ClientType::of(session))
            && wanted_ids.as_ref().is_none_or(|ids| ids.contains(&(session.id as i64)))
    };
    let wanted = sessions(ctx).filter(|(session, _)| is_wanted(session));
    Ok(Reply::Verbatim(wanted.map(|(session, mailbox)| describe(ctx, session, mailbox)).collect()))
}

/// All connections that nobody has killed, the client's own included.
fn sessions<'a>(ctx: &'a Context<'_>) -> impl Iterator<Item = (&'a Session, &'a Mailbox)> {
    let own: &Session = ctx.session;
    ctx.server.clients.iter().filter(|(_, handle)| handle.mailbox.closing() != Some(Closing::Now)).filter_map(
        move |(id, handle)| {
            let session = handle.session.as_deref().or((id == own.id).then_some(own));
            session.map(|session| (session, &*handle.mailbox))
        },
    )
}

/// The line of a connection, with Redis' fields in Redis' order. What has no meaning here has the value that Redis
/// gives when it does not apply.
fn describe(ctx: &Context<'_>, session: &Session, mailbox: &Mailbox) -> String {
    let now_s = ctx.keyspace.now_ms() / 1000;
    let address = |address: Option<std::net::SocketAddr>| address.map_or(String::new(), |it| it.to_string());
    let text = String::from_utf8_lossy;
    let queue = session.transaction.as_ref().map(|transaction| &transaction.queue);
    let queue_bytes = session.queued_bytes();
    let output_bytes = mailbox.bytes();
    let total_bytes = size_of::<Session>() + session.query_buffer_bytes + queue_bytes + output_bytes;
    format!(
        "id={id} addr={address} laddr={local} fd=-1 name={name} age={age} idle={idle} flags={flags} db={database} \
         sub={channels} psub={patterns} ssub=0 multi={queued} qbuf={query_buffer} qbuf-free=0 argv-mem=0 \
         multi-mem={queue_bytes} rbs=0 rbp=0 obl=0 oll={output_len} omem={output_bytes} tot-mem={total_bytes} \
         events=r cmd={command} user=default redir={redirect} resp={version} lib-name={library} \
         lib-ver={library_version}{call}\n",
        id = session.id,
        address = address(session.address),
        local = address(session.local_address),
        name = text(&session.name),
        age = now_s.saturating_sub(session.connected_s),
        idle = now_s.saturating_sub(session.active_s),
        flags = letters(ctx, session, mailbox),
        database = session.database,
        channels = session.channels,
        patterns = session.patterns,
        queued = queue.map_or(-1, |queue| queue.len() as i64),
        query_buffer = session.query_buffer_bytes,
        output_len = mailbox.len(),
        command = session.last_command,
        redirect = tracking::redirect_of(ctx.server.tracking.get(session.id)),
        version = session.version.number(),
        library = text(&session.library_name),
        library_version = text(&session.library_version),
        call = call_of(ctx, session),
    )
}

/// The client's call in the background.
fn running<'a>(ctx: &'a Context<'_>, session: &Session) -> Option<&'a RunningCall> {
    ctx.server.running.values().find(|call| call.client == Some(session.id))
}

/// Fields of this server's own about that call.
fn call_of(ctx: &Context<'_>, session: &Session) -> String {
    running(ctx, session).map_or_else(String::new, |call| {
        let (elapsed_ms, fuel) = (call.elapsed_ms(), call.control.fuel_used());
        let (name, tries) = (&call.name, call.tries);
        format!(" call={name} call-ms={elapsed_ms} call-fuel={fuel} call-tries={tries}")
    })
}

/// The letters of the field `flags`, in Redis' order.
fn letters(ctx: &Context<'_>, session: &Session, mailbox: &Mailbox) -> String {
    let tracker = ctx.server.tracking.get(session.id);
    let letters: String = [
        ('O', session.is_monitor),
        ('P', session.is_subscriber()),
        ('x', session.transaction.is_some()),
        ('b', ctx.server.waiting.get(session.id).is_some() || running(ctx, session).is_some()),
        ('t', tracker.is_some()),
        ('R', tracker.is_some_and(|tracker| tracker.is_broken)),
        ('B', tracker.is_some_and(|tracker| tracker.mode == TrackingMode::Broadcast)),
        ('d', ctx.keyspace.is_dirty(session.id)),
        ('c', mailbox.closing() == Some(Closing::AfterReplies)),
        ('e', session.no_evict),
        ('T', session.no_touch),
    ]
    .into_iter()
    .filter_map(|(letter, applies)| applies.then_some(letter))
    .collect();
    if letters.is_empty() { "N".to_owned() } else { letters }
}

fn kill(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let is_old_form = args.len() == 3;
    let filter = if is_old_form { Filter::address(args[2]) } else { Filter::parse(&args[2..])? };
    let own = ctx.session.id;
    let now_s = ctx.keyspace.now_ms() / 1000;
    let mut killed = 0;
    for (session, mailbox) in sessions(ctx).filter(|(session, _)| filter.matches(session, own, now_s)) {
        // The client that asked still gets its answer.
        mailbox.close(if session.id == own { Closing::AfterReplies } else { Closing::Now });
        killed += 1;
    }
    match (is_old_form, killed) {
        (true, 0) => Err(Error::text("ERR No such client")),
        (true, _) => Ok(Reply::OK),
        (false, killed) => Ok(Reply::Integer(killed)),
    }
}

fn unblock(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let error = match args[3..] {
        [] => None,
        [reason] if flag(reason, "TIMEOUT") => None,
        [reason] if flag(reason, "ERROR") => {
            Some(Reply::error("UNBLOCKED client unblocked via CLIENT UNBLOCK"))
        }
        [_] => return Err(Error::text("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
        _ => return Err(wrong_arguments(args)),
    };
    let client = u64::try_from(integer(args[2])?).ok();
    let unblocked = client.is_some_and(|client| match error {
        Some(error) => ctx.server.answer_waiting(ctx.keyspace, client, error),
        None => ctx.server.end_waiting(ctx.keyspace, client),
    });
    Ok(Reply::flag(unblocked))
}

/// Refuses words that would break the lines of `CLIENT LIST`.
pub(super) fn check_word(what: &str, word: &[u8]) -> Result<()> {
    if word.iter().all(u8::is_ascii_graphic) {
        return Ok(());
    }
    Err(format!("ERR {what} cannot contain spaces, newlines or special characters.").into())
}

fn set_name(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    check_word("Client names", args[2])?;
    ctx.session.name = args[2].to_vec();
    Ok(Reply::OK)
}

fn name(ctx: &mut Context<'_>, _: &[&[u8]]) -> Result {
    let name = &ctx.session.name;
    Ok(if name.is_empty() { Reply::Null } else { Reply::bytes(name) })
}

fn set_info(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (option, value) = (args[2], args[3]);
    let option_text = String::from_utf8_lossy(option);
    let field = if flag(option, "LIB-NAME") {
        &mut ctx.session.library_name
    } else if flag(option, "LIB-VER") {
        &mut ctx.session.library_version
    } else {
        return Err(format!("ERR Unrecognized option '{option_text}'").into());
    };
    check_word(&option_text, value)?;
    *field = value.to_vec();
    Ok(Reply::OK)
}

fn reply(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let mode = &mut ctx.session.reply_mode;
    if flag(args[2], "ON") {
        *mode = ReplyMode::On;
        return Ok(Reply::OK);
    }
    if flag(args[2], "OFF") {
        *mode = ReplyMode::Off;
    } else if !flag(args[2], "SKIP") {
        return Err(Error::SYNTAX);
    } else if *mode != ReplyMode::Off {
        *mode = ReplyMode::SkipNext;
    }
    Ok(Reply::Sequence(Vec::new()))
}

fn no_evict(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    ctx.session.no_evict = on_or_off(args[2])?;
    Ok(Reply::OK)
}

fn no_touch(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    ctx.session.no_touch = on_or_off(args[2])?;
    Ok(Reply::OK)
}

fn on_or_off(argument: &[u8]) -> Result<bool> {
    match argument {
        on if flag(on, "ON") => Ok(true),
        off if flag(off, "OFF") => Ok(false),
        _ => Err(Error::SYNTAX),
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::testing::Fixture;
    use super::*;

    /// A server with two clients: number 1, which runs the requests, and number 2.
    fn two_clients() -> (Fixture, Rc<Mailbox>) {
        let mut fixture = Fixture::new();
        let session = |id, port| {
            let at = |port| Some(std::net::SocketAddr::from(([127, 0, 0, 1], port)));
            Box::new(Session::new(id, at(port), at(6379), fixture.session.connected_s))
        };
        let (own, other) = (session(1, 1001), session(2, 1002));
        let mailbox = Rc::<Mailbox>::default();
        fixture.server.clients.add(own, Rc::clone(&fixture.mailbox));
        fixture.server.clients.add(other, Rc::clone(&mailbox));
        let own = fixture.server.clients.get_mut(1).and_then(|handle| handle.session.take());
        fixture.session = *own.expect("just added");
        (fixture, mailbox)
    }

    const OTHER: &str = "id=2 addr=127.0.0.1:1002 laddr=127.0.0.1:6379 fd=-1 name= age=0 idle=0 flags=N db=0 sub=0 \
                         psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 \
                         omem=0";
    const OTHER_END: &str = "events=r cmd=NULL user=default redir=-1 resp=2 lib-name= lib-ver=\n";

    fn lines(reply: &Reply) -> Vec<String> {
        let Reply::Verbatim(text) = reply else { panic!("{reply:?}") };
        text.split_inclusive('\n').map(str::to_owned).collect()
    }

    #[test]
    fn every_client_has_its_line() {
        let (mut fixture, _) = two_clients();
        let all = lines(&fixture.run("CLIENT LIST"));
        assert_eq!(all.len(), 2);
        assert!(all[1].starts_with(OTHER) && all[1].ends_with(OTHER_END), "{}", all[1]);
        assert_eq!(lines(&fixture.run("CLIENT INFO")), all[..1]);
        assert_eq!(lines(&fixture.run("CLIENT LIST ID 2 9")), all[1..]);
        assert_eq!(lines(&fixture.run("CLIENT LIST TYPE normal")), all);
        assert_eq!(lines(&fixture.run("CLIENT LIST TYPE pubsub")).len(), 0);
        fixture.check(&[
            ("CLIENT LIST TYPE x", "-ERR Unknown client type 'x'"),
            ("CLIENT LIST ID x", "-ERR Invalid client ID"),
            ("CLIENT LIST ID", "-ERR syntax error"),
            ("CLIENT ID", ":1"),
        ]);
    }

    #[test]
    fn the_line_shows_what_the_client_has_chosen() {
        let (mut fixture, _) = two_clients();
        for request in [
            "CLIENT SETNAME me",
            "CLIENT SETINFO LIB-NAME lib",
            "CLIENT SETINFO lib-ver 1.2",
            "CLIENT NO-EVICT on",
            "CLIENT NO-TOUCH ON",
            "PSUBSCRIBE a b",
            "HELLO 3",
            "SELECT 2",
            "MULTI",
        ] {
            fixture.session.authenticated = true;
            assert!(!fixture.run(request).is_error(), "{request}");
        }
        let line = lines(&fixture.run("CLIENT INFO")).remove(0);
        for field in
            ["name=me", "flags=PxeT", "db=2", "psub=2", "multi=0", "resp=3", "lib-name=lib", "lib-ver=1.2"]
        {
            assert!(line.trim().split(' ').any(|shown| shown == field), "{field}: {line}");
        }
    }

    #[test]
    fn a_killed_client_is_gone_and_the_killer_still_gets_its_answer() {
        let (mut fixture, other) = two_clients();
        fixture.check(&[
            ("CLIENT KILL 127.0.0.1:9", "-ERR No such client"),
            ("CLIENT KILL ID 9", ":0"),
            ("CLIENT KILL LADDR 127.0.0.1:6379", ":1"),
            ("CLIENT KILL LADDR 127.0.0.1:6379", ":0"),
        ]);
        assert_eq!((other.closing(), fixture.mailbox.closing()), (Some(Closing::Now), None));
        assert_eq!(lines(&fixture.run("CLIENT LIST")).len(), 1);
        fixture.check(&[("CLIENT KILL 127.0.0.1:1001", "+OK")]);
        assert_eq!(fixture.mailbox.closing(), Some(Closing::AfterReplies));
    }

    #[test]
    fn what_would_break_the_lines_is_refused() {
        let (mut fixture, _) = two_clients();
        let refused = "cannot contain spaces, newlines or special characters.";
        fixture.check(&[
            ("CLIENT GETNAME", "nil"),
            ("CLIENT SETNAME 'a b'", &format!("-ERR Client names {refused}")),
            ("CLIENT SETNAME \"a\\nb\"", &format!("-ERR Client names {refused}")),
            ("CLIENT SETNAME \"\\xff\"", &format!("-ERR Client names {refused}")),
            ("CLIENT SETNAME me", "+OK"),
            ("CLIENT GETNAME", "$me"),
            ("CLIENT SETNAME ''", "+OK"),
            ("CLIENT GETNAME", "nil"),
            ("CLIENT SETINFO lib-name 'a b'", &format!("-ERR lib-name {refused}")),
            ("CLIENT SETINFO color red", "-ERR Unrecognized option 'color'"),
            ("CLIENT NO-EVICT maybe", "-ERR syntax error"),
        ]);
    }

    #[test]
    fn replies_are_turned_off_and_on() {
        for (before, argument, after, shown) in [
            (ReplyMode::On, "OFF", ReplyMode::Off, "[]"),
            (ReplyMode::On, "SKIP", ReplyMode::SkipNext, "[]"),
            (ReplyMode::Off, "SKIP", ReplyMode::Off, "[]"),
            (ReplyMode::Off, "ON", ReplyMode::On, "+OK"),
            (ReplyMode::Off, "never", ReplyMode::Off, "-ERR syntax error"),
        ] {
            let mut fixture = Fixture::new();
            fixture.session.reply_mode = before;
            fixture.check(&[(&format!("CLIENT REPLY {argument}"), shown)]);
            assert_eq!(fixture.session.reply_mode, after, "{before:?} {argument}");
        }
    }
}
