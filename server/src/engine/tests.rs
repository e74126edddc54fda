//! The engine without sockets: requests in, replies out, and the disk answers when the test lets it.

mod triggers;
mod uploads;

use std::rc::Rc;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::UnboundedReceiver;

use super::persistence::Arrival;
use super::*;
use crate::keyspace::{Content, Expiry, events};
use crate::procedure::limits::fixed::NATIVE_STACK_BYTES;
use crate::protocol::split_inline;
use crate::state::Closing;
use crate::store::{StoreError, StoreEvent};

/// An engine on a directory of its own.
struct Rig {
    engine: Shared,
    events: UnboundedReceiver<Arrival>,
    directory: Rc<TempDir>,
    options: Options,
}

/// A client of it.
#[derive(Clone)]
struct Client {
    id: ClientId,
    mailbox: Rc<Mailbox>,
}

impl Rig {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Options)) -> Self {
        let directory = Rc::new(tempfile::tempdir().expect("a directory"));
        let mut options =
            Options { dir: directory.path().to_string_lossy().into_owned(), ..Options::default() };
        change(&mut options);
        Self::open(directory, options)
    }

    fn open(directory: Rc<TempDir>, options: Options) -> Self {
        let (engine, events) = open(options.clone(), None).expect("the directory opens");
        Self { engine, events, directory, options }
    }

    /// Applies everything and starts again, so that all keys are cold.
    fn restart_cold(mut self) -> Self {
        self.engine.borrow_mut().flush();
        let last = self.engine.borrow().core_ref().keyspace.journal().last_group();
        while self.engine.borrow().core_ref().server.store.applied < last {
            self.take_event();
        }
        self.engine.borrow_mut().close().expect("it closes");
        Self::open(self.directory, self.options)
    }

    fn take_event(&mut self) {
        let event = self.events.blocking_recv().expect("the store lives");
        super::background::on_arrival(&self.engine, event);
    }

    fn connect(&self) -> Client {
        let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        let (id, mailbox) = self.engine.borrow_mut().connect(peer, None).expect("below maxclients");
        Client { id, mailbox }
    }

    /// Executes a request once: what is answered, with blanks for line breaks, or what it waits for.
    fn execute(&self, client: &Client, arguments: &[&[u8]]) -> Result<String, Wait> {
        let mut engine = self.engine.borrow_mut();
        let mut session = engine.begin_batch(client.id).expect("it is registered");
        let mut output = Vec::new();
        let step = engine.execute(&mut session, &client.mailbox, arguments, &mut output);
        engine.end_batch(session, 0);
        match step {
            Step::Wait(wait) => Err(wait),
            _ => Ok(String::from_utf8_lossy(&output).replace("\r\n", " ").trim_end().to_owned()),
        }
    }

    /// Executes a request until it is answered.
    fn command(&mut self, client: &Client, arguments: &[&[u8]]) -> String {
        loop {
            match self.execute(client, arguments) {
                Ok(reply) => return reply,
                Err(wait) => self.wait(&wait),
            }
        }
    }

    fn wait(&mut self, wait: &Wait) {
        while !self.engine.borrow().is_over(wait) {
            self.take_event();
        }
    }

    /// [`Rig::execute`] with a line of words.
    fn try_line(&self, client: &Client, line: &str) -> Result<String, Wait> {
        let words = split_inline(line.as_bytes()).expect("balanced quotes");
        self.execute(client, &words.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    fn line(&mut self, client: &Client, line: &str) -> String {
        let words = split_inline(line.as_bytes()).expect("balanced quotes");
        self.command(client, &words.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    /// Runs lines and compares how they are answered.
    #[track_caller]
    fn check(&mut self, client: &Client, expected: &[(&str, &str)]) {
        for (line, reply) in expected {
            assert_eq!(self.line(client, line), *reply, "{line}");
        }
    }

    #[track_caller]
    fn load_library(&mut self, client: &Client, name: &str, fields: &str) {
        let code = format!("#!wasm name={name}\n(module {fields})");
        let reply = self.command(client, &[b"FUNCTION", b"LOAD", code.as_bytes()]);
        assert_eq!(reply, format!("${} {name}", name.len()));
    }

    /// The counter of a command in `INFO commandstats`.
    fn calls(&mut self, client: &Client, command: &str) -> usize {
        let info = self.line(client, "INFO commandstats");
        let (_, found) = info.split_once(&format!("cmdstat_{command}:calls=")).unwrap_or(("", "0,"));
        found.split(',').next().and_then(|calls| calls.parse().ok()).expect("a number")
    }
}

/// A module whose function `cold` replies with the value of the key `cold`, which no caller has to name.
const READS_COLD: &str = r#"(import "kvasm_1" "get" (func $get (param i32 i32 i32 i32) (result i64)))
    (import "kvasm_1" "reply_bulk" (func $reply (param i32 i32)))
    (memory 1) (data (i32.const 0) "cold")
    (func (export "cold")
        (call $reply (i32.const 8) (i32.wrap_i64 (call $get (i32.const 0) (i32.const 4) (i32.const 8) (i32.const 9)))))"#;

/// Where procedures run.
fn on_large_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(NATIVE_STACK_BYTES).spawn(test).expect("a thread");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A server after a restart that has the function `cold`, and the key, which is not in memory.
fn with_cold_key() -> (Rig, Client) {
    let mut rig = Rig::new();
    let client = rig.connect();
    rig.load_library(&client, "reader", READS_COLD);
    rig.check(&client, &[("SET cold value", "+OK")]);
    let rig = rig.restart_cold();
    let client = rig.connect();
    (rig, client)
}

#[test]
fn a_library_that_was_loaded_in_vain_leaves_the_others_and_the_triggers_as_they_were() {
    on_large_stack(|| {
        let (mut rig, client) = with_cold_key();
        let functions: Vec<String> =
            (0..20).map(|number| format!("(func (export \"keep{number}\"))")).collect();
        rig.load_library(&client, "keep", &functions.concat());
        rig.check(
            &client,
            &[
                ("TRIGGER CREATE t ON set KEYS x CALL keep0", "+OK"),
                ("SET x 1", "+OK"),
                ("CONFIG SET wasm-max-functions 10", "+OK"),
                ("MULTI", "+OK"),
                ("TRIGGER DROP t", "+QUEUED"),
            ],
        );
        let code = b"#!wasm name=new\n(module (func (export \"new\")))";
        assert_eq!(rig.command(&client, &[b"FUNCTION", b"LOAD", code]), "+QUEUED");
        rig.check(&client, &[("FCALL cold 0", "+QUEUED")]);
        let wait = rig.try_line(&client, "EXEC").expect_err("the key is cold");
        let other = rig.connect();
        rig.check(&other, &[("FCALL new 0", "-ERR Function not found"), ("FCALL keep1 0", "$-1")]);
        let info = rig.line(&other, "TRIGGER INFO t");
        assert!(info.contains("$4 runs :1 "), "{info}");
        rig.wait(&wait);
        rig.check(
            &client,
            &[
                ("EXEC", "*3 +OK $3 new $5 value"),
                ("FCALL new 0", "$-1"),
                ("FCALL keep1 0", "$-1"),
                ("TRIGGER LIST", "*0"),
            ],
        );
    });
}

#[test]
fn a_pause_that_exec_begins_does_not_stop_it_from_running_again() {
    on_large_stack(|| {
        let (mut rig, client) = with_cold_key();
        rig.check(
            &client,
            &[
                ("MULTI", "+OK"),
                ("CLIENT PAUSE 100000", "+QUEUED"),
                ("FCALL cold 0", "+QUEUED"),
                ("EXEC", "*2 +OK $5 value"),
            ],
        );
        let other = rig.connect();
        assert!(matches!(rig.try_line(&other, "PING"), Err(Wait::Unpaused)));
    });
}

#[test]
fn exec_that_waits_is_stopped_by_a_pause_of_others() {
    on_large_stack(|| {
        let (mut rig, client) = with_cold_key();
        rig.check(&client, &[("MULTI", "+OK"), ("SET a 1", "+QUEUED"), ("FCALL cold 0", "+QUEUED")]);
        let wait = rig.try_line(&client, "EXEC").expect_err("the key is cold");
        let other = rig.connect();
        rig.check(&other, &[("CLIENT PAUSE 100000 WRITE", "+OK")]);
        rig.wait(&wait);
        assert!(matches!(rig.try_line(&client, "EXEC"), Err(Wait::Unpaused)));
        rig.check(&other, &[("EXISTS a", ":0"), ("CLIENT UNPAUSE", "+OK")]);
        rig.check(&client, &[("EXEC", "*2 +OK $5 value")]);
    });
}

#[test]
fn exec_that_runs_again_tells_of_libraries_as_they_are_then() {
    on_large_stack(|| {
        let (mut rig, client) = with_cold_key();
        rig.load_library(&client, "other", "(func (export \"other\"))");
        let lines = ["FUNCTION LIST LIBRARYNAME other", "FCALL cold 0"];
        rig.check(&client, &[("MULTI", "+OK"), (lines[0], "+QUEUED"), (lines[1], "+QUEUED")]);
        let wait = rig.try_line(&client, "EXEC").expect_err("the key is cold");
        let other = rig.connect();
        rig.check(&other, &[("FUNCTION DELETE other", "+OK")]);
        rig.wait(&wait);
        rig.check(&client, &[("EXEC", "*2 *0 $5 value")]);
    });
}

#[test]
fn settings_that_exec_changes_hold_although_it_has_to_run_again() {
    on_large_stack(|| {
        let (mut rig, client) = with_cold_key();
        let (other, key) = (rig.connect(), "__keyevent@0__:set");
        rig.line(&other, &format!("SUBSCRIBE {key}"));
        rig.check(
            &client,
            &[
                ("MULTI", "+OK"),
                ("CONFIG SET notify-keyspace-events KEA", "+QUEUED"),
                ("FCALL cold 0", "+QUEUED"),
            ],
        );
        rig.try_line(&client, "EXEC").expect_err("the key is cold");
        rig.engine.borrow_mut().disconnect(client.id);
        let writer = rig.connect();
        rig.check(&writer, &[("SET a 1", "+OK")]);
        assert!(!other.mailbox.is_empty());
    });
}

/// Lets the disk fail to answer the next question.
fn fail_read(rig: &mut Rig) {
    let event = loop {
        match rig.events.blocking_recv().expect("the store lives") {
            Arrival::Loaded { token, .. } => {
                break Arrival::Loaded { token, result: Err(broken_disk().to_string()) };
            }
            other @ (Arrival::Event(_) | Arrival::Worker(_) | Arrival::Compiled) => {
                super::background::on_arrival(&rig.engine, other);
            }
        }
    };
    super::background::on_arrival(&rig.engine, event);
}

fn broken_disk() -> StoreError {
    StoreError::Io { file: "data.redb".into(), error: std::io::Error::other("broken") }
}

#[test]
fn only_who_waited_for_a_read_that_failed_is_told() {
    const TOLD: &str = "-ERR the data cannot be read from disk: data.redb: broken";
    let mut rig = Rig::new();
    let client = rig.connect();
    rig.check(&client, &[("MSET a 1 b 2", "+OK")]);
    let mut rig = rig.restart_cold();
    let (gone, first, second) = (rig.connect(), rig.connect(), rig.connect());
    let waits: Vec<Wait> =
        [&gone, &first].iter().map(|client| rig.try_line(client, "GET a").expect_err("it is cold")).collect();
    rig.engine.borrow_mut().disconnect(gone.id);
    fail_read(&mut rig);
    assert!(waits.iter().all(|wait| rig.engine.borrow().is_over(wait)));
    let wait = rig.try_line(&second, "GET a").expect_err("it is asked for anew");
    assert_eq!(rig.try_line(&first, "GET a").expect("the error"), TOLD);
    rig.wait(&wait);
    rig.check(&second, &[("GET a", "$1 1")]);
    rig.check(&first, &[("GET a", "$1 1"), ("GET b", "$1 2")]);
}

#[test]
fn a_request_waits_for_its_own_keys_only() {
    let mut rig = Rig::new();
    let client = rig.connect();
    rig.check(&client, &[("MSET a 1 b 2", "+OK")]);
    let mut rig = rig.restart_cold();
    let (first, second) = (rig.connect(), rig.connect());
    let wait_first = rig.try_line(&first, "MGET a a").expect_err("it is cold");
    let wait_second = rig.try_line(&second, "MGET a b").expect_err("it is cold");
    rig.wait(&wait_first);
    assert!(!rig.engine.borrow().is_over(&wait_second), "one of its keys is not there yet");
    rig.check(&first, &[("MGET a a", "*2 $1 1 $1 1")]);
    rig.wait(&wait_second);
    rig.check(&second, &[("MGET a b", "*2 $1 1 $1 2")]);
}

#[test]
fn what_exec_did_in_vain_outside_of_the_data_it_does_not_do_again() {
    on_large_stack(|| {
        let (mut rig, client) = with_cold_key();
        let victim = rig.connect();
        let kill = format!("CLIENT KILL ID {}", victim.id);
        let queue = ["MULTI", &kill, "SUBSCRIBE news", "CLIENT SETNAME me", "INCR n", "FCALL cold 0"];
        for line in queue {
            assert!(!rig.line(&client, line).starts_with('-'), "{line}");
        }
        let reply = rig.line(&client, "EXEC");
        assert_eq!(reply, "*5 :1 *3 $9 subscribe $4 news :1 +OK :1 $5 value");
        assert_eq!(victim.mailbox.closing(), Some(Closing::Now));
        let other = rig.connect();
        let calls = ["client|kill", "subscribe", "client|setname", "incr", "fcall"]
            .map(|command| rig.calls(&other, command));
        assert_eq!(calls, [1; 5]);
        rig.check(&other, &[("GET n", "$1 1"), ("PUBSUB NUMSUB news", "*2 $4 news :1")]);
    });
}

#[test]
fn exec_that_waits_still_watches_whatever_it_has_queued() {
    on_large_stack(|| {
        let (mut rig, client) = with_cold_key();
        rig.check(
            &client,
            &[("WATCH w", "+OK"), ("MULTI", "+OK"), ("UNWATCH", "+QUEUED"), ("FCALL cold 0", "+QUEUED")],
        );
        let wait = rig.try_line(&client, "EXEC").expect_err("the key is cold");
        let other = rig.connect();
        rig.check(&other, &[("SET w changed", "+OK")]);
        rig.wait(&wait);
        rig.check(&client, &[("EXEC", "*-1")]);
    });
}

#[test]
fn when_writes_cannot_be_kept_a_transaction_that_only_reads_runs() {
    const MISCONF: &str = "MISCONF Errors writing to the AOF file: the disk is full";
    let mut rig = Rig::new();
    let client = rig.connect();
    rig.check(&client, &[("SET k v", "+OK"), ("MULTI", "+OK"), ("SET k w", "+QUEUED")]);
    rig.engine.borrow_mut().core().server.store.failure = Some("the disk is full".into());
    let aborted = format!("-EXECABORT Transaction discarded because of: {MISCONF}");
    rig.check(
        &client,
        &[
            ("EXEC", &aborted),
            ("MULTI", "+OK"),
            ("GET k", "+QUEUED"),
            ("EXEC", "*1 $1 v"),
            ("MULTI", "+OK"),
            ("DEL k", &format!("-{MISCONF}")),
            ("EXEC", "-EXECABORT Transaction discarded because of previous errors."),
            ("GET k", "$1 v"),
        ],
    );
}

#[test]
fn while_memory_is_short_nothing_is_queued() {
    const OOM: &str = "-OOM command not allowed when used memory > 'maxmemory'.";
    const ABORTED: &str = "-EXECABORT Transaction discarded because of previous errors.";
    let mut rig = Rig::new();
    let client = rig.connect();
    rig.check(
        &client,
        &[
            ("CONFIG SET maxmemory 1", "+OK"),
            ("GET k", "$-1"),
            ("MULTI", "+OK"),
            ("GET k", OOM),
            ("MULTI", "-ERR MULTI calls can not be nested"),
            ("EXEC", ABORTED),
            ("MULTI", "+OK"),
            ("EXEC", "*0"),
            ("MULTI", "+OK"),
            ("UNWATCH", OOM),
            ("DISCARD", "+OK"),
        ],
    );
}

#[test]
fn a_command_that_is_refused_counts_as_rejected_even_if_it_never_ran() {
    let mut rig = Rig::new();
    let client = rig.connect();
    rig.check(
        &client,
        &[
            ("GET", "-ERR wrong number of arguments for 'get' command"),
            ("CONFIG", "-ERR wrong number of arguments for 'config' command"),
            ("MULTI x", "-ERR wrong number of arguments for 'multi' command"),
            ("MULTI", "+OK"),
            (
                "EXEC x",
                "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command",
            ),
            ("EXEC", "-ERR EXEC without MULTI"),
        ],
    );
    let info = rig.line(&client, "INFO commandstats");
    for counted in [
        "cmdstat_get:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0",
        "cmdstat_config:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0",
    ] {
        assert!(info.contains(counted), "{info}");
    }
}

#[test]
fn wait_waits_for_replicas_until_its_time_is_over_or_somebody_ends_it() {
    let mut rig = Rig::new();
    let (client, other) = (rig.connect(), rig.connect());
    rig.check(&client, &[("WAIT 0 0", ":0"), ("MULTI", "+OK"), ("WAIT 1 0", "+QUEUED"), ("EXEC", "*1 :0")]);
    for reason in ["", " TIMEOUT"] {
        rig.check(&client, &[("WAIT 1 0", "")]);
        assert_eq!(rig.line(&other, &format!("CLIENT UNBLOCK {}{reason}", client.id)), ":1");
        rig.check(&client, &[("the answer", ":0")]);
    }
    rig.check(&client, &[("WAIT 1 500", "")]);
    rig.engine.borrow_mut().time_out(client.id);
    rig.check(&client, &[("the answer", ":0")]);
}

#[test]
fn a_client_without_replies_is_told_of_its_subscriptions() {
    let mut rig = Rig::new();
    let client = rig.connect();
    rig.check(
        &client,
        &[
            ("CLIENT REPLY OFF", ""),
            ("SUBSCRIBE a", "*3 $9 subscribe $1 a :1"),
            ("PING", ""),
            ("UNSUBSCRIBE", "*3 $11 unsubscribe $1 a :0"),
            ("CLIENT REPLY ON", "+OK"),
            ("CLIENT REPLY SKIP", ""),
            ("UNSUBSCRIBE", "*3 $11 unsubscribe $-1 :0"),
            ("PING", "+PONG"),
        ],
    );
}

/// Runs a task of the engine that a defect makes panic, and checks that the server must end then.
fn check_panic<T: Future<Output = ()> + 'static>(task: impl FnOnce(Shared, UnboundedReceiver<Arrival>) -> T) {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    runtime.expect("a runtime").block_on(async {
        let Rig { engine, events, directory, .. } = Rig::new();
        // Whatever asks for it panics.
        let core = engine.borrow_mut().core.take();
        let ended = tokio::task::spawn_local(task(Rc::clone(&engine), events)).await;
        assert!(ended.expect_err("it panics").is_panic());
        assert!(engine.borrow().fatal().is_some_and(|reason| reason.contains("panicked")));
        engine.borrow_mut().core = core;
        drop(directory);
    });
}

#[test]
fn a_panic_in_a_task_of_the_engine_ends_the_server() {
    check_panic(|engine, _events| run_timers(engine));
    check_panic(|engine, _events| {
        let (sender, events) = tokio::sync::mpsc::unbounded_channel();
        sender.send(StoreEvent::ApplyFailed { error: "x".into() }.into()).expect("the receiver is there");
        run_arrivals(engine, events)
    });
}

#[test]
fn reads_of_a_client_that_asked_for_it_do_not_count_as_use() {
    let mut rig = Rig::new();
    {
        let mut engine = rig.engine.borrow_mut();
        let long_ago_us = engine.clock.unix_us() - 100_000_000;
        let keyspace = &mut engine.core().keyspace;
        keyspace.begin(long_ago_us);
        let content = Content::String(b"v");
        keyspace.set(0, b"k", content, Expiry::Clear, events::SET).expect("in memory");
        keyspace.commit();
    }
    let client = rig.connect();
    rig.check(&client, &[("CLIENT NO-TOUCH ON", "+OK"), ("GET k", "$1 v"), ("GETRANGE k 0 0", "$1 v")]);
    let idle = rig.line(&client, "OBJECT IDLETIME k");
    assert!(idle[1..].parse::<u64>().is_ok_and(|idle_s| idle_s >= 100), "{idle}");
    rig.check(&client, &[("TOUCH k", ":1"), ("OBJECT IDLETIME k", ":0")]);
}

/// A server after a restart with the list `cold` in database 1, which is not in memory, and a client that waits for this
/// key in database 0: SWAPDB brings it.
fn with_client_that_waits_for_cold_key() -> (Rig, Client) {
    let mut rig = Rig::new();
    let client = rig.connect();
    rig.check(&client, &[("SELECT 1", "+OK"), ("RPUSH cold a b", ":2")]);
    let mut rig = rig.restart_cold();
    let waiting = rig.connect();
    rig.check(&waiting, &[("BLPOP cold 0", "")]);
    (rig, waiting)
}

#[test]
fn who_waits_for_a_key_is_served_after_a_pause_even_if_the_disk_answers_during_it() {
    let (mut rig, waiting) = with_client_that_waits_for_cold_key();
    let client = rig.connect();
    rig.check(&client, &[("SWAPDB 0 1", "+OK"), ("CLIENT PAUSE 600000 WRITE", "+OK")]);
    let wait = rig.try_line(&client, "LLEN cold").expect_err("it is being loaded");
    rig.wait(&wait);
    rig.check(&client, &[("LLEN cold", ":2")]);
    assert!(!waiting.mailbox.is_answered());
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    runtime.expect("a runtime").block_on(async {
        tokio::task::spawn_local(run_timers(Rc::clone(&rig.engine)));
        // Now the timers know of the pause.
        tokio::task::yield_now().await;
        assert_eq!(rig.try_line(&client, "CLIENT UNPAUSE").expect("an answer"), "+OK");
        let served = tokio::time::timeout(std::time::Duration::from_secs(20), waiting.mailbox.filled()).await;
        assert!(served.is_ok() && waiting.mailbox.is_answered());
    });
    rig.check(&client, &[("LLEN cold", ":1")]);
}

#[test]
fn a_key_whose_waiting_client_lacks_something_is_noted_once_however_often_it_is_written() {
    let (mut rig, waiting) = with_client_that_waits_for_cold_key();
    let client = rig.connect();
    rig.check(&client, &[("SWAPDB 0 1", "+OK"), ("SWAPDB 0 1", "+OK"), ("SWAPDB 0 1", "+OK")]);
    assert_eq!(rig.engine.borrow().unserved.len(), 1);
    while !waiting.mailbox.is_answered() {
        rig.take_event();
    }
    assert_eq!(rig.engine.borrow().unserved.len(), 0);
    rig.check(&client, &[("LLEN cold", ":1")]);

    rig.load_library(&client, "log", "(func (export \"log\"))");
    rig.check(
        &client,
        &[
            ("CONFIG SET trigger-queue-max-len 1", "+OK"),
            ("TRIGGER CREATE full ASYNC ON lpop KEYS list CALL log", "+OK"),
            ("RPUSH list x", ":1"),
            ("LPOP list", "$1 x"),
        ],
    );
    let waiting = rig.connect();
    rig.check(&waiting, &[("BLPOP list 0", "")]);
    rig.check(&client, &[("RPUSH list a", ":1"), ("RPUSH list b", ":2"), ("RPUSH list c", ":3")]);
    assert_eq!(rig.engine.borrow().stalled.len(), 1);
    rig.check(&client, &[("TRIGGER DROP full FORCE", "+OK")]);
    rig.engine.borrow_mut().resume_stalled();
    assert!(waiting.mailbox.is_answered());
    assert_eq!(rig.engine.borrow().stalled.len(), 0);
}

#[test]
fn exec_asks_for_all_keys_of_a_command_together_whatever_database_they_are_in() {
    let mut rig = Rig::new();
    let client = rig.connect();
    rig.check(&client, &[("SELECT 1", "+OK"), ("MSET a 1 b 2 c 3", "+OK")]);
    let values = "*3 $1 1 $1 2 $1 3";
    // Where the second one runs again, the databases have not been exchanged yet.
    for before in ["SELECT 1", "SWAPDB 0 1"] {
        rig = rig.restart_cold();
        let client = rig.connect();
        rig.check(&client, &[("MULTI", "+OK"), (before, "+QUEUED"), ("MGET a b c", "+QUEUED")]);
        let wait = rig.try_line(&client, "EXEC").expect_err("they are cold");
        rig.wait(&wait);
        let reply = rig.try_line(&client, "EXEC").expect("all are there");
        assert_eq!(reply, format!("*2 +OK {values}"), "{before}");
    }
}
