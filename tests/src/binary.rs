//! Finds the server binary to test, and builds it first where that is cargo's business.

use crate::repository;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// A source that is newer than this before a binary may have been changed while that was compiled.
const COMPILING: Duration = Duration::from_secs(60);

/// The kvasm binary under test: the environment variable `KVASM_BIN` if it is set, else the one that cargo builds
/// beside this test's executable, brought up to date first.
///
/// # Panics
/// When it cannot be built.
pub fn kvasm() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| std::env::var_os("KVASM_BIN").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    let test = std::env::current_exe().expect("the path of the running test");
    // The test is <target>/<profile>/deps/<name>-<hash>.
    let profile_directory = test.ancestors().nth(2).expect("the directory of the profile");
    let binary = profile_directory.join("kvasm");
    if is_up_to_date(&binary) {
        return binary;
    }
    let target_directory = profile_directory.parent().expect("the target directory");
    let profile = match profile_directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--package",
            "kvasm",
            "--bin",
            "kvasm",
            "--profile",
            profile,
            "--target-dir",
        ])
        .arg(target_directory)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("run cargo");
    assert!(output.status.success(), "kvasm does not build:\n{}", String::from_utf8_lossy(&output.stderr));
    binary
}

/// Whether there is a binary that was built after everything that it is made of, which cargo notes beside it.
///
/// `cargo test --workspace` has built one before it runs tests. Asked for this package alone, it would compile it and half
/// of its dependencies once more, because it is only for the whole workspace that they have all features.
fn is_up_to_date(binary: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    let (Some(built), Ok(notes)) = (modified(binary), fs::read_to_string(binary.with_extension("d"))) else {
        return false;
    };
    let Some((_, sources)) = notes.split_once(": ") else { return false };
    // Blanks separate the names, but for those behind a backslash.
    let sources = sources.trim_end().replace("\\ ", "\0");
    let sources = sources.split(' ').map(|source| PathBuf::from(source.replace('\0', " ")));
    let manifests = ["Cargo.toml", "Cargo.lock", "server/Cargo.toml"].map(|name| repository().join(name));
    sources.chain(manifests).all(|source| modified(&source).is_some_and(|at| at + COMPILING < built))
}
