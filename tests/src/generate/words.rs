//! What the words of a template stand for.

use super::streams;
use crate::line;
use fastrand::Rng;

const KEYS: &[&[u8]] =
    &[b"a", b"b", b"c", b"d", b"e", b"key:1", b"key:2", b"{tag}x", b"", b"\x00\xff\r\n", b"A"];
const HASHES: &[&[u8]] = &[b"hash:1", b"hash:2", b"hash:3"];
const SORTED_SETS: &[&[u8]] = &[b"z", b"y", b"zset:1", b"many"];
const LISTS: &[&[u8]] = &[b"list:1", b"list:2", b"list:3"];
const SETS: &[&[u8]] = &[b"set:1", b"set:2", b"set:3", b"set:4"];
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
// Longer than a test takes: nothing ends by itself, at one moment here and at another there.
const TTLS: &[&str] = &[
    "100000",
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
    &["100000000", "1000000", "0", "-1", "9223372036854775807", "-9223372036854775808", "1.5", ""];
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
    "MaxMemory-Policy",
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
    "hset",
    "hrandfield",
    "hgetall",
    "hscan",
    "hincrbyfloat",
    "sadd",
    "spop",
    "sinterstore",
    "sintercard",
    "smove",
    "sscan",
    "del",
    "zadd",
    "zunionstore",
    "zinter",
    "zrangestore",
    "zmpop",
    "geosearch",
    "georadius",
    "hello",
    "publish",
    "lpush",
    "lpop",
    "linsert",
    "lmove",
    "lmpop",
    "blpop",
    "blmove",
    "blmpop",
    "client|unblock",
    "sort",
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
    "HSET a b c",
    "SINTERSTORE a b c",
    "SINTERCARD 2 a b LIMIT 1",
    "SMOVE a b c",
    "TOUCH a b",
    "WATCH a",
    "ZADD a 1 b",
    "ZUNIONSTORE a 2 b c WEIGHTS 1 2",
    "ZUNIONSTORE a 5 b c",
    "ZUNION 0 a",
    "ZINTER 2 a b",
    "ZMPOP 1 a MIN",
    "GEORADIUS a 1 2 3 m STORE b",
    "GEORADIUS a 1 2 3 m STOREDIST c STORE b",
    "XREAD COUNT 1 a",
    "XREAD STREAMS a",
    "XREAD STREAMS a 0",
    "FCALL f 0 a",
    "FCALL f 2 a",
    "GEORADIUS a 1 2 3 m",
    "GEOSEARCHSTORE a b FROMMEMBER c BYRADIUS 1 m",
    "RPUSH a b",
    "LMOVE a b LEFT LEFT",
    "LMPOP 2 a b LEFT",
    "BLPOP a b 0",
    "BLMPOP 0 1 a LEFT",
    "BZPOPMIN a b 0",
    "BZMPOP 0 1 a MIN",
    "BRPOPLPUSH a b 0",
    "SORT a BY b GET c STORE d",
    "SORT a LIMIT store store STORE b STORE c",
    "SORT_RO a BY b STORE c",
];

const LEX_SETS: &[&str] = &["lex:1", "lex:2"];
const GEO_SETS: &[&str] = &["geo:1", "geo:2", "geo:3"];
const SCORES: &[&str] = &[
    "0",
    "1",
    "1",
    "2",
    "-1",
    "3",
    "0.5",
    "1.5",
    "-2.25",
    "0.1",
    "1e300",
    "1e-5",
    "inf",
    "-inf",
    "3.0e2",
    "-0",
    "nan",
    "abc",
    "",
    "123456789.125",
    "0x10",
];
const SCORE_BOUNDS: &[&str] = &[
    "-inf", "-inf", "+inf", "+inf", "inf", "0", "(0", "1", "(1", "2", "(2.5", "-1", "5", "(", "", " 1", "x",
    "nan", "(inf",
];
const LEX_BOUNDS: &[&str] =
    &["-", "-", "+", "+", "[a", "(b", "[c", "(d", "[", "(", "[bb", "(member", "a", "", "[zz"];
const AREAS: &[&str] = &[
    "BYRADIUS 100 km",
    "BYRADIUS 1000 km",
    "BYRADIUS 3000 km",
    "BYRADIUS 9000 mi",
    "BYRADIUS 30000 km",
    "BYRADIUS 0 m",
    "BYRADIUS -1 m",
    "BYRADIUS x m",
    "BYBOX 200 300 km",
    "BYBOX 5000 1000 km",
    "BYBOX 9000000 9000000 ft",
    "BYBOX 20000 20000 mi",
    "BYBOX -1 1 km",
    "BYBOX 1 x km",
];

const SORT_LISTS: &[&str] = &["sort:list:1", "sort:list:2"];
const SORT_SETS: &[&str] = &["sort:set:1", "sort:set:2"];
const SORT_SORTED_SETS: &[&str] = &["sort:zset:1", "sort:zset:2"];
const SORT_ELEMENTS: &[&str] =
    &["1.5", "-3", "1e3", "0x10", "inf", "-inf", " 7", "2.0", "+4", "-0", "1000000000000", ""];
const SORT_PATTERNS: &[&str] = &[
    "#",
    "w:*",
    "w:*",
    "h:*->f",
    "h:*->f",
    "h:*->g",
    "h:*->none",
    "h:*",
    "w:*->f",
    "w:*->",
    "*",
    "->*",
    "w",
];

/// Random arguments drawn from one stream of random numbers.
pub struct Words<'a> {
    random: &'a mut Rng,
    /// How many keys the last list of them had.
    keys: usize,
    steps: u64,
}

impl<'a> Words<'a> {
    /// Arguments drawn from `random`, of which some rise with the number of steps.
    pub fn new(random: &'a mut Rng, steps: u64) -> Words<'a> {
        Words { random, keys: 1, steps }
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

    #[expect(clippy::too_many_lines, reason = "a table of words, each a line or two")]
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
            "hash" => return arguments.push(self.key_among(HASHES)),
            "set" => return arguments.push(self.key_among(SETS)),
            "sets" => {
                let count = self.random.usize(1..4);
                return arguments.extend((0..count).map(|_| self.key_among(SETS)));
            }
            "list" => return arguments.push(self.key_among(LISTS)),
            "elements" => {
                let count = if self.random.u32(..20) == 0 { 400 } else { self.random.usize(1..6) };
                return arguments.extend((0..count).map(|_| self.element()));
            }
            "field" | "member" | "element" => return arguments.push(self.element()),
            "members" => {
                let count = self.random.usize(1..6);
                return arguments.extend((0..count).map(|_| self.element()));
            }
            "fields" => {
                for _ in 0..self.random.usize(1..4) {
                    arguments.extend([self.element(), self.value()]);
                }
                return;
            }
            "scored" | "lex-scored" | "many-scored" | "places" => {
                return self.repeated(word, arguments);
            }
            "add-options" | "geo-options" => {
                let options: &[&str] = if word == "add-options" {
                    &["NX", "XX", "GT", "LT", "CH", "INCR"]
                } else {
                    &["NX", "XX", "CH"]
                };
                let count = self.random.usize(..3);
                return arguments.extend((0..count).map(|_| self.pick(options).as_bytes().to_vec()));
            }
            "zsets" => return self.counted_sets(arguments),
            "weights" => {
                if self.random.bool() {
                    arguments.push(b"WEIGHTS".to_vec());
                    arguments.extend((0..self.keys).map(|_| self.pick(FLOATS).as_bytes().to_vec()));
                }
                return;
            }
            "place" => return arguments.extend(self.place()),
            "centre" if self.random.bool() => {
                arguments.push(b"FROMLONLAT".to_vec());
                return arguments.extend(self.place());
            }
            "centre" => return arguments.extend([b"FROMMEMBER".to_vec(), self.element()]),
            "area" => return arguments.extend(line::arguments(self.pick(AREAS))),
            "zset" => return arguments.push(self.key_among(SORTED_SETS)),
            "lexset" => LEX_SETS,
            "sort-list" => SORT_LISTS,
            "sort-set" => SORT_SETS,
            "sort-zset" => SORT_SORTED_SETS,
            "sortable" => [SORT_LISTS, SORT_SETS, SORT_SORTED_SETS][self.random.usize(..3)],
            "sort-elements" | "sort-scored" => {
                for _ in 0..self.random.usize(1..8) {
                    if word == "sort-scored" {
                        self.word("score", arguments);
                    }
                    arguments.push(self.sort_element());
                }
                return;
            }
            "sort-pattern" => SORT_PATTERNS,
            "weight" => return arguments.push(format!("w:{}", self.random.u32(..12)).into_bytes()),
            "weighed" => return arguments.push(format!("h:{}", self.random.u32(..12)).into_bytes()),
            "number-weight" => return arguments.push(self.sort_element()),
            "geoset" => GEO_SETS,
            "score" if self.random.bool() => {
                return arguments.push(self.random.i32(-5..20).to_string().into_bytes());
            }
            "score" => SCORES,
            "score-bound" => SCORE_BOUNDS,
            "lex-bound" => LEX_BOUNDS,
            "small" => &["0", "1", "2", "-2", "5", "100", "abc"],
            "end" => &["MIN", "MAX", "min", "max", "MID"],
            "aggregate" => &["SUM", "MIN", "MAX", "sum", "AVG"],
            "distance" => &["0", "100", "2000", "9000", "25000", "-1", "x"],
            "unit" => &["km", "KM", "mi", "m", "ft", "yd"],
            // Redis quotes unknown names up to their first NUL.
            "garbage" => {
                let length = self.random.usize(..12);
                return arguments.push((0..length).map(|_| self.random.u8(1..)).collect());
            }
            "any-stream" if self.random.u32(..8) == 0 => return arguments.push(self.key()),
            "stream" | "any-stream" => streams::KEYS,
            "rising" | "rising-id" | "entry-id" | "range-id" | "read-id" => {
                return arguments.push(streams::id(self.random, self.steps, word).into_bytes());
            }
            "entry-fields" => {
                for _ in 0..self.random.usize(1..4) {
                    arguments.extend([self.pick(streams::FIELDS).as_bytes().to_vec(), self.value()]);
                }
                return;
            }
            "many" => {
                let start = self.random.u32(..500);
                let end = start + self.random.u32(1..400);
                return arguments.extend((start..end).map(|number| number.to_string().into_bytes()));
            }
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
            "side" => &["LEFT", "RIGHT", "LEFT", "RIGHT", "left", "Right", "up"],
            "where" => &["BEFORE", "AFTER", "before", "After", "beside"],
            // Nobody pushes while one waits; what is longer than that would only take time.
            "timeout" => &["0.001", "0.001", "0.002", "1e-3", "-1", "abc", ""],
            "bit-offset" => BIT_OFFSETS,
            "field-offset" => FIELD_OFFSETS,
            "type" => TYPES,
            "bit" => &["0", "1", "1", "0", "2", "-1", "x"],
            "bitop" => &["AND", "OR", "XOR", "NOT", "and", "NAND"],
            // No FAIL: when every write of a BITFIELD fails but the string grew, WATCH sees that here and not in Redis.
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
            // None that is out of range: Redis' next SORT would take its own numbers to be so.
            "cursor" => &["0", "abc", "-1", "18446744073709551615", ""],
            "kind" => &["string", "list", "set", "HASH", "STRING", "nonsense"],
            // More than any value has, or the same one again and again; -2^63 and the like would need all memory.
            "count" => &["1000", "0", "-1", "-7", "9223372036854775807", "abc", "4611686018427387904"],
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

    /// Mostly one of the keys that hold values of a type, now and then another.
    fn key_among(&mut self, keys: &[&[u8]]) -> Vec<u8> {
        if self.random.u32(..15) == 0 { self.key() } else { keys[self.random.usize(..keys.len())].to_vec() }
    }

    /// A field or member: few different ones, and of those more integers than others.
    fn element(&mut self) -> Vec<u8> {
        match self.random.u32(..20) {
            0..10 => self.random.i32(-3..8).to_string().into_bytes(),
            10..18 => vec![self.random.u8(b'a'..b'h')],
            _ => self.value(),
        }
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

    /// Several members, with what belongs to each.
    fn repeated(&mut self, word: &str, arguments: &mut Vec<Vec<u8>>) {
        let count = if word == "many-scored" { self.random.usize(20..150) } else { self.random.usize(1..5) };
        for _ in 0..count {
            match word {
                "scored" => self.word("score", arguments),
                // Ranges of members have a meaning only where all scores are equal.
                "lex-scored" => arguments.push(b"0".to_vec()),
                "many-scored" => arguments.push(self.random.i32(-300..300).to_string().into_bytes()),
                "places" => arguments.extend(self.place()),
                _ => {}
            }
            let member = match word {
                "many-scored" => format!("member:{}", self.random.u32(..500)).into_bytes(),
                _ => self.element(),
            };
            arguments.push(member);
        }
    }

    /// Mostly a small integer, seldom another number, very seldom none.
    fn sort_element(&mut self) -> Vec<u8> {
        match self.random.u32(..200) {
            0 => b"word".to_vec(),
            1..30 => self.pick(SORT_ELEMENTS).as_bytes().to_vec(),
            _ => self.random.u32(..12).to_string().into_bytes(),
        }
    }

    /// A longitude and a latitude, now and then at the edges or out of range.
    fn place(&mut self) -> [Vec<u8>; 2] {
        let mut degrees = |range: f64, edges: &[&str]| match self.random.u32(..40) {
            0 => edges[self.random.usize(..edges.len())].to_owned(),
            1..10 => format!("{:.3}", (self.random.f64() - 0.5) * 20.0),
            _ => format!("{:.6}", (self.random.f64() - 0.5) * 2.0 * range),
        };
        let longitude = degrees(180.0, &["180", "-180", "181", "x", "0"]);
        let latitude = degrees(85.0, &["85.05112878", "-85.05112878", "86", "nan", "0"]);
        [longitude.into_bytes(), latitude.into_bytes()]
    }

    /// How many keys, and so many of them; now and then a wrong number.
    fn counted_sets(&mut self, arguments: &mut Vec<Vec<u8>>) {
        self.keys = self.random.usize(1..4);
        let number =
            if self.random.u32(..20) == 0 { self.pick(INDEXES).to_owned() } else { self.keys.to_string() };
        arguments.push(number.into_bytes());
        for _ in 0..self.keys {
            let kind = if self.random.u32(..6) == 0 { "set" } else { "zset" };
            self.word(kind, arguments);
        }
    }

    fn pick<'p>(&mut self, pool: &[&'p str]) -> &'p str {
        pool[self.random.usize(..pool.len())]
    }
}
