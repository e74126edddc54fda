//! Accepting connections.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::connection::{Connection, StopSender};
use crate::engine::Shared;

/// When the system has no file descriptor left, accepting pauses for this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why an address cannot be listened on.
#[derive(Debug)]
pub struct ListenError {
    address: SocketAddr,
    error: std::io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cannot listen on {}: {}", self.address, self.error)
    }
}

impl std::error::Error for ListenError {}

/// The listening sockets.
pub struct Listener {
    sockets: Vec<TcpListener>,
    port: u16,
}

impl Listener {
    /// Listens on a port of all these addresses; port 0 takes a free one.
    pub fn bind(addresses: &[IpAddr], mut port: u16, backlog: u32) -> Result<Self, ListenError> {
        let mut sockets = Vec::with_capacity(addresses.len());
        for address in addresses {
            let address = SocketAddr::new(*address, port);
            let socket = listen(address, backlog).map_err(|error| ListenError { address, error })?;
            // With port 0 all addresses are to share the port that the first one got.
            port = socket.local_addr().map_or(port, |address| address.port());
            sockets.push(socket);
        }
        Ok(Self { sockets, port })
    }

    /// The port that is listened on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts a task for each socket, which starts one for each connection. `stop` is told when a client stops the
    /// server.
    pub fn serve(self, engine: &Shared, stop: &StopSender) {
        for socket in self.sockets {
            tokio::task::spawn_local(accept_all(socket, Rc::clone(engine), stop.clone()));
        }
    }
}

fn listen(address: SocketAddr, backlog: u32) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}

async fn accept_all(socket: TcpListener, engine: Shared, stop: StopSender) {
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => {
                configure(&stream, engine.borrow().options().tcp_keepalive_s);
                let local = stream.local_addr().ok();
                let client = engine.borrow_mut().connect(peer, local);
                match client {
                    Some((id, mailbox)) => {
                        let connection = Connection::new(stream, Rc::clone(&engine), id, mailbox);
                        tokio::task::spawn_local(connection.run(stop.clone()));
                    }
                    // There is nobody to tell when even this cannot be sent.
                    None => drop(stream.try_write(b"-ERR max number of clients reached\r\n")),
                }
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Settings that a connection can do without.
fn configure(stream: &TcpStream, keepalive_s: u32) {
    let nodelay = stream.set_nodelay(true);
    let keepalive = if keepalive_s > 0 {
        let period = Duration::from_secs(keepalive_s.into());
        sockopt::set_socket_keepalive(stream, true)
            .and_then(|()| sockopt::set_tcp_keepidle(stream, period))
            .map_err(std::io::Error::from)
    } else {
        Ok(())
    };
    if let Err(error) = nodelay.and(keepalive) {
        tracing::debug!("a connection keeps the system's settings: {error}");
    }
}
