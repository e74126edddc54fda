//! What a restart must not change: values, times, scans; everything is cold after one. And the directories that a
//! server refuses.

use kvasm_tests::guest::{eval, put_then, slice};
use kvasm_tests::server::{IDLE_POLL_INTERVAL, wait_for};
use kvasm_tests::{Options, Raw, Server, Value, line};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const DURABLE: &str = "always";

fn server() -> Server {
    Server::kvasm(&Options::new().with("appendfsync", DURABLE).with("notify-keyspace-events", "KEA"))
}

/// How a server ends, and must be as it was after its next start.
const ENDS: [fn(&mut Server); 2] = [Server::terminate, Server::kill_nine];

fn fill(connection: &mut Raw, count: usize) {
    let requests: Vec<u8> = (0..count)
        .flat_map(|number| line::encode(&["SET", &format!("key:{number}"), &format!("value:{number}")]))
        .collect();
    connection.send(&requests);
    for _ in 0..count {
        assert_eq!(connection.read().to_string(), "+OK");
    }
}

#[test]
fn a_restart_keeps_what_every_command_sees() {
    let script = "SET text hello; SET number 42; APPEND text \" world\"; SETRANGE gap 100000 end; SETBIT bits 70000 1;
        SET empty \"\"; SET \"\" nameless; SET \"\\x00\\r\\n\\xff\" \"\\xff\\x00\"; SET later x EX 1000; PEXPIREAT number 4102444800123;
        SET gone x; DEL gone; SET moved x; MOVE moved 3; COPY text copied; RENAME copied renamed; SET float 1.5;
        INCRBYFLOAT float 0.25; SELECT 7; SET seven x; SWAPDB 7 8; SET flushed x; FLUSHDB; SELECT 0; INCR counter; INCR counter";
    let questions = "GET text; GET number; STRLEN gap; GETRANGE gap 99998 -1; BITCOUNT bits; GETBIT bits 70000; GET empty;
        GET \"\"; GET \"\\x00\\r\\n\\xff\"; EXISTS later gone moved copied renamed; PEXPIRETIME number; TTL text; PTTL text;
        TYPE text; OBJECT ENCODING number; OBJECT ENCODING gap; GET float; DBSIZE; GET nosuchkey;
        SELECT 3; GET moved; DBSIZE; SELECT 8; GET seven; DBSIZE; SELECT 7; DBSIZE; SELECT 0; INCR counter; DECR counter;
        MGET text number nosuch empty; LCS text renamed; BITOP NOT inverse text; GET inverse; DEL inverse; GETSET text new;
        SET text \"hello world\" GET; BITFIELD bits GET u8 69999; GETDEL float; SET float 1.75; TOUCH text number nosuch;
        RENAME text t; RENAME t text; COPY text text2; DEL text2; SETNX text x; APPEND text \"\"; INFO nosuchsection";
    for end in ENDS {
        let mut server = server();
        let mut connection = server.connect();
        for line in script.split(';') {
            let reply = connection.run(line.trim().replace('\n', " ").as_str());
            assert!(!reply.is_error(), "{line}: {reply}");
        }
        let ask = |connection: &mut Raw| -> Vec<String> {
            questions
                .split(';')
                .map(|line| format!("{} -> {}", line.trim(), connection.run(line.trim())))
                .collect()
        };
        let warm = ask(&mut connection);
        let remaining = connection.run("PTTL later").integer().expect("a number");
        let restarts: [&dyn Fn(&mut Server); 3] = [
            &|server| (end(server), server.restart()).1,
            &|server| (end(server), server.restart()).1,
            &Server::restart_cold,
        ];
        for restart in restarts {
            restart(&mut server);
            let mut connection = server.connect();
            assert_eq!(ask(&mut connection), warm, "the same from the log and from the disk");
            let still = connection.run("PTTL later").integer().expect("a number");
            assert!(still <= remaining && still > remaining - 60_000, "{still} ms of {remaining} are left");
        }
    }
}

#[test]
fn cold_keys_are_served_to_many_clients_at_once() {
    const KEYS: usize = 3000;
    let mut server = server();
    fill(&mut server.connect(), KEYS);
    server.restart_cold();
    let mut connections: Vec<Raw> = (0..20).map(|_| server.connect()).collect();
    let order: Vec<Vec<usize>> = (0..connections.len() as u64)
        .map(|seed| {
            let mut numbers: Vec<usize> = (0..KEYS).collect();
            fastrand::Rng::with_seed(seed).shuffle(&mut numbers);
            numbers
        })
        .collect();
    for (connection, numbers) in connections.iter_mut().zip(&order) {
        let keys = numbers.iter().map(|number| line::encode(&["GET", &format!("key:{number}")]));
        connection.send(&keys.collect::<Vec<_>>().concat());
    }
    for (connection, numbers) in connections.iter_mut().zip(&order) {
        for number in numbers {
            assert_eq!(
                connection.read(),
                Value::Bulk(format!("value:{number}").into_bytes()),
                "replies keep their order"
            );
        }
    }
}

#[test]
fn multi_watch_and_scan_work_on_cold_keys() {
    let mut server = server();
    fill(&mut server.connect(), 100);
    server.restart_cold();
    let mut connection = server.connect();
    let expected = [
        ("WATCH key:1", "+OK"),
        ("MULTI", "+OK"),
        ("APPEND key:1 !", "+QUEUED"),
        ("GET key:2", "+QUEUED"),
        ("MGET key:3 key:4", "+QUEUED"),
        ("EXEC", "[:8, \"value:2\", [\"value:3\", \"value:4\"]]"),
        ("WATCH key:5", "+OK"),
    ];
    for (line, reply) in expected {
        assert_eq!(connection.run(line).to_string(), reply, "{line}");
    }
    server.connect().run("SET key:5 changed");
    connection.run("MULTI");
    connection.run("GET key:6");
    assert_eq!(connection.run("EXEC").to_string(), "*-1", "a cold key that was watched has changed");
    assert_eq!(connection.run("SCAN 0 COUNT 1000").elements()[1].elements().len(), 100);
    assert_eq!(connection.run("KEYS key:9?").elements().len(), 10);
    assert!(connection.run("RANDOMKEY").text().starts_with("key:"));
}

#[test]
fn a_scan_across_restarts_returns_every_key_that_stays() {
    const KEYS: usize = 5000;
    let mut server = server();
    fill(&mut server.connect(), KEYS);
    let mut connection = server.connect();
    let mut cursor = "0".to_owned();
    let mut found = BTreeSet::new();
    let mut calls = 0;
    loop {
        let reply = connection.command(&["SCAN", &cursor, "COUNT", "200"]).elements();
        cursor = reply[0].text();
        found.extend(reply[1].elements().iter().map(Value::text));
        calls += 1;
        if cursor == "0" {
            break;
        }
        // Keys that come and go do not disturb those that stay.
        connection.run(&format!("SET other:{calls} x"));
        connection.run(&format!("DEL other:{}", calls / 2));
        // Redis hashes with another seed after a restart.
        if calls % 7 == 0 && server.is_kvasm() {
            ENDS[calls / 7 % 2](&mut server);
            server.restart();
            connection = server.connect();
        }
    }
    assert!(calls > 14, "the scan was restarted at least twice");
    let missing: Vec<String> =
        (0..KEYS).map(|number| format!("key:{number}")).filter(|key| !found.contains(key)).collect();
    assert!(missing.is_empty(), "{} keys were not returned: {missing:?}", missing.len());
}

#[test]
fn keys_that_expired_while_the_server_was_down_are_gone() {
    for end in ENDS {
        let mut server = server();
        let mut connection = server.connect();
        connection.run("MSET kept 1 alive 1");
        connection.run("SET gone x PX 300");
        let set = Instant::now();
        connection.run("EXPIRE alive 1000");
        end(&mut server);
        std::thread::sleep(Duration::from_millis(310).saturating_sub(set.elapsed()));
        server.restart();
        let mut connection = server.connect();
        for (line, reply) in
            [("GET gone", "$-1"), ("EXISTS gone kept alive", ":2"), ("PTTL gone", ":-2"), ("DBSIZE", ":2")]
        {
            assert_eq!(connection.run(line).to_string(), reply, "{line}");
        }
    }
}

/// How soon keys are gone whose time has come. If only those few were removed at a time that are tried each time when
/// nothing is found, that would take minutes.
const SOON: Duration = Duration::from_secs(30);

/// Has keys set that end together and that are cold a while before: the moment when they end. `set` is told it in
/// milliseconds of unix time, and once more with a later one if the server has not been restarted in time.
fn restart_before_the_end(
    server: &mut Server,
    first_life: Duration,
    mut set: impl FnMut(&mut Raw, &str),
) -> SystemTime {
    const LEFT: Duration = Duration::from_secs(1);
    // In another database than what ends, so that something is cold whatever has ended.
    server.connect().run("SET endless x");
    let mut life = first_life;
    loop {
        let end = SystemTime::now() + life;
        let end_ms = end.duration_since(UNIX_EPOCH).expect("later than 1970").as_millis().to_string();
        set(&mut server.connect(), &end_ms);
        server.restart_cold();
        if end.duration_since(SystemTime::now()).is_ok_and(|left| left > LEFT) {
            return end;
        }
        life *= 2;
    }
}

#[test]
fn cold_keys_expire_in_time_and_are_announced() {
    let mut server = server();
    let end = restart_before_the_end(&mut server, Duration::from_secs(3), |connection, end_ms| {
        connection.run("SELECT 2");
        assert_eq!(connection.run(&format!("SET cold x PXAT {end_ms}")).to_string(), "+OK");
    });
    let mut watcher = server.connect();
    watcher.run("PSUBSCRIBE __key*__:expired __keyspace*:cold");
    watcher.read();
    // Nobody touches the key.
    let messages = [watcher.read(), watcher.read()].map(|message| message.to_string());
    let late = SystemTime::now().duration_since(end).unwrap_or_default();
    assert!(
        messages.iter().any(|message| message.contains("\"__keyevent@2__:expired\", \"cold\"")),
        "{messages:?}"
    );
    assert!(
        messages.iter().any(|message| message.contains("\"__keyspace@2__:cold\", \"expired\"")),
        "{messages:?}"
    );
    assert!(late < SOON, "expired {late:?} late");
    let mut connection = server.connect();
    connection.run("SELECT 2");
    assert_eq!(connection.run("DBSIZE").to_string(), ":0");
}

#[test]
fn many_cold_keys_that_end_together_are_all_gone_soon() {
    const KEYS: usize = 20_000;
    let mut server = server();
    let end = restart_before_the_end(&mut server, Duration::from_secs(8), |connection, end_ms| {
        connection.run("SELECT 2");
        let request = |key| line::encode(&["SET", &format!("key:{key}"), "value", "PXAT", end_ms]);
        connection.send(&(0..KEYS).flat_map(request).collect::<Vec<u8>>());
        (0..KEYS).for_each(|_| assert_eq!(connection.read().to_string(), "+OK"));
    });
    let mut connection = server.connect();
    connection.run("SELECT 2");
    assert_eq!(connection.run("DBSIZE").integer(), Some(KEYS as i64));
    std::thread::sleep(end.duration_since(SystemTime::now()).unwrap_or_default());
    let ended = Instant::now();
    wait_for("the end of all keys", || {
        std::thread::sleep(IDLE_POLL_INTERVAL);
        connection.run("DBSIZE").integer() == Some(0)
    });
    assert!(ended.elapsed() < SOON, "it took {:?}", ended.elapsed());
}

#[test]
fn flushed_databases_stay_empty() {
    for end in ENDS {
        let mut server = server();
        let mut connection = server.connect();
        fill(&mut connection, 500);
        connection.run("SELECT 1");
        fill(&mut connection, 500);
        connection.run("FLUSHDB");
        connection.run("SET after x");
        end(&mut server);
        server.restart();
        let mut connection = server.connect();
        assert_eq!(connection.run("DBSIZE").to_string(), ":500");
        connection.run("SELECT 1");
        assert_eq!(connection.run("KEYS *").to_string(), "[\"after\"]");
        connection.run("FLUSHALL");
        end(&mut server);
        server.restart();
        assert_eq!(server.connect().run("DBSIZE").to_string(), ":0");
    }
}

/// The files of a directory and what is in them.
fn contents(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).expect("read the directory").map(|entry| entry.expect("an entry"));
    let mut files: Vec<_> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| {
            (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("read a file"))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn a_second_server_on_the_same_directory_is_refused() {
    let server = server();
    if !server.is_kvasm() {
        return;
    }
    server.connect().run("SET here x");
    let (printed, status) = Server::refused(&Options::new().in_directory_of(&server));
    assert!(!status.success(), "{printed}");
    assert!(printed.to_lowercase().contains("another") || printed.contains("lock"), "it says why: {printed}");
    assert_eq!(server.connect().run("GET here").to_string(), "\"x\"", "the first goes on");
}

#[test]
fn a_damaged_file_is_refused_and_left_as_it_is() {
    for name in ["data.redb", "log.redb"] {
        for damage in [0, 4096] {
            let mut server = server();
            if !server.is_kvasm() {
                return;
            }
            fill(&mut server.connect(), 1000);
            server.terminate();
            let path = server.data_directory().join(name);
            let mut bytes = fs::read(&path).expect("read the file");
            let end = bytes.len().min(damage + 512);
            bytes[damage..end].fill(0xA5);
            fs::write(&path, &bytes).expect("damage the file");
            let before = contents(&server.data_directory());
            let (printed, status) = Server::refused(&Options::new().in_directory_of(&server));
            assert!(
                !status.success() && printed.contains(name),
                "{name} with bytes {damage}.. damaged: {printed}"
            );
            assert!(contents(&server.data_directory()) == before, "{name}: the directory was touched");
        }
    }
}

#[test]
fn keys_that_are_not_there_are_not_found_among_many_cold_ones() {
    const ROUNDS: usize = 20;
    const KEYS: usize = 1000;
    let mut server = server();
    if !server.is_kvasm() {
        return;
    }
    fill(&mut server.connect(), 60_000);
    server.restart_cold();
    let mut connection = server.connect();
    for round in 0..ROUNDS {
        let mut command = vec!["MGET".to_owned()];
        command.extend((0..KEYS).map(|number| format!("none:{round}:{number}")));
        let reply = connection.command(&command);
        assert!(reply.elements().iter().all(|value| value.to_string() == "$-1"), "{reply}");
        // One by one, because then nobody else's question keeps alive what is known.
        for number in 0..KEYS {
            assert_eq!(connection.run(&format!("GET nokey:{round}:{number}")).to_string(), "$-1");
        }
    }
}

#[test]
fn cold_keys_that_patterns_name_are_loaded_to_sort_by_them() {
    const ELEMENTS: usize = 2000;
    let mut server = server();
    let mut connection = server.connect();
    fill(&mut connection, 100);
    for number in 0..ELEMENTS {
        connection.run(&format!("RPUSH list {number}"));
        connection.run(&format!("SET weight:{number} {}", ELEMENTS - number));
        connection.run(&format!("HSET hash:{number} field {number}"));
    }
    server.restart_cold();
    let mut connection = server.connect();
    for (line, reply) in [
        (
            "SORT list BY weight:* LIMIT 0 2 GET # GET hash:*->field GET none:*",
            "[\"1999\", \"1999\", $-1, \"1998\", \"1998\", $-1]",
        ),
        ("MULTI", "+OK"),
        ("SORT list BY weight:* LIMIT 5 1 GET hash:*->field STORE stored", "+QUEUED"),
        ("LRANGE stored 0 -1", "+QUEUED"),
        ("EXEC", "[:1, [\"1994\"]]"),
    ] {
        assert_eq!(connection.run(line).to_string(), reply, "{line}");
    }
}

#[test]
fn a_transaction_that_scans_cold_keys_finds_each_of_them_once() {
    const KEYS: usize = 400;
    let mut server = server();
    if !server.is_kvasm() {
        return;
    }
    let mut connection = server.connect();
    fill(&mut connection, KEYS);
    let mut cursors = vec!["0".to_owned()];
    loop {
        let reply = connection.command(&["SCAN", cursors.last().expect("a cursor")]).elements();
        match reply[0].text() {
            end if end == "0" => break,
            next => cursors.push(next),
        }
    }
    assert!(cursors.len() > 30, "{} pages", cursors.len());
    server.restart_cold();
    let mut connection = server.connect();
    connection.run("MULTI");
    for cursor in &cursors {
        connection.run(&format!("SCAN {cursor}"));
    }
    let reply = connection.run("EXEC");
    let found: Vec<Value> = reply.elements().iter().flat_map(|page| page.elements()[1].elements()).collect();
    let different: BTreeSet<&Value> = found.iter().collect();
    assert_eq!((found.len(), different.len()), (KEYS, KEYS), "{reply}");
}

#[test]
fn a_procedure_that_had_to_wait_for_a_cold_key_is_as_durable_as_it_says() {
    const CALLS: usize = 40;
    let mut server = server();
    if !server.is_kvasm() {
        return;
    }
    let mut connection = server.connect();
    fill(&mut connection, CALLS);
    server.restart_cold();
    let mut connection = server.connect();
    for number in 0..CALLS {
        // It writes, and then reads a cold key that it has not declared.
        let name = format!("key:{number}");
        let body = format!("(drop (call $exists {}))", slice(1000, &name));
        let module = put_then("exists", &name, &body);
        let before = line::encode(&["SET", "before", &name]);
        let call = line::encode(&["EVALWASM", &module, "0"]);
        let after = line::encode(&["INCR", "after"]);
        connection.send(&[before, call, after].concat());
        assert_eq!(connection.read().to_string(), "+OK");
        assert_eq!(connection.read().to_string(), "$-1");
        assert_eq!(connection.read().integer(), Some(number as i64 + 1));
        connection.run("DEL written");
    }
    let module = put_then("exists", "key:0", &format!("(drop (call $exists {}))", slice(1000, "key:0")));
    eval(&mut connection, &module, "", "");
    server.kill_nine();
    server.restart();
    let mut connection = server.connect();
    assert_eq!(connection.run("GET after").to_string(), format!("\"{CALLS}\""));
    assert_eq!(connection.run("GET written").to_string(), "\"1\"");
    assert_eq!(connection.run("DBSIZE").integer(), Some(CALLS as i64 + 3));
}
