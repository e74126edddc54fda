//! kvasm used with the client libraries of Python and Node.js: for each the program `tests/clients/NAME/test.*`, and the
//! program that its page in `docs/clients` shows.

use kvasm_tests::{Options, Server, clients, repository};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take.
const TIMEOUT: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// What runs a program, and finds libraries beside it.
struct Language {
    /// As blocks of code on pages have it.
    name: &'static str,
    extension: &'static str,
    /// Under the directory in which `scripts/setup-clients` installs.
    interpreter: &'static str,
    directory: &'static str,
}

const PYTHON: Language =
    Language { name: "python", extension: "py", interpreter: "python/bin/python", directory: "python" };
const NODE: Language = Language { name: "js", extension: "mjs", interpreter: "bin/node", directory: "node" };

/// Runs both programs of a client library, each with a new server.
#[track_caller]
fn check(library: &str, language: &Language) {
    let path = repository().join(format!("tests/clients/{library}/test.{}", language.extension));
    let test = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    run(&format!("{library}-test"), language, &test);
    run(&format!("{library}-page"), language, &clients::page_code(library, language.name));
}

/// Runs a program beside the libraries that it imports and in the directory with the examples' modules. It gets the port
/// of the server as its argument, and in place of Redis' port.
#[track_caller]
fn run(name: &str, language: &Language, program: &str) {
    let server = Server::kvasm(&Options::new());
    let installed = repository().join("target/clients");
    let interpreter = installed.join(language.interpreter);
    assert!(
        installed.join("installed").exists() && interpreter.exists(),
        "the client libraries are missing: `make test` (scripts/setup-clients) installs them"
    );
    let directory = installed.join(language.directory);
    let path = directory.join(format!("{name}.{}", language.extension));
    let port = server.port().to_string();
    fs::write(&path, program.replace("6379", &port)).expect("write the program");
    let output_path = directory.join(format!("{name}.output"));
    let output = File::create(&output_path).expect("create its output");
    let child = Command::new(&interpreter)
        .arg(&path)
        .arg(&port)
        .current_dir(repository().join("target/guests"))
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("share its output"))
        .stderr(output)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", interpreter.display()));
    let status = wait(child);
    let success = status.is_some_and(|status| status.success());
    assert!(success, "{name} ended with {status:?} (none: too late):\n{}", printed(&output_path));
}

/// How a program ended, or nothing if it had to be killed.
fn wait(mut child: Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + TIMEOUT;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("wait for the program") {
            return Some(status);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    child.kill().expect("kill the program");
    child.wait().expect("wait for the program");
    None
}

fn printed(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).expect("read its output")).into_owned()
}

#[test]
fn redis_py_works_as_with_redis() {
    check("redis-py", &PYTHON);
}

#[test]
fn ioredis_works_as_with_redis() {
    check("ioredis", &NODE);
}

#[test]
fn node_redis_works_as_with_redis() {
    check("node-redis", &NODE);
}
