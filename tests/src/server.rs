//! A server process of a test: started on a free port of 127.0.0.1 in a directory of its own, stopped by its own
//! process id when the test lets go of it, its log shown when the test fails.

use crate::{Raw, binary};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take until it answers, and until it has stopped; and how long anything else is waited for.
const PROCESS_TIMEOUT: Duration = Duration::from_secs(120);
/// Between two looks at a condition that is waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// The same while the server works only when it is not asked anything.
pub const IDLE_POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Ports are taken from here: below the range from which the system serves outgoing connections.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// A port can be taken by another test between the look and the start.
const START_ATTEMPTS: usize = 5;
/// How much of the log is shown when a test fails.
const LOG_TAIL_LINES: usize = 60;

/// Which program a server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The binary under test.
    Kvasm,
    /// The redis-server of this machine.
    Redis,
}

/// Options of a server: what it shall be started with.
#[derive(Clone, Default)]
pub struct Options {
    named: Vec<(String, String)>,
    directory: Option<Arc<TempDir>>,
    /// What bash does before it becomes the server.
    limits: Option<String>,
}

impl Options {
    /// No options but those that every server of a test has.
    #[must_use]
    pub fn new() -> Options {
        Options::default()
    }

    /// Adds the option `--name value`.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Options {
        self.named.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Works in the directory of another server, as it left it.
    #[must_use]
    pub fn in_directory_of(mut self, server: &Server) -> Options {
        self.directory = Some(server.directory.clone());
        self
    }

    /// Lets no file of the server grow beyond this size: what a full disk is to it.
    #[must_use]
    pub fn with_file_size_limit_kib(mut self, limit: u64) -> Options {
        // With the signal ignored, a write beyond the limit fails like one to a full disk.
        self.limits = Some(format!("trap '' XFSZ; ulimit -f {limit}"));
        self
    }

    /// Starts with leave to open so many files only, which the server may raise.
    #[must_use]
    pub fn with_few_files(mut self, limit: u64) -> Options {
        self.limits = Some(format!("ulimit -S -n {limit}"));
        self
    }

    /// What redis-server understands of these options when it stands in for kvasm.
    fn for_redis(&self) -> Vec<(String, String)> {
        let foreign = |name: &str| {
            ["wasm-", "trigger-", "log-", "store-"].iter().any(|prefix| name.starts_with(prefix))
        };
        let mut named: Vec<_> = self.named.iter().filter(|(name, _)| !foreign(name)).cloned().collect();
        // A file that is written anew has values in other encodings than the commands that made them gave them.
        named.push(("auto-aof-rewrite-percentage".into(), "0".into()));
        // kvasm is always durable to the degree of `appendfsync`.
        let durable = named.iter().any(|(name, _)| name == "appendfsync");
        // What a killed process has written is kept by the system, synchronized or not.
        for (_, value) in named.iter_mut().filter(|(name, _)| name == "appendfsync") {
            "no".clone_into(value);
        }
        let has_appendonly = named.iter().any(|(name, _)| name == "appendonly");
        if !has_appendonly {
            named.push(("appendonly".into(), if durable { "yes" } else { "no" }.into()));
        }
        named
    }
}

/// A running (or killed) server.
pub struct Server {
    program: Program,
    binary: PathBuf,
    options: Options,
    directory: Arc<TempDir>,
    port: u16,
    child: Child,
}

impl Server {
    /// Starts the kvasm under test, or redis-server in its place when `KVASM_BIN` names that.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn kvasm(options: &Options) -> Server {
        let binary = binary::kvasm();
        let is_redis =
            binary.file_name().is_some_and(|name| name.to_string_lossy().starts_with("redis-server"));
        Server::start(if is_redis { Program::Redis } else { Program::Kvasm }, binary, options)
    }

    /// Starts the redis-server of this machine.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn redis(options: &Options) -> Server {
        Server::start(Program::Redis, Path::new("redis-server"), options)
    }

    /// Starts the kvasm under test where it is expected to refuse to run: what it printed, and how it ended.
    ///
    /// # Panics
    /// When it starts.
    #[must_use]
    pub fn refused(options: &Options) -> (String, ExitStatus) {
        let directory = options.directory.clone().unwrap_or_else(new_directory);
        let binary = binary::kvasm();
        let program = Program::Kvasm;
        let mut child = spawn(program, binary, options, &directory, free_port(), "refused.log");
        let deadline = Instant::now() + PROCESS_TIMEOUT;
        let status = loop {
            if let Some(status) = child.try_wait().expect("wait for the server") {
                break status;
            }
            if Instant::now() > deadline {
                child.kill().expect("kill the server");
                panic!("the server neither ran nor ended");
            }
            std::thread::sleep(POLL_INTERVAL);
        };
        (fs::read_to_string(directory.path().join("refused.log")).expect("read the log"), status)
    }

    fn start(program: Program, binary: &Path, options: &Options) -> Server {
        let directory = options.directory.clone().unwrap_or_else(new_directory);
        for attempt in 1.. {
            let port = free_port();
            let child = spawn(program, binary, options, &directory, port, "log");
            let binary = binary.to_owned();
            let (options, directory) = (options.clone(), directory.clone());
            let mut server = Server { program, binary, options, directory, port, child };
            match server.wait_until_ready() {
                Ok(()) => return server,
                Err(reason) => {
                    let taken = server.log().to_lowercase().contains("in use");
                    assert!(taken && attempt < START_ATTEMPTS, "{program:?} does not start: {reason}");
                }
            }
        }
        unreachable!("the loop ends with a server or a panic")
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PROCESS_TIMEOUT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("wait for the server") {
                return Err(format!("it ended with {status}"));
            }
            if let Ok(mut connection) = Raw::try_connect(self.port)
                && let Ok(reply) = connection.try_command(&["PING"])
                && (reply.bytes().starts_with(b"NOAUTH")
                    || reply.bytes() == b"PONG" && self.is_at(&mut connection))
            {
                return Ok(());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Err("it does not answer PING".into())
    }

    /// Whether it is this server that answers there: until it listens, a server of another test can take the port.
    fn is_at(&self, connection: &mut Raw) -> bool {
        let own = format!("\nprocess_id:{}\r", self.child.id());
        connection.try_command(&["INFO", "server"]).is_ok_and(|info| info.text().contains(&own))
    }

    /// The program that runs.
    #[must_use]
    pub fn program(&self) -> Program {
        self.program
    }

    /// Whether this is kvasm, not redis-server in its place.
    #[must_use]
    pub fn is_kvasm(&self) -> bool {
        self.program == Program::Kvasm
    }

    /// The port on 127.0.0.1 that it serves.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory with its data.
    #[must_use]
    pub fn data_directory(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A new connection to it.
    #[must_use]
    pub fn connect(&self) -> Raw {
        Raw::connect(self.port)
    }

    /// What it has printed since its first start.
    ///
    /// # Panics
    /// When that cannot be read.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(self.directory.path().join("log")).expect("read the log");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Its resident memory, in bytes.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    /// The most resident memory that it ever had, in bytes.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn peak_resident_bytes(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    fn status_bytes(&self, name: &str) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("read its status");
        let line = status.lines().find(|line| line.starts_with(name)).expect("the line of that name");
        let kib: u64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
        kib * 1024
    }

    /// Kills it with SIGKILL: it has no chance to write anything.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill_nine(&mut self) {
        self.child.kill().expect("kill the server");
        self.child.wait().expect("wait for the server");
    }

    /// Asks it to end with SIGTERM and waits until it has.
    ///
    /// # Panics
    /// When it does not end, or with a failure.
    pub fn terminate(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("send SIGTERM");
        let status = self.wait_until_ended();
        assert!(status.success(), "ended with {status} after SIGTERM");
    }

    /// Waits until it has ended of itself.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_until_ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_for("the end of the server", || {
            status = self.child.try_wait().expect("wait for the server");
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// Starts it again, after [`Server::kill_nine`] or [`Server::terminate`], on the same directory and a new port.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        assert!(self.child.try_wait().expect("wait for the server").is_some(), "it still runs");
        let options = Options { directory: Some(self.directory.clone()), ..self.options.clone() };
        *self = Server::start(self.program, &self.binary, &options);
    }

    /// Has Redis replace its log by the values that it has. The log as it was would lose something: XREADGROUP stands in
    /// it as XCLAIM, which does not tell how many entries the group has read.
    ///
    /// # Panics
    /// When it does not do so.
    pub fn rewrite_log(&self) {
        let mut connection = self.connect();
        let reply = connection.run("BGREWRITEAOF");
        assert!(!reply.is_error(), "{reply}");
        wait_for("the log to be rewritten", || {
            let info = connection.run("INFO persistence").text();
            ["aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0"].iter().all(|done| info.contains(done))
        });
    }

    /// Restarts it so that everything is cold. After [`Server::terminate`] or [`Server::kill_nine`] alone, what is only in
    /// the log is not: replaying it brings it to memory. Redis has no cold keys and is just restarted.
    ///
    /// # Panics
    /// When it does not end or start, or has no cold key then.
    pub fn restart_cold(&mut self) {
        if !self.is_kvasm() {
            self.terminate();
            return self.restart();
        }
        let mut connection = self.connect();
        wait_for("the log to be applied", || {
            // That is done when the engine has nothing else to do.
            std::thread::sleep(IDLE_POLL_INTERVAL);
            let info = connection.run("INFO persistence").text();
            let group = |name: &str| {
                let line = info.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                line.unwrap_or_else(|| panic!("no {name} in {info}"))
            };
            group("kvasm_applied_group:") == group("kvasm_last_group:")
        });
        self.terminate();
        self.restart();
        let info = self.connect().run("INFO persistence").text();
        assert!(!info.contains("kvasm_cold_keys:0\r"), "{info}");
    }
}

impl Server {
    /// Starts it again and kills it with SIGKILL after that time, ready or not.
    ///
    /// # Panics
    /// When it cannot be started or killed.
    pub fn start_and_kill(&mut self, life: Duration) {
        let port = free_port();
        self.child = spawn(self.program, &self.binary, &self.options, &self.directory, port, "log");
        std::thread::sleep(life);
        self.kill_nine();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
            eprintln!("--- log of {:?} on port {}:\n{}\n---", self.program, self.port, tail.join("\n"));
        }
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within two minutes.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PROCESS_TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(POLL_INTERVAL);
    }
}

fn new_directory() -> Arc<TempDir> {
    let directory = tempfile::Builder::new().prefix("kvasm-test-").tempdir().expect("make a directory");
    fs::create_dir(directory.path().join("data")).expect("make the data directory");
    Arc::new(directory)
}

fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(PORTS);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn spawn(
    program: Program,
    binary: &Path,
    options: &Options,
    directory: &TempDir,
    port: u16,
    log: &str,
) -> Child {
    let data_directory = directory.path().join("data");
    let open = |name: &str| File::options().create(true).append(true).open(directory.path().join(name));
    let log = open(log).expect("open the log");
    let mut command = match &options.limits {
        None => Command::new(binary),
        Some(limits) => {
            let mut shell = Command::new("bash");
            shell.arg("-c").arg(format!("{limits}; exec \"$0\" \"$@\"")).arg(binary);
            shell
        }
    };
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]).arg("--dir").arg(data_directory);
    let named = match program {
        Program::Kvasm => options.named.clone(),
        Program::Redis => {
            command.args(["--save", "", "--enable-debug-command", "yes"]);
            options.for_redis()
        }
    };
    // Redis compares texts as this language does.
    command.env("LC_ALL", "C");
    for (name, value) in named {
        command.arg(format!("--{name}")).arg(value);
    }
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("share the log")).stderr(log);
    command.spawn().unwrap_or_else(|error| panic!("start {}: {error}", binary.display()))
}
