//! The store's promise to a process that is killed: what was reported as committed is there afterwards.
//!
//! The test runs itself as the process to be killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use kvasm::store::record::{Change, Encoder, PutHead, Value, decode};
use kvasm::store::{KeyAt, Store, StoreError, StoreEvent, StoreOptions, StoredValue};

const CHILD: &str = "KVASM_TEST_STORE_KILL_DIRECTORY";
const KEYS: u64 = 50;

fn options(directory: &Path) -> StoreOptions {
    StoreOptions { directory: directory.to_owned(), log_max_bytes: 64 * 1024, cache_bytes: 1 << 20 }
}

/// One transaction: two keys hold the sequence, so that half of a transaction would show.
fn group(sequence: u64) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.begin();
    for prefix in ["a", "b"] {
        let key = format!("{prefix}{}", sequence % KEYS);
        let created = sequence <= KEYS;
        let head = PutHead { database: 0, key: key.as_bytes(), expires_at_ms: None, created };
        encoder.push(&Change::Put { head, value: Value::Integer(sequence as i64) });
    }
    encoder.end();
    encoder.finish()
}

/// Writes until it is killed, and says what is committed.
fn write_for_ever(directory: &Path) {
    let (sender, events) = channel();
    let (store, recovery) =
        Store::open(&options(directory), Box::new(move |event| drop(sender.send(event)))).unwrap();
    store.start_applying();
    let mut output = std::io::stdout();
    for sequence in recovery.last_sequence + 1.. {
        store.append(group(sequence), sequence);
        loop {
            match events.recv().unwrap() {
                StoreEvent::Committed { sequence: committed, .. } if committed == sequence => break,
                StoreEvent::CommitFailed { error, .. } | StoreEvent::ApplyFailed { error } => {
                    panic!("{error}")
                }
                _ => {}
            }
        }
        writeln!(output, "committed {sequence}").unwrap();
    }
}

fn spawn_writer(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["a_killed_process_loses_nothing", "--exact", "--nocapture"])
        .env(CHILD, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills the writer at some moment. Returns the last sequence that it reported.
fn kill_writer(mut child: Child, after: Duration, while_it_runs: impl FnOnce()) -> u64 {
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut lines = output.lines().map_while(Result::ok);
    // The test harness writes something before, without a line break at its end.
    let committed = |line: String| line.rsplit_once("committed ").and_then(|(_, n)| n.parse().ok());
    let first: u64 = lines.by_ref().find_map(committed).expect("the writer commits");
    while_it_runs();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    lines.filter_map(committed).last().unwrap_or(first)
}

/// What the keys hold after recovery: the rows and then the log.
fn recover(directory: &Path) -> (u64, Vec<Option<i64>>) {
    let (store, recovery) = Store::open(&options(directory), Box::new(drop)).unwrap();
    let names: Vec<_> = (0..KEYS).flat_map(|n| [format!("a{n}"), format!("b{n}")]).collect();
    let load = |name: &String| {
        let at = KeyAt { storage: recovery.databases.storage(0), key: name.as_bytes().into() };
        store.get_blocking(at).unwrap().map(|found| match found.value {
            StoredValue::Integer(value) => value,
            other => panic!("{other:?}"),
        })
    };
    let mut values: Vec<Option<i64>> = names.iter().map(load).collect();
    for group in recovery.groups {
        for change in decode(&group.unwrap().1).unwrap().flat_map(Result::unwrap) {
            let Change::Put { head, value: Value::Integer(value) } = change.unwrap() else {
                panic!("only integers were put")
            };
            let index = names.iter().position(|name| name.as_bytes() == head.key).unwrap();
            values[index] = Some(value);
        }
    }
    (recovery.last_sequence, values)
}

#[test]
fn a_killed_process_loses_nothing() {
    if let Some(directory) = std::env::var_os(CHILD) {
        return write_for_ever(Path::new(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    for round in 0..8 {
        let child = spawn_writer(directory.path());
        let committed = kill_writer(child, Duration::from_millis(37 * round), || {
            let second = Store::open(&options(directory.path()), Box::new(drop)).err();
            assert!(matches!(second, Some(StoreError::InUse(_))), "{second:?}");
        });
        let start = Instant::now();
        let (last, values) = recover(directory.path());
        assert!(start.elapsed() < Duration::from_secs(60), "opened in {:?}", start.elapsed());
        assert!(last >= committed, "{committed} was committed, {last} is there");
        for (n, pair) in values.chunks(2).enumerate() {
            let mut recent = (1..=last).rev().take(KEYS as usize);
            let expected =
                recent.find(|sequence| sequence % KEYS == n as u64).map(|sequence| sequence as i64);
            assert_eq!(pair, [expected, expected], "key {n} after {last}");
        }
    }
}
