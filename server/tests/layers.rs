//! The architecture as a table: imports between the layers of the server point one way, and each foreign crate with a
//! concept of its own stays in its room. `ARCHITECTURE.md` says why.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers from the top; a module may import from the layers below its own only.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["net"],
    &["engine"],
    &["command"],
    &["state"],
    // Options are above the keyspace because some are in its terms: the classes of events.
    &["procedure", "trigger", "options"],
    &["keyspace"],
    &["store", "protocol", "rdb"],
    &["types"],
    // What every layer may use, and what knows of none of them.
    &["memory"],
];

/// The dependencies of the server and the modules that may name them.
const ROOMS: &[(&str, &[&str])] = &[
    ("redb", &["store"]),
    ("wasm3x", &["procedure"]),
    ("wasm_encoder", &["procedure"]),
    ("wasmparser", &["procedure"]),
    ("wat", &["procedure"]),
    ("tokio", &["main", "net", "engine", "state"]),
    ("thread_priority", &["engine"]),
    ("tikv_jemalloc_ctl", &["memory"]),
    ("tikv_jemallocator", &["main", "types"]),
    ("tracing_subscriber", &["main"]),
];

/// The dependencies without concepts of their own: any module may use them.
const SHARED: &[&str] = &[
    "compact_bytes",
    "crc",
    "fastrand",
    "hashbrown",
    "itoa",
    "memchr",
    "rustix",
    "serde",
    "serde_json",
    "sha1",
    "siphasher",
    "smallvec",
    "tracing",
    "triomphe",
];

/// One source file: where it is, the top module that it belongs to, and its text without comments.
struct Source {
    path: PathBuf,
    module: String,
    text: String,
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Every source file of the server but the root of its library, which only declares the modules.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("a source directory") {
            let path = entry.expect("a directory entry").path();
            let is_library = path == root.join("lib.rs");
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_library {
                let relative = path.strip_prefix(&root).expect("a path below the root").with_extension("");
                let module = relative.iter().next().expect("a name").to_string_lossy().into_owned();
                let text = fs::read_to_string(&path).expect("a source file");
                let text = text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>();
                sources.push(Source { path, module, text: text.join("\n") });
            }
        }
    }
    sources
}

/// The names that follow `prefix` where it stands as a path of its own: `crate::a`, `crate::{a::b, c}`.
fn names_after(text: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (start, _) in text.match_indices(prefix) {
        if text[..start].chars().next_back().is_some_and(|c| is_name(c) || c == ':') {
            continue;
        }
        let rest = text[start + prefix.len()..].trim_start();
        match rest.strip_prefix('{') {
            None => names.push(rest.chars().take_while(|&c| is_name(c)).collect()),
            Some(group) => names.extend(names_of_group(group)),
        }
    }
    names
}

/// The first names of the paths in a group, without those of groups inside of it.
fn names_of_group(group: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let (mut depth, mut is_first_name) = (0, true);
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(String::new());
                is_first_name = true;
            }
            c if is_name(c) && is_first_name => names.last_mut().expect("never empty").push(c),
            c if !c.is_whitespace() => is_first_name = false,
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether the text names the crate as the start of a path.
fn names_crate(text: &str, name: &str) -> bool {
    text.match_indices(&format!("{name}::"))
        .any(|(start, _)| !text[..start].chars().next_back().is_some_and(|c| is_name(c) || c == ':'))
}

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for source in sources() {
        let own = layer_of(&source.module)
            .unwrap_or_else(|| panic!("{} has no layer: add it to LAYERS", source.module));
        let prefix = if source.module == "main" { "kvasm::" } else { "crate::" };
        for name in names_after(&source.text, prefix) {
            let is_down = layer_of(&name).is_some_and(|layer| layer > own);
            if name != source.module && !is_down {
                wrong.push(format!("{} must not import {name}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn foreign_crates_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (name, rooms) in ROOMS {
            if names_crate(&source.text, name) && !rooms.contains(&source.module.as_str()) {
                wrong.push(format!("{} must not use {name}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_dependency_has_a_place_in_the_table() {
    let manifest =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).expect("the manifest");
    let section = manifest.split("\n[dependencies]\n").nth(1).expect("dependencies").split("\n[").next();
    let without_place: Vec<String> = section
        .into_iter()
        .flat_map(str::lines)
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| line.split(['.', ' ', '=']).next().unwrap_or_default().replace('-', "_"))
        .filter(|name| !ROOMS.iter().map(|(room, _)| room).chain(SHARED).any(|known| known == name))
        .collect();
    assert!(without_place.is_empty(), "add to ROOMS or SHARED: {without_place:?}");
}

#[test]
fn the_reader_of_imports_finds_them() {
    let check = |text: &str, expected: &[&str]| assert_eq!(names_after(text, "crate::"), expected, "{text}");
    check("use crate::store::Store;", &["store"]);
    check("use crate::{\n  store::{self, a::B},\n  types,\n};", &["store", "types"]);
    check("pub(crate) fn f() { crate::net::run() }", &["net"]);
    check("$crate::x; my_crate::y; a::crate::z", &["x"]);
    assert!(names_crate("use redb::Database;", "redb") && names_crate("(redb::open)", "redb"));
    assert!(!names_crate("myredb::x self::redb::y", "redb"));
}
