//! What data of each type costs: memory, bytes written for a change of one element, time for which others wait.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::arguments::{Programs, Scale};
use crate::connection::Connection;
use crate::measure::SETTLE_MEMORY;
use crate::report::{Row, Target};
use crate::server::{Durability, Server};
use crate::workload::{KEYS, VALUE_LEN};

/// The name of [`memory`] for `--only`.
pub const MEMORY: &str = "memory";
/// The name of [`element`] for `--only`.
pub const ELEMENT: &str = "element";
/// The name of [`stall`] for `--only`.
pub const STALL: &str = "stall";

/// Elements of a big value.
const ELEMENTS: u64 = 1_000_000;
/// Changes of one element whose bytes are counted together.
const CHANGES: u64 = 2_000;
/// Between two of them, so that each is in a group of its own.
const CHANGE_PAUSE: Duration = Duration::from_millis(2);

/// Data in a type's form: what it is, how many requests make it, and each of them.
struct Data {
    title: &'static str,
    requests: u64,
    request: fn(u64) -> Vec<Vec<u8>>,
}

const DATA: &[Data] = &[
    Data {
        title: "1 M keys of 100 bytes",
        requests: KEYS,
        request: |number| strings(&["SET", &format!("key:{number:012}"), &"x".repeat(VALUE_LEN)]),
    },
    Data {
        title: "1 M hashes of 5 fields",
        requests: ELEMENTS,
        request: |number| {
            let mut words = vec![b"HSET".to_vec(), format!("user:{number}").into_bytes()];
            for field in ["name", "mail", "city", "age", "seen"] {
                words.extend([field.as_bytes().to_vec(), format!("{field}-{number}").into_bytes()]);
            }
            words
        },
    },
    Data {
        title: "a set of 1 M members",
        requests: ELEMENTS,
        request: |number| strings(&["SADD", "set", &format!("member:{number}")]),
    },
    Data {
        title: "a sorted set of 1 M members",
        requests: ELEMENTS,
        request: |number| strings(&["ZADD", "zset", &number.to_string(), &format!("member:{number}")]),
    },
    Data {
        title: "a list of 1 M elements",
        requests: ELEMENTS,
        request: |number| strings(&["RPUSH", "list", &format!("element:{number}")]),
    },
    Data {
        title: "a stream of 100 k entries",
        requests: ELEMENTS / 10,
        request: |number| {
            strings(&[
                "XADD",
                "stream",
                "*",
                "sensor",
                &format!("{}", number % 100),
                "value",
                &number.to_string(),
            ])
        },
    },
];

fn strings(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// Compares the memory of a server that holds each kind of data, and tells what of it has come with the data.
pub fn memory(programs: &Programs, scale: &Scale) -> Result<(Vec<Row>, Vec<String>)> {
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for data in DATA {
        let (other_before, other) = resident_bytes(&programs.opponent, Durability::None, data, scale)?;
        let (kvasm_before, kvasm) = resident_bytes(&programs.kvasm, Durability::EverySecond, data, scale)?;
        let (other_added, kvasm_added) =
            (other.saturating_sub(other_before), kvasm.saturating_sub(kvasm_before));
        notes.push(format!(
            "{}: the data came with {:.1} MB in {}, {:.1} MB in kvasm ({:.2})",
            data.title,
            other_added as f64 / 1e6,
            programs.opponent_name(),
            kvasm_added as f64 / 1e6,
            kvasm_added as f64 / other_added as f64,
        ));
        rows.push(Row {
            title: format!("resident memory with {}", data.title),
            other: (format!("{}, no persistence", programs.opponent_name()), other as f64),
            kvasm: ("everysec".to_owned(), kvasm as f64),
            unit: "B",
            target: Target::AtMost(1.1),
        });
    }
    Ok((rows, notes))
}

/// The resident memory of a server without data and with it.
fn resident_bytes(binary: &Path, durability: Durability, data: &Data, scale: &Scale) -> Result<(u64, u64)> {
    let server = Server::start(binary, durability)?;
    let before = server.resident_bytes()?;
    Connection::open(server.port)?.send_all(data.requests / scale.divisor, data.request)?;
    if durability != Durability::None {
        thread::sleep(SETTLE_MEMORY);
    }
    Ok((before, server.resident_bytes()?))
}

/// Measures what is written to disk, log and rows, when one field of a hash changes.
pub fn element(kvasm: &Path, scale: &Scale) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for fields in [5, ELEMENTS / scale.divisor] {
        let server = Server::start(kvasm, Durability::EverySecond)?;
        let mut connection = Connection::open(server.port)?;
        connection
            .send_all(fields, |number| strings(&["HSET", "hash", &format!("field:{number}"), "value"]))?;
        thread::sleep(SETTLE_MEMORY);
        let before = server.written_bytes()?;
        let start = Instant::now();
        for change in 0..CHANGES {
            // A step that is prime to the number of fields: each change is of another part.
            let field = format!("field:{}", change * 7919 % fields);
            connection.call(&[b"HSET", b"hash", field.as_bytes(), change.to_string().as_bytes()])?;
            thread::sleep(CHANGE_PAUSE);
        }
        let elapsed = start.elapsed();
        thread::sleep(SETTLE_MEMORY);
        let written = (server.written_bytes()? - before) / CHANGES;
        notes.push(format!(
            "HSET of one field in a hash of {fields} fields, {CHANGES} of them in {:.0} s: {written} bytes written to disk for \
             each, log and rows",
            elapsed.as_secs_f64()
        ));
    }
    Ok(notes)
}

/// Measures for how long others wait at most while a value of many elements is deleted, expires and is loaded.
pub fn stall(kvasm: &Path, scale: &Scale) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for data in DATA.iter().skip(2).take(3) {
        let key = (data.request)(0)[1].clone();
        let mut server = Server::start(kvasm, Durability::EverySecond)?;
        Connection::open(server.port)?.send_all(data.requests / scale.divisor, data.request)?;
        thread::sleep(SETTLE_MEMORY);
        server.restart_after_kill()?;
        let load = longest_wait(server.port, &[b"TYPE", &key])?;
        let copy = longest_wait(server.port, &[b"COPY", &key, b"copy"])?;
        let delete = longest_wait(server.port, &[b"DEL", &key])?;
        let expiry = longest_wait(server.port, &[b"PEXPIRE", b"copy", b"200"])?;
        notes.push(format!(
            "{}: the longest that a PING took beside its first load {load:.1} ms, COPY {copy:.1} ms, DEL {delete:.1} ms, \
             expiry {expiry:.1} ms",
            data.title
        ));
    }
    Ok(notes)
}

/// How long a PING took at most while a request ran, and for half a second afterwards, in milliseconds.
fn longest_wait(port: u16, request: &[&[u8]]) -> Result<f64> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| -> std::result::Result<Duration, String> {
            let text = |error: Box<dyn Error>| error.to_string();
            let mut connection = Connection::open(port).map_err(text)?;
            let mut longest = Duration::ZERO;
            while !stop.load(Ordering::Relaxed) {
                let start = Instant::now();
                connection.call(&[b"PING"]).map_err(text)?;
                longest = longest.max(start.elapsed());
                thread::sleep(Duration::from_micros(200));
            }
            Ok(longest)
        });
        thread::sleep(Duration::from_millis(50));
        let done = Connection::open(port).and_then(|mut connection| connection.call(request));
        thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Relaxed);
        let longest = watch.join().map_err(|_| "the watching thread panicked")??;
        done?;
        Ok(longest.as_secs_f64() * 1000.0)
    })
}
