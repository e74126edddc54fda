//! The `kvasm` binary: reads the command line, starts the engine's thread, serves until told to stop.

use std::fmt::Write as _;
use std::io::{BufReader, IsTerminal, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use kvasm::engine::{self, Imported, Shared};
use kvasm::memory;
use kvasm::net::{self, Listener, StopRequest};
use kvasm::options::{self, AppendFsync, CommandLine, LogLevel, Options, Startup};
use kvasm::procedure::limits::fixed::NATIVE_STACK_BYTES;
use kvasm::rdb;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// jemalloc's settings: huge pages, because look-ups in a large keyspace spend their time in TLB misses (the engine says from
/// which size on they are used); two arenas,
/// because few threads allocate and each arena has huge pages that are not full; unused memory goes back to the system
/// within a second.
// SAFETY: this is the documented symbol that jemalloc reads its settings from; nobody else defines it, and its value is
// a C string that lives for ever.
#[allow(non_upper_case_globals, unsafe_code, reason = "the name is jemalloc's")]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static malloc_conf: Option<&'static std::ffi::c_char> = Some(unsafe {
    &*c"thp:always,metadata_thp:auto,narenas:2,background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0"
        .as_ptr()
});

/// When a commit has failed for good, clients get this long to receive their errors.
const FAREWELL: Duration = Duration::from_millis(200);

/// How often an import tells how far it is.
const PROGRESS_PAUSE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    memory::allow_huge_pages(false);
    match options::parse_command_line(std::env::args().skip(1)) {
        Ok(CommandLine::Help) => print(&options::help()),
        Ok(CommandLine::Version) => print(concat!("kvasm ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(CommandLine::Run(startup)) => run(*startup, serve),
        Ok(CommandLine::Import(file, startup)) => run(*startup, move |startup, _| import(&file, startup)),
        Err(error) => fail(&error),
    }
}

fn print(text: &str) -> ExitCode {
    // A reader that has gone does not want the rest.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("kvasm: {error}");
    ExitCode::FAILURE
}

/// The interpreter of procedures runs on the engine's thread and needs a large native stack there.
fn run(
    startup: Startup,
    work: impl FnOnce(Startup, LogLevelHandle) -> Result<(), String> + Send + 'static,
) -> ExitCode {
    let log_level = match start_log(&startup.options) {
        Ok(handle) => handle,
        Err(error) => return fail(&error),
    };
    if !startup.passed_over.is_empty() {
        let names = startup.passed_over.join(", ");
        tracing::warn!("options of Redis that mean nothing here are passed over: {names}");
    }
    let thread = std::thread::Builder::new().name("kvasm-engine".into()).stack_size(NATIVE_STACK_BYTES);
    match thread.spawn(move || work(startup, log_level)).map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        Ok(Ok(Err(error))) => fail(&error),
        Ok(Err(_)) => ExitCode::FAILURE,
        Err(error) => fail(&error),
    }
}

/// What changes the level of the server's log.
type LogLevelHandle = reload::Handle<LevelFilter, Registry>;

fn start_log(options: &Options) -> Result<LogLevelHandle, String> {
    let (writer, colours) = open_log(&options.logfile)?;
    let (filter, handle) = reload::Layer::new(filter_of(options.loglevel));
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_ansi(colours).with_writer(writer);
    tracing_subscriber::registry().with(filter).with(lines).init();
    Ok(handle)
}

/// Where the lines of the log go, and whether they may have colours.
fn open_log(path: &str) -> Result<(BoxMakeWriter, bool), String> {
    if path.is_empty() {
        return Ok((BoxMakeWriter::new(std::io::stdout), std::io::stdout().is_terminal()));
    }
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let file = file.map_err(|error| format!("cannot open the log file {path}: {error}"))?;
    Ok((BoxMakeWriter::new(std::sync::Mutex::new(file)), false))
}

fn filter_of(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::TRACE,
        LogLevel::Verbose => LevelFilter::DEBUG,
        LogLevel::Notice => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
    }
}

fn serve(startup: Startup, log_level: LogLevelHandle) -> Result<(), String> {
    let started = Instant::now();
    let Startup { options, config_file, .. } = startup;
    let runtime = local_runtime()?;
    runtime.block_on(async move {
        let (engine, events) = engine::open(options, config_file).map_err(|error| error.to_string())?;
        let listener = {
            let engine = engine.borrow();
            let options = engine.options();
            Listener::bind(&options.bind, options.port, options.tcp_backlog)
        };
        let listener = listener.map_err(|error| error.to_string())?;
        engine.borrow_mut().set_port(listener.port());
        engine.borrow_mut().on_log_level(move |level| {
            // The subscriber stays for as long as the process does.
            let _ = log_level.reload(filter_of(level));
        });
        let maxclients = engine.borrow().options().maxclients;
        engine.borrow_mut().limit_clients(net::make_room_for(maxclients));
        announce(&engine.borrow(), listener.port(), started.elapsed());
        let (stop, stopped) = mpsc::unbounded_channel();
        listener.serve(&engine, &stop);
        tokio::task::spawn_local(engine::run_arrivals(Rc::clone(&engine), events));
        tokio::task::spawn_local(engine::run_timers(Rc::clone(&engine)));
        tokio::task::spawn_local(engine::run_deliveries(Rc::clone(&engine)));
        wait_for_the_end(&engine, stopped).await?;
        tracing::info!("stopping");
        engine
            .borrow_mut()
            .close()
            .map_err(|error| format!("not everything could be made durable: {error}"))?;
        tracing::info!("everything is durable; bye");
        Ok(())
    })
}

/// Reads a database file of Redis into the data directory, which no server may be using.
fn import(path: &Path, startup: Startup) -> Result<(), String> {
    let started = Instant::now();
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(told)?;
    let len = file.metadata().map_err(told)?.len().max(1);
    let file =
        rdb::File::open(BufReader::new(file)).map_err(|error| format!("{}: {error}", path.display()))?;
    let runtime = local_runtime()?;
    let imported = runtime.block_on(async move {
        let Startup { options, config_file, .. } = startup;
        let (engine, events) = engine::open(options, config_file).map_err(|error| error.to_string())?;
        tokio::task::spawn_local(engine::run_arrivals(Rc::clone(&engine), events));
        tokio::task::spawn_local(engine::run_timers(Rc::clone(&engine)));
        let mut shown = Instant::now();
        let result = engine::import(&engine, file, |imported| {
            if shown.elapsed() >= PROGRESS_PAUSE {
                shown = Instant::now();
                eprintln!("{} keys, {} % of the file", imported.keys, imported.bytes * 100 / len);
            }
        });
        let result = result.await;
        let closed = engine.borrow_mut().close();
        let imported = result?;
        closed.map_err(|error| format!("not everything could be made durable: {error}"))?;
        Ok::<_, String>(imported)
    })?;
    let Imported { keys, expired, libraries, .. } = imported;
    let mut text =
        format!("{keys} keys are in the data directory now ({:.1} s)", started.elapsed().as_secs_f64());
    if expired > 0 {
        let _ = write!(text, "; {expired} had expired");
    }
    if libraries > 0 {
        let were =
            if libraries == 1 { "library of Lua functions was" } else { "libraries of Lua functions were" };
        let _ = write!(text, "; {libraries} {were} passed over");
    }
    print(&format!("{text}\n"));
    Ok(())
}

fn local_runtime() -> Result<LocalRuntime, String> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build_local(LocalOptions::default()).map_err(|error| error.to_string())
}

/// Until a signal comes, a client stops the server, or the store fails.
///
/// As in Redis the server goes on when not everything can be made durable, unless that is forced: by the client's word,
/// or by a signal that comes again.
async fn wait_for_the_end(
    engine: &Shared,
    mut stopped: mpsc::UnboundedReceiver<StopRequest>,
) -> Result<(), String> {
    let listen = |kind| signal(kind).map_err(|error| error.to_string());
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    // As in Redis the end of a terminal is not the end of the server.
    let _passed_over = listen(SignalKind::hangup())?;
    let mut signalled = false;
    loop {
        let (force, refused) = tokio::select! {
            _ = terminate.recv() => (std::mem::replace(&mut signalled, true), None),
            _ = interrupt.recv() => (std::mem::replace(&mut signalled, true), None),
            Some(request) = stopped.recv() => (request.force, Some(request.refused)),
            reason = failed(engine) => {
                tokio::time::sleep(FAREWELL).await;
                return Err(format!("the server cannot go on: {reason}"));
            }
        };
        if force {
            return Ok(());
        }
        match engine::make_durable(engine).await {
            Ok(()) => return Ok(()),
            Err(reason) => {
                tracing::error!("not stopping, because not everything can be made durable: {reason}");
            }
        }
        // A client that has gone need not know.
        let _ = refused.map(|refused| refused.send(()));
    }
}

/// Waits until the store has failed for good, and gives the reason.
async fn failed(engine: &Shared) -> String {
    let signals = engine.borrow().signals();
    loop {
        if let Some(reason) = engine.borrow().fatal() {
            return reason.to_owned();
        }
        signals.durable.notified().await;
    }
}

fn announce(engine: &engine::Engine, port: u16, elapsed: Duration) {
    let options = engine.options();
    let durability = match options.appendfsync {
        AppendFsync::Always => "appendfsync always: a reply means that the change is on disk".to_owned(),
        AppendFsync::EverySecond => format!(
            "appendfsync everysec: changes are on disk within a second (in practice {} ms)",
            options.log_commit_interval_ms
        ),
        AppendFsync::No => {
            "appendfsync no: changes are on disk at shutdown, or when the log's buffer is half full".into()
        }
    };
    let addresses: Vec<String> = options.bind.iter().map(ToString::to_string).collect();
    let addresses = addresses.join(" ");
    if !options.logfile.is_empty() {
        let (version, directory) = (env!("CARGO_PKG_VERSION"), &options.dir);
        tracing::info!("kvasm {version} on {addresses}, port {port}, serves the data in {directory}");
    }
    let text = format!(
        "kvasm {} on {addresses}, port {port}\n  data        {} ({} keys, ready in {:.1} ms)\n  durability  {durability}\n  \
         next        redis-cli -p {port} SET hello world\n",
        env!("CARGO_PKG_VERSION"),
        options.dir,
        engine.key_count(),
        elapsed.as_secs_f64() * 1000.0,
    );
    let _ = std::io::stdout().write_all(text.as_bytes());
}
