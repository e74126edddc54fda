//! One connection.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Instant;

use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;

use crate::engine::limits::{KEPT_BUFFER_BYTES, OUTPUT_HIGH_WATER_BYTES, READ_BYTES};
use crate::engine::{EndOnPanic, Engine, Head, Shared, Signals, Step, Wait, over};
use crate::keyspace::WARMED_AT_ONCE;
use crate::options::OutputClass;
use crate::protocol::{ProtocolError, Reply, Request, RequestParser, encode};
use crate::state::{ClientId, Closing, Mailbox, ReplyMode, Session};

thread_local! {
    /// All connections read into one buffer, so that an idle one has none.
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A client has asked the server to stop.
#[derive(Debug)]
pub struct StopRequest {
    /// Whether to stop even if not everything can be made durable.
    pub force: bool,
    /// Signals that the server goes on instead.
    pub refused: oneshot::Sender<()>,
}

/// How connections ask the server to stop.
pub type StopSender = mpsc::UnboundedSender<StopRequest>;

/// See the module's description.
pub(super) struct Connection {
    stream: TcpStream,
    engine: Shared,
    signals: Rc<Signals>,
    id: ClientId,
    mailbox: Rc<Mailbox>,
    parser: RequestParser,
    /// What has arrived but is not executed yet.
    input: Vec<u8>,
    /// Replies that are not sent yet.
    output: Vec<u8>,
    /// The output may be sent when this group is durable.
    barrier: u64,
}

/// Why a run of requests ended.
enum Pause {
    /// Everything complete has been executed.
    NeedInput,
    /// There is so much output that it is sent before more requests run.
    Output,
    /// The next request has to wait. It is at the start of the input and has this many bytes.
    Wait(Wait, usize),
    /// The next request waits for its answer, at most until this time.
    Block(Option<Instant>),
    /// The connection is closed after the output has been sent.
    Close,
    /// The server must stop.
    Shutdown { force: bool },
}

impl Connection {
    pub fn new(stream: TcpStream, engine: Shared, id: ClientId, mailbox: Rc<Mailbox>) -> Self {
        let signals = engine.borrow().signals();
        Self {
            stream,
            engine,
            signals,
            id,
            mailbox,
            parser: RequestParser::default(),
            input: Vec::new(),
            output: Vec::new(),
            barrier: 0,
        }
    }

    /// Serves the client until it disconnects, is disconnected, or the server stops. `stop` takes its SHUTDOWN.
    pub async fn run(mut self, stop: StopSender) {
        let _guard = EndOnPanic(Rc::clone(&self.engine));
        if let Err(error) = self.serve(&stop).await {
            tracing::debug!(client = self.id, "connection ended: {error}");
        }
        self.engine.borrow_mut().disconnect(self.id);
    }

    async fn serve(&mut self, stop: &StopSender) -> io::Result<()> {
        loop {
            let pause = self.execute();
            self.collect_mail()?;
            if !self.output.is_empty() {
                // Other connections run their requests before this one sends: clients that get their replies together
                // are woken less often, and waking them costs more than most commands.
                tokio::task::yield_now().await;
                self.send().await?;
            }
            match pause {
                Pause::Output => {}
                Pause::Close => return Ok(()),
                Pause::Shutdown { force } => {
                    if !self.stop_server(force, stop).await {
                        return Ok(());
                    }
                }
                Pause::Wait(wait, request_bytes) => {
                    if !self.wait_for(&wait, request_bytes).await? {
                        return Ok(());
                    }
                }
                Pause::Block(deadline) => {
                    if !self.wait_until_answered(deadline).await? {
                        return Ok(());
                    }
                }
                Pause::NeedInput => {
                    if self.mailbox.closing().is_some() || !self.receive().await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Executes the complete requests of the input.
    fn execute(&mut self) -> Pause {
        if self.input.is_empty() {
            return Pause::NeedInput;
        }
        let engine = Rc::clone(&self.engine);
        let mut engine = engine.borrow_mut();
        let Some(mut session) = engine.begin_batch(self.id) else { return Pause::Close };
        let (executed, pause) = self.execute_batch(&mut engine, &mut session);
        self.input.drain(..executed);
        session.query_buffer_bytes = self.input.len();
        session.is_parked = matches!(pause, Pause::Wait(..));
        let too_much = self.has_too_much_input(&engine);
        self.barrier = self.barrier.max(engine.barrier());
        engine.end_batch(session, executed);
        if self.input.is_empty() && self.input.capacity() > KEPT_BUFFER_BYTES {
            self.input = Vec::new();
        }
        if too_much && matches!(pause, Pause::NeedInput) {
            tracing::warn!(client = self.id, "closed: its requests exceed client-query-buffer-limit");
            engine.count_too_much_input();
            return Pause::Close;
        }
        pause
    }

    fn execute_batch(&mut self, engine: &mut crate::engine::Engine, session: &mut Session) -> (usize, Pause) {
        let mut executed = 0;
        let mut warmed = 0;
        loop {
            // While a long request arrives in pieces, nothing of it is scanned twice.
            if executed >= warmed && self.parser.is_between_requests() {
                warmed = executed + self.warm(engine, session, executed);
            }
            // Messages that arrived before a request are sent before its reply, because the request may be an
            // UNSUBSCRIBE.
            take_mail(&self.mailbox, session, &mut self.output);
            if self.output.len() >= OUTPUT_HIGH_WATER_BYTES {
                return (executed, Pause::Output);
            }
            if self.mailbox.closing().is_some() {
                return (executed, Pause::Close);
            }
            let rest = &self.input[executed..];
            let (request, length) = match self.parser.next(rest, engine.request_limits(session)) {
                Ok(Some(found)) => found,
                Ok(None) => return (executed, Pause::NeedInput),
                Err(ProtocolError(text)) => {
                    let error = Reply::Error(format!("ERR Protocol error: {text}").into());
                    encode(&error, session.version, &mut self.output);
                    return (self.input.len(), Pause::Close);
                }
            };
            let arguments: SmallVec<[&[u8]; 32]> = match &request {
                Request::Bulks(ranges) => ranges.iter().map(|range| &rest[range.clone()]).collect(),
                Request::Inline(words) => words.iter().map(Vec::as_slice).collect(),
            };
            if arguments.is_empty() {
                executed += length;
                continue;
            }
            match engine.execute(session, &self.mailbox, &arguments, &mut self.output) {
                Step::Done => executed += length,
                Step::Wait(wait) => return (executed, Pause::Wait(wait, length)),
                Step::Block(deadline) => return (executed, Pause::Block(deadline)),
                Step::Close => return (executed + length, Pause::Close),
                Step::Shutdown { force } => return (executed + length, Pause::Shutdown { force }),
            }
        }
    }

    /// Looks ahead in a pipeline, so that the keys of its requests are looked up together. Returns how far it looked.
    fn warm(&self, engine: &Engine, session: &Session, start: usize) -> usize {
        // A single request gains nothing.
        const LEAST: usize = 2;
        let limits = engine.request_limits(session);
        let mut scout = RequestParser::default();
        let mut requests: SmallVec<[Head<'_>; WARMED_AT_ONCE]> = SmallVec::new();
        let mut end = start;
        while requests.len() < WARMED_AT_ONCE {
            let rest = &self.input[end..];
            let Ok(Some((Request::Bulks(ranges), length))) = scout.next(rest, limits) else { break };
            let argument = |index: usize| ranges.get(index).map_or(&[][..], |range| &rest[range.clone()]);
            requests.push(std::array::from_fn(argument));
            end += length;
        }
        if requests.len() >= LEAST {
            engine.warm(session, &requests);
        }
        (end - start).max(1)
    }

    /// Appends messages that others sent to this client. Fails when the server is about to end: mail that stays in the
    /// mailbox would wake the connection again and again.
    fn collect_mail(&mut self) -> io::Result<()> {
        if self.mailbox.is_empty() {
            return Ok(());
        }
        let mut engine = self.engine.borrow_mut();
        let session = engine.begin_batch(self.id).ok_or_else(closed_by_server)?;
        take_mail(&self.mailbox, &session, &mut self.output);
        self.barrier = self.barrier.max(engine.barrier());
        engine.end_batch(session, 0);
        Ok(())
    }

    /// Sends the output as soon as the changes behind it are as durable as promised.
    async fn send(&mut self) -> io::Result<()> {
        let mailbox = Rc::clone(&self.mailbox);
        if self.barrier > 0 {
            let durable = tokio::select! {
                biased;
                durable = self.wait_until_durable() => durable,
                () = closed_now(&mailbox) => return Err(closed_by_server()),
            };
            if let Err(reason) = durable {
                // The changes that the replies confirm may be lost, so no reply may be sent.
                self.output.clear();
                let text = format!("-MISCONF Errors writing to the AOF file: {reason}\r\n");
                self.stream.write_all(text.as_bytes()).await?;
                return Err(io::Error::other("the log cannot be written"));
            }
        }
        let limit = self.engine.borrow().options().client_output_buffer_limit[OutputClass::Normal].hard_bytes;
        if limit > 0 && self.output.len() as u64 > limit {
            self.engine.borrow_mut().count_too_much_output();
            return Err(io::Error::other("its replies exceed client-output-buffer-limit"));
        }
        tokio::select! {
            biased;
            sent = self.stream.write_all(&self.output) => sent?,
            () = closed_now(&mailbox) => return Err(closed_by_server()),
        }
        self.engine.borrow_mut().count_sent(self.output.len());
        self.output.clear();
        if self.output.capacity() > KEPT_BUFFER_BYTES {
            self.output = Vec::new();
        }
        self.barrier = 0;
        Ok(())
    }

    async fn wait_until_durable(&self) -> Result<(), String> {
        loop {
            if self.engine.borrow().durable()? >= self.barrier {
                return Ok(());
            }
            self.signals.durable.notified().await;
        }
    }

    /// Waits for what a request needs. `false`: the connection must be closed instead.
    async fn wait_for(&mut self, wait: &Wait, request_bytes: usize) -> io::Result<bool> {
        let engine = Rc::clone(&self.engine);
        let mut over = pin!(over(&engine, wait));
        if matches!(wait, Wait::Loaded(_)) {
            // The disk answers soon. Until then nothing is read, so that a client that has shut down only its sending
            // half still gets all replies.
            return Ok(tokio::select! {
                biased;
                () = over => true,
                () = closed_now(&self.mailbox) => false,
            });
        }
        while self.mailbox.closing().is_none() {
            self.collect_mail()?;
            if !self.output.is_empty() {
                // Not in the `select!` below, which could stop in the middle of a reply.
                self.send().await?;
                continue;
            }
            // More than this of a long pipeline stays with the client.
            let has_room = self.input.len() < request_bytes + READ_BYTES;
            let mailbox = Rc::clone(&self.mailbox);
            tokio::select! {
                biased;
                () = &mut over => return Ok(true),
                is_open = self.receive(), if has_room => {
                    if !is_open? {
                        return Ok(false);
                    }
                }
                () = mailbox.filled(), if !has_room => {}
            }
        }
        Ok(false)
    }

    /// Waits for the answer to a blocked command. `false`: the connection must be closed instead.
    async fn wait_until_answered(&mut self, deadline: Option<Instant>) -> io::Result<bool> {
        while !self.mailbox.is_answered() {
            if self.mailbox.closing().is_some() {
                return Ok(false);
            }
            if self.has_too_much_input(&self.engine.borrow()) {
                self.engine.borrow_mut().count_too_much_input();
                return Ok(false);
            }
            self.collect_mail()?;
            if !self.output.is_empty() {
                self.send().await?;
                continue;
            }
            // Input that arrives meanwhile is kept. Reading it is also the way to notice that the client has gone.
            let is_open = match deadline {
                None => self.receive().await?,
                Some(deadline) => {
                    if let Ok(received) = timeout_at(deadline.into(), self.receive()).await {
                        received?
                    } else {
                        self.engine.borrow_mut().time_out(self.id);
                        continue;
                    }
                }
            };
            if !is_open {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits for input or mail. `false`: the client has gone.
    async fn receive(&mut self) -> io::Result<bool> {
        let Self { stream, input, mailbox, parser, .. } = self;
        // Room for a whole long argument is reserved at once, so that the input is not moved again and again.
        let missing = parser.missing_bytes(input.len());
        if missing > READ_BYTES {
            input.reserve(missing.min(MAX_RESERVED_BYTES));
        }
        tokio::select! {
            biased;
            received = poll_fn(|context| {
                READ_BUFFER.with_borrow_mut(|buffer| {
                    let mut buffer = ReadBuf::new(buffer);
                    ready!(std::pin::Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
                    input.extend_from_slice(buffer.filled());
                    Poll::Ready(io::Result::Ok(buffer.filled().len()))
                })
            }) => Ok(received? > 0),
            () = mailbox.filled() => Ok(true),
        }
    }

    fn has_too_much_input(&self, engine: &Engine) -> bool {
        self.input.len() as u64 > engine.options().client_query_buffer_limit
    }

    /// Asks the server to stop. `true`: it goes on, and the client gets an error.
    async fn stop_server(&mut self, force: bool, stop: &StopSender) -> bool {
        let (refused, refusal) = oneshot::channel();
        // The receiver is gone only when the server is already stopping.
        let _ = stop.send(StopRequest { force, refused });
        tokio::select! {
            Ok(()) = refusal => {}
            () = closed_now(&self.mailbox) => return false,
        }
        let mut engine = self.engine.borrow_mut();
        let Some(session) = engine.begin_batch(self.id) else { return false };
        if session.reply_mode == ReplyMode::On {
            let error = Reply::error("ERR Errors trying to SHUTDOWN. Check logs.");
            encode(&error, session.version, &mut self.output);
        }
        engine.end_batch(session, 0);
        true
    }
}

/// Moves messages from a mailbox to the output, as many as there is room for.
fn take_mail(mailbox: &Mailbox, session: &Session, output: &mut Vec<u8>) {
    while output.len() < OUTPUT_HIGH_WATER_BYTES {
        let Some(message) = mailbox.take() else { break };
        encode(&message, session.version, output);
    }
}

/// A client that only announces a long argument cannot make the server allocate more than this.
const MAX_RESERVED_BYTES: usize = 16 << 20;

fn closed_by_server() -> io::Error {
    io::Error::other("closed by the server")
}

/// Waits for the order to close at once. Other mail stays in the mailbox.
async fn closed_now(mailbox: &Mailbox) {
    while mailbox.closing() != Some(Closing::Now) {
        mailbox.arrived().await;
    }
}

#[cfg(test)]
mod tests {
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
}
