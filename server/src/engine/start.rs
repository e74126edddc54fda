//! Starting: opening the store, replaying the log, bringing libraries and triggers back.

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::core::Core;
use super::delivery::Deliveries;
use super::gate::Gate;
use super::job::Jobs;
use super::persistence::{Arrival, Persistence};
use super::waiting::Postponed;
use super::workers::Pool;
use super::{Clock, Engine, Shared, unix_now};
use crate::keyspace::{Keyspace, Loaded, Replay, ReplayError};
use crate::options::Options;
use crate::procedure::Runtime;
use crate::state::{Libraries, Library, Server, module_limits};
use crate::store::record::{self, Damage};
use crate::store::{KeyAt, Recovery, Store, StoreError, StoreOptions, SystemTable};
use crate::trigger::{Definition, Triggers};

/// Why the server cannot start.
#[derive(Debug)]
pub enum StartError {
    /// The data directory cannot be opened.
    Store(StoreError),
    /// The log holds something that cannot be understood.
    Log(Damage),
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(formatter, "{error}"),
            Self::Log(damage) => write!(formatter, "log.redb: {damage}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Damage> for StartError {
    fn from(damage: Damage) -> Self {
        Self::Log(damage)
    }
}

/// Opens the data directory and gives the engine, and the events of its store.
pub fn open(
    options: Options,
    config_file: Option<PathBuf>,
) -> Result<(Shared, UnboundedReceiver<Arrival>), StartError> {
    let (sender, events) = unbounded_channel();
    let jobs = Jobs::new(Pool::new(sender.clone(), options.wasm_workers as usize));
    let gate = Gate::new(sender.clone());
    let store_options = StoreOptions {
        directory: PathBuf::from(&options.dir),
        log_max_bytes: options.log_max_size,
        cache_bytes: options.store_cache_size as usize,
    };
    // The receiver goes when the server stops, and then nobody needs to know.
    let on_event = Box::new(move |event| drop(sender.send(Arrival::from(event))));
    let (store, recovery) = Store::open(&store_options, on_event)?;
    let (last_group, applied) = (recovery.last_sequence, recovery.applied);
    let keyspace = recover(&store, recovery)?;
    store.start_applying();
    let mut core = Box::new(Core::new(keyspace, Server::new(options, config_file)));
    load_definitions(&mut core);
    core.server.store.durable = last_group;
    core.server.store.applied = applied;
    core.server.store.log_bytes = store.log_bytes();
    let mut engine = Engine {
        log_level: (core.server.options.loglevel, Box::new(|_| ())),
        runtime: Runtime::new(module_limits(&core.server.options)),
        core: Some(core),
        persistence: Persistence::new(store, last_group, applied),
        jobs,
        gate,
        clock: Clock::new(),
        unserved: Postponed::default(),
        stalled: Postponed::default(),
        deliveries: Deliveries::default(),
    };
    engine.apply_settings();
    Ok((Rc::new(RefCell::new(engine)), events))
}

/// Everything cold, and the log replayed on top of it.
fn recover(store: &Store, recovery: Recovery) -> Result<Keyspace, StartError> {
    let Recovery { seed, databases, key_counts, system, last_sequence, groups, .. } = recovery;
    let mut keyspace = Keyspace::new(seed, databases, &key_counts, last_sequence);
    keyspace.begin(unix_now().as_micros() as u64);
    for row in system {
        keyspace.restore_definition((row.table, row.name.into()), Some(row.content.into()));
    }
    let mut replay = Replay::new(keyspace);
    for group in groups {
        let (sequence, group) = group?;
        replay_group(store, &mut replay, sequence, &group)?;
    }
    Ok(replay.finish()?)
}

fn replay_group(store: &Store, replay: &mut Replay, sequence: u64, group: &[u8]) -> Result<(), StartError> {
    let load = |storage, key: &[u8]| {
        let found = store.get_blocking(KeyAt { storage, key: key.into() })?;
        let parse = |stored| Loaded::parse(stored).ok_or(StartError::Log(Damage::NO_SUCH_VALUE));
        found.map(parse).transpose()
    };
    for transaction in record::decode(group)? {
        for change in transaction? {
            replay.apply(&change?, sequence, load).map_err(|error| match error {
                ReplayError::Load(error) => error,
                ReplayError::Damage(damage) => StartError::Log(damage),
            })?;
        }
    }
    Ok(())
}

/// Makes libraries and triggers what the keyspace's definitions say.
fn load_definitions(core: &mut Core) {
    let Core { keyspace, server, .. } = core;
    let limits = module_limits(&server.options);
    server.libraries = Libraries::default();
    for (name, code) in keyspace.definitions(SystemTable::Library) {
        match Library::compile(code, &limits) {
            Ok(library) => server.libraries.insert(library),
            Err(error) => {
                let name = String::from_utf8_lossy(name);
                tracing::error!("library '{name}' cannot be loaded under the present limits: {error}");
            }
        }
    }
    server.triggers = Triggers::default();
    for (name, content) in keyspace.definitions(SystemTable::Trigger) {
        if let Some(definition) = Definition::from_bytes(content) {
            server.triggers.insert(definition);
        } else {
            tracing::error!("trigger '{}' cannot be read", String::from_utf8_lossy(name));
        }
    }
}
