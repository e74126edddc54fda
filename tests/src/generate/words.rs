//! What the words of a template stand for.

use crate::line;
use fastrand::Rng;

const KEYS: &[&[u8]] =
    &[b"a", b"b", b"c", b"d", b"e", b"key:1", b"key:2", b"{tag}x", b"", b"\x00\xff\r\n", b"A"];
const STREAMS: &[&str] = &["s", "t", "s"];
const FIELDS: &[&str] = &["f", "f", "f", "g", ""];
const IDS: &[&str] = &[
    "0-0",
    "0-1",
    "0-*",
    "-",
    "+",
    ">",
    "$",
    "*-1",
    "",
    "abc",
    "1-",
    "-1",
    "1-2-3",
    "007-01",
    "(5",
    "(0-0",
    "(18446744073709551615-18446744073709551615",
    "18446744073709551616-0",
];
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "10",
    "9999",
    "10000",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775807",
    "4294967296",
    "",
    " 1",
    "1 ",
    "+1",
    "-0",
    "007",
    "0x10",
    "1e3",
    "1.0",
    "abc",
    "-",
];
const FLOATS: &[&str] = &[
    "0.1",
    "-0.1",
    "1.5",
    "3.0e2",
    "1e-5",
    "10",
    "-7",
    "0",
    "inf",
    "-inf",
    "nan",
    "1e400",
    "abc",
    "",
    " 1",
    "0x1p3",
    "1e17",
    "123456789.125",
    ".5",
    "5.",
];
const INDEXES: &[&str] =
    &["0", "1", "2", "5", "-1", "-2", "-100", "100", "9223372036854775807", "abc", "1.5"];
const OFFSETS: &[&str] = &["0", "1", "7", "100", "2000", "-1", "536870912", "9223372036854775807", "abc"];
const BIT_OFFSETS: &[&str] = &["0", "1", "7", "8", "100", "20000", "-1", "4294967296", "abc", "+1"];
const FIELD_OFFSETS: &[&str] = &["0", "1", "7", "63", "#0", "#1", "#7", "100", "-1", "#-1", "#", "abc"];
const TYPES: &[&str] =
    &["u1", "u8", "u16", "u63", "i1", "i8", "i16", "i64", "i5", "u64", "i65", "u0", "x8", "i", "I8"];
const TTLS: &[&str] = &[
    "100",
    "1000",
    "20000",
    "0",
    "-1",
    "9223372036854775807",
    "9223372036854775",
    "-9223372036854775808",
    "abc",
];
const TTLS_MS: &[&str] =
    &["100000", "1000000", "0", "-1", "9223372036854775807", "-9223372036854775808", "1.5", ""];
// The year 2100: the difference to now is the same for both servers.
const TIMES: &[&str] =
    &["4102444800", "4102444900", "1", "0", "-1", "9223372036854775807", "9223372036854776", "abc"];
const TIMES_MS: &[&str] = &["4102444800000", "4102444900000", "1", "0", "-1", "9223372036854775807", "x"];
const DATABASES: &[&str] = &["0", "0", "1", "1", "1", "15", "16", "-1", "abc", "4294967296"];
const PATTERNS: &[&str] = &[
    "*", "a", "key:*", "?", "[a-c]", "[^a]", "[c-a]", "\\*", "", "*:*", "[", "[a", "\\", "**a", "{*",
    "[\\a-c]",
];
const CHANNELS: &[&str] = &["news", "sport", "new", "", "n*"];
const CHANNEL_PATTERNS: &[&str] = &["n*", "*", "s?ort", "[n]ews", "news", ""];
const OPTIONS: &[&str] = &[
    "maxclients",
    "databases",
    "timeout",
    "proto-max-bulk-len",
    "slowlog-log-slower-than",
    "slowlog-max-len",
    "hz",
    "requirepass",
    "maxmemory",
    "maxmemory-policy",
    "no-such-option",
    "tcp-keepaliv?",
    "client-query-buffer-limit",
];
const COMMAND_NAMES: &[&str] = &[
    "get",
    "SET",
    "mset",
    "bitop",
    "object",
    "object|encoding",
    "client|kill",
    "config|get",
    "nosuch",
    "ping",
    "subscribe",
    "exec",
    "watch",
    "rename",
    "scan",
    "lcs",
    "expire",
    "bitfield",
    "del",
    "hello",
    "publish",
];
// Redis 7.0 wants at least one argument of a command whose keys are asked for, Redis 7.2 none.
const COMMANDS: &[&str] = &[
    "GET a",
    "SET a b",
    "MSET a 1 b 2",
    "MSET a 1 b",
    "BITOP AND a b c",
    "NOSUCH a",
    "RENAME a b",
    "OBJECT ENCODING a",
    "DEL a b c",
    "COPY a b DB 1",
    "LCS a b",
    "SCAN 0",
    "BITFIELD a GET u8 0",
    "BITFIELD a SET u8 0 1",
    "SET a b GET",
    "GETEX a",
    "TOUCH a b",
    "WATCH a",
];

/// Random arguments drawn from one stream of random numbers.
pub struct Words<'a> {
    random: &'a mut Rng,
    steps: u64,
}

impl<'a> Words<'a> {
    /// Arguments drawn from `random`, of which some rise with the number of steps.
    pub fn new(random: &'a mut Rng, steps: u64) -> Words<'a> {
        Words { random, steps }
    }

    /// The arguments of a template, each time others.
    pub fn expand(&mut self, template: &str) -> Vec<Vec<u8>> {
        let mut arguments = Vec::new();
        let (plain, options) = match template.split_once('{') {
            Some((plain, options)) => (plain, options.trim_end_matches('}').split('|').collect()),
            None => (template, Vec::new()),
        };
        for word in plain.split_whitespace() {
            self.word(word, &mut arguments);
        }
        if !options.is_empty() {
            for _ in 0..self.random.usize(..4) {
                for word in self.pick(&options).split_whitespace() {
                    self.word(word, &mut arguments);
                }
            }
        }
        arguments
    }

    /// Now and then: letters in the other case, an argument too many or too few.
    pub fn damage(&mut self, arguments: &mut Vec<Vec<u8>>) {
        if self.random.u32(..10) == 0 {
            for argument in
                arguments.iter_mut().filter(|argument| argument.iter().all(u8::is_ascii_uppercase))
            {
                argument.make_ascii_lowercase();
            }
        }
        match self.random.u32(..60) {
            0 if arguments.len() > 1 => {
                arguments.pop();
            }
            1 => self.word("garbage", arguments),
            _ => {}
        }
    }

    fn word(&mut self, word: &str, arguments: &mut Vec<Vec<u8>>) {
        let pool = match word {
            "key" => return arguments.push(self.key()),
            "keys" => {
                let count = self.random.usize(1..4);
                return arguments.extend((0..count).map(|_| self.key()));
            }
            "pairs" => {
                for _ in 0..self.random.usize(1..4) {
                    arguments.extend([self.key(), self.value()]);
                }
                return;
            }
            "value" => return arguments.push(self.value()),
            // Redis quotes unknown names up to their first NUL.
            "garbage" => {
                let length = self.random.usize(..12);
                return arguments.push((0..length).map(|_| self.random.u8(1..)).collect());
            }
            "stream" => STREAMS,
            "any-stream" if self.random.u32(..8) == 0 => return arguments.push(self.key()),
            "any-stream" => STREAMS,
            "rising" | "rising-id" | "entry-id" | "range-id" | "read-id" => {
                return arguments.push(self.id(word));
            }
            "fields" => {
                for _ in 0..self.random.usize(1..4) {
                    arguments.extend([self.pick(FIELDS).as_bytes().to_vec(), self.value()]);
                }
                return;
            }
            "many" => {
                let start = self.random.u32(..500);
                let end = start + self.random.u32(1..400);
                return arguments.extend((start..end).map(|number| number.to_string().into_bytes()));
            }
            "small" => &["0", "1", "2", "3", "5", "5", "10", "-1", "abc"],
            "wait" => &["1", "1", "-1", "abc", ""],
            "idle" => &["0", "0", "0", "100000000", "-1", "abc"],
            "group" => &["g", "g", "g", "h"],
            "consumer" => &["alice", "bob", "bob", "carol"],
            "sketch" => &["p", "q", "p", "r"],
            "command" => return arguments.extend(line::arguments(self.pick(COMMANDS))),
            "number" if self.random.bool() => {
                return arguments.push(self.random.i32(-300..300).to_string().into_bytes());
            }
            "number" => NUMBERS,
            "float" => FLOATS,
            "index" => INDEXES,
            "offset" => OFFSETS,
            "bit-offset" => BIT_OFFSETS,
            "field-offset" => FIELD_OFFSETS,
            "type" => TYPES,
            "bit" => &["0", "1", "1", "0", "2", "-1", "x"],
            "bitop" => &["AND", "OR", "XOR", "NOT", "and", "NAND"],
            // No FAIL: when every write of a BITFIELD fails but the string grew, kvasm says so by an event and Redis does not.
            "overflow" => &["WRAP", "SAT", "sat", "NONE"],
            "ttl" => TTLS,
            "ttl-ms" => TTLS_MS,
            "at" => TIMES,
            "at-ms" => TIMES_MS,
            // A key that SET gives a time in the past may be seen or not until the server removes it.
            "later" => &TIMES[..2],
            "later-ms" => &TIMES_MS[..2],
            "until" => {
                let until = self.pick(&["PX 1", "PXAT 1", "EXAT 1"]);
                return arguments.extend(line::arguments(until));
            }
            "db" => DATABASES,
            "pattern" => PATTERNS,
            "channel" => CHANNELS,
            "channel-pattern" => CHANNEL_PATTERNS,
            "cursor" => &["0", "abc", "-1", "18446744073709551616", ""],
            "kind" => &["string", "list", "STRING", "nonsense"],
            "name" => &["tester", "a b", "", "x\ny"],
            "on-off" => &["on", "off", "ON", "maybe"],
            "protocol" => &["2", "3", "3", "2", "4", "abc", "-1"],
            "option" => OPTIONS,
            "command-name" => COMMAND_NAMES,
            literal => return arguments.push(literal.as_bytes().to_vec()),
        };
        arguments.push(self.pick(pool).as_bytes().to_vec());
    }

    /// A key, mostly one of the first few, so that commands meet.
    fn key(&mut self) -> Vec<u8> {
        let bound = if self.random.bool() { 4 } else { KEYS.len() };
        KEYS[self.random.usize(..bound)].to_vec()
    }

    /// An id of a stream entry; new ones rise with the number of steps, the others are near them.
    fn id(&mut self, word: &str) -> Vec<u8> {
        const STEPS_PER_TIME: u64 = 32;
        let now = self.steps / STEPS_PER_TIME + 1;
        let past = now.saturating_sub(self.random.u64(..6));
        let seq = self.random.u32(..4);
        let text = match (word, self.random.u32(..40)) {
            (_, 0) => self.pick(IDS).to_owned(),
            ("rising", 1..30) => format!("{now}-*"),
            ("rising", _) => format!("{now}-{seq}"),
            ("rising-id", _) => format!("{now}-9"),
            ("range-id", 1..10) => "-".to_owned(),
            ("range-id", 10..20) => "+".to_owned(),
            ("range-id", 20..25) => format!("({past}-{seq}"),
            ("read-id", 1..10) => "$".to_owned(),
            ("read-id", 10..15) => "0".to_owned(),
            ("entry-id", 1..4) => "0".to_owned(),
            (_, 30..33) => past.to_string(),
            _ => format!("{past}-{seq}"),
        };
        text.into_bytes()
    }

    fn value(&mut self) -> Vec<u8> {
        match self.random.u32(..20) {
            0..5 => self.random.i32(-20..20_000).to_string().into_bytes(),
            5..8 => self.pick(NUMBERS).as_bytes().to_vec(),
            8..10 => self.pick(FLOATS).as_bytes().to_vec(),
            10..12 => Vec::new(),
            12..15 => (0..self.random.usize(1..12)).map(|_| self.random.u8(..)).collect(),
            15 => vec![self.random.u8(..); self.random.usize(40..50)],
            16 => vec![b'x'; self.random.usize(50..1500)],
            _ => (0..self.random.usize(1..8)).map(|_| self.random.u8(b'a'..b'e')).collect(),
        }
    }

    fn pick<'p>(&mut self, pool: &[&'p str]) -> &'p str {
        pool[self.random.usize(..pool.len())]
    }
}
