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

use crate::engine::limits::{KEPT_BUFFER_BYTES, MAX_RESERVED_BYTES, OUTPUT_HIGH_WATER_BYTES, READ_BYTES};
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

    fn execute_batch(&mut self, engine: &mut Engine, session: &mut Session) -> (usize, Pause) {
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
        // Those who wait for the server itself get everything done that they have sent, even if they send no more.
        let ends_late = matches!(wait, Wait::Compiled(_) | Wait::Writable);
        let mut is_open = true;
        while self.mailbox.closing().is_none() {
            self.collect_mail()?;
            if !self.output.is_empty() {
                // Not in the `select!` below, which could stop in the middle of a reply.
                self.send().await?;
                continue;
            }
            // More than this of a long pipeline stays with the client.
            let reads = is_open && self.input.len() < request_bytes + READ_BYTES;
            let mailbox = Rc::clone(&self.mailbox);
            tokio::select! {
                biased;
                () = &mut over => return Ok(true),
                received = self.receive(), if reads => {
                    is_open = received?;
                    if !is_open && !ends_late {
                        return Ok(false);
                    }
                }
                () = mailbox.filled(), if !reads => {}
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
mod tests;
