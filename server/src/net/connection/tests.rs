use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::options::{AppendFsync, Options};

/// Longer than anything takes that is to happen at all.
const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for a reply that must not come to have come.
const SILENCE: Duration = Duration::from_millis(100);

/// An engine without its timers, and a listener for its clients.
struct Rig {
    engine: Shared,
    listener: TcpListener,
}

/// Both ends of a connection, and the task that serves it.
struct Served {
    client: TcpStream,
    mailbox: Rc<Mailbox>,
    task: JoinHandle<()>,
}

/// Runs a test on a thread of its own, so that a task that never yields fails it.
fn with_rig(appendfsync: AppendFsync, test: impl AsyncFnOnce(Rig) + Send + 'static) {
    let (done, ended) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let directory = tempfile::tempdir().expect("a directory");
        let dir = directory.path().to_string_lossy().into_owned();
        let options = Options { dir, appendfsync, ..Options::default() };
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        runtime.expect("a runtime").block_on(async {
            let (engine, _events) = crate::engine::open(options, None).expect("it opens");
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            test(Rig { engine, listener }).await;
        });
        done.send(()).expect("the test waits");
    });
    let result = ended.recv_timeout(3 * PATIENCE);
    assert_ne!(result, Err(RecvTimeoutError::Timeout), "a task never yields");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

impl Rig {
    async fn connect(&self) -> Served {
        let address = self.listener.local_addr().expect("bound");
        let client = TcpStream::connect(address).await.expect("it listens");
        let (stream, peer) = self.listener.accept().await.expect("a connection");
        let (id, mailbox) = self.engine.borrow_mut().connect(peer, None).expect("below maxclients");
        let (stop, _stopped) = mpsc::unbounded_channel();
        let connection = Connection::new(stream, Rc::clone(&self.engine), id, Rc::clone(&mailbox));
        Served { client, mailbox, task: tokio::task::spawn_local(connection.run(stop)) }
    }
}

impl Served {
    async fn send(&mut self, requests: &[u8]) {
        self.client.write_all(requests).await.expect("sent");
    }

    async fn check_reply(&mut self, expected: &str) {
        let mut reply = vec![0; expected.len()];
        let read = timeout(PATIENCE, self.client.read_exact(&mut reply)).await;
        read.expect("in time").expect("all of it");
        assert_eq!(String::from_utf8_lossy(&reply), expected);
    }

    async fn check_silent(&mut self) {
        let early = timeout(SILENCE, self.client.read(&mut [0])).await;
        assert!(early.is_err(), "a reply came");
    }
}

async fn check_ended(task: JoinHandle<()>) {
    let ended = timeout(PATIENCE, task).await;
    assert!(ended.is_ok_and(|joined| joined.is_ok()), "the connection goes on");
}

#[test]
fn a_client_is_killed_even_while_its_reply_waits_for_the_disk() {
    // Nobody hands the log anything or listens to it, so nothing becomes durable.
    with_rig(AppendFsync::Always, async |rig| {
        let mut served = rig.connect().await;
        served.send(b"SET k v\r\n").await;
        served.check_silent().await;
        served.mailbox.close(Closing::Now);
        check_ended(served.task).await;
        assert_eq!(served.client.read(&mut [0]).await.expect("the end"), 0, "the reply was never sent");
    });
}

#[test]
fn mail_does_not_keep_a_connection_alive_when_the_server_must_end() {
    for request in [&b"PING\r\n"[..], b"BLPOP none 0\r\n"] {
        with_rig(AppendFsync::No, async move |rig| {
            let mut served = rig.connect().await;
            served.send(b"PING\r\n").await;
            served.check_reply("+PONG\r\n").await;
            served.send(request).await;
            tokio::time::sleep(SILENCE).await;
            rig.engine.borrow_mut().fail("broken".to_owned());
            served.mailbox.post(Reply::Null, 4);
            check_ended(served.task).await;
        });
    }
}

/// A connection whose write waits for the end of a pause.
async fn parked(rig: &Rig) -> Served {
    let mut control = rig.connect().await;
    control.send(b"CLIENT PAUSE 600000 WRITE\r\n").await;
    control.check_reply("+OK\r\n").await;
    let mut served = rig.connect().await;
    served.send(b"INCR k\r\n").await;
    served.check_silent().await;
    served
}

async fn end_pause(rig: &Rig) {
    let mut control = rig.connect().await;
    control.send(b"CLIENT UNPAUSE\r\n").await;
    control.check_reply("+OK\r\n").await;
}

#[test]
fn a_client_that_goes_away_while_its_write_waits_is_forgotten_with_it() {
    with_rig(AppendFsync::No, async |rig| {
        let Served { client, task, .. } = parked(&rig).await;
        drop(client);
        check_ended(task).await;
        end_pause(&rig).await;
        let mut reader = rig.connect().await;
        reader.send(b"EXISTS k\r\n").await;
        reader.check_reply(":0\r\n").await;
    });
}

#[test]
fn what_a_client_sends_while_its_write_waits_is_executed_after_it_and_stays_with_the_client_if_long() {
    // More than the system keeps for a connection.
    const VALUE_BYTES: usize = 64 << 20;
    with_rig(AppendFsync::No, async |rig| {
        let mut served = parked(&rig).await;
        served.send(b"INCR k\r\n").await;
        let mut request = format!("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n${VALUE_BYTES}\r\n").into_bytes();
        request.resize(request.len() + VALUE_BYTES, b'x');
        request.extend(b"\r\n");
        let (client, mut sender) = served.client.into_split();
        let mut sending = tokio::task::spawn_local(async move { sender.write_all(&request).await });
        assert!(timeout(SILENCE, &mut sending).await.is_err(), "nobody takes in so much");
        served.mailbox.post(Reply::Null, 4);
        tokio::time::sleep(SILENCE).await;
        end_pause(&rig).await;
        let mut lines = BufReader::new(client).lines();
        for expected in ["$-1", ":1", ":2", "+OK"] {
            let line = timeout(PATIENCE, lines.next_line()).await.expect("in time");
            assert_eq!(line.expect("no error").as_deref(), Some(expected));
        }
        sending.await.expect("no panic").expect("sent");
    });
}
