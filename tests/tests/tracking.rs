//! Client-side caching: a client that tracks keys is told of every change of what it may have cached, by whatever hand,
//! after the reply to its own command. What does not name kvasm's own commands is proved against redis-server too.

use kvasm_tests::guest::{data, fcall, load, module, procedure, slice};
use kvasm_tests::server::wait_for;
use kvasm_tests::{Options, Raw, Server};
use std::collections::HashMap;

/// Connections by name, made when first used; those with a capital speak RESP3.
struct Clients<'a> {
    server: &'a Server,
    connections: HashMap<String, Raw>,
}

impl<'a> Clients<'a> {
    fn new(server: &'a Server) -> Self {
        Self { server, connections: HashMap::new() }
    }

    fn get(&mut self, name: &str) -> &mut Raw {
        let server = self.server;
        self.connections.entry(name.to_owned()).or_insert_with(|| {
            let mut connection = server.connect();
            if name.starts_with(char::is_uppercase) {
                connection.run("HELLO 3");
            }
            connection
        })
    }

    /// Everything that a client has been sent since it was last looked at.
    fn told(&mut self, name: &str) -> String {
        let told = self.get(name).drain("nonce").expect("an answer to PING");
        told.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    /// Takes steps in order: who sends what, and the reply; without a request, what it has been told. `$NAME` is the
    /// number of that client.
    #[track_caller]
    fn check(&mut self, steps: &[(&str, &str, &str)]) {
        for (name, request, expected) in steps {
            let mut request = (*request).to_owned();
            if let Some(other) = request.split('$').nth(1).map(str::to_owned) {
                let id = self.get(&other).run("CLIENT ID").integer().expect("a number");
                request = request.replace(&format!("${other}"), &id.to_string());
            }
            let answer =
                if request.is_empty() { self.told(name) } else { self.get(name).run(&request).to_string() };
            assert_eq!(answer, *expected, "{name}: {request} ({:?})", self.server.program());
        }
    }
}

/// Takes steps on both servers, with new connections.
#[track_caller]
fn check(steps: &[(&str, &str, &str)]) {
    for server in [Server::kvasm(&Options::new()), Server::redis(&Options::new())] {
        Clients::new(&server).check(steps);
    }
}

#[test]
fn a_client_is_told_once_of_each_key_that_it_has_read() {
    check(&[
        ("A", "CLIENT TRACKING ON", "+OK"),
        ("A", "MGET k1 k2", "[_, _]"),
        ("b", "SET k1 1", "+OK"),
        ("b", "SET other 1", "+OK"),
        ("A", "", ">[\"invalidate\", [\"k1\"]]"),
        ("b", "SET k1 2", "+OK"),
        ("A", "", ""),
        ("A", "SET k2 1", "+OK"),
        ("A", "", ">[\"invalidate\", [\"k2\"]]"),
        ("A", "GET k1", "\"2\""),
        ("b", "SELECT 1", "+OK"),
        ("b", "SET k1 of-another-database", "+OK"),
        ("A", "", ">[\"invalidate\", [\"k1\"]]"),
        ("A", "GET k1", "\"2\""),
        ("A", "CLIENT TRACKING OFF", "+OK"),
        ("b", "SET k1 3", "+OK"),
        ("A", "", ""),
    ]);
}

#[test]
fn every_way_to_change_a_key_is_told() {
    let invalid = ">[\"invalidate\", [\"k\"]]";
    check(&[
        ("A", "CLIENT TRACKING ON", "+OK"),
        ("b", "SET k 1", "+OK"),
        ("A", "GET k", "\"1\""),
        ("b", "INCR k", ":2"),
        ("A", "", invalid),
        ("A", "STRLEN k", ":1"),
        ("b", "EXPIRE k 100", ":1"),
        ("A", "", invalid),
        ("A", "TTL k", ":100"),
        ("b", "PERSIST k", ":1"),
        ("A", "", invalid),
        ("A", "EXISTS k", ":1"),
        ("b", "RENAME k j", "+OK"),
        ("A", "", invalid),
        ("A", "GET k", "_"),
        ("b", "RENAME j k", "+OK"),
        ("A", "", invalid),
        ("A", "TYPE k", "+string"),
        ("b", "DEL k", ":1"),
        ("A", "", invalid),
        ("A", "GET k", "_"),
        ("b", "DEL k", ":0"),
        ("A", "", ""),
        ("b", "FLUSHDB", "+OK"),
        ("A", "", ">[\"invalidate\", _]"),
        ("b", "FLUSHALL", "+OK"),
        ("A", "", ">[\"invalidate\", _]"),
        ("A", "FLUSHALL", "+OK"),
        ("A", "", ">[\"invalidate\", _]"),
        ("b", "SET k 1", "+OK"),
        ("A", "", ""),
    ]);
}

#[test]
fn a_key_that_expires_is_told_though_nobody_asks_for_it() {
    for server in [Server::kvasm(&Options::new()), Server::redis(&Options::new())] {
        let mut clients = Clients::new(&server);
        clients.check(&[
            ("A", "CLIENT TRACKING ON NOLOOP", "+OK"),
            // At one moment, so that the key is there when it is read.
            ("A", "MULTI", "+OK"),
            ("A", "SET k 1 PX 300", "+QUEUED"),
            ("A", "GET k", "+QUEUED"),
            ("A", "EXEC", "[+OK, \"1\"]"),
        ]);
        let mut told = String::new();
        wait_for("the key's end", || {
            told = clients.told("A");
            !told.is_empty()
        });
        assert_eq!(told, ">[\"invalidate\", [\"k\"]]");
    }
}

#[test]
fn reads_and_changes_of_a_transaction_count_in_their_order() {
    check(&[
        ("A", "CLIENT TRACKING ON NOLOOP", "+OK"),
        ("A", "MULTI", "+OK"),
        ("A", "GET k", "+QUEUED"),
        ("A", "SET k 1", "+QUEUED"),
        ("A", "GET k", "+QUEUED"),
        ("A", "SET other 1", "+QUEUED"),
        ("A", "EXEC", "[_, +OK, \"1\", +OK]"),
        ("A", "", ""),
        ("b", "MSET k 2 other 2", "+OK"),
        ("A", "", ">[\"invalidate\", [\"k\"]]"),
        ("A", "MULTI", "+OK"),
        ("A", "GET k", "+QUEUED"),
        ("A", "SET k 1", "+QUEUED"),
        ("A", "EXEC", "[\"2\", +OK]"),
        ("b", "SET k 2", "+OK"),
        ("A", "", ""),
    ]);
}

#[test]
fn only_what_was_read_as_chosen_is_tracked() {
    let invalid = ">[\"invalidate\", [\"k\"]]";
    check(&[
        ("A", "CLIENT TRACKING ON OPTIN", "+OK"),
        ("A", "GET k", "_"),
        ("b", "SET k 1", "+OK"),
        ("A", "", ""),
        ("A", "CLIENT CACHING YES", "+OK"),
        ("A", "GET k", "\"1\""),
        ("A", "GET j", "_"),
        ("b", "MSET k 2 j 2", "+OK"),
        ("A", "", invalid),
        ("A", "CLIENT CACHING YES", "+OK"),
        ("A", "MULTI", "+OK"),
        ("A", "PING", "+QUEUED"),
        ("A", "GET k", "+QUEUED"),
        ("A", "EXEC", "[+PONG, \"2\"]"),
        ("b", "SET k 3", "+OK"),
        ("A", "", invalid),
        ("A", "CLIENT TRACKING OFF", "+OK"),
        ("A", "CLIENT TRACKING ON OPTOUT", "+OK"),
        ("A", "CLIENT CACHING NO", "+OK"),
        ("A", "GET j", "\"2\""),
        ("A", "GET k", "\"3\""),
        ("b", "MSET k 4 j 4", "+OK"),
        ("A", "", invalid),
    ]);
}

#[test]
fn prefixes_are_told_of_whether_read_or_not() {
    check(&[
        ("A", "CLIENT TRACKING ON BCAST PREFIX foo PREFIX bar", "+OK"),
        ("C", "CLIENT TRACKING ON BCAST NOLOOP", "+OK"),
        ("b", "MSET foo2 1 bar1 1 foo1 1 baz 1", "+OK"),
        ("A", "", ">[\"invalidate\", [\"bar1\"]] >[\"invalidate\", [\"foo1\", \"foo2\"]]"),
        ("C", "", ">[\"invalidate\", [\"bar1\", \"baz\", \"foo1\", \"foo2\"]]"),
        ("A", "DEL foo1", ":1"),
        ("A", "", ">[\"invalidate\", [\"foo1\"]]"),
        ("C", "", ">[\"invalidate\", [\"foo1\"]]"),
        ("C", "DEL foo2", ":1"),
        ("C", "", ""),
        ("A", "", ">[\"invalidate\", [\"foo2\"]]"),
    ]);
}

#[test]
fn another_connection_is_told_in_the_protocol_that_it_speaks() {
    check(&[
        ("sub", "PING", "+PONG"),
        ("a", "CLIENT TRACKING ON REDIRECT $sub", "+OK"),
        ("a", "GET k", "$-1"),
        ("b", "SET k 1", "+OK"),
        ("sub", "", ""),
        ("sub", "SUBSCRIBE __redis__:invalidate", "[\"subscribe\", \"__redis__:invalidate\", :1]"),
        ("a", "GET k", "\"1\""),
        ("b", "SET k 2", "+OK"),
        ("sub", "", "[\"message\", \"__redis__:invalidate\", [\"k\"]]"),
        ("b", "FLUSHALL", "+OK"),
        ("sub", "", "[\"message\", \"__redis__:invalidate\", $-1]"),
        ("Sub3", "PING", "+PONG"),
        ("c", "CLIENT TRACKING ON REDIRECT $Sub3", "+OK"),
        ("c", "GET k", "$-1"),
        ("b", "SET k 1", "+OK"),
        ("Sub3", "", ">[\"invalidate\", [\"k\"]]"),
        ("c", "", ""),
        ("d", "CLIENT TRACKING ON", "+OK"),
        ("d", "GET k", "\"1\""),
        ("b", "SET k 1", "+OK"),
        ("d", "", ""),
    ]);
}

#[test]
fn a_client_is_told_when_the_one_in_its_place_has_gone() {
    for server in [Server::kvasm(&Options::new()), Server::redis(&Options::new())] {
        let mut clients = Clients::new(&server);
        let id = clients.get("sub").run("CLIENT ID").integer().expect("a number");
        clients.check(&[("A", "CLIENT TRACKING ON REDIRECT $sub", "+OK"), ("A", "GET k", "_")]);
        clients.connections.remove("sub");
        wait_for("the end of the connection", || {
            clients.get("b").run(&format!("CLIENT LIST ID {id}")).bytes().is_empty()
        });
        clients.check(&[
            ("b", "SET k 1", "+OK"),
            ("A", "", &format!(">[\"tracking-redir-broken\", :{id}]")),
            (
                "A",
                "CLIENT TRACKINGINFO",
                &format!(
                    "{{\"flags\": ~[\"on\", \"broken_redirect\"], \"redirect\": :{id}, \"prefixes\": []}}"
                ),
            ),
        ]);
        let info = clients.get("A").run("CLIENT INFO").text();
        assert!(info.contains(" flags=tR ") && info.contains(&format!(" redir={id} ")), "{info}");
    }
}

#[test]
fn a_table_that_is_full_makes_clients_forget() {
    let server = Server::kvasm(&Options::new().with("tracking-table-max-keys", "100"));
    let mut clients = Clients::new(&server);
    clients.check(&[("A", "CLIENT TRACKING ON", "+OK")]);
    for number in 0..250 {
        clients.get("b").run(&format!("GET other:{number}"));
    }
    // Messages come between the replies, so all is read at the end.
    let requests: Vec<u8> =
        (0..250).flat_map(|number| format!("GET key:{number}\r\n").into_bytes()).collect();
    clients.get("A").send(&requests);
    let told = clients.told("A");
    assert_eq!(told.matches("invalidate").count(), 150);
    let info = clients.get("b").run("INFO everything").text();
    for line in ["tracking_clients:1", "tracking_total_keys:100", "tracking_total_items:100"] {
        assert!(info.lines().any(|shown| shown == line), "{line}:\n{info}");
    }
    clients.check(&[("b", "CONFIG SET tracking-table-max-keys 10", "+OK")]);
    wait_for("the table to shrink", || {
        clients.get("b").run("INFO stats").text().lines().any(|line| line == "tracking_total_keys:10")
    });
    assert_eq!(clients.told("A").matches("invalidate").count(), 90);
}

#[test]
fn what_a_procedure_reads_its_caller_has_read_and_what_it_changes_is_told() {
    let server = Server::kvasm(&Options::new());
    let mut clients = Clients::new(&server);
    let fields = [
        data(0, "k"),
        data(16, "*2\r\n$6\r\nSTRLEN\r\n$1\r\nj\r\n"),
        format!("(func (export \"read\") (drop (call $get {} (i32.const 99) (i32.const 9))))", slice(0, "k")),
        "(func (export \"ask\") (drop (call $command_ro (i32.const 16) (i32.const 23) (i32.const 99) (i32.const 9))))"
            .to_owned(),
        format!("(func (export \"write\") (call $put {} {}))", slice(0, "k"), slice(0, "k")),
        format!("(func (export \"fail\") (call $put {} {}) unreachable)", slice(0, "k"), slice(0, "k")),
    ];
    let module = module("get put command_ro", &fields.concat());
    assert_eq!(load(clients.get("b"), "lib", &module).to_string(), "\"lib\"");
    clients.check(&[("A", "CLIENT TRACKING ON", "+OK")]);
    for (function, key) in [("read", "k"), ("ask", "j")] {
        fcall(clients.get("A"), function, "", "");
        clients.check(&[
            ("b", &format!("SET {key} 1"), "+OK"),
            ("A", "", &format!(">[\"invalidate\", [\"{key}\"]]")),
        ]);
    }
    clients.check(&[("A", "GET k", "\"1\"")]);
    assert!(fcall(clients.get("b"), "fail", "", "").is_error());
    clients.check(&[("A", "", "")]);
    fcall(clients.get("b"), "write", "", "");
    clients.check(&[("A", "", ">[\"invalidate\", [\"k\"]]")]);
    // A trigger's change counts, and what it reads nobody has read.
    clients.check(&[
        ("b", "TRIGGER CREATE follow ON set KEYS lead CALL write", "+OK"),
        ("A", "GET k", "\"k\""),
        ("b", "SET lead 1", "+OK"),
        ("A", "", ">[\"invalidate\", [\"k\"]]"),
        ("b", "TRIGGER CREATE look ON set KEYS seen CALL read", "+OK"),
        ("A", "SET seen 1", "+OK"),
        ("b", "SET k 1", "+OK"),
        ("A", "", ""),
    ]);
}

#[test]
fn a_failed_procedure_changed_nothing_and_databases_that_change_places_change_all() {
    let server = Server::kvasm(&Options::new());
    let mut clients = Clients::new(&server);
    clients.check(&[
        ("A", "CLIENT TRACKING ON", "+OK"),
        ("A", "GET k", "_"),
        ("b", "SWAPDB 0 1", "+OK"),
        ("A", "", ">[\"invalidate\", _]"),
    ]);
    let abort = procedure("put abort", &format!("(call $put {0} {0}) (call $abort {0})", slice(0, "k")));
    clients.check(&[("A", "GET \"\\x00\"", "_")]);
    assert!(clients.get("b").command(&["EVALWASM", &abort, "0"]).is_error());
    clients.check(&[("A", "", "")]);
}

#[test]
fn what_a_call_in_the_background_has_read_is_tracked_from_its_snapshot_on() {
    let server = Server::kvasm(&Options::new());
    let (mut reader, mut other) = (server.connect(), server.connect());
    let slow = format!(
        "(@custom \"kvasm.placement\" \"slow background\")
         {}(func (export \"slow\") (local $turn i32) (drop (call $exists {}))
           (loop (br_if 0 (i32.lt_u
             (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 500000000)))))",
        data(0, "k1"),
        slice(0, "k1")
    );
    assert_eq!(load(&mut other, "slow", &module("exists", &slow)).to_string(), "\"slow\"");
    reader.run("HELLO 3");
    for setup in [&["CLIENT TRACKING ON"][..], &["CLIENT TRACKING ON OPTIN", "CLIENT CACHING YES"]] {
        for command in setup {
            assert_eq!(reader.run(command).to_string(), "+OK", "{command}");
        }
        reader.send(b"FCALL_RO slow 0\r\n");
        wait_for("it runs", || other.run("INFO").text().contains("kvasm_background_running:1"));
        other.run("SET k1 changed");
        let told: Vec<String> =
            reader.drain("nonce").expect("an answer").iter().map(ToString::to_string).collect();
        assert!(told.contains(&">[\"invalidate\", [\"k1\"]]".to_owned()), "{setup:?}: {told:?}");
        assert_eq!(reader.run("CLIENT TRACKING OFF").to_string(), "+OK");
    }
}
