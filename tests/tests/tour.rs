//! The README's tour, run as printed: every block of commands must print what stands below it.

use kvasm_tests::{Options, Server, repository};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// What the README asks its reader to do.
enum Step {
    /// To paste commands, and to see their output.
    Run { commands: String, output: String },
    /// To stop the server with Ctrl-C and start it again.
    Restart,
}

const RESTART: &str = "<!-- tour: restart -->";

/// The steps of the README between `<!-- section: begin` and `<!-- section: end -->`.
fn steps(section: &str) -> Vec<Step> {
    let readme = fs::read_to_string(repository().join("README.md")).expect("read README.md");
    let (_, rest) = readme.split_once(&format!("<!-- {section}: begin")).expect("the section's begin");
    let (section, _) = rest.split_once(&format!("<!-- {section}: end -->")).expect("the section's end");
    let mut lines = section.lines();
    let mut steps = Vec::new();
    while let Some(line) = lines.next() {
        let mut block = || -> String {
            lines.by_ref().take_while(|line| *line != "```").flat_map(|line| [line, "\n"]).collect()
        };
        match line {
            RESTART => steps.push(Step::Restart),
            "```sh" => steps.push(Step::Run { commands: block(), output: String::new() }),
            "```text" => match steps.last_mut() {
                Some(Step::Run { output, .. }) if output.is_empty() => *output = block(),
                _ => panic!("output without commands: {}", block()),
            },
            other => assert!(!other.starts_with("```"), "a block of neither commands nor output: {other}"),
        }
    }
    steps
}

/// A shell with a redis-cli that reaches the server under test and prints as it does in a terminal.
struct Shell {
    directory: TempDir,
}

impl Shell {
    fn new(server: &Server) -> Shell {
        let shell = Shell { directory: tempfile::tempdir().expect("make a directory") };
        shell.connect(server);
        shell
    }

    /// Makes redis-cli reach this server.
    fn connect(&self, server: &Server) {
        let path = std::env::var_os("PATH").expect("a PATH");
        let real = std::env::split_paths(&path).map(|directory| directory.join("redis-cli"));
        let real =
            real.into_iter().find(|file| file.exists()).expect("redis-cli, which `make test` installs");
        let wrapper = self.directory.path().join("redis-cli");
        let text = format!("#!/bin/sh\nexec '{}' --no-raw -p {} \"$@\"\n", real.display(), server.port());
        fs::write(&wrapper, text).expect("write the wrapper");
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("make it executable");
    }

    /// What commands print, without what they say on the standard error output: that is on this test's own.
    fn run(&self, commands: &str) -> String {
        let path = std::env::var("PATH").expect("a PATH");
        let output = Command::new("sh")
            .args(["-c", commands])
            .current_dir(self.directory.path())
            .env("PATH", format!("{}:{path}", self.directory.path().display()))
            .env("CARGO_NET_OFFLINE", "true")
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_TARGET_DIR")
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .expect("run sh");
        String::from_utf8(output.stdout).expect("output that is text")
    }
}

#[test]
fn the_tour_prints_what_the_readme_says() {
    let mut server = Server::kvasm(&Options::new());
    let shell = Shell::new(&server);
    let steps = steps("tour");
    assert!(steps.iter().any(|step| matches!(step, Step::Restart)), "the tour restarts the server");
    for step in steps {
        match step {
            Step::Run { commands, output } => assert_eq!(shell.run(&commands), output, "{commands}"),
            Step::Restart => {
                server.terminate();
                server.restart();
                shell.connect(&server);
            }
        }
    }
}

#[test]
fn a_crate_of_ones_own_goes_from_cargo_new_to_its_first_call_as_the_readme_says() {
    if !has_wasm_target() {
        eprintln!("rustup's target wasm32-unknown-unknown, which the README asks for here, is not installed");
        return;
    }
    let server = Server::kvasm(&Options::new());
    let shell = Shell::new(&server);
    symlink(repository(), shell.directory.path().join("kvasm")).expect("link the checkout");
    for step in steps("crate") {
        let Step::Run { commands, output } = step else { panic!("the crate needs no restart") };
        let printed = shell.run(&commands);
        // Before that `cargo test` reports.
        assert!(printed.contains("test result: ok. 1 passed"), "{printed}");
        assert!(printed.ends_with(&output), "{printed}");
    }
}

fn has_wasm_target() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", "wasm32-unknown-unknown"])
        .output()
        .expect("run rustc");
    Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists()
}
