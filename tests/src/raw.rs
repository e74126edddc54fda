//! A connection without a client library in between: bytes out, values in, a time limit on everything.

use crate::line;
use crate::value::Value;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// How long a reply may take before the test fails. Procedures in the background get only the time that nobody else on
/// the machine wants, so this is long.
const REPLY_TIMEOUT: Duration = Duration::from_secs(120);

/// How much is taken from the socket at once.
const RECEIVE_BYTES: usize = 16 * 1024;

/// A raw connection. Methods that return no `Result` panic with what went wrong, as a test would.
pub struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Raw {
    /// Connects to a server on this machine.
    ///
    /// # Panics
    /// When nobody answers there.
    #[must_use]
    pub fn connect(port: u16) -> Raw {
        Raw::try_connect(port).unwrap_or_else(|error| panic!("connect to port {port}: {error}"))
    }

    /// Connects to a server on this machine.
    pub fn try_connect(port: u16) -> Result<Raw> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let stream = TcpStream::connect_timeout(&address, REPLY_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
        stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
        Ok(Raw { stream, received: Vec::new() })
    }

    /// Replaces the time limit of a reply.
    ///
    /// # Panics
    /// When the socket refuses it.
    pub fn set_reply_timeout(&mut self, timeout: Duration) {
        self.stream.set_read_timeout(Some(timeout)).expect("set the time limit of the socket");
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// When the connection is lost.
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap_or_else(|error| panic!("send {} bytes: {error}", bytes.len()));
    }

    /// Sends bytes as they are.
    pub fn try_send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a command and reads its reply.
    ///
    /// # Panics
    /// When no reply comes.
    pub fn command<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> Value {
        self.try_command(arguments).unwrap_or_else(|error| {
            let arguments: Vec<_> = arguments.iter().map(|argument| argument.as_ref().to_vec()).collect();
            panic!("{}: {error}", line::print(&arguments))
        })
    }

    /// Sends a command and reads its reply.
    pub fn try_command<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> Result<Value> {
        self.try_send(&line::encode(arguments))?;
        self.try_read()
    }

    /// Sends a command written as in redis-cli and reads its reply.
    ///
    /// # Panics
    /// When no reply comes.
    pub fn run(&mut self, line: &str) -> Value {
        self.command(&line::arguments(line))
    }

    /// Reads one value, a reply or a pushed one.
    ///
    /// # Panics
    /// When none comes.
    pub fn read(&mut self) -> Value {
        self.try_read().unwrap_or_else(|error| panic!("read a reply: {error}"))
    }

    /// Reads one value, a reply or a pushed one.
    pub fn try_read(&mut self) -> Result<Value> {
        loop {
            match Value::parse(&self.received) {
                Ok(Some((value, length))) => {
                    self.received.drain(..length);
                    return Ok(value);
                }
                Ok(None) => self.receive()?,
                Err(malformed) => return Err(Error::new(ErrorKind::InvalidData, malformed.0)),
            }
        }
    }

    /// Reads raw bytes until they end in `end` or the server closes the connection: all of them, and whether it did.
    ///
    /// # Panics
    /// When neither happens.
    pub fn read_until(&mut self, end: &[u8]) -> (Vec<u8>, bool) {
        loop {
            if !end.is_empty() && self.received.ends_with(end) {
                return (std::mem::take(&mut self.received), false);
            }
            match self.receive() {
                Ok(()) => {}
                Err(error) if is_end(&error) => return (std::mem::take(&mut self.received), true),
                Err(error) => panic!("after {:?}: {error}", self.received.escape_ascii().to_string()),
            }
        }
    }

    /// Reads everything until the server closes the connection.
    ///
    /// # Panics
    /// When it does not.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        self.read_until(b"").0
    }

    /// Everything that the server has sent before its answer to a PING sent now.
    pub fn drain(&mut self, nonce: &str) -> Result<Vec<Value>> {
        self.try_send(&line::encode(&["PING", nonce]))?;
        let mut drained = Vec::new();
        loop {
            let value = self.try_read()?;
            let answered = match &value {
                Value::Bulk(text) => text == nonce.as_bytes(),
                // What PING answers to a RESP2 connection that has subscribed.
                Value::Array(elements) => {
                    elements.len() == 2
                        && elements[0].bytes() == b"pong"
                        && elements[1].bytes() == nonce.as_bytes()
                }
                _ => false,
            };
            if answered {
                return Ok(drained);
            }
            drained.push(value);
        }
    }

    /// Tells the server that nothing more will be sent.
    ///
    /// # Panics
    /// When the socket refuses it.
    pub fn finish_sending(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("shut the sending half of the socket");
    }

    fn receive(&mut self) -> Result<()> {
        let mut buffer = [0; RECEIVE_BYTES];
        let length = self.stream.read(&mut buffer)?;
        if length == 0 {
            return Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        self.received.extend_from_slice(&buffer[..length]);
        Ok(())
    }
}

fn is_end(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}
