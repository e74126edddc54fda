//! Accepting connections.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::net::sockopt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::connection::{Connection, StopSender};
use crate::engine::{EndOnPanic, Shared};
use crate::options::BindAddress;

/// When the system has no file descriptor left, accepting pauses for this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The log mentions this at most this often.
const ACCEPT_WARNING_PAUSE: Duration = Duration::from_secs(10);

/// Files that the server may have open besides its connections, as many as Redis keeps free.
const OTHER_FILES: u32 = 32;

/// Raises the limit of open files to what this many clients need, if the system permits it. Returns how many clients
/// there is room for.
#[must_use]
pub fn make_room_for(clients: u32) -> u32 {
    let wanted = u64::from(clients) + u64::from(OTHER_FILES);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // A limit that is higher already stays, because `maxclients` may be raised later.
    let permitted = Rlimit { current: maximum, maximum };
    // A privileged process may raise even its hard limit.
    let raised = Rlimit { current: Some(wanted), maximum: Some(wanted) };
    let files =
        if maximum.is_some_and(|maximum| maximum < wanted) && setrlimit(Resource::Nofile, raised).is_ok() {
            Some(wanted)
        } else if setrlimit(Resource::Nofile, permitted).is_ok() {
            maximum
        } else {
            current
        };
    let files = files.map_or(u32::MAX, |files| u32::try_from(files).unwrap_or(u32::MAX));
    files.saturating_sub(OTHER_FILES).max(1)
}

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
    /// Listens on the same port of all these addresses, but for optional ones that the machine does not have. Port 0
    /// stands for any free one.
    pub fn bind(addresses: &[BindAddress], mut port: u16, backlog: u32) -> Result<Self, ListenError> {
        let mut sockets = Vec::with_capacity(addresses.len());
        let mut lacking = None;
        for BindAddress { ip, is_optional } in addresses {
            let address = SocketAddr::new(*ip, port);
            let socket = match listen(address, backlog) {
                Ok(socket) => socket,
                Err(error) if *is_optional && is_lacking(&error) => {
                    lacking = Some(ListenError { address, error });
                    continue;
                }
                Err(error) => return Err(ListenError { address, error }),
            };
            // With port 0 all addresses share the port that the first one got.
            port = socket.local_addr().map_or(port, |address| address.port());
            sockets.push(socket);
        }
        match lacking {
            Some(error) if sockets.is_empty() => Err(error),
            _ => Ok(Self { sockets, port }),
        }
    }

    /// The port that is listened on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts a task for each socket, which starts one for each connection. `stop` takes clients' requests to stop the
    /// server.
    pub fn serve(self, engine: &Shared, stop: &StopSender) {
        for socket in self.sockets {
            tokio::task::spawn_local(accept_all(socket, Rc::clone(engine), stop.clone()));
        }
    }
}

/// Whether the machine does not have an address, or nothing of its kind.
fn is_lacking(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

fn listen(address: SocketAddr, backlog: u32) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        let socket = TcpSocket::new_v6()?;
        // Otherwise `::` includes all IPv4 addresses, and `0.0.0.0` cannot be bound as well.
        sockopt::set_ipv6_v6only(&socket, true)?;
        socket
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}

async fn accept_all(socket: TcpListener, engine: Shared, stop: StopSender) {
    let _guard = EndOnPanic(Rc::clone(&engine));
    let mut warned: Option<Instant> = None;
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
                    // If even this cannot be sent, there is nobody to tell.
                    None => drop(stream.try_write(b"-ERR max number of clients reached\r\n")),
                }
            }
            Err(error) => {
                if warned.is_none_or(|warned| warned.elapsed() >= ACCEPT_WARNING_PAUSE) {
                    warned = Some(Instant::now());
                    tracing::warn!("cannot accept a connection: {error}");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Makes settings that a connection works without, too.
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

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn all_addresses_of_both_families_can_be_listened_on_at_one_port() {
        if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
            eprintln!("skipped: this machine has no IPv6");
            return;
        }
        let addresses: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let addresses = addresses.map(BindAddress::from);
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = Listener::bind(&addresses, 0, 16).expect("both are free");
            for address in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
                TcpStream::connect((address, listener.port())).await.expect("somebody listens");
            }
        });
    }

    #[test]
    fn only_an_optional_address_may_be_lacking_and_not_all_of_them() {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let _guard = runtime.enter();
        let check = |addresses: &[&str], expected: Option<usize>| {
            let parse = |text: &&str| BindAddress {
                ip: text.trim_start_matches('-').parse().expect("an address"),
                is_optional: text.starts_with('-'),
            };
            let addresses: Vec<_> = addresses.iter().map(parse).collect();
            let bound = Listener::bind(&addresses, 0, 1).map(|listener| listener.sockets.len());
            assert_eq!(bound.ok(), expected, "{addresses:?}");
        };
        // An address that is kept for documentation.
        check(&["127.0.0.1", "-192.0.2.1"], Some(1));
        check(&["-192.0.2.1", "-127.0.0.1"], Some(1));
        check(&["127.0.0.1", "192.0.2.1"], None);
        check(&["-192.0.2.1"], None);
    }
}
