//! The README's tour and those of the examples, run as printed: all commands must print what stands below them, and no
//! document may stand in the way of another on the same server.

use kvasm_tests::server::wait_for;
use kvasm_tests::{Options, Server, repository};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
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

/// The commands of procs/README.md that upload all examples.
fn uploads() -> String {
    let page = fs::read_to_string(repository().join("procs/README.md")).expect("read procs/README.md");
    let (_, block) = page.split_once("```sh\n").expect("a block of commands");
    block.split("```").next().unwrap_or_default().to_owned()
}

/// The READMEs of the examples, by name, in the order of their names.
fn example_readmes() -> Vec<(String, String)> {
    let entries =
        fs::read_dir(repository().join("procs")).expect("list procs").map(|entry| entry.expect("an entry"));
    let directories = entries.filter(|entry| entry.path().is_dir());
    let mut readmes: Vec<(String, String)> = directories
        .map(|entry| {
            let text = fs::read_to_string(entry.path().join("README.md")).expect("a README of every example");
            (entry.file_name().to_string_lossy().into_owned(), text)
        })
        .collect();
    readmes.sort();
    readmes
}

/// The commands of a README's transcripts, and what is printed below each.
fn transcript(readme: &str) -> Vec<(String, String)> {
    let blocks = readme.split("```\n> ").skip(1).map(|block| block.split("```").next().unwrap_or_default());
    let calls = blocks.flat_map(|block| block.split("\n> "));
    calls
        .map(|call| {
            let (command, output) = call.split_once('\n').expect("a command and what it prints");
            (command.to_owned(), format!("{}\n", output.trim_end()))
        })
        .collect()
}

/// With every number of more than seven digits replaced: those are times and ids.
fn without_times(text: &str) -> String {
    let mut replaced = String::new();
    let mut digits = String::new();
    for character in text.chars().chain(['\n']) {
        if character.is_ascii_digit() {
            digits.push(character);
        } else {
            replaced.push_str(if digits.len() > 7 { "TIME" } else { &digits });
            replaced.push(character);
            digits.clear();
        }
    }
    replaced.pop();
    replaced
}

/// Whether a command printed this, in which a line of three dots stands for any lines.
fn matches(printed: &str, expected: &str) -> bool {
    let (printed, expected) = (without_times(printed), without_times(expected));
    if expected.lines().any(|line| line == "...") {
        expected.split("...\n").all(|part| printed.contains(part))
    } else {
        printed == expected
    }
}

/// A shell in a checkout, with a redis-cli that reaches the server under test and prints as it does in a terminal, and a
/// cargo that can compile for WebAssembly.
struct Shell {
    directory: TempDir,
}

impl Shell {
    fn new(server: &Server) -> Shell {
        let shell = Shell { directory: tempfile::tempdir().expect("make a directory") };
        // Links to what is in the checkout: what is made beside it is made in the test's directory.
        fs::create_dir(shell.checkout()).expect("make a directory");
        for entry in fs::read_dir(repository()).expect("list the repository") {
            let entry = entry.expect("an entry");
            symlink(entry.path(), shell.checkout().join(entry.file_name())).expect("link it");
        }
        shell.connect(server);
        if !has_wasm_target() {
            shell.use_rustc_web();
        }
        shell
    }

    fn checkout(&self) -> PathBuf {
        self.directory.path().join("kvasm")
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
            .current_dir(self.checkout())
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
fn the_tour_and_then_the_examples_print_what_their_readmes_say() {
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
    load_examples(&shell);
    for (example, readme) in example_readmes() {
        for (command, expected) in transcript(&readme) {
            // What a shell expands redis-cli takes as it is.
            let run = || shell.run(&format!("set -f; redis-cli {command}"));
            if command.starts_with("TRIGGER DEADLETTER LIST") {
                wait_for("the last try", || matches(&run(), &expected));
                continue;
            }
            let printed = run();
            // How full a bucket is depends on the time.
            let is_right = if example == "rate-limiter" {
                printed.starts_with("1) (integer)")
            } else {
                matches(&printed, &expected)
            };
            assert!(is_right, "{example}: {command}\n{printed}instead of\n{expected}");
        }
    }
}

/// Uploads all examples as procs/README.md says.
fn load_examples(shell: &Shell) {
    let printed = shell.run(&uploads());
    let names: Vec<String> =
        example_readmes().iter().map(|(name, _)| format!("\"{}\"", name.replace('-', "_"))).collect();
    assert_eq!(printed.lines().collect::<Vec<_>>(), names);
}

#[test]
fn a_crate_of_ones_own_goes_from_cargo_new_to_its_first_call_as_the_readme_says() {
    assert!(
        has_wasm_target() || Path::new(RUSTC_WEB).exists(),
        "run 'rustup target add {WASM_TARGET}', as the README says, or 'apt-get install rustc-web rust-web-src lld'"
    );
    let server = Server::kvasm(&Options::new());
    let shell = Shell::new(&server);
    load_examples(&shell);
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
