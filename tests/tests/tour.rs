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

const WASM_TARGET: &str = "wasm32-unknown-unknown";
/// The compiler of Debian's package rustc-web.
const RUSTC_WEB: &str = "/usr/bin/rustc";

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

/// A shell with a redis-cli that reaches the server under test and prints as it does in a terminal, and a cargo that can
/// compile for WebAssembly.
struct Shell {
    directory: TempDir,
}

impl Shell {
    fn new(server: &Server) -> Shell {
        let shell = Shell { directory: tempfile::tempdir().expect("make a directory") };
        shell.connect(server);
        if !has_wasm_target() {
            shell.use_rustc_web();
        }
        shell
    }

    /// Makes redis-cli reach this server.
    fn connect(&self, server: &Server) {
        self.wrap("redis-cli", |real| format!("exec '{real}' --no-raw -p {} \"$@\"\n", server.port()));
    }

    /// Makes cargo compile for WebAssembly with Debian's rustc-web, as scripts/build-guests does where rustup's target, for
    /// which the README asks, is not installed.
    fn use_rustc_web(&self) {
        self.wrap("cargo", |real| {
            format!(
                "case \" $* \" in
                 *' --target {WASM_TARGET} '*)
                     for linker in \"$(rustc --print sysroot)\"/lib/rustlib/*/bin/rust-lld /usr/bin/wasm-ld /usr/bin/wasm-ld-*; do
                         [ ! -x \"$linker\" ] || break
                     done
                     export RUSTC='{RUSTC_WEB}' RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=\"$linker\"
                     set -- \"$@\" -Zbuild-std=core,alloc
                     ;;
                 esac
                 exec '{real}' \"$@\"\n"
            )
        });
    }

    /// Puts a script in the place of a program; `script` is told where that is.
    fn wrap(&self, name: &str, script: impl FnOnce(&str) -> String) {
        let path = std::env::var_os("PATH").expect("a PATH");
        let real = std::env::split_paths(&path).map(|directory| directory.join(name));
        let real = real.into_iter().find(|file| file.exists());
        let real = real.unwrap_or_else(|| panic!("{name}, which `make test` needs or installs"));
        let wrapper = self.directory.path().join(name);
        let text = format!("#!/bin/sh\n{}", script(&real.to_string_lossy()));
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
    // What never ends takes its fuel, and soon, on a machine with little time for it.
    let options = Options::new().with("wasm-fuel", "20000000").with("wasm-deadline-ms", "3600000");
    let mut server = Server::kvasm(&options);
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
    assert!(
        has_wasm_target() || Path::new(RUSTC_WEB).exists(),
        "run 'rustup target add {WASM_TARGET}', as the README says, or 'apt-get install rustc-web rust-web-src lld'"
    );
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

/// Whether rustup's target is installed.
fn has_wasm_target() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", WASM_TARGET])
        .output()
        .expect("run rustc");
    Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists()
}
