//! The measurements.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::arguments::{Programs, Scale};
use crate::connection::Connection;
use crate::report::{Row, Target};
use crate::server::{Durability, Program, Server};
use crate::workload::{KEYS, Request, VALUE_LEN, Workload};
use crate::{Result, root};

/// The name of [`start`] for `--only`.
pub const START: &str = "start";
/// The name of [`cold`] for `--only`.
pub const COLD: &str = "cold";

/// The numbers of keys with which the start is measured; the bigger one is the cold store too.
const START_KEYS: [u64; 2] = [1_000, 2_000_000];
/// Requests of one run against a cold store.
const COLD_REQUESTS: u64 = 100_000;
/// How long a filled server may put its house in order before it is measured.
const SETTLE: Duration = Duration::from_secs(3);
/// How long it may take before its memory is measured: by then kvasm has applied its log.
pub const SETTLE_MEMORY: Duration = Duration::from_secs(30);
/// How long one run of redis-benchmark may take.
const RUN_TIMEOUT: Duration = Duration::from_secs(180);
/// How often a run is asked whether it has ended.
const RUN_POLL: Duration = Duration::from_millis(5);

/// Compares a workload with each opponent: medians of interleaved runs.
pub fn compare(workload: &Workload, programs: &Programs, scale: &Scale) -> Result<Vec<Row>> {
    let mut servers = vec![Server::start(&programs.kvasm, workload.kvasm)?];
    for (durability, _) in workload.opponents {
        servers.push(Server::start(&programs.opponent, *durability)?);
    }
    let mut commands = Vec::new();
    let mut answers = Vec::new();
    for server in &servers {
        let (command, answer) = prepare(server, &workload.request, scale)?;
        commands.push(command);
        answers.push(answer);
        server.pause()?;
    }
    if answers.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(format!("{}: the servers do different work: {answers:?}", workload.name).into());
    }
    let requests = (workload.requests / scale.divisor).max(10);
    let mut rates = vec![Vec::new(); servers.len()];
    for _ in 0..scale.runs {
        for ((server, command), rates) in servers.iter().zip(&commands).zip(&mut rates) {
            server.resume()?;
            rates.push(benchmark(server.port, workload.clients, workload.pipeline, requests, command)?);
            server.pause()?;
        }
    }
    let mut medians = rates.into_iter().map(median);
    let own = medians.next().ok_or("no result")?;
    let rows = workload.opponents.iter().zip(medians).map(|((durability, target), other)| Row {
        title: workload.title.to_owned(),
        other: (format!("{}, {}", programs.opponent_name(), durability.name()), other),
        kvasm: (workload.kvasm.name().to_owned(), own),
        unit: "/s",
        target: Target::AtLeast(*target),
    });
    Ok(rows.collect())
}

/// Brings a server to the state that the request needs, and gives the arguments of redis-benchmark for it and, of a
/// procedure, the answer to a first call.
fn prepare(server: &Server, request: &Request, scale: &Scale) -> Result<(Vec<String>, Vec<u8>)> {
    let mut connection = Connection::open(server.port)?;
    let range = (KEYS / scale.divisor).to_string();
    let has_keys = !matches!(request, Request::Procedure { keys: [], .. } | Request::Tests(_));
    if has_keys {
        connection.fill(KEYS / scale.divisor, VALUE_LEN)?;
    }
    let (name, keys, arguments) = match request {
        Request::Test(tests) | Request::Tests(tests) => {
            return Ok((words(&["-r", &range, "-d", &VALUE_LEN.to_string(), "-t", tests]), Vec::new()));
        }
        Request::Procedure { name, keys, arguments } => (name, keys, arguments),
    };
    let mut call = match server.program {
        Program::Kvasm => {
            load_library(&mut connection)?;
            words(&["FCALL", name])
        }
        Program::Redis => {
            let script = read(&root().join(format!("bench/lua/{name}.lua")))?;
            let sha = connection.call(&[b"SCRIPT", b"LOAD", &script])?;
            words(&["EVALSHA", &String::from_utf8(sha)?])
        }
    };
    call.push(keys.len().to_string());
    call.extend(words(keys));
    call.extend(words(arguments));
    let answer = connection.call(&call.iter().map(String::as_bytes).collect::<Vec<_>>())?;
    Ok(([words(&["-r", &range]), call].concat(), answer))
}

/// Uploads the procedures that `make guests` has compiled.
fn load_library(connection: &mut Connection) -> Result<()> {
    let mut library = b"#!wasm name=bench\n".to_vec();
    library.extend(read(&root().join("target/guests/bench.wasm"))?);
    connection.call(&[b"FUNCTION", b"LOAD", b"REPLACE", &library])?;
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()).into())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

/// Runs redis-benchmark once and gives the requests a second.
fn benchmark(port: u16, clients: u32, pipeline: u32, requests: u64, command: &[String]) -> Result<f64> {
    let mut child = Command::new("redis-benchmark")
        .args(["-p", &port.to_string(), "-c", &clients.to_string(), "-P", &pipeline.to_string()])
        .args(["-n", &requests.to_string(), "--csv"])
        .args(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start redis-benchmark: {error}"))?;
    let deadline = Instant::now() + RUN_TIMEOUT;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Err(format!("redis-benchmark {} takes too long", command.join(" ")).into());
        }
        thread::sleep(RUN_POLL);
    }
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    rate(&text).filter(|_| output.status.success()).ok_or_else(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("redis-benchmark {} failed: {text}{errors}", command.join(" ")).into()
    })
}

/// The second column of the last line, `"GET","123456.78",...`; an error reply ends redis-benchmark before it.
fn rate(csv: &str) -> Option<f64> {
    csv.lines().last()?.split("\",\"").nth(1)?.parse().ok()
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

/// Measures the time from starting the program, after `kill -9`, until it answers.
pub fn start(kvasm: &Path, scale: &Scale) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for keys in START_KEYS {
        let keys = keys / scale.divisor;
        let mut server = filled(kvasm, keys)?;
        let mut times_ms = Vec::new();
        for _ in 0..scale.runs {
            times_ms.push(server.restart_after_kill()?.as_secs_f64() * 1000.0);
        }
        notes.push(format!(
            "start after `kill -9` with {keys} keys, until PING is answered: {:.0} ms",
            median(times_ms)
        ));
        let mut server = Server::start(kvasm, Durability::EverySecond)?;
        Connection::open(server.port)?.fill(keys, VALUE_LEN)?;
        let at_once_ms = server.restart_after_kill()?.as_secs_f64() * 1000.0;
        notes.push(format!("the same, killed as soon as the {keys} keys were set: {at_once_ms:.0} ms"));
    }
    Ok(notes)
}

/// Compares GET of missing keys with GET of keys that are on disk only.
pub fn cold(kvasm: &Path, scale: &Scale) -> Result<Row> {
    let keys = START_KEYS[1] / scale.divisor;
    let mut server = filled(kvasm, keys)?;
    let mut rate = |key: &str| -> Result<f64> {
        // Values that the run before has loaded are cold again.
        server.restart_after_kill()?;
        thread::sleep(SETTLE);
        let command = words(&["-r", &keys.to_string(), "GET", key]);
        benchmark(server.port, 50, 1, COLD_REQUESTS / scale.divisor, &command)
    };
    let (mut hits, mut misses) = (Vec::new(), Vec::new());
    for _ in 0..scale.runs {
        hits.push(rate("key:__rand_int__")?);
        misses.push(rate("none:__rand_int__")?);
    }
    Ok(Row {
        title: "GET of a missing key, 2 M cold keys".to_owned(),
        other: ("kvasm, hits".to_owned(), median(hits)),
        kvasm: ("misses".to_owned(), median(misses)),
        unit: "/s",
        target: Target::AtLeast(1.0),
    })
}

/// A server with this many keys, which had time to bring them to their rows.
fn filled(kvasm: &Path, keys: u64) -> Result<Server> {
    let server = Server::start(kvasm, Durability::EverySecond)?;
    Connection::open(server.port)?.fill(keys, VALUE_LEN)?;
    thread::sleep(SETTLE_MEMORY);
    Ok(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_outliers() {
        for (values, expected) in
            [(vec![3.0], 3.0), (vec![9e9, 1.0, 2.0], 2.0), (vec![4.0, 1.0, 2.0, 3.0], 2.5)]
        {
            assert!((median(values.clone()) - expected).abs() < f64::EPSILON, "{values:?}");
        }
    }

    #[test]
    fn the_rate_is_read_from_the_last_line() {
        let header = "\"test\",\"rps\",\"avg_latency_ms\"\n";
        for (line, expected) in
            [("\"GET\",\"1234.50\",\"0.1\"\n", Some(1234.5)), ("", None), ("\"GET\"", None)]
        {
            assert_eq!(rate(&format!("{header}{line}")), expected, "{line}");
        }
    }
}
