//! Finds the server binary to test, and builds it first where that is cargo's business.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

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
    profile_directory.join("kvasm")
}
