//! Running commands in tests without sockets, clients or disk.

use std::rc::Rc;

use super::{Context, Error, Found, Outcome, Run, find};
use crate::keyspace::{EventClasses, Keyspace};
use crate::options::Options;
use crate::protocol::{Reply, Shape, split_inline};
use crate::state::{Mailbox, Message, Server, Session};
use crate::store::{Databases, Seed};
use crate::types::scored;

/// A server's state with one client, at a time that stands still unless it is set.
pub(super) struct Fixture {
    pub keyspace: Keyspace,
    pub server: Server,
    pub session: Session,
    pub mailbox: Rc<Mailbox>,
    pub messages: Vec<Message>,
    /// The time of the next request, in microseconds of unix time.
    pub now_us: u64,
}

/// 2024-01-01, in microseconds of unix time.
const NOW_US: u64 = 1_704_067_200_000_000;

impl Fixture {
    /// Empty databases.
    pub fn new() -> Self {
        let mut keyspace = Keyspace::new(Seed::new(1), Databases::new(), &[0; 17], 0);
        let classes = EventClasses::ALL.with(EventClasses::NEW).with(EventClasses::KEY_MISS);
        keyspace.journal_mut().listen(classes, false);
        Self {
            keyspace,
            server: Server::new(Options::default(), None),
            session: Session::new(1, None, None, NOW_US / 1_000_000),
            mailbox: Rc::default(),
            messages: Vec::new(),
            now_us: NOW_US,
        }
    }

    /// Runs a request in redis-cli's notation as one transaction; its events are forgotten.
    pub fn run(&mut self, request: &str) -> Reply {
        let reply = self.run_within(request);
        self.keyspace.commit();
        reply
    }

    /// Runs requests in order and compares their replies, in this notation: `+OK`, `-ERR ...`, `:1`, `$text` with
    /// escapes, `nil`, `[:1 nil]` and `{$key: :1}`.
    #[track_caller]
    pub fn check(&mut self, expected: &[(&str, &str)]) {
        for (request, reply) in expected {
            assert_eq!(show(&self.run(request)), *reply, "{request}");
        }
    }

    /// Runs a request and compares its events, in this notation: `<database> <event> <key>`.
    #[track_caller]
    pub fn check_events(&mut self, request: &str, expected: &[&str]) {
        self.run_within(request);
        let events = self.keyspace.commit();
        let events: Vec<String> = events
            .iter()
            .map(|event| {
                let key = String::from_utf8_lossy(&event.key);
                format!("{} {} {key}", event.database, event.kind.name)
            })
            .collect();
        assert_eq!(events, expected, "{request}");
    }

    /// Calls a handler itself, for what no reply shows.
    pub fn with_context<R>(&mut self, call: impl FnOnce(&mut Context<'_>) -> R) -> R {
        call(&mut Context {
            keyspace: &mut self.keyspace,
            server: &mut self.server,
            session: &mut self.session,
            mailbox: Some(&self.mailbox),
            messages: &mut self.messages,
        })
    }

    /// Runs a request as a part of a transaction that stays open.
    #[track_caller]
    pub fn run_within(&mut self, request: &str) -> Reply {
        let arguments = split_inline(request.as_bytes()).expect("balanced quotes");
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        let Ok(Found { row: command, .. }) = find(&arguments) else { panic!("{request}: no command") };
        assert!(command.accepts(arguments.len()), "{request}: number of arguments");
        self.keyspace.begin(self.now_us);
        let result = self.with_context(|context| match command.run {
            Run::Reply(run) => run(context, &arguments),
            Run::Outcome(run) => run(context, &arguments).map(|outcome| match outcome {
                Outcome::Reply(reply) => reply,
                // As in MULTI.
                Outcome::Block(block) => block.refused,
                other => panic!("{request}: {other:?}"),
            }),
            Run::Container => panic!("{request}: a container in a container"),
        });
        match result {
            Ok(reply) => reply,
            Err(Error::Reply(text)) => Reply::Error(text),
            Err(again) => panic!("{request}: {again:?} in a server without a disk and triggers"),
        }
    }
}

fn show(reply: &Reply) -> String {
    let list = |items: &[Reply]| items.iter().map(show).collect::<Vec<_>>().join(" ");
    match reply {
        Reply::Simple(text) => format!("+{text}"),
        Reply::Error(text) => format!("-{text}"),
        Reply::Integer(number) => format!(":{number}"),
        Reply::Bulk(string) => format!("${}", string.to_bytes().escape_ascii()),
        Reply::Text(text) => format!("${text}"),
        Reply::Verbatim(text) => format!("={text}"),
        Reply::Bytes(bytes) => format!("${}", bytes.escape_ascii()),
        Reply::Null | Reply::NullArray => "nil".into(),
        Reply::Double(number) => format!(",{number}"),
        Reply::Decimal(text) => format!(",{text}"),
        Reply::Boolean(value) => format!("#{value}"),
        Reply::BigNumber(digits) => format!("({digits}"),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) | Reply::Sequence(items) => {
            format!("[{}]", list(items))
        }
        Reply::Items(Shape::Scored, items) => {
            let items: Vec<String> = scored(items)
                .map(|(member, score)| format!("[${} ,{score}]", member.escape_ascii()))
                .collect();
            format!("[{}]", items.join(" "))
        }
        Reply::Items(_, items) => {
            let items: Vec<String> = items.iter().map(|item| format!("${}", item.escape_ascii())).collect();
            format!("[{}]", items.join(" "))
        }
        Reply::Map(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| format!("{}: {}", show(key), show(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}
