//! What every container of subcommands answers to `HELP` and to wrong arguments.

use super::{Command, Context, Error, Flags, Group, Result, find_named};
use crate::protocol::Reply;

/// The row of `HELP` in a container.
pub(super) const fn help(group: Group, since: &'static str) -> Command {
    Command::new("help", 2, describe).flags(&[Flags::LOADING, Flags::STALE]).docs(
        group,
        since,
        "O(1)",
        "Returns what the subcommands do.",
        "",
    )
}

/// The reply is made from the rows of the subcommands.
fn describe(_: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let name = String::from_utf8_lossy(args[0]).to_uppercase();
    let title = format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    let subcommands = find_named(args[0]).map_or(&[][..], |container| container.row.subcommands);
    let lines = subcommands.iter().flat_map(|row| {
        let usage = format!("{} {}", row.name.to_uppercase(), row.syntax);
        [usage.trim_end().to_owned(), format!("    {}", row.summary)]
    });
    Ok(Reply::Array(std::iter::once(title).chain(lines).map(|line| Reply::Simple(line.into())).collect()))
}

/// The error for a subcommand whose arguments are too many or make no sense together.
pub(super) fn wrong_arguments(args: &[&[u8]]) -> Error {
    let [container, name] = [args[0], args[1]].map(String::from_utf8_lossy);
    let container = container.to_uppercase();
    format!("ERR unknown subcommand or wrong number of arguments for '{name}'. Try {container} HELP.").into()
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;

    #[test]
    fn help_names_every_subcommand_with_its_arguments() {
        Fixture::new().check(&[(
            "debug help",
            "[+DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are: +SLEEP seconds \
             +    Makes the server sleep, for an hour at most. +HELP +    Returns what the subcommands do.]",
        )]);
    }
}
