//! `COMMAND`: the table of commands, to clients.

use super::categories::{categories, is_in};
use super::help::help;
use super::key_use::{key_uses, key_uses_of_call};
use super::syntax::{self, Argument, Kind};
use super::{
    Command, Context, Error, Flags, Found, Group, Keys, Result, all, find, find_named, flag, places,
};
use crate::protocol::Reply;
use crate::types::glob;

const ANY_TIME: &[Flags] = &[Flags::LOADING, Flags::STALE];

/// The rows of this file.
pub const COMMANDS: &[Command] = &[Command::new("command", -1, every_command)
    .subcommands(COMMAND)
    .flags(ANY_TIME)
    .docs(Group::Server, "2.8.13", "O(N) where N is the number of commands", "Describes all commands.", "")];

const COMMAND: &[Command] = &[
    Command::new("count", 2, count).flags(ANY_TIME).docs(
        Group::Server,
        "2.8.13",
        "O(1)",
        "Returns the number of commands.",
        "",
    ),
    Command::new("docs", -2, docs).flags(ANY_TIME).docs(
        Group::Server,
        "7.0.0",
        "O(N) where N is the number of commands",
        "Returns the documentation of commands; of all, if none is named.",
        "[command-name [command-name ...]]",
    ),
    Command::new("getkeys", -3, get_keys).flags(ANY_TIME).docs(
        Group::Server,
        "2.8.13",
        "O(N) where N is the number of arguments",
        "Returns which arguments of a command are keys.",
        "command [arg [arg ...]]",
    ),
    Command::new("getkeysandflags", -3, get_keys_and_flags).flags(ANY_TIME).docs(
        Group::Server,
        "7.0.0",
        "O(N) where N is the number of arguments",
        "Returns which arguments of a command are keys, and what it does with them.",
        "command [arg [arg ...]]",
    ),
    Command::new("info", -2, info).flags(ANY_TIME).docs(
        Group::Server,
        "2.8.13",
        "O(N) where N is the number of commands",
        "Describes commands; all, if none is named.",
        "[command-name [command-name ...]]",
    ),
    Command::new("list", -2, list).flags(ANY_TIME).docs(
        Group::Server,
        "7.0.0",
        "O(N) where N is the number of commands",
        "Returns the names of commands.",
        "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
    ),
    help(Group::Server, "5.0.0"),
];

fn top_level() -> impl Iterator<Item = Found> {
    places().filter(|found| std::ptr::eq(found.row, found.parent))
}

fn every_command(_: &mut Context<'_>, _: &[&[u8]]) -> Result {
    Ok(Reply::Array(top_level().map(describe).collect()))
}

fn count(_: &mut Context<'_>, _: &[&[u8]]) -> Result {
    Ok(all().count().into())
}

fn info(ctx: &mut Context<'_>, args: &[&[u8]]) -> Result {
    if args.len() == 2 {
        return every_command(ctx, args);
    }
    let described = args[2..].iter().map(|name| find_named(name).map_or(Reply::Null, describe));
    Ok(Reply::Array(described.collect()))
}

fn list(_: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let is_wanted: Box<dyn Fn(&Found) -> bool> = match args[2..] {
        [] => Box::new(|_| true),
        [filter, _] if flag(filter, "FILTERBY") => return Err(Error::SYNTAX),
        [filter, by, value] if flag(filter, "FILTERBY") => match by {
            _ if flag(by, "MODULE") => Box::new(|_| false),
            _ if flag(by, "ACLCAT") => {
                let category = String::from_utf8_lossy(value).to_lowercase();
                Box::new(move |command| is_in(*command, &category))
            }
            _ if flag(by, "PATTERN") => {
                Box::new(|command| glob::matches_ignoring_case(value, command.full_name().as_bytes()))
            }
            _ => return Err(Error::SYNTAX),
        },
        _ => return Err(Error::SYNTAX),
    };
    Ok(Reply::list(places().filter(is_wanted).map(Found::full_name)))
}

/// The ten elements of `COMMAND INFO`.
fn describe(command: Found) -> Reply {
    let row = command.row;
    let simple = |text: &'static str| Reply::simple(text);
    let flags = Flags::NAMES.iter().filter(|(flag, _)| row.is(*flag)).map(|(_, name)| simple(name));
    let (first, last, step) = match row.keys {
        Keys::None | Keys::Counted { .. } | Keys::Behind { .. } => (0, 0, 0),
        Keys::StoredCounted { at } => (at as i64 - 1, at as i64 - 1, 1),
        Keys::Stored { .. } | Keys::Sorted { .. } => (1, 1, 1),
        Keys::Range { first, last, step } => (first as i64, last as i64, step as i64),
        Keys::From { first } => (first as i64, -1, 1),
    };
    let categories = categories(command).into_iter().map(|name| Reply::Simple(format!("@{name}").into()));
    let subcommands: Vec<Reply> = command.subcommands().map(describe).collect();
    Reply::Array(vec![
        Reply::text(command.full_name()),
        Reply::Integer(row.arity.into()),
        Reply::Set(flags.collect()),
        Reply::Integer(first),
        Reply::Integer(last),
        Reply::Integer(step),
        Reply::Set(categories.collect()),
        // Tips are for proxies that spread one command over many servers.
        Reply::Set(Vec::new()),
        Reply::Set(key_specifications(command)),
        if subcommands.is_empty() { Reply::Set(subcommands) } else { Reply::Array(subcommands) },
    ])
}

fn words(words: &'static str) -> Reply {
    Reply::Set(words.split(' ').map(Reply::simple).collect())
}

fn key_specifications(command: Found) -> Vec<Reply> {
    let uses = key_uses(command.full_name(), command.row);
    let index = |at: usize| {
        Reply::fields([("type", Reply::text("index")), ("spec", Reply::fields([("index", at.into())]))])
    };
    let range = |first: usize, last: isize, step: usize| {
        // A last key before the end is counted from the first one.
        let last = if last < 0 { last } else { last - first as isize };
        let spec = Reply::fields([
            ("lastkey", Reply::Integer(last as i64)),
            ("keystep", step.into()),
            ("limit", Reply::Integer(0)),
        ]);
        (index(first), "range", spec)
    };
    let counted = |at: usize| {
        let spec = Reply::fields([
            ("keynumidx", Reply::Integer(0)),
            ("firstkey", Reply::Integer(1)),
            ("keystep", Reply::Integer(1)),
        ]);
        (index(at), "keynum", spec)
    };
    let behind = |word: &'static str, from: usize| {
        let (_, find, spec) = range(0, 0, 1);
        let begin = Reply::fields([("keyword", Reply::text(word)), ("startfrom", from.into())]);
        (Reply::fields([("type", Reply::text("keyword")), ("spec", begin)]), find, spec)
    };
    // Only the elements of a key tell these, or they can be anywhere.
    let unknown = || {
        let begin = Reply::fields([("type", Reply::text("unknown")), ("spec", Reply::Map(Vec::new()))]);
        (begin, "unknown", Reply::Map(Vec::new()))
    };
    let found = match command.row.keys {
        Keys::None => Vec::new(),
        Keys::Behind { word, from } => return vec![behind_word(word, from, uses[0])],
        Keys::Counted { at } => vec![counted(at)],
        Keys::StoredCounted { at } => vec![range(at - 1, at as isize - 1, 1), counted(at)],
        Keys::Stored { from } => vec![range(1, 1, 1), behind("STORE", from), behind("STOREDIST", from)],
        Keys::Sorted { may_store: true } => vec![range(1, 1, 1), unknown(), unknown()],
        Keys::Sorted { may_store: false } => vec![range(1, 1, 1), unknown()],
        Keys::Range { first, last, step } if uses.len() == 1 => vec![range(first, last, step)],
        Keys::Range { first, last, step } => {
            vec![range(first, first as isize, step), range(first + step, last, step)]
        }
        Keys::From { first } => vec![range(first, first as isize, 1), range(first + 1, -1, 1)],
    };
    let of = |((begin, find, spec), uses): ((Reply, &'static str, Reply), &&'static str)| {
        let find = Reply::fields([("type", Reply::text(find)), ("spec", spec)]);
        Reply::fields([("flags", words(uses)), ("begin_search", begin), ("find_keys", find)])
    };
    let last = uses.last().into_iter().cycle();
    found.into_iter().zip(uses.iter().chain(last)).map(of).collect()
}

/// The specification of the keys that are the first half of what is behind a word.
fn behind_word(word: &'static str, from: usize, uses: &'static str) -> Reply {
    let begin = Reply::fields([("keyword", Reply::text(word)), ("startfrom", from.into())]);
    let find = Reply::fields([
        ("lastkey", Reply::Integer(-1)),
        ("keystep", Reply::Integer(1)),
        // One in two.
        ("limit", Reply::Integer(2)),
    ]);
    Reply::fields([
        ("flags", words(uses)),
        ("begin_search", Reply::fields([("type", Reply::text("keyword")), ("spec", begin)])),
        ("find_keys", Reply::fields([("type", Reply::text("range")), ("spec", find)])),
    ])
}

fn docs(_: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let commands: Vec<Found> = if args.len() == 2 {
        top_level().collect()
    } else {
        args[2..].iter().filter_map(|name| find_named(name)).collect()
    };
    Ok(Reply::Map(commands.into_iter().map(document).collect()))
}

/// The name of a command and what `COMMAND DOCS` says of it.
fn document(command: Found) -> (Reply, Reply) {
    let row = command.row;
    let mut fields = vec![
        ("summary", Reply::text(row.summary)),
        ("since", Reply::text(row.since)),
        ("group", Reply::text(row.group.name())),
        ("complexity", Reply::text(row.complexity)),
    ];
    let arguments = syntax::parse(row.syntax);
    if !arguments.is_empty() {
        fields.push(("arguments", Reply::Array(arguments.iter().map(document_argument).collect())));
    }
    if !row.subcommands.is_empty() {
        fields.push(("subcommands", Reply::Map(command.subcommands().map(document).collect())));
    }
    (Reply::text(command.full_name()), Reply::fields(fields))
}

fn document_argument(argument: &Argument) -> Reply {
    let mut fields =
        vec![("name", Reply::bytes(argument.name.as_bytes())), ("type", Reply::text(argument.kind.name()))];
    if argument.kind == Kind::Key {
        fields.push(("key_spec_index", Reply::Integer(0)));
    }
    if let Some(token) = argument.token {
        fields.push(("token", Reply::text(token)));
    }
    let flags = [
        (argument.is_optional, "optional"),
        (argument.is_multiple, "multiple"),
        (argument.repeats_token, "multiple_token"),
    ];
    let flags: Vec<Reply> =
        flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| Reply::simple(name)).collect();
    if !flags.is_empty() {
        fields.push(("flags", Reply::Set(flags)));
    }
    if !argument.parts.is_empty() {
        let parts = argument.parts.iter().map(document_argument).collect();
        fields.push(("arguments", Reply::Array(parts)));
    }
    Reply::fields(fields)
}

fn get_keys(_: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (command, arguments) = (parse_command(&args[2..])?, &args[2..]);
    let keys = keys_of(command, arguments)?;
    Ok(Reply::list(keys.into_iter().map(|place| arguments[place])))
}

fn get_keys_and_flags(_: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (command, arguments) = (parse_command(&args[2..])?, &args[2..]);
    let keys = keys_of(command, arguments)?;
    let uses = key_uses_of_call(command.full_name(), command.row, arguments);
    let last = uses.last().copied().unwrap_or_default();
    let uses = uses.iter().copied().chain(std::iter::repeat(last));
    let pairs = keys.into_iter().zip(uses);
    let pairs = pairs.map(|(place, uses)| Reply::Array(vec![Reply::bytes(arguments[place]), words(uses)]));
    Ok(Reply::Array(pairs.collect()))
}

/// The command, or subcommand, that these arguments call.
fn parse_command(arguments: &[&[u8]]) -> Result<Found> {
    find(arguments).map_err(|_| Error::text("ERR Invalid command specified"))
}

fn keys_of(command: Found, arguments: &[&[u8]]) -> Result<Vec<usize>> {
    let row = command.row;
    if row.keys == Keys::None {
        return Err(Error::text("ERR The command has no key arguments"));
    }
    if !row.accepts(arguments.len()) {
        return Err(Error::text("ERR Invalid number of arguments specified for command"));
    }
    let places = row.named_keys(arguments);
    let places = places.or(row.is(Flags::NO_MANDATORY_KEYS).then(Vec::new));
    places.ok_or(Error::text("ERR Invalid arguments specified for command"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    #[test]
    fn a_command_is_described_as_redis_does() {
        Fixture::new().check(&[
            (
                "COMMAND INFO get nope bitop",
                "[[$get :2 [+readonly +fast] :1 :1 :1 [+@read +@string +@fast] [] \
                 [{$flags: [+RO +access], $begin_search: {$type: $index, $spec: {$index: :1}}, \
                 $find_keys: {$type: $range, $spec: {$lastkey: :0, $keystep: :1, $limit: :0}}}] []] nil \
                 [$bitop :-4 [+write +denyoom] :2 :-1 :1 [+@write +@bitmap +@slow] [] \
                 [{$flags: [+OW +update], $begin_search: {$type: $index, $spec: {$index: :2}}, \
                 $find_keys: {$type: $range, $spec: {$lastkey: :0, $keystep: :1, $limit: :0}}} \
                 {$flags: [+RO +access], $begin_search: {$type: $index, $spec: {$index: :3}}, \
                 $find_keys: {$type: $range, $spec: {$lastkey: :-1, $keystep: :1, $limit: :0}}}] []]]",
            ),
            (
                "COMMAND INFO CONFIG|Get config|nope",
                "[[$config|get :-3 [+admin +noscript +loading +stale] :0 :0 :0 [+@admin +@slow +@dangerous] [] [] \
                 []] nil]",
            ),
        ]);
    }

    #[test]
    fn commands_are_listed_by_category_and_pattern() {
        Fixture::new().check(&[
            ("COMMAND LIST FILTERBY PATTERN GETR*", "[$getrange]"),
            ("COMMAND LIST FILTERBY PATTERN config|re*", "[$config|resetstat $config|rewrite]"),
            ("COMMAND LIST FILTERBY ACLCAT TRANSACTION", "[$multi $exec $discard $watch $unwatch]"),
            ("COMMAND LIST FILTERBY ACLCAT nope", "[]"),
            ("COMMAND LIST FILTERBY MODULE json", "[]"),
            ("COMMAND LIST FILTERBY x y", "-ERR syntax error"),
            ("COMMAND LIST FILTERBY x", "-ERR syntax error"),
        ]);
    }

    #[test]
    fn keys_are_found_in_a_whole_command() {
        let nothing = "-ERR The command has no key arguments";
        let invalid = "-ERR Invalid command specified";
        let arity = "-ERR Invalid number of arguments specified for command";
        let impossible = "-ERR Invalid arguments specified for command";
        Fixture::new().check(&[
            ("COMMAND GETKEYS MSET a 1 b 2", "[$a $b]"),
            ("COMMAND GETKEYS object encoding k", "[$k]"),
            ("COMMAND GETKEYS fcall f 2 a b c", "[$a $b]"),
            ("COMMAND GETKEYS georadius a 1 2 3 km STOREDIST e STORE d", "[$a $d $e]"),
            ("COMMAND GETKEYS georadius a 1 2 3 km STORE", "[$a]"),
            ("COMMAND GETKEYS zunionstore d 2 a b", "[$d $a $b]"),
            ("COMMAND GETKEYS zunionstore d 3 a b", impossible),
            ("COMMAND GETKEYS zunion 0 a", impossible),
            ("COMMAND GETKEYS zunion x a", impossible),
            ("COMMAND GETKEYS xread count 1 a", impossible),
            ("COMMAND GETKEYS xread count 1 streams a", impossible),
            ("COMMAND GETKEYS fcall f 2 a", "[]"),
            ("COMMAND GETKEYS fcall f 0 a", "[]"),
            ("COMMAND GETKEYS ping", nothing),
            ("COMMAND GETKEYS command", nothing),
            ("COMMAND GETKEYS get", arity),
            ("COMMAND GETKEYS get a b", arity),
            ("COMMAND GETKEYS nope a", invalid),
            ("COMMAND GETKEYS object", nothing),
            ("COMMAND GETKEYS object nope k", invalid),
            ("COMMAND GETKEYSANDFLAGS rename a b", "[[$a [+RW +access +delete]] [$b [+OW +update]]]"),
            ("COMMAND GETKEYSANDFLAGS del a b", "[[$a [+RM +delete]] [$b [+RM +delete]]]"),
            ("COMMAND GETKEYSANDFLAGS get a", "[[$a [+RO +access]]]"),
            ("COMMAND GETKEYSANDFLAGS set a get ex 3", "[[$a [+OW +update]]]"),
            ("COMMAND GETKEYSANDFLAGS set a b ex 3 get", "[[$a [+RW +access +update]]]"),
            ("COMMAND GETKEYSANDFLAGS bitfield a get u8 0", "[[$a [+RO +access]]]"),
            ("COMMAND GETKEYSANDFLAGS bitfield a get u8 0 incrby u8 0 1", "[[$a [+RW +access +update]]]"),
        ]);
    }

    #[test]
    fn documentation_has_the_arguments_as_a_tree() {
        Fixture::new().check(&[
            ("COMMAND DOCS nope", "{}"),
            (
                "COMMAND DOCS client|reply",
                "{$client|reply: {$summary: $Turns replies on or off, or skips the reply to the next command., \
                 $since: $3.2.0, $group: $connection, $complexity: $O(1), $arguments: [{$name: $on_off_skip, $type: \
                 $oneof, $arguments: [{$name: $on, $type: $pure-token, $token: $ON} {$name: $off, $type: \
                 $pure-token, $token: $OFF} {$name: $skip, $type: $pure-token, $token: $SKIP}]}]}}",
            ),
        ]);
        let Reply::Map(all) = Fixture::new().run("COMMAND DOCS") else { panic!("a map") };
        assert_eq!(Reply::from(all.len()), Fixture::new().run("COMMAND COUNT"));
    }
}
