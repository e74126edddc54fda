//! What happens when the disk takes no more: nothing is lost silently, and reads go on where that is honest.

use std::process::Command;

use kvasm_tests::binary::kvasm;
use kvasm_tests::guest::{eval, procedure, put_then};
use kvasm_tests::server::wait_for;
use kvasm_tests::{Options, Server};

/// Room for the two empty files and some megabytes of log.
const LIMIT_KIB: u64 = 8192;
const MISCONF: &str = "-MISCONF Errors writing to the AOF file: ";

fn server(appendfsync: &str) -> Server {
    Server::kvasm(&Options::new().with("appendfsync", appendfsync).with_file_size_limit_kib(LIMIT_KIB))
}

/// Values that fill the disk before there are this many.
const VALUES: usize = 40;

#[test]
fn with_everysec_writes_are_refused_and_what_is_in_memory_stays_readable() {
    let mut server = server("everysec");
    let mut connection = server.connect();
    let value = "x".repeat(1 << 20);
    let mut refused = String::new();
    wait_for("a write to be refused", || {
        refused = connection.command(&["SET", "big", &value]).to_string();
        refused.starts_with(MISCONF)
    });
    assert_eq!(connection.run("STRLEN big").to_string(), ":1048576");
    assert!(connection.run("DEL big").to_string().starts_with(MISCONF));
    let writes = eval(&mut connection, &put_then("", "", ""), "", "").to_string();
    assert!(writes.starts_with(MISCONF), "a procedure cannot write either: {writes}");
    let reads =
        eval(&mut connection, &procedure("key_count", "(drop (call $key_count))"), "", "").to_string();
    assert_eq!(reads, "$-1", "one that does not write runs");
    for (line, reply) in [("MULTI", "+OK"), ("STRLEN big", "+QUEUED"), ("EXEC", "[:1048576]")] {
        assert_eq!(connection.run(line).to_string(), reply, "a transaction that only reads runs");
    }
    assert!(connection.run("INFO persistence").to_string().contains("aof_last_write_status:err"));
    assert!(server.log().contains("the log cannot be written"), "{}", server.log());
    let refused = "-ERR Errors trying to SHUTDOWN. Check logs.";
    assert_eq!(connection.run("SHUTDOWN").to_string(), refused);
    assert_eq!(connection.run("SHUTDOWN SAVE NOW").to_string(), refused, "and the server still runs");
    connection.send(b"SHUTDOWN FORCE\r\n");
    assert!(!server.wait_until_ended().success(), "it says that not everything was kept");
}

#[test]
fn a_log_that_is_full_and_cannot_be_applied_refuses_writes() {
    let options = Options::new().with("log-max-size", "1mb").with("log-buffer-size", "1mb");
    let options = options.with_file_size_limit_kib(LIMIT_KIB);
    let server = Server::kvasm(&options);
    let mut connection = server.connect();
    // Small ones, so that the log's file stays small and it is the other one that has no more room.
    let value = "x".repeat(20_000);
    let refused = (0..100 * VALUES)
        .map(|number| connection.command(&["SET", &format!("k{number}"), &value]).to_string())
        .find(|reply| reply != "+OK");
    assert!(refused.as_ref().is_some_and(|reply| reply.starts_with(MISCONF)), "{refused:?}");
    assert!(server.log().contains("data.redb cannot be written"), "{}", server.log());
    assert_eq!(connection.run("STRLEN k0").to_string(), ":20000");
}

#[test]
fn with_always_the_client_gets_an_error_and_the_process_ends() {
    let mut server = server("always");
    let mut connection = server.connect();
    let value = "x".repeat(1 << 20);
    let refused =
        (0..VALUES).map(|number| connection.command(&["SET", &format!("k{number}"), &value]).to_string());
    let refused = refused.into_iter().find(|reply| reply != "+OK").expect("the disk is full by now");
    assert!(refused.starts_with(MISCONF), "{refused}");
    assert!(!server.wait_until_ended().success());
}

#[test]
fn an_import_that_the_disk_does_not_take_ends_with_the_reason() {
    let redis = Server::redis(&Options::new());
    let script = "for i = 1, 30000 do redis.call('SET', 'k' .. i, string.rep('x', 2000)) end";
    let mut connection = redis.connect();
    connection.command(&["EVAL", script, "0"]);
    assert_eq!(connection.run("SAVE").to_string(), "+OK");
    for appendfsync in ["always", "everysec", "no"] {
        let directory = tempfile::tempdir().expect("a directory");
        let limited = format!("trap '' XFSZ; ulimit -f {LIMIT_KIB}; exec timeout 180 \"$0\" \"$@\"");
        let mut import = Command::new("sh");
        import.args(["-c", &limited]).arg(kvasm()).arg("import").arg(redis.data_directory().join("dump.rdb"));
        import
            .args(["--appendfsync", appendfsync, "--log-buffer-size", "1mb", "--dir"])
            .arg(directory.path());
        let output = import.output().expect("sh runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{appendfsync}: {told}");
        assert!(!told.contains("not everything could be made durable"), "it stopped early: {told}");
    }
}
