//! Bytes in, bytes out: requests, protocol errors, handshakes and limits. Every row of the tables is asked of
//! redis-server too, and must give the same bytes there.

use kvasm_tests::{Options, Server, line};

/// How many commands are sent in one packet.
const PIPELINED: i64 = 20_000;

/// What becomes of the connection after a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Then {
    Open,
    Closed,
}
use Then::{Closed, Open};

/// Both servers of a table.
struct Servers([Server; 2]);

impl Servers {
    fn start(options: &Options) -> Servers {
        Servers([Server::kvasm(options), Server::redis(options)])
    }

    /// Sends `request` on a new connection after the handshake `before`, and compares all that comes back.
    fn check(&self, before: &str, request: &[u8], reply: &str, then: Then) {
        const END: &[u8] = b"$5\r\n#end#\r\n";
        for server in &self.0 {
            let mut connection = server.connect();
            for line in before.split(';').filter(|line| !line.is_empty()) {
                connection.run(line);
            }
            connection.send(request);
            if then == Open {
                connection.send(&line::encode(&["ECHO", "#end#"]));
            }
            let (received, closed) = connection.read_until(if then == Open { END } else { b"" });
            let received = received.strip_suffix(END).unwrap_or(&received);
            let shown = request[..request.len().min(200)].escape_ascii();
            assert_eq!(
                (received.escape_ascii().to_string(), if closed { Closed } else { Open }),
                (reply.as_bytes().escape_ascii().to_string(), then),
                "{:?} to {shown}",
                server.program()
            );
        }
    }
}

#[test]
fn requests_are_read_as_redis_reads_them() {
    let servers = Servers::start(&Options::new());
    let table: &[(&str, &str)] = &[
        ("PING\r\n", "+PONG\r\n"),
        ("PING\n", "+PONG\r\n"),
        ("\r\n\n  \r\nPING\r\n", "+PONG\r\n"),
        ("  PING \t x  \r\n", "$1\r\nx\r\n"),
        ("ECHO \"a\\x20b\\n\\r\\t\\b\\a\\q\\\"\\\\\"\r\n", "$11\r\na b\n\r\t\u{8}\u{7}q\"\\\r\n"),
        ("ECHO 'a\\'b\\n\"'\r\n", "$6\r\na'b\\n\"\r\n"),
        ("ECHO \"\"\r\n", "$0\r\n\r\n"),
        ("*1\r\n$4\r\nPING\r\n", "+PONG\r\n"),
        ("*2\r\n$4\r\npInG\r\n$0\r\n\r\n", "$0\r\n\r\n"),
        ("*0\r\n*-1\r\n*-7\r\n*1\r\n$4\r\nPING\r\n", "+PONG\r\n"),
        ("*2\r\n$4\r\nECHO\r\n$4\r\n\r\n\0\n\r\n", "$4\r\n\r\n\0\n\r\n"),
        ("*1\r\n$0\r\n\r\n", "-ERR unknown command '', with args beginning with: \r\n"),
        ("*1\r\n$5\r\na\r\nb!\r\n", "-ERR unknown command 'a  b!', with args beginning with: \r\n"),
        ("nosuch a b\r\n", "-ERR unknown command 'nosuch', with args beginning with: 'a' 'b' \r\n"),
        ("get\r\n", "-ERR wrong number of arguments for 'get' command\r\n"),
        ("CONFIG\r\n", "-ERR wrong number of arguments for 'config' command\r\n"),
        ("config get\r\n", "-ERR wrong number of arguments for 'config|get' command\r\n"),
        ("CLIENT nosuch\r\n", "-ERR unknown subcommand 'nosuch'. Try CLIENT HELP.\r\n"),
        ("HELLO 4\r\n", "-NOPROTO unsupported protocol version\r\n"),
        ("HELLO x\r\n", "-ERR Protocol version is not an integer or out of range\r\n"),
        ("HELLO 3 AUTH x\r\n", "-ERR Syntax error in HELLO option 'AUTH'\r\n"),
        ("HELLO 3 NOSUCH\r\n", "-ERR Syntax error in HELLO option 'NOSUCH'\r\n"),
        (
            "AUTH x\r\n",
            "-ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?\r\n",
        ),
        ("AUTH default x\r\n", "+OK\r\n"),
        ("CLIENT REPLY OFF\r\nPING\r\nnosuch\r\nCLIENT REPLY ON\r\n", "+OK\r\n"),
        ("CLIENT REPLY SKIP\r\nPING\r\nPING\r\n", "+PONG\r\n"),
        ("CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nPING\r\nPING x\r\n", "$1\r\nx\r\n"),
        (
            "MULTI\r\nMULTI\r\nPING\r\nEXEC\r\n",
            "+OK\r\n-ERR MULTI calls can not be nested\r\n+QUEUED\r\n*1\r\n+PONG\r\n",
        ),
        ("MULTI\r\nRESET\r\nEXEC\r\n", "+OK\r\n+RESET\r\n-ERR EXEC without MULTI\r\n"),
        (
            "MULTI\r\nnosuch\r\nEXEC\r\n",
            "+OK\r\n-ERR unknown command 'nosuch', with args beginning with: \r\n\
             -EXECABORT Transaction discarded because of previous errors.\r\n",
        ),
        ("DISCARD\r\n", "-ERR DISCARD without MULTI\r\n"),
        ("MULTI\r\nWATCH a\r\nDISCARD\r\n", "+OK\r\n-ERR WATCH inside MULTI is not allowed\r\n+OK\r\n"),
        (
            "MULTI\r\nSUBSCRIBE a\r\nUNSUBSCRIBE\r\nEXEC\r\n",
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n\
             *3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n",
        ),
        ("UNSUBSCRIBE\r\n", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"),
    ];
    for (request, reply) in table {
        servers.check("", request.as_bytes(), reply, Open);
    }
}

#[test]
fn protocol_errors_are_those_of_redis_and_close_the_connection() {
    let servers = Servers::start(&Options::new());
    let long = "1".repeat(70_000);
    let table: &[(String, &str)] = &[
        ("PING \"a\r\n".into(), "-ERR Protocol error: unbalanced quotes in request\r\n"),
        ("PING \"a\"b\r\n".into(), "-ERR Protocol error: unbalanced quotes in request\r\n"),
        ("PING 'a\r\n".into(), "-ERR Protocol error: unbalanced quotes in request\r\n"),
        (format!("PING {long}"), "-ERR Protocol error: too big inline request\r\n"),
        ("*x\r\n".into(), "-ERR Protocol error: invalid multibulk length\r\n"),
        ("*\r\n".into(), "-ERR Protocol error: invalid multibulk length\r\n"),
        ("*1 \r\n".into(), "-ERR Protocol error: invalid multibulk length\r\n"),
        ("*2147483648\r\n".into(), "-ERR Protocol error: invalid multibulk length\r\n"),
        ("*9223372036854775808\r\n".into(), "-ERR Protocol error: invalid multibulk length\r\n"),
        (format!("*{long}"), "-ERR Protocol error: too big mbulk count string\r\n"),
        ("*1\r\n:4\r\n".into(), "-ERR Protocol error: expected '$', got ':'\r\n"),
        ("*1\r\n\r\n".into(), "-ERR Protocol error: expected '$', got ' '\r\n"),
        ("*1\r\n$x\r\n".into(), "-ERR Protocol error: invalid bulk length\r\n"),
        ("*1\r\n$-1\r\n".into(), "-ERR Protocol error: invalid bulk length\r\n"),
        ("*1\r\n$536870913\r\n".into(), "-ERR Protocol error: invalid bulk length\r\n"),
        (format!("*1\r\n${long}"), "-ERR Protocol error: too big bulk count string\r\n"),
        ("PING\r\n*x\r\nPING\r\n".into(), "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n"),
        ("QUIT\r\nPING\r\n".into(), "+OK\r\n"),
        // A browser that was tricked into talking to the server.
        ("POST / HTTP/1.1\r\nPING\r\n".into(), ""),
        ("Host: x\r\nPING\r\n".into(), ""),
    ];
    for (request, reply) in table {
        servers.check("", request.as_bytes(), reply, Closed);
    }
}

#[test]
fn subscribers_get_the_bytes_that_redis_sends() {
    let servers = Servers::start(&Options::new());
    let refused = "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed \
                   in this context\r\n";
    let pong = "*2\r\n$4\r\npong\r\n$0\r\n\r\n";
    let table: &[(&str, String, Then)] = &[
        ("", format!("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n{refused}{pong}+RESET\r\n$-1\r\n"), Open),
        ("HELLO 3", ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n_\r\n+PONG\r\n+RESET\r\n$-1\r\n".into(), Open),
    ];
    for (before, reply, then) in table {
        servers.check(before, b"SUBSCRIBE a\r\nGET nokey\r\nPING\r\nRESET\r\nGET nokey\r\n", reply, *then);
    }
    servers.check(
        "",
        b"PSUBSCRIBE a*\r\nQUIT\r\n",
        "*3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:1\r\n+OK\r\n",
        Closed,
    );
}

#[test]
fn resp3_has_its_own_bytes() {
    let servers = Servers::start(&Options::new());
    let table: &[(&str, &str)] = &[
        ("GET nokey", "_\r\n"),
        ("MGET nokey nokey", "*2\r\n_\r\n_\r\n"),
        ("CONFIG GET maxmemory", "%1\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n"),
        ("CONFIG GET nosuch", "%0\r\n"),
        ("LCS a b IDX", "%2\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:0\r\n"),
        ("INCRBYFLOAT float 0.5", "$3\r\n0.5\r\n"),
        ("DEL nokey", ":0\r\n"),
        ("PUBSUB NUMSUB x", "*2\r\n$1\r\nx\r\n:0\r\n"),
        ("UNSUBSCRIBE", ">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n"),
        ("CLIENT GETNAME", "_\r\n"),
        ("BITFIELD nokey OVERFLOW FAIL INCRBY i8 0 300", "*1\r\n_\r\n"),
        ("GETEX nokey", "_\r\n"),
        ("RANDOMKEY", "_\r\n"),
        ("OBJECT ENCODING nokey", "_\r\n"),
    ];
    for (request, reply) in table {
        servers.check("HELLO 3;SELECT 9;FLUSHDB", format!("{request}\r\n").as_bytes(), reply, Open);
    }
}

#[test]
fn a_watched_change_makes_exec_the_null_of_the_protocol() {
    let servers = Servers::start(&Options::new());
    for server in &servers.0 {
        for (hello, null) in [("HELLO 2", "*-1"), ("HELLO 3", "_")] {
            let mut connection = server.connect();
            connection.run(hello);
            connection.run("WATCH watched");
            server.connect().run("SET watched 1");
            connection.run("MULTI");
            assert_eq!(connection.run("EXEC").to_string(), null, "{:?}", server.program());
        }
    }
}

#[test]
fn a_watched_key_whose_time_comes_before_exec_aborts_it() {
    let servers = Servers::start(&Options::new());
    // In one packet, so that nothing removes the key in between. It is there when it is watched.
    let table = [
        ("SET k v PX 20\r\nWATCH k\r\nDEBUG SLEEP 0.05\r\nMULTI\r\nPING\r\nEXEC\r\n", "*-1\r\n"),
        ("SET k v PX 20\r\nDEBUG SLEEP 0.05\r\nWATCH k\r\nMULTI\r\nPING\r\nEXEC\r\n", "*1\r\n+PONG\r\n"),
    ];
    for (request, result) in table {
        let reply = format!("+OK\r\n+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n{result}");
        servers.check("", request.as_bytes(), &reply, Open);
    }
}

#[test]
fn commands_may_arrive_in_any_pieces() {
    let server = Server::kvasm(&Options::new());
    let request = b"*3\r\n$3\r\nSET\r\n$5\r\nsplit\r\n$6\r\nva\r\nue\r\nECHO \"in line\"\r\n*2\r\n$3\r\nGET\r\n$5\r\nsplit\r\n";
    let reply = b"+OK\r\n$7\r\nin line\r\n$6\r\nva\r\nue\r\n";
    let check = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut connection = server.connect();
        for piece in pieces {
            connection.send(piece);
            // So that the pieces do not meet in the server's socket.
            std::thread::sleep(std::time::Duration::from_micros(500));
        }
        let (received, _) = connection.read_until(&reply[reply.len() - 8..]);
        assert_eq!(received.escape_ascii().to_string(), reply.escape_ascii().to_string());
    };
    for boundary in 0..request.len() {
        check(&mut [&request[..boundary], &request[boundary..]].into_iter());
    }
    check(&mut request.chunks(1));
}

#[test]
fn many_commands_in_one_packet_are_answered_in_order() {
    let server = Server::kvasm(&Options::new());
    let mut connection = server.connect();
    connection.run("DEL pipelined");
    connection.send(&line::encode(&["INCR", "pipelined"]).repeat(PIPELINED as usize));
    for number in 1..=PIPELINED {
        assert_eq!(connection.read().integer(), Some(number));
    }
}

#[test]
fn before_authentication_little_is_allowed() {
    let servers = Servers::start(&Options::new().with("requirepass", "secret"));
    let noauth = "-NOAUTH Authentication required.\r\n";
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    let table: &[(&str, &str, Then)] = &[
        ("*11\r\n", "-ERR Protocol error: unauthenticated multibulk length\r\n", Closed),
        ("*1\r\n$16385\r\n", "-ERR Protocol error: unauthenticated bulk length\r\n", Closed),
        ("PING\r\nQUIT\r\n", &format!("{noauth}+OK\r\n"), Closed),
        ("AUTH wrong\r\nGET a\r\nQUIT\r\n", &format!("{wrong}{noauth}+OK\r\n"), Closed),
        ("AUTH nobody secret\r\nQUIT\r\n", &format!("{wrong}+OK\r\n"), Closed),
        ("HELLO 3 AUTH default wrong\r\nQUIT\r\n", &format!("{wrong}+OK\r\n"), Closed),
        ("AUTH secret\r\nPING\r\n", "+OK\r\n+PONG\r\n", Open),
        (
            "AUTH default secret\r\nPING\r\nRESET\r\nPING\r\nQUIT\r\n",
            &format!("+OK\r\n+PONG\r\n+RESET\r\n{noauth}+OK\r\n"),
            Closed,
        ),
    ];
    for (request, reply, then) in table {
        servers.check("", request.as_bytes(), reply, *then);
    }
    for server in &servers.0 {
        // Redis 7.2 words the rest differently from 7.0.
        let reply = server.connect().run("HELLO 3").text();
        assert!(
            reply.starts_with("NOAUTH HELLO must be called with the client already authenticated"),
            "{reply}"
        );
    }
}
