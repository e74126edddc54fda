//! A connection with just as much of the protocol as filling and asking needs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::Result;

/// Requests that are sent before their replies are read.
const PIPELINE: u64 = 1000;
/// How long a reply may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A connection to a server.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to a port of this machine.
    pub fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends a request and gives its reply: a simple string, an integer or a bulk string. An error reply is an error.
    pub fn call(&mut self, request: &[&[u8]]) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        encode(&mut bytes, request);
        self.stream.get_mut().write_all(&bytes)?;
        self.read_reply()
    }

    /// Sends so many requests, written by `request` one after the other, in pipelines. The replies are integers or short
    /// strings; an error reply is an error.
    pub fn send_all(&mut self, count: u64, mut request: impl FnMut(u64) -> Vec<Vec<u8>>) -> Result<()> {
        let mut bytes = Vec::new();
        for start in (0..count).step_by(PIPELINE as usize) {
            let end = count.min(start + PIPELINE);
            bytes.clear();
            for number in start..end {
                let words = request(number);
                encode(&mut bytes, &words.iter().map(Vec::as_slice).collect::<Vec<_>>());
            }
            self.stream.get_mut().write_all(&bytes)?;
            for _ in start..end {
                self.read_reply()?;
            }
        }
        Ok(())
    }

    fn read_reply(&mut self) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        match text.split_at_checked(1) {
            Some(("+" | ":", reply)) => Ok(reply.as_bytes().to_vec()),
            Some(("$", len)) => {
                let mut reply = vec![0; len.parse::<usize>()? + 2];
                self.stream.read_exact(&mut reply)?;
                reply.truncate(reply.len() - 2);
                Ok(reply)
            }
            _ => Err(format!("the server answered: {text}").into()),
        }
    }

    /// Sets the keys `key:000000000000` and so on, as redis-benchmark names them.
    pub fn fill(&mut self, keys: u64, value_len: usize) -> Result<()> {
        let value = vec![b'x'; value_len];
        let mut bytes = Vec::new();
        let mut replies = vec![0; b"+OK\r\n".len() * PIPELINE as usize];
        for start in (0..keys).step_by(PIPELINE as usize) {
            let end = keys.min(start + PIPELINE);
            bytes.clear();
            for key in start..end {
                encode(&mut bytes, &[b"SET", format!("key:{key:012}").as_bytes(), &value]);
            }
            self.stream.get_mut().write_all(&bytes)?;
            let replies = &mut replies[..b"+OK\r\n".len() * (end - start) as usize];
            self.stream.read_exact(replies)?;
            if replies.chunks(b"+OK\r\n".len()).any(|reply| reply != b"+OK\r\n") {
                return Err(format!("a SET was refused: {}", String::from_utf8_lossy(replies)).into());
            }
        }
        Ok(())
    }
}

fn encode(bytes: &mut Vec<u8>, request: &[&[u8]]) {
    bytes.extend_from_slice(format!("*{}\r\n", request.len()).as_bytes());
    for argument in request {
        bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
}
