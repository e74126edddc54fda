//! What the attributes say of functions that they cannot take: the words of the error, which the `compile_fail` examples
//! of the documentation do not check.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Functions that are refused, and what is said of them.
const MISTAKES: &[(&str, &str)] = &[
    ("#[procedure] fn f(key: &[u8]) {}", "the first parameter must be `db: &mut Db` or `db: &Db`"),
    ("#[procedure] fn f(name: &str) {}", "the first parameter must be `db: &mut Db` or `db: &Db`"),
    ("#[procedure] fn f(db: Db) {}", "the first parameter must be `db: &mut Db` or `db: &Db`"),
    ("#[procedure] fn f() {}", "the first parameter must be `db: &mut Db` or `db: &Db`"),
    ("#[procedure] fn f<T>(db: &Db) {}", "the server calls it: it cannot have generic parameters"),
    ("#[procedure] struct F;", "only a function can carry this attribute"),
    ("#[procedure(speed = 3)] fn f(db: &Db) {}", "expected one of: name, runs"),
    ("#[trigger(on = \"set\")] fn f(db: &Db, event: &Event) {}", "missing: keys = \"...\""),
    (
        "#[trigger(on = \"set\", keys = \"*\")] fn f(db: &Db) {}",
        "a trigger takes the database and the event: `(db: &mut Db, event: &Event)`",
    ),
];

#[test]
fn an_attribute_says_what_is_wrong_with_a_function() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("attributes");
    let manifest = format!(
        "[package]\nname = \"mistakes\"\nedition = \"2024\"\n[workspace]\n[dependencies]\nkvasm-sdk = {{ path = {:?} }}\n",
        env!("CARGO_MANIFEST_DIR")
    );
    let modules = MISTAKES.iter().enumerate().map(|(index, (function, _))| {
        format!("mod mistake_{index} {{ use kvasm_sdk::prelude::*; {function} }}\n")
    });
    fs::create_dir_all(directory.join("src")).expect("make a directory");
    fs::write(directory.join("Cargo.toml"), manifest).expect("write the manifest");
    fs::write(directory.join("src/lib.rs"), modules.collect::<String>()).expect("write the source");
    let output = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--message-format", "short"])
        .current_dir(&directory)
        .env("CARGO_TARGET_DIR", directory.join("target"))
        .output()
        .expect("run cargo");
    let errors = String::from_utf8_lossy(&output.stderr);
    for (index, (function, message)) in MISTAKES.iter().enumerate() {
        // The errors about a function are those of its line.
        let place = format!("src/lib.rs:{}:", index + 1);
        let is_said = errors.lines().any(|line| line.starts_with(&place) && line.ends_with(message));
        assert!(is_said, "{function}: {message}\n{errors}");
    }
}
