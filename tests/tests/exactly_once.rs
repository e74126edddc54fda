//! Each event of an asynchronous trigger takes effect exactly once, and those of a key in their order, however often the
//! server is killed: with `kill -9`, under load, at random moments, also while it starts.
//!
//! Writers count in keys. Each increment is an event, whose delivery counts in a key beside; that is an event of a second
//! trigger, which counts again. At every moment what was written is what was delivered and what is queued, together.
//!
//! `KVASM_EXACTLY_ONCE_ROUNDS` says how often each server is killed (40; with `KVASM_SOAK` 2000 times); more often if until
//! then no kill has met a delivery.

use kvasm_tests::guest::{data, load, module, slice};
use kvasm_tests::server::wait_for;
use kvasm_tests::{Options, Raw, Server, rounds};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const WRITERS: usize = 2;
/// Each writer counts in so many keys.
const KEYS_OF_WRITER: usize = 3;
/// Increments that are sent together.
const PIPELINED: usize = 10;
/// Between these a server is killed after its writers have started, in milliseconds.
const LIFE_MS: std::ops::Range<u64> = 5..50;
/// Every so many rounds a second kill meets the start after the first.
const INTERRUPTED_START: u64 = 5;
const START_MS: std::ops::Range<u64> = 0..40;
/// With `KVASM_SOAK` so many times as many rounds as other tests have then.
const SOAK_FACTOR: u64 = 5;
/// There are at most so many times as many rounds until a kill has met a delivery.
const MOST_ROUNDS: u64 = 10;
/// Every so many rounds everything is delivered before the next.
const DRAINED: u64 = 10;

/// - `follow` counts in `done:` and its key, and must count what the event says: the value after it. Otherwise an event
///   was delivered twice, not at all, or too early: then it sets `disorder`.
/// - `falter` does the same in `seen:`, and then fails once in eight times. (Pauses double: if it
///   failed more often, some event would fail so often in a row that its key rested for minutes.)
fn rules() -> String {
    let follow = |prefix: &str, at: u32| {
        format!(
            "(call $follow {} (i32.const {}))",
            slice(at, prefix),
            // Where the key is copied to: behind the prefix.
            at + prefix.len() as u32
        )
    };
    module(
        "key arg increment put abort random",
        &format!(
            "{}{}{}{}
             (func $expected (result i64) (local $at i32) (local $end i32) (local $number i64)
               (local.set $at (i32.const 2000))
               (local.set $end (i32.add (i32.const 2000)
                 (call $arg (i32.const 2) (i32.const 2000) (i32.const 100))))
               (loop $digit
                 (local.set $number (i64.add (i64.mul (local.get $number) (i64.const 10))
                   (i64.extend_i32_u (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))))
                 (local.set $at (i32.add (local.get $at) (i32.const 1)))
                 (br_if $digit (i32.lt_u (local.get $at) (local.get $end))))
               (local.get $number))
             (func $follow (param $name i32) (param $prefix_length i32) (param $key i32) (local $length i32)
               (local.set $length (i32.add (local.get $prefix_length)
                 (call $key (i32.const 0) (local.get $key) (i32.const 100))))
               (if (i64.ne (call $expected)
                     (call $increment (local.get $name) (local.get $length) (i64.const 1)))
                 (then (call $put {disorder} (i32.const 0) (i32.const 1)))))
             (func (export \"follow\") {})
             (func (export \"falter\") {}
               (if (i64.eqz (i64.and (call $random) (i64.const 7)))
                 (then (call $abort {again}))))",
            data(0, "done:"),
            data(200, "seen:"),
            data(400, "disorder"),
            data(450, "AGAIN please"),
            follow("done:", 0),
            follow("seen:", 200),
            disorder = slice(400, "disorder"),
            again = slice(450, "AGAIN please"),
        ),
    )
}

fn server(appendfsync: &str) -> Server {
    // A short log, so that a start after a kill takes no time, and kills meet its application to the rows, too.
    let options = Options::new().with("appendfsync", appendfsync).with("log-max-size", "1mb");
    let server = Server::kvasm(&options);
    let mut connection = server.connect();
    assert_eq!(load(&mut connection, "rules", &rules()).to_string(), "\"rules\"");
    for trigger in [
        "first ASYNC ON incrby KEYS source:* CALL follow CONCURRENCY 3",
        "second ASYNC ON incrby KEYS done:* CALL falter CONCURRENCY 3 TRIES 1000 BACKOFF 1",
    ] {
        assert_eq!(connection.run(&format!("TRIGGER CREATE {trigger}")).to_string(), "+OK", "{trigger}");
    }
    // What creates them must not be lost with the first kill.
    wait_for("the triggers to be durable", || {
        let info = connection.run("INFO persistence").text();
        let group = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name)).expect("the line");
            line.trim().parse::<u64>().expect("a number")
        };
        group("kvasm_durable_group:") >= group("kvasm_last_group:")
    });
    server
}

/// Counts until the connection is lost.
fn write(port: u16, writer: usize, stop: &AtomicBool) {
    let Ok(mut connection) = Raw::try_connect(port) else { return };
    let mut random = fastrand::Rng::new();
    while !stop.load(Ordering::Relaxed) {
        let lines = (0..PIPELINED).map(|_| {
            let key = writer * KEYS_OF_WRITER + random.usize(..KEYS_OF_WRITER);
            format!("INCR source:{key}\r\n")
        });
        if connection.try_send(lines.collect::<Vec<_>>().concat().as_bytes()).is_err() {
            return;
        }
        for _ in 0..PIPELINED {
            let Ok(reply) = connection.try_read() else { return };
            assert!(!reply.is_error(), "{reply}");
        }
    }
}

fn write_until_killed(server: &mut Server, life: Duration) {
    let stop = AtomicBool::new(false);
    let port = server.port();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let stop = &stop;
            scope.spawn(move || write(port, writer, stop));
        }
        std::thread::sleep(life);
        server.kill_nine();
        stop.store(true, Ordering::Relaxed);
    });
}

/// What there is at one moment.
#[derive(Debug)]
struct Counts {
    written: Vec<i64>,
    done: Vec<i64>,
    seen: Vec<i64>,
    /// Queued for the first trigger, and for the second.
    queued: [i64; 2],
}

impl Counts {
    fn read(connection: &mut Raw) -> Counts {
        let keys = |prefix: &str| {
            let names = (0..WRITERS * KEYS_OF_WRITER).map(|key| format!(" {prefix}{key}"));
            format!("MGET{}", names.collect::<Vec<_>>().concat())
        };
        let commands = [
            "MULTI".to_owned(),
            keys("source:"),
            keys("done:source:"),
            keys("seen:done:source:"),
            "TRIGGER INFO first".to_owned(),
            "TRIGGER INFO second".to_owned(),
            "EXISTS disorder".to_owned(),
        ];
        for command in commands {
            assert!(!connection.run(&command).is_error(), "{command}");
        }
        let replies = connection.run("EXEC");
        let replies = replies.elements();
        assert_eq!(replies[5].to_string(), ":0", "a delivery came twice, not at all, or out of order");
        let numbers = |index: usize| -> Vec<i64> {
            replies[index].elements().iter().map(|number| number.integer().unwrap_or(0)).collect()
        };
        let queued = |index: usize| {
            replies[index].field("queued").and_then(|number| number.integer()).expect("a number")
        };
        Counts { written: numbers(0), done: numbers(1), seen: numbers(2), queued: [queued(3), queued(4)] }
    }

    /// Nothing is lost and nothing is there twice.
    #[track_caller]
    fn check(&self) {
        let sum = |counts: &[i64]| counts.iter().sum::<i64>();
        assert_eq!(sum(&self.written), sum(&self.done) + self.queued[0], "{self:?}");
        assert_eq!(sum(&self.done), sum(&self.seen) + self.queued[1], "{self:?}");
    }

    fn are_delivered(&self) -> bool {
        self.queued == [0, 0]
    }
}

fn check_kills(appendfsync: &str) {
    let mut server = server(appendfsync);
    let mut random = fastrand::Rng::new();
    let (mut queued_at_starts, mut last) = (0, 0);
    let factor = if std::env::var_os("KVASM_SOAK").is_some() { SOAK_FACTOR } else { 1 };
    let rounds = rounds("KVASM_EXACTLY_ONCE_ROUNDS", 40) * factor;
    for round in 1..=rounds * MOST_ROUNDS {
        if round > rounds && last > 0 && queued_at_starts > 0 {
            break;
        }
        write_until_killed(&mut server, Duration::from_millis(random.u64(LIFE_MS)));
        if round % INTERRUPTED_START == 0 {
            server.start_and_kill(Duration::from_millis(random.u64(START_MS)));
        }
        server.restart();
        let mut connection = server.connect();
        let counts = Counts::read(&mut connection);
        counts.check();
        queued_at_starts += u64::from(!counts.are_delivered());
        if round % DRAINED == 0 {
            wait_for("the deliveries", || {
                let counts = Counts::read(&mut connection);
                counts.check();
                counts.are_delivered()
            });
            let counts = Counts::read(&mut connection);
            assert_eq!(counts.written, counts.done, "{counts:?}");
            assert_eq!(counts.written, counts.seen, "{counts:?}");
            last = counts.written.iter().sum::<i64>();
        }
    }
    assert!(last > 0, "nothing was ever written");
    assert!(queued_at_starts > 0, "no kill ever met a delivery");
}

#[test]
fn each_event_takes_effect_exactly_once_with_everysec() {
    check_kills("everysec");
}

#[test]
fn each_event_takes_effect_exactly_once_with_always() {
    check_kills("always");
}
