//! kvasm: a key-value server that any Redis client can use, with WebAssembly procedures beside the data.
//!
//! The modules are layers, and imports point one way only:
//! `net > engine > command > state > {procedure, trigger, options} > keyspace > {store, protocol, rdb} > types > memory`.
//! `ARCHITECTURE.md` explains each layer, what it owns and what it must not know.

pub mod command;
pub mod engine;
pub mod keyspace;
pub mod memory;
pub mod net;
pub mod options;
pub mod procedure;
pub mod protocol;
pub mod rdb;
pub mod state;
pub mod store;
pub mod trigger;
pub mod types;
