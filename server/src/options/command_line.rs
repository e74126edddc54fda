//! The command line: `kvasm [file] [--name value ...]` or `--name=value`, or `kvasm import dump.rdb [file] [--name value ...]`.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use super::file::{apply_file, set_words};
use super::{Options, TABLE};

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub enum CommandLine {
    /// Start the server.
    Run(Box<Startup>),
    /// Read a database file of Redis into the data directory.
    Import(PathBuf, Box<Startup>),
    /// Print [`help`].
    Help,
    /// Print the version.
    Version,
}

/// What the server starts with.
#[derive(Debug, PartialEq)]
pub struct Startup {
    /// The options: those of the command line over those of the file over the defaults.
    pub options: Options,
    /// The configuration file, for `CONFIG REWRITE` and `INFO`; absolute, because the server may change its directory.
    pub config_file: Option<PathBuf>,
    /// Options of the file that only Redis has and that were passed over.
    pub passed_over: Vec<&'static str>,
}

/// Reads the arguments (without the program's name) and the configuration file that they name.
pub fn parse_command_line(arguments: impl IntoIterator<Item = String>) -> Result<CommandLine, String> {
    let mut arguments = arguments.into_iter().peekable();
    let mut options = Options::default();
    let (mut config_file, mut passed_over) = (None, Vec::new());
    let is_import = arguments.next_if(|argument| argument == "import").is_some();
    match arguments.peek().map(String::as_str) {
        Some("--help" | "-h") => return Ok(CommandLine::Help),
        Some("--version" | "-v") => return Ok(CommandLine::Version),
        _ => {}
    }
    let imported = if is_import {
        let file = arguments.next().ok_or("import needs the name of a file, such as dump.rdb")?;
        if file.starts_with('-') {
            return Err("import needs the name of a file before its options".to_owned());
        }
        Some(file)
    } else {
        None
    };
    if let Some(name) = arguments.next_if(|argument| !argument.starts_with("--")) {
        if name.starts_with('-') {
            return Err(format!("there is no option '{name}'; see --help"));
        }
        let told = |error| format!("cannot read the configuration file '{name}': {error}");
        let path = fs::canonicalize(&name).map_err(told)?;
        let text = fs::read_to_string(&path).map_err(told)?;
        passed_over = apply_file(&mut options, &text).map_err(|error| format!("{name}, {error}"))?;
        config_file = Some(path);
    }
    while let Some(argument) = arguments.next() {
        let option = argument.strip_prefix("--").ok_or_else(|| format!("'{argument}' is not an option"))?;
        let (name, value) =
            option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        let mut values: Vec<String> = value.map(str::to_owned).into_iter().collect();
        while let Some(value) = arguments.next_if(|argument| !argument.starts_with("--")) {
            values.push(value);
        }
        set_words(&mut options, name, &values).map_err(|reason| format!("--{name}: {reason}"))?;
    }
    let startup = Box::new(Startup { options, config_file, passed_over });
    Ok(match imported {
        Some(file) => CommandLine::Import(file.into(), startup),
        None => CommandLine::Run(startup),
    })
}

/// The text of `--help`.
#[must_use]
pub fn help() -> String {
    let mut text = String::from(
        "Usage: kvasm [path/to/kvasm.conf] [--option value ...]\n       \
         kvasm import dump.rdb [path/to/kvasm.conf] [--option value ...]\n\
         \n\
         A key-value server that speaks the Redis protocol, keeps its data in redb and runs\n\
         WebAssembly procedures beside it.\n\
         \n\
         Examples:\n  \
         kvasm                                     data in ./data, port 6379 of this machine\n  \
         kvasm --dir /var/lib/kvasm --appendfsync always\n  \
         kvasm kvasm.conf --port 7000              the command line wins over the file\n  \
         kvasm import dump.rdb --dir ./data        move in: read a database file of Redis\n\
         \n\
         Options, which the configuration file (a line is: name value) and CONFIG GET/SET take too:\n",
    );
    let defaults = Options::default();
    for entry in TABLE {
        let default = entry.show(&defaults);
        let default = if default.is_empty() { "empty" } else { &default };
        let _ = writeln!(text, "\n  --{}", entry.name);
        wrap(&mut text, &format!("{} Takes {}; default {default}.", entry.help.trim(), entry.accepts()));
    }
    text.push_str("\n  --help, --version\n");
    text
}

/// Appends text in lines of at most 88 characters, indented by six.
fn wrap(output: &mut String, text: &str) {
    const WIDTH: usize = 88;
    const INDENT: &str = "      ";
    let mut width = 0;
    for word in text.split_whitespace() {
        if width == 0 || width + 1 + word.len() > WIDTH {
            if width > 0 {
                output.push('\n');
            }
            output.push_str(INDENT);
            width = INDENT.len();
        } else {
            output.push(' ');
            width += 1;
        }
        output.push_str(word);
        width += word.len();
    }
    output.push('\n');
}
