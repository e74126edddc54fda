//! Does the same steps to two servers, compares every reply and message, and looks for the fewest steps that still
//! show a difference.

use crate::compare::{self, Key};
use crate::generate::{End, ORDINARY, SUBSCRIBERS, Step};
use crate::line;
use crate::raw::Raw;
use crate::server::Server;
use crate::value::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

/// Long enough for a key with a life of 1 ms to be gone.
const PAUSE: Duration = Duration::from_millis(4);
/// How long a connection may take to forget its channels.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(20);
/// How the reply of a lost connection begins.
const LOST: &str = "(connection lost)";
/// How many databases are compared at the end.
const DATABASES: usize = 16;
/// How many characters of a reply are shown.
const MAX_SHOWN: usize = 1000;
/// For how long a failure is played again and again to find fewer steps.
const REDUCTION_TIMEOUT: Duration = Duration::from_secs(120);
/// A scan that has not ended after that many calls does not end.
const MAX_SCAN_CALLS: usize = 10_000;

/// A key whose time has passed is counted by DBSIZE, but not named by KEYS, until it is removed.
const EXPIRY_TIMEOUT: Duration = Duration::from_secs(60);
const EXPIRY_POLL: Duration = Duration::from_millis(20);

/// Where two servers differ.
#[derive(Debug)]
pub struct Difference {
    /// The index of the step; the number of steps for the final state.
    pub index: usize,
    /// What was compared.
    pub what: String,
    /// What kvasm did.
    pub kvasm: String,
    /// What redis-server did.
    pub redis: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kvasm, redis] =
            [&self.kvasm, &self.redis].map(|text| text.chars().take(MAX_SHOWN).collect::<String>());
        write!(out, "{}\n  kvasm: {kvasm}\n  redis: {redis}", self.what)
    }
}

/// Plays `steps` to both servers, from empty databases and new connections. A server that does not serve any more,
/// because of what was played before, is started again.
pub fn replay(kvasm: &mut Server, redis: &mut Server, steps: &[Step]) -> Result<(), Difference> {
    let mut sides = [Side::new(kvasm), Side::new(redis)];
    let result = play_all(&mut sides, steps).and_then(|()| compare_keyspaces(&mut sides, steps.len()));
    sides.into_iter().for_each(Side::close);
    result
}

fn play_all(sides: &mut [Side<'_>; 2], steps: &[Step]) -> Result<(), Difference> {
    for (index, step) in steps.iter().enumerate() {
        let differs = |what: &str, left: String, right: String| Difference {
            index,
            what: format!("step {index}: {step}: {what}"),
            kvasm: left,
            redis: right,
        };
        if let Some((left, right)) = play(sides, step) {
            return Err(differs("the reply", left, right));
        }
        let [left, right] = sides.each_mut().map(|side| side.messages(step));
        let command = match step {
            Step::Command(_, arguments) => arguments.as_slice(),
            Step::Scan(..) | Step::ShortLife(..) | Step::Restart(_) => &[],
        };
        for (connection, (left, right)) in left.iter().zip(&right).enumerate() {
            if !compare::same_messages(command, left, right) {
                let what = format!("messages to subscriber {connection}");
                return Err(differs(&what, format!("{left:?}"), format!("{right:?}")));
            }
        }
    }
    Ok(())
}

fn compare_keyspaces(sides: &mut [Side<'_>; 2], index: usize) -> Result<(), Difference> {
    let [left, right] = sides.each_mut().map(Side::keyspace);
    let differs = |what: &str, left: String, right: String| {
        Err(Difference { index, what: format!("{what} at the end"), kvasm: left, redis: right })
    };
    if let Some((left, right)) = left.iter().zip(&right).find(|(left, right)| !left.is_same(right)) {
        return differs("a key", format!("{left:?}"), format!("{right:?}"));
    }
    if left.len() != right.len() {
        let names = |keys: &[Key]| format!("{:?}", keys.iter().map(|key| &key.name).collect::<Vec<_>>());
        return differs("the keys", names(&left), names(&right));
    }
    Ok(())
}

/// The fewest steps found, of those up to `difference`, that show a difference too, and that difference.
#[must_use]
pub fn reduce(
    kvasm: &mut Server,
    redis: &mut Server,
    steps: &[Step],
    difference: Difference,
) -> (Vec<Step>, Difference) {
    let mut steps = steps[..(difference.index + 1).min(steps.len())].to_vec();
    let mut difference = difference;
    let deadline = Instant::now() + REDUCTION_TIMEOUT;
    let mut width = steps.len() / 2;
    while width > 0 {
        let mut start = 0;
        while start + width < steps.len() && Instant::now() < deadline {
            let mut fewer = steps.clone();
            fewer.drain(start..start + width);
            match replay(kvasm, redis, &fewer) {
                Err(found) => {
                    fewer.truncate(found.index + 1);
                    (steps, difference) = (fewer, found);
                }
                Ok(()) => start += width,
            }
        }
        width /= 2;
    }
    (steps, difference)
}

/// Does one step on both sides: both replies when they differ.
fn play(sides: &mut [Side<'_>; 2], step: &Step) -> Option<(String, String)> {
    match step {
        Step::ShortLife(connection, set) => {
            let exists = [b"EXISTS", set[1].as_slice()].map(<[u8]>::to_vec);
            play_command(sides, *connection, set).or_else(|| {
                std::thread::sleep(PAUSE);
                play_command(sides, *connection, &exists)
            })
        }
        Step::Scan(connection, options) => {
            let [left, right] = sides.each_mut().map(|side| side.scan(*connection, options));
            (left != right).then(|| (format!("{left:?}"), format!("{right:?}")))
        }
        Step::Restart(end) => {
            for side in sides.iter_mut() {
                side.restart(*end);
            }
            None
        }
        // Their replies are collected with their messages.
        Step::Command(connection, arguments) if SUBSCRIBERS.contains(connection) => {
            send(sides, *connection, arguments);
            None
        }
        Step::Command(connection, arguments) => play_command(sides, *connection, arguments),
    }
}

/// Sends to both before either is read, so that the command happens at nearly the same time.
fn send(sides: &mut [Side<'_>; 2], connection: usize, arguments: &[Vec<u8>]) {
    for side in sides {
        side.send(connection, arguments);
    }
}

fn play_command(
    sides: &mut [Side<'_>; 2],
    connection: usize,
    arguments: &[Vec<u8>],
) -> Option<(String, String)> {
    send(sides, connection, arguments);
    let [left, right] = sides.each_mut().map(|side| side.read(connection));
    let same = match sides[1].note(connection, arguments, &right) {
        Some(queued) => compare::same_exec(&queued, &left, &right),
        None => compare::same_reply(arguments, &left, &right),
    };
    let lost = [&left, &right].iter().any(|reply| reply.bytes().starts_with(LOST.as_bytes()));
    (!same || lost).then(|| (left.to_string(), right.to_string()))
}

fn drain(connection: &mut Raw) -> Vec<Value> {
    connection.drain("#nonce#").unwrap_or_else(|error| vec![lost(&error)])
}

/// Stands for the reply that a lost connection has not given.
fn lost(error: &std::io::Error) -> Value {
    Value::Error(format!("{LOST}: {error}").into_bytes())
}

/// One server and the connections to it.
struct Side<'a> {
    server: &'a mut Server,
    connections: Vec<Raw>,
    queued: Vec<Vec<Vec<Vec<u8>>>>,
    watcher: Raw,
}

impl<'a> Side<'a> {
    fn new(server: &'a mut Server) -> Side<'a> {
        if !server.connect().try_command(&["FLUSHALL"]).is_ok_and(|reply| !reply.is_error()) {
            server.kill_nine();
            server.restart();
            server.connect().run("FLUSHALL");
        }
        let (connections, watcher) = connections(server);
        Side { queued: vec![Vec::new(); connections.len()], connections, watcher, server }
    }

    /// Ends the server and starts it again.
    fn restart(&mut self, end: End) {
        if !self.server.is_kvasm() {
            self.server.rewrite_log();
        }
        match end {
            End::Terminate => self.server.terminate(),
            End::Kill => self.server.kill_nine(),
        }
        self.server.restart();
        (self.connections, self.watcher) = connections(self.server);
        self.queued.iter_mut().for_each(Vec::clear);
    }

    fn send(&mut self, connection: usize, arguments: &[Vec<u8>]) {
        // A lost connection shows when its reply is read.
        let _ = self.connections[connection].try_send(&line::encode(arguments));
    }

    fn read(&mut self, connection: usize) -> Value {
        self.connections[connection].try_read().unwrap_or_else(|error| lost(&error))
    }

    /// What the subscribers and the watcher of keyspace events got from a step, in order. The connection of the step
    /// is asked first: when it answers, the step has been done.
    fn messages(&mut self, step: &Step) -> Vec<Vec<Value>> {
        let mut messages = vec![Vec::new(); SUBSCRIBERS.len() + 1];
        if let Step::Command(connection, _) = step
            && SUBSCRIBERS.contains(connection)
        {
            messages[connection - SUBSCRIBERS.start] = drain(&mut self.connections[*connection]);
        }
        let subscribers = self.connections[SUBSCRIBERS].iter_mut();
        for (messages, connection) in messages.iter_mut().zip(subscribers.chain([&mut self.watcher])) {
            messages.extend(drain(connection));
        }
        messages
    }

    /// Keeps the commands that are queued by MULTI; those of an EXEC that has been answered with an array.
    fn note(&mut self, connection: usize, arguments: &[Vec<u8>], reply: &Value) -> Option<Vec<Vec<Vec<u8>>>> {
        let queued = &mut self.queued[connection];
        let name = arguments.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
        match name.as_slice() {
            _ if *reply == Value::Simple(b"QUEUED".to_vec()) => queued.push(arguments.to_vec()),
            b"EXEC" if arguments.len() == 1 => return Some(std::mem::take(queued)),
            // With a wrong number of arguments it ends the transaction, too.
            b"EXEC" => queued.clear(),
            b"DISCARD" | b"RESET" if !reply.is_error() => queued.clear(),
            _ => {}
        }
        None
    }

    fn scan(&mut self, connection: usize, options: &[Vec<u8>]) -> Result<BTreeSet<Vec<u8>>, Value> {
        let mut cursor = b"0".to_vec();
        let mut found = BTreeSet::new();
        for _ in 0..MAX_SCAN_CALLS {
            let mut arguments = vec![b"SCAN".to_vec(), cursor];
            arguments.extend_from_slice(options);
            self.send(connection, &arguments);
            let reply = self.read(connection);
            self.note(connection, &arguments, &reply);
            let [next, keys] = reply.elements().try_into().map_err(|_| reply)?;
            found.extend(keys.elements().iter().map(|key| key.bytes().to_vec()));
            cursor = next.bytes().to_vec();
            if cursor == b"0" {
                return Ok(found);
            }
        }
        panic!("SCAN does not end: {cursor:?} after {MAX_SCAN_CALLS} calls");
    }

    fn keyspace(&mut self) -> Vec<Key> {
        let connection = &mut self.connections[0];
        connection.run("RESET");
        let mut keys = Vec::new();
        for database in 0..DATABASES {
            connection.run(&format!("SELECT {database}"));
            for name in names(connection) {
                let mut ask = |command: &[&str]| {
                    let word =
                        |word: &&str| if *word == "KEY" { name.clone() } else { word.as_bytes().to_vec() };
                    connection.command(&command.iter().map(word).collect::<Vec<_>>())
                };
                let kind = (ask(&["TYPE", "KEY"]), ask(&["OBJECT", "ENCODING", "KEY"]));
                let (read, width) = compare::reading(kind.0.bytes());
                let value = compare::comparable(kind.0.bytes(), ask(read), width);
                let ttl_ms = ask(&["PTTL", "KEY"]).integer().expect("PTTL is a number");
                keys.push(Key { name: (database, name), value, kind, ttl_ms });
            }
        }
        keys
    }

    /// Leaves all channels before the connections close, which the server may notice late.
    fn close(mut self) {
        for connection in self.connections.iter_mut().chain([&mut self.watcher]) {
            connection.set_reply_timeout(CLOSE_TIMEOUT);
            if connection.try_send(b"RESET\r\n").is_ok() {
                while connection.try_read().is_ok_and(|reply| reply.bytes() != b"RESET") {}
            }
        }
    }
}

/// New connections to a server: those of the steps, and the one that watches keyspace events.
fn connections(server: &Server) -> (Vec<Raw>, Raw) {
    let mut connections: Vec<Raw> = (0..SUBSCRIBERS.end).map(|_| server.connect()).collect();
    for index in [ORDINARY.end - 1, SUBSCRIBERS.end - 1] {
        connections[index].run("HELLO 3");
    }
    let mut watcher = server.connect();
    watcher.run("PSUBSCRIBE __key*__:*");
    (connections, watcher)
}

/// The names of the keys of the selected database, sorted, when there are as many as DBSIZE says.
fn names(connection: &mut Raw) -> Vec<Vec<u8>> {
    let deadline = Instant::now() + EXPIRY_TIMEOUT;
    loop {
        let mut names: Vec<Vec<u8>> =
            connection.run("KEYS *").elements().iter().map(|name| name.bytes().to_vec()).collect();
        let count = connection.run("DBSIZE").integer();
        if count == Some(names.len() as i64) {
            names.sort();
            return names;
        }
        assert!(Instant::now() < deadline, "DBSIZE says {count:?}, KEYS names {}", names.len());
        std::thread::sleep(EXPIRY_POLL);
    }
}
