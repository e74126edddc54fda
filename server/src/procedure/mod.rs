//! The wasm side: gate, instances, host functions.
