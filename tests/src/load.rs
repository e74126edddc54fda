//! Writers whose values check themselves: whatever a server has after a crash tells how far each writer had come, and
//! whether any of its transactions is there by halves.

use crate::raw::Raw;
use crate::{Value, guest, line};
use std::io::Result;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Names of a writer's keys, in the order in which every round writes them. Keys of one row are written in one
/// transaction.
const ROWS: &[&[&str]] = &[
    &["plain"],
    &["block-1", "block-2"],
    &["mset-1", "mset-2"],
    &["counter"],
    &["procedure-1", "procedure-2"],
];

/// One connection that writes the numbers 1, 2, 3, ... to its own keys, each number in five ways.
pub struct Writer {
    name: usize,
    procedure: Option<String>,
    /// A value written with every number only for its size.
    ballast: String,
    /// The number found at the last start.
    pub recovered: u64,
    /// The number that all keys had reached then: a round may have been kept in part.
    pub kept: u64,
    /// The last number of which anything was sent.
    pub sent: u64,
    /// Every number that was acknowledged since the last start, and when.
    pub acknowledged: Vec<(u64, Instant)>,
}

impl Writer {
    /// A writer of that name; `with_procedure` says whether the server runs procedures. With every number it writes
    /// a value of `ballast_bytes`, too.
    #[must_use]
    pub fn new(name: usize, with_procedure: bool, ballast_bytes: usize) -> Writer {
        let procedure = with_procedure.then(two_puts);
        Writer {
            name,
            procedure,
            ballast: "x".repeat(ballast_bytes),
            recovered: 0,
            kept: 0,
            sent: 0,
            acknowledged: Vec::new(),
        }
    }

    /// Writes until told to stop or until the connection is lost.
    pub fn write(&mut self, port: u16, stop: &AtomicBool) {
        self.acknowledged.clear();
        // A lost connection is what a crash looks like.
        let _ = self.write_until_lost(port, stop);
    }

    fn write_until_lost(&mut self, port: u16, stop: &AtomicBool) -> Result<()> {
        let mut connection = Raw::try_connect(port)?;
        // A crash may have kept a part of a round: all keys start from the same number.
        let keys: Vec<String> = ROWS.concat().iter().map(|key| self.key(key)).collect();
        let number = self.recovered.to_string();
        let mut level = vec!["MSET"];
        level.extend(keys.iter().flat_map(|key| [key.as_str(), &number]));
        assert_ok(&connection.try_command(&level)?);
        let mut next = self.recovered;
        while !stop.load(Ordering::Relaxed) {
            next += 1;
            self.sent = next;
            let (requests, replies) = self.round(next);
            connection.try_send(&requests)?;
            for _ in 0..replies {
                assert_ok(&connection.try_read()?);
            }
            self.acknowledged.push((next, Instant::now()));
        }
        Ok(())
    }

    /// The requests that write one number, and how many replies they have.
    fn round(&self, number: u64) -> (Vec<u8>, usize) {
        let key = |name: &str| self.key(name);
        let mut lines = vec![
            format!("SET {} {number}", key("plain")),
            "MULTI".into(),
            format!("SET {} {number}", key("block-1")),
            format!("SET {} {number}", key("block-2")),
            "EXEC".into(),
            format!("MSET {} {number} {} {number}", key("mset-1"), key("mset-2")),
            format!("INCR {}", key("counter")),
            format!("SET {} \"{}\"", key("ballast"), self.ballast),
        ];
        let last = [key("procedure-1"), key("procedure-2")];
        let mut replies = lines.len();
        let mut requests = Vec::new();
        if self.procedure.is_none() {
            lines.push(format!("MSET {} {number} {} {number}", last[0], last[1]));
        }
        for line in &lines {
            requests.extend(line::encode(&line::arguments(line)));
        }
        if let Some(module) = &self.procedure {
            requests.extend(line::encode(&[
                "EVALWASM",
                module,
                "2",
                &last[0],
                &last[1],
                &number.to_string(),
            ]));
        }
        replies += 1;
        (requests, replies)
    }

    /// Reads what the server has and checks it: every transaction whole, everything written before what is there,
    /// nothing that was never sent, and at least the number `promised`. That number is where the writer goes on.
    ///
    /// # Panics
    /// When any of this is not so.
    pub fn check(&mut self, connection: &mut Raw, promised: u64) {
        let numbers: Vec<Vec<u64>> =
            ROWS.iter().map(|row| row.iter().map(|key| self.number(connection, key)).collect()).collect();
        let name = self.name;
        for (row, numbers) in ROWS.iter().zip(&numbers) {
            assert!(
                numbers.iter().all(|number| *number == numbers[0]),
                "writer {name}: half of a transaction: {row:?} = {numbers:?}"
            );
        }
        let first = numbers[0][0];
        let last = numbers[numbers.len() - 1][0];
        let in_order = numbers.windows(2).all(|rows| rows[0][0] >= rows[1][0]) && last + 1 >= first;
        assert!(in_order, "writer {name}: a write is there without those before it: {ROWS:?} = {numbers:?}");
        assert!(first <= self.sent, "writer {name}: {first} was never sent, only up to {}", self.sent);
        assert!(last >= promised, "writer {name}: {promised} was promised, {last} is there");
        self.recovered = first;
        self.kept = last;
        self.sent = first;
    }

    fn number(&self, connection: &mut Raw, key: &str) -> u64 {
        match connection.command(&["GET", &self.key(key)]) {
            value if value.is_null() => 0,
            value => value.integer().unwrap_or_else(|| panic!("{} = {value}", self.key(key))) as u64,
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{name}:{}", self.name)
    }
}

fn assert_ok(reply: &Value) {
    assert!(!reply.is_error(), "a write is refused: {reply}");
}

/// A procedure that puts its argument into both of its keys.
fn two_puts() -> String {
    let put = |key: u32| {
        format!(
            "(call $put (i32.const 0) (call $key (i32.const {key}) (i32.const 0) (i32.const 100))
                        (i32.const 100) (call $arg (i32.const 0) (i32.const 100) (i32.const 100)))"
        )
    };
    guest::procedure("key arg put", &format!("{} {}", put(0), put(1)))
}
