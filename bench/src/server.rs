//! A server under measurement: started on a free port in a directory of its own, stopped by its own process id.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::connection::Connection;
use crate::{Result, root};

/// How long a server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a starting server is asked whether it is there.
const START_POLL: Duration = Duration::from_micros(500);

/// What a reply to a write promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing is written to disk (redis-server only).
    None,
    /// On disk within a second.
    EverySecond,
    /// On disk.
    Always,
}

impl Durability {
    /// How the report names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "no persistence",
            Self::EverySecond => "everysec",
            Self::Always => "always",
        }
    }
}

/// Which program a binary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// kvasm: procedures are WebAssembly.
    Kvasm,
    /// redis-server, or Valkey's: procedures are Lua.
    Redis,
}

impl Program {
    /// By the file's name, so that a redis-server can stand in for kvasm.
    pub fn of(binary: &Path) -> Self {
        let name = binary.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if name.starts_with("redis") || name.starts_with("valkey") { Self::Redis } else { Self::Kvasm }
    }
}

/// A running server.
pub struct Server {
    /// Which program it is.
    pub program: Program,
    /// Its port on 127.0.0.1.
    pub port: u16,
    binary: PathBuf,
    durability: Durability,
    directory: TempDir,
    child: Child,
}

impl Server {
    /// Starts a server with an empty directory and waits until it answers.
    pub fn start(binary: &Path, durability: Durability) -> Result<Self> {
        // Below target, because the system's directory for temporary files may be in memory.
        let parent = root().join("target/bench");
        std::fs::create_dir_all(&parent)?;
        let directory = tempfile::tempdir_in(parent)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = spawn(binary, durability, directory.path(), port)?;
        let program = Program::of(binary);
        let mut server = Self { program, port, binary: binary.to_owned(), durability, directory, child };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let reply = Connection::open(self.port).and_then(|mut connection| connection.call(&[b"PING"]));
            if reply.is_ok_and(|reply| reply == b"PONG") {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("{} has ended: {status}", self.binary.display()).into());
            }
            if Instant::now() > deadline {
                return Err(format!("{} does not answer", self.binary.display()).into());
            }
            thread::sleep(START_POLL);
        }
    }

    /// Kills the server as `kill -9` does, starts it on the same directory, and gives the time until it answers.
    pub fn restart_after_kill(&mut self) -> Result<Duration> {
        self.child.kill()?;
        self.child.wait()?;
        let start = Instant::now();
        self.child = spawn(&self.binary, self.durability, self.directory.path(), self.port)?;
        self.wait_until_ready()?;
        Ok(start.elapsed())
    }

    /// Stops all its threads, until `resume`.
    pub fn pause(&self) -> Result<()> {
        Ok(kill_process(self.pid(), Signal::STOP)?)
    }

    /// Ends a `pause`.
    pub fn resume(&self) -> Result<()> {
        Ok(kill_process(self.pid(), Signal::CONT)?)
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Bytes that it has had written to disk since it was started.
    pub fn written_bytes(&self) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/io", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
        Ok(line.ok_or("write_bytes is missing")?.parse()?)
    }

    /// The memory that it has in RAM, in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("VmRSS is missing")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(kib * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its directory goes too, so nothing is worth a slower end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(binary: &Path, durability: Durability, directory: &Path, port: u16) -> Result<Child> {
    let mut command = Command::new(binary);
    command.arg("--port").arg(port.to_string()).arg("--dir").arg(directory);
    match (Program::of(binary), durability) {
        (Program::Redis, Durability::None) => command.args(["--save", "", "--appendonly", "no"]),
        (Program::Redis, durability) => {
            // Without rewrites of its log, which would slow it down at random moments.
            command.args(["--save", "", "--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"]);
            command.args(["--appendfsync", durability.name()])
        }
        (Program::Kvasm, Durability::None) => command.args(["--appendfsync", "no"]),
        (Program::Kvasm, durability) => command.args(["--appendfsync", durability.name()]),
    };
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().map_err(|error| format!("cannot start {}: {error}", binary.display()).into())
}
