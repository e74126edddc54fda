//! What counts as the same reply of two servers: byte for byte the same value, but for a short list of commands whose
//! replies tell the time, the process or the order of a hash table.

use crate::facts::{sketch, stream_facts};
use crate::value::Value;

/// How far apart a step's two executions can be, in milliseconds. The times that the generator gives keys differ by more.
const CLOCK_SLACK_MS: i64 = 30_000;
/// The same for replies in seconds.
const CLOCK_SLACK_S: i64 = 30;

/// What of a reply is compared.
enum Rule {
    /// Everything.
    Exact,
    /// Numbers may differ by that much; negative ones are answers such as "no such key" and must be equal.
    Near(i64),
    /// The elements may come in another order.
    AnyOrder,
    /// As `AnyOrder`, for pairs of a name and a value.
    AnyOrderPairs,
    /// Only the kind of value, and that it is an error or not.
    Kind,
    /// The kind of value and the number of elements.
    Sample,
    /// A cursor and groups of so many elements in any order. Where one of the walks is not through, cursors and what
    /// was found so far are those of different tables: only the kind is compared.
    Walk(usize),
    /// Small lists and sets have a form of their own since Redis 7.2, and kvasm tells that. After a restart it has
    /// forgotten that room to grow was made for a short string; Redis does the commands again that made it.
    Encoding,
    /// Descriptions of commands: name, arity, set of flags, first key, last key, step. The rest of a description
    /// (categories, tips, subcommands) is for people and changes from release to release.
    Descriptions,
    /// Facts about a stream: times may differ as by `Near`, some facts not be there (see [`stream_facts`]).
    StreamFacts,
    /// A map of facts of which only those named must be equal.
    Fields(&'static [&'static str]),
}

/// The tolerated differences. A command with a subcommand is written `NAME SUBCOMMAND`.
const RULES: &[(&str, Rule)] = &[
    ("TTL", Rule::Near(CLOCK_SLACK_S)),
    ("PTTL", Rule::Near(CLOCK_SLACK_MS)),
    ("EXPIRETIME", Rule::Near(CLOCK_SLACK_S)),
    ("PEXPIRETIME", Rule::Near(CLOCK_SLACK_MS)),
    ("HGETALL", Rule::AnyOrderPairs),
    ("HKEYS", Rule::AnyOrder),
    ("HRANDFIELD", Rule::Sample),
    ("HSCAN", Rule::Walk(2)),
    ("HVALS", Rule::AnyOrder),
    ("SDIFF", Rule::AnyOrder),
    ("SINTER", Rule::AnyOrder),
    ("SMEMBERS", Rule::AnyOrder),
    ("SPOP", Rule::AnyOrder),
    ("SRANDMEMBER", Rule::Sample),
    ("SSCAN", Rule::Walk(1)),
    ("SUNION", Rule::AnyOrder),
    ("ZRANDMEMBER", Rule::Sample),
    ("ZSCAN", Rule::Walk(2)),
    ("OBJECT ENCODING", Rule::Encoding),
    // Redis shares one object among all equal small integers, with its age and its count.
    ("OBJECT IDLETIME", Rule::Kind),
    ("OBJECT REFCOUNT", Rule::Kind),
    ("KEYS", Rule::AnyOrder),
    ("PUBSUB CHANNELS", Rule::AnyOrder),
    ("CONFIG GET", Rule::AnyOrderPairs),
    ("COMMAND INFO", Rule::Descriptions),
    ("RANDOMKEY", Rule::Kind),
    // Cursors are positions in different tables; whole scans are compared as sets.
    ("SCAN", Rule::Kind),
    ("TIME", Rule::Kind),
    ("XPENDING", Rule::StreamFacts),
    ("XINFO STREAM", Rule::StreamFacts),
    ("XINFO CONSUMERS", Rule::StreamFacts),
    ("CLIENT ID", Rule::Kind),
    ("CLIENT INFO", Rule::Kind),
    ("CLIENT LIST", Rule::Kind),
    ("HELLO", Rule::Fields(&["proto", "mode", "role", "modules"])),
];

/// Whether the two servers gave the same answer to a command.
#[must_use]
pub fn same_reply(command: &[Vec<u8>], left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Error(left), Value::Error(right)) => same_error(command, left, right),
        _ if has_scores(command) => same_by_rule(command, &scores(left), &scores(right)),
        _ => same_by_rule(command, left, right),
    }
}

/// kvasm's errors are text: bytes of a request that are none are replaced where they are quoted, and arguments are quoted
/// whole, by Redis up to their first NUL.
fn same_error(command: &[Vec<u8>], left: &[u8], right: &[u8]) -> bool {
    let has_nul = command.iter().flatten().any(|byte| *byte == 0);
    let unquoted = |text: &[u8]| text.split(|byte| *byte == b'\'').next().map(<[u8]>::to_vec);
    String::from_utf8_lossy(left) == String::from_utf8_lossy(right)
        || has_nul && unquoted(left) == unquoted(right)
}

/// Whether replies of a command have scores, which Redis prints in the shortest form since 7.2 only.
fn has_scores(command: &[Vec<u8>]) -> bool {
    let name = command.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
    name.starts_with(b"Z") || name.starts_with(b"BZ")
}

/// A reply with the numbers in it printed in one way.
fn scores(reply: &Value) -> Value {
    let print = |text: &[u8]| match std::str::from_utf8(text).unwrap_or_default().parse::<f64>() {
        // There is one zero.
        Ok(number) => format!("{:?}", number + 0.0).into_bytes(),
        Err(_) => text.to_vec(),
    };
    match reply {
        Value::Bulk(text) => Value::Bulk(print(text)),
        Value::Double(text) => Value::Double(print(text)),
        Value::Array(elements) => Value::Array(elements.iter().map(scores).collect()),
        other => other.clone(),
    }
}

fn same_by_rule(command: &[Vec<u8>], left: &Value, right: &Value) -> bool {
    match rule(command) {
        Rule::Exact => left == right,
        Rule::Near(slack) => near(left, right, *slack),
        Rule::AnyOrder => same_in_any_order(left, right, 1),
        Rule::AnyOrderPairs => same_in_any_order(left, right, 2),
        Rule::Sample => same_kind(left, right) && left.elements().len() == right.elements().len(),
        Rule::Walk(width) if command.get(2).is_some_and(|cursor| cursor == b"0") => {
            same_walk(left, right, *width)
        }
        Rule::Encoding => same_encoding(left, right),
        Rule::Descriptions => descriptions(left) == descriptions(right) && same_kind(left, right),
        // A walk from a cursor that the server has not given.
        Rule::Walk(_) | Rule::Kind => same_kind(left, right),
        Rule::StreamFacts => {
            let [(left, left_times), (right, right_times)] = [left, right].map(stream_facts);
            let mut times = left_times.iter().zip(&right_times);
            left == right && times.all(|(left, right)| left.abs_diff(*right) as i64 <= CLOCK_SLACK_MS)
        }
        Rule::Fields(fields) => {
            same_kind(left, right) && fields.iter().all(|field| left.field(field) == right.field(field))
        }
    }
}

/// Whether the two servers gave the same answers to an EXEC of `queued` commands.
#[must_use]
pub fn same_exec(queued: &[Vec<Vec<u8>>], left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right))
            if left.len() == queued.len() && right.len() == queued.len() =>
        {
            queued
                .iter()
                .zip(left.iter().zip(right))
                .all(|(command, (left, right))| same_reply(command, left, right))
        }
        _ => left == right,
    }
}

/// Whether two subscribers got the same in one step of the command.
#[must_use]
pub fn same_messages(command: &[Vec<u8>], left: &[Value], right: &[Value]) -> bool {
    let is_among = |names: &[&str]| {
        command
            .first()
            .is_some_and(|name| names.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes())))
    };
    let mut messages = [left, right].map(<[Value]>::to_vec);
    if is_among(&["XREAD", "EXEC"]) {
        messages = messages.map(without_repeated_misses);
    }
    if is_among(&["SORT", "SORT_RO", "EXEC"]) {
        for messages in &mut messages {
            sort_misses(messages);
        }
    }
    let [left, right] = messages;
    same_in_order(&left, &right)
}

/// XREAD looks its keys up twice in Redis, which announces each miss twice; kvasm announces it once.
fn without_repeated_misses(messages: Vec<Value>) -> Vec<Value> {
    let mut kept: Vec<Value> = Vec::new();
    for message in messages {
        if !(tells_miss(&message) && kept.contains(&message)) {
            kept.push(message);
        }
    }
    kept
}

/// SORT looks up what stands at other keys in the order of the set's hash table.
fn sort_misses(messages: &mut [Value]) {
    for misses in messages.chunk_by_mut(|left, right| tells_miss(left) && tells_miss(right)) {
        misses.sort();
    }
}

fn tells_miss(message: &Value) -> bool {
    message.elements().iter().any(|part| {
        part.bytes() == b"keymiss"
            || part.bytes().starts_with(b"__keyevent@") && part.bytes().ends_with(b":keymiss")
    })
}

fn same_in_order(left: &[Value], right: &[Value]) -> bool {
    // In RESP3 a reply may come before or after the messages that its own command has sent.
    let by_kind = |values: &[Value]| {
        let (pushed, replies): (Vec<Value>, Vec<Value>) =
            values.iter().cloned().partition(|value| matches!(value, Value::Push(_)));
        [in_defined_order(&pushed), in_defined_order(&replies)].concat()
    };
    let (left, right) = (by_kind(left), by_kind(right));
    left.len() == right.len() && left.iter().zip(&right).all(|(left, right)| same_answer(left, right))
}

/// Messages with those sorted whose order is that of a hash table: one publication that reaches a subscriber through
/// several patterns, and the leaving of all channels at once (where the counts stay as they are).
fn in_defined_order(messages: &[Value]) -> Vec<Value> {
    let mut ordered = Vec::new();
    for run in
        messages.chunk_by(|left, right| unordered(left).is_some() && unordered(left) == unordered(right))
    {
        let mut names: Vec<Value> =
            run.iter().filter_map(|message| message.elements().get(1).cloned()).collect();
        names.sort();
        for (index, message) in run.iter().enumerate() {
            let mut message = message.clone();
            if let (Value::Array(elements) | Value::Push(elements), true) = (&mut message, run.len() > 1) {
                elements[1] = names[index].clone();
            }
            ordered.push(message);
        }
    }
    ordered
}

/// What neighbouring messages have in common whose order is not defined.
fn unordered(message: &Value) -> Option<Vec<Value>> {
    let elements = message.elements();
    match elements.first()?.bytes() {
        b"pmessage" => Some(elements[2..].to_vec()),
        b"unsubscribe" | b"punsubscribe" => Some(elements[..1].to_vec()),
        _ => None,
    }
}

/// What is compared of each description; of a command that there is not, the null in its place.
fn descriptions(reply: &Value) -> Vec<Vec<Value>> {
    let describe = |command: &Value| {
        if command.elements().is_empty() {
            return vec![command.clone()];
        }
        let mut facts: Vec<Value> = command.elements().into_iter().take(6).collect();
        if let Some(Value::Array(flags) | Value::Set(flags)) = facts.get_mut(2) {
            flags.sort();
        }
        facts
    };
    reply.elements().iter().map(describe).collect()
}

/// Whether two replies to a subscriber, of which its command is not known here, are the same.
fn same_answer(left: &Value, right: &Value) -> bool {
    let tolerated = left.is_error() || left.field("proto").is_some();
    left == right || tolerated && same_reply(&[b"HELLO".to_vec()], left, right)
}

fn rule(command: &[Vec<u8>]) -> &'static Rule {
    let word = |index: usize| {
        command.get(index).map(|word| String::from_utf8_lossy(word).to_uppercase()).unwrap_or_default()
    };
    let (name, with_subcommand) = (word(0), format!("{} {}", word(0), word(1)));
    let rule = RULES.iter().find(|(named, _)| *named == name || *named == with_subcommand);
    rule.map_or(&Rule::Exact, |(_, rule)| rule)
}

fn near(left: &Value, right: &Value, slack: i64) -> bool {
    match (left, right) {
        (Value::Integer(left), Value::Integer(right)) if *left >= 0 && *right >= 0 => {
            left.abs_diff(*right) as i64 <= slack
        }
        _ => left == right,
    }
}

/// Whether two replies that are no arrays are equal, and arrays but for the order of groups of elements.
fn same_in_any_order(left: &Value, right: &Value, width: usize) -> bool {
    let (elements, others) = (left.elements(), right.elements());
    let same =
        if elements.is_empty() { left == right } else { sorted(&elements, width) == sorted(&others, width) };
    same && same_kind(left, right)
}

fn same_walk(left: &Value, right: &Value, width: usize) -> bool {
    match (&left.elements()[..], &right.elements()[..]) {
        ([cursor, found], [other, also_found]) if cursor.bytes() == b"0" && other.bytes() == b"0" => {
            same_in_any_order(found, also_found, width)
        }
        ([_, _], [_, _]) => true,
        _ => left == right,
    }
}

fn same_encoding(kvasm: &Value, redis: &Value) -> bool {
    let small_since = kvasm.bytes() == b"listpack" && matches!(redis.bytes(), b"hashtable" | b"quicklist");
    // The number that INCRBYFLOAT leaves stands in Redis' log as a SET, which makes an integer of it.
    let restarted = kvasm.bytes() == b"embstr" && matches!(redis.bytes(), b"raw" | b"int");
    kvasm == redis || small_since || restarted
}

fn same_kind(left: &Value, right: &Value) -> bool {
    std::mem::discriminant(left) == std::mem::discriminant(right)
}

/// The elements in groups of `width`, sorted.
fn sorted(elements: &[Value], width: usize) -> Vec<Vec<Value>> {
    let mut groups: Vec<Vec<Value>> = elements.chunks(width).map(<[Value]>::to_vec).collect();
    groups.sort();
    groups
}

/// How the whole value of a type is read, the key being `KEY`; and if it has no order, of how many elements each group
/// is that stays together.
#[must_use]
pub fn reading(kind: &[u8]) -> (&'static [&'static str], Option<usize>) {
    match kind {
        b"hash" => (&["HGETALL", "KEY"], Some(2)),
        b"list" => (&["LRANGE", "KEY", "0", "-1"], None),
        b"set" => (&["SMEMBERS", "KEY"], Some(1)),
        b"stream" => (&["XINFO", "STREAM", "KEY", "FULL", "COUNT", "0"], None),
        b"zset" => (&["ZRANGE", "KEY", "0", "-1", "WITHSCORES"], None),
        _ => (&["GET", "KEY"], None),
    }
}

/// A value of a type that was read, its elements sorted if they have no order, without what need not be the same.
#[must_use]
pub fn comparable(kind: &[u8], value: Value, width: Option<usize>) -> Value {
    match (width, kind) {
        (Some(width), _) => Value::Array(sorted(&value.elements(), width).concat()),
        (None, b"stream") => stream_facts(&value).0,
        (None, b"string") => sketch(value),
        (None, _) => value,
    }
}

/// One key as the final comparison sees it.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// Its database and name.
    pub name: (usize, Vec<u8>),
    /// Its value.
    pub value: Value,
    /// What `TYPE` and `OBJECT ENCODING` call it.
    pub kind: (Value, Value),
    /// What `PTTL` says.
    pub ttl_ms: i64,
}

impl Key {
    /// Whether another server's key is the same.
    #[must_use]
    pub fn is_same(&self, other: &Key) -> bool {
        let ttl = near(&Value::Integer(self.ttl_ms), &Value::Integer(other.ttl_ms), CLOCK_SLACK_MS);
        let ((kind, encoding), (other_kind, other_encoding)) = (&self.kind, &other.kind);
        // That of small hashes has had its present name since Redis 7.0.
        let encoding = if kind.bytes() == b"hash" {
            encoding == other_encoding
        } else {
            same_encoding(encoding, other_encoding)
        };
        let value = if kind.bytes() == b"zset" {
            scores(&self.value) == scores(&other.value)
        } else {
            self.value == other.value
        };
        // Redis gives a sorted set the big encoding when it sorts it.
        let encoding = encoding || self.name.1.starts_with(b"sort:") && other_encoding.bytes() == b"skiplist";
        ttl && encoding && value && kind == other_kind && self.name == other.name
    }
}
