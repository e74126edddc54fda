//! Guest modules of tests, in WebAssembly's text form, and how they are uploaded; and the examples, compiled.

use crate::{Raw, Value, repository};

/// A module with the given imports of `kvasm_1`, one page of memory and the given fields.
///
/// `imports` is a list such as `put get_range`; signatures are those of the guest interface.
///
/// # Panics
/// When an import is unknown.
#[must_use]
pub fn module(imports: &str, fields: &str) -> String {
    let mut text = String::from("(module\n");
    for name in imports.split_whitespace() {
        let (_, signature) =
            IMPORTS.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no import {name}"));
        text.extend(["  (import \"kvasm_1\" \"", name, "\" (func $", name, " ", signature, "))\n"]);
    }
    text.push_str("  (memory (export \"memory\") 1)\n");
    text.push_str(fields);
    text.push_str("\n)");
    text
}

/// A module whose only procedure is `run`, with `body` for its instructions.
#[must_use]
pub fn procedure(imports: &str, body: &str) -> String {
    module(imports, &format!("  (func (export \"run\") {body})"))
}

/// The module of an example under `procs`.
///
/// # Panics
/// When it has not been compiled.
#[must_use]
pub fn example(name: &str) -> Vec<u8> {
    let path = repository().join(format!("target/guests/{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; `make guests` (scripts/build-guests) compiles the examples", path.display())
    })
}

/// The text for `FUNCTION LOAD` of a library.
#[must_use]
pub fn library(name: &str, module: &str) -> String {
    format!("#!wasm name={name}\n{module}")
}

/// A data segment at `offset`.
#[must_use]
pub fn data(offset: u32, bytes: impl AsRef<[u8]>) -> String {
    let escaped = escape(bytes);
    format!("  (data (i32.const {offset}) \"{escaped}\")\n")
}

/// Bytes as WebAssembly's text form writes them between double quotes.
#[must_use]
pub fn escape(bytes: impl AsRef<[u8]>) -> String {
    let escaped: Vec<String> = bytes.as_ref().iter().map(|byte| format!("\\{byte:02x}")).collect();
    escaped.concat()
}

/// Pointer and length, as instructions, of `text` in the data segment at `offset`.
#[must_use]
pub fn slice(offset: u32, text: impl AsRef<[u8]>) -> String {
    format!("(i32.const {offset}) (i32.const {})", text.as_ref().len())
}

/// A procedure that puts 1 under the key `written` and then does `body`; `text` is at address 1000.
#[must_use]
pub fn put_then(imports: &str, text: impl AsRef<[u8]>, body: &str) -> String {
    let fields = [data(0, "written"), data(16, "1"), data(1000, text)].concat();
    let put = format!("(call $put {} {})", slice(0, "written"), slice(16, "1"));
    module(&format!("put {imports}"), &format!("{fields}  (func (export \"run\") {put} {body})"))
}

/// Loads a library and says what the server said.
pub fn load(connection: &mut Raw, name: &str, module: &str) -> Value {
    connection.command(&["FUNCTION", "LOAD", &library(name, module)])
}

/// Runs a module with `EVALWASM`, with words for its keys and arguments.
pub fn eval(connection: &mut Raw, module: &str, keys: &str, arguments: &str) -> Value {
    call(connection, "EVALWASM", module, keys, arguments)
}

/// Calls a library's function with `FCALL`, with words for its keys and arguments.
pub fn fcall(connection: &mut Raw, function: &str, keys: &str, arguments: &str) -> Value {
    call(connection, "FCALL", function, keys, arguments)
}

/// Any command of the shape `COMMAND what numkeys key ... argument ...`.
pub fn call(connection: &mut Raw, command: &str, what: &str, keys: &str, arguments: &str) -> Value {
    let count = keys.split_whitespace().count().to_string();
    let mut all = vec![command, what, &count];
    all.extend(keys.split_whitespace());
    all.extend(arguments.split_whitespace());
    connection.command(&all)
}

const IMPORTS: &[(&str, &str)] = &[
    ("key_count", "(result i32)"),
    ("arg_count", "(result i32)"),
    ("key", "(param i32 i32 i32) (result i32)"),
    ("arg", "(param i32 i32 i32) (result i32)"),
    ("get", "(param i32 i32 i32 i32) (result i64)"),
    ("get_range", "(param i32 i32 i64 i32 i32) (result i64)"),
    ("exists", "(param i32 i32) (result i32)"),
    ("command_ro", "(param i32 i32 i32 i32) (result i64)"),
    ("command_reply", "(param i32 i32 i32) (result i64)"),
    ("put", "(param i32 i32 i32 i32)"),
    ("delete", "(param i32 i32) (result i32)"),
    ("increment", "(param i32 i32 i64) (result i64)"),
    ("command", "(param i32 i32 i32 i32) (result i64)"),
    ("reply_integer", "(param i64)"),
    ("reply_bulk", "(param i32 i32)"),
    ("reply_resp", "(param i32 i32)"),
    ("abort", "(param i32 i32)"),
    ("log", "(param i32 i32 i32)"),
    ("time_us", "(result i64)"),
    ("random", "(result i64)"),
];

#[cfg(test)]
mod tests {
    use super::{data, slice};

    #[test]
    fn text_is_escaped_byte_by_byte() {
        assert_eq!(data(8, "a\"\n"), "  (data (i32.const 8) \"\\61\\22\\0a\")\n");
        assert_eq!(slice(8, "abc"), "(i32.const 8) (i32.const 3)");
    }
}
