//! `docs/options.md`, made from the table; a test compares the file with it.

use std::fmt::Write as _;

use super::{Change, Options, TABLE};

/// The text of `docs/options.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "# Options\n\
         \n\
         Generated from the table in `server/src/options/mod.rs`: change it there, then run\n\
         `UPDATE_DOCS=1 cargo test -p kvasm --lib up_to_date`.\n\
         \n\
         Set an option on the command line (`kvasm --port 7000`), in a configuration file (`kvasm path/to/kvasm.conf`,\n\
         with lines such as `port 7000`; quotes and `#` comments are as in redis.conf), or, where the table says\n\
         \"run time\", with `CONFIG SET`. The command line wins over the file. `CONFIG SET` of several options sets all or\n\
         none. `CONFIG REWRITE` writes the present values into the file and keeps its comments. Options of a redis.conf\n\
         that mean nothing here, such as `daemonize`, are passed over with a warning.\n\
         \n\
         A size is a number of bytes or has a unit: `kb`, `mb`, `gb` are powers of 1024, `k`, `m`, `g` powers of 1000.\n\
         \n\
         | option | default | takes | change | what it does |\n\
         |---|---|---|---|---|\n",
    );
    let defaults = Options::default();
    for entry in TABLE {
        let default = entry.show(&defaults);
        let default = if default.is_empty() { "empty".to_owned() } else { format!("`{default}`") };
        let change = match entry.change {
            Change::AtStart => "start",
            Change::AtRunTime => "run time",
        };
        let (name, accepts, help) = (entry.name, entry.accepts(), entry.help.trim());
        let _ = writeln!(text, "| `{name}` | {default} | {accepts} | {change} | {help} |");
    }
    text
}
