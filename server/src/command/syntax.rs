//! The arguments of a command as a tree, read from the row's syntax string.
//!
//! The string is for people, as in the Redis documentation; `COMMAND DOCS` needs the tree, from which redis-cli and
//! others make their hints. Words in capitals are tokens and take the words behind them; `[...]` is optional, `<a | b>`
//! a choice, `x [x ...]` a repetition.

/// What an argument is, with the names that `COMMAND DOCS` gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Key,
    String,
    Integer,
    Double,
    Pattern,
    UnixTime,
    PureToken,
    OneOf,
    Block,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Double => "double",
            Self::Pattern => "pattern",
            Self::UnixTime => "unix-time",
            Self::PureToken => "pure-token",
            Self::OneOf => "oneof",
            Self::Block => "block",
        }
    }

    /// The rows name their arguments alike, so that the name tells the kind.
    fn of(name: &str) -> Self {
        match name {
            "key" | "newkey" | "key1" | "key2" | "source" | "destination" | "destkey" | "sourcekey"
            | "dst" | "src" => Self::Key,
            "pattern" => Self::Pattern,
            "unix-time-seconds" | "unix-time-milliseconds" => Self::UnixTime,
            "timeout" | "score" | "longitude" | "latitude" | "radius" | "width" | "height" => Self::Double,
            "seconds" | "milliseconds" | "count" | "offset" | "start" | "stop" | "end" | "rank" | "len"
            | "num-matches" | "numkeys" | "numfields" | "increment" | "decrement" | "index" | "index1"
            | "index2" | "destination-db" | "db" | "cursor" | "protover" | "limit" | "client-id"
            | "maxage" | "bit" | "min-match-len" | "weight" | "ms" | "min-idle-time" | "entries-added"
            | "entries-read" => Self::Integer,
            _ => Self::String,
        }
    }
}

/// One argument, or several that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Argument {
    pub name: String,
    pub kind: Kind,
    /// The word that introduces it.
    pub token: Option<&'static str>,
    pub is_optional: bool,
    pub is_multiple: bool,
    /// Whether the token comes again with each repetition.
    pub repeats_token: bool,
    /// What a choice or block consists of.
    pub parts: Vec<Self>,
}

impl Argument {
    fn new(name: String, kind: Kind, token: Option<&'static str>, parts: Vec<Self>) -> Self {
        Self { name, kind, token, is_optional: false, is_multiple: false, repeats_token: false, parts }
    }

    /// Several arguments as one.
    fn group(kind: Kind, mut parts: Vec<Self>) -> Self {
        if parts.len() == 1 {
            return parts.remove(0);
        }
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        Self::new(names.join("_"), kind, None, parts)
    }
}

/// Reads a syntax string.
pub(super) fn parse(syntax: &'static str) -> Vec<Argument> {
    Parser { words: split(syntax), next: 0 }.sequence().0
}

/// Splits into words and brackets. A comma separates like a space.
fn split(syntax: &'static str) -> Vec<&'static str> {
    let mut words = Vec::new();
    for part in syntax.split([' ', ',']) {
        let mut rest = part;
        while let Some(at) = rest.find(['[', ']', '<', '>', '|']) {
            words.extend([&rest[..at], &rest[at..=at]]);
            rest = &rest[at + 1..];
        }
        words.push(rest);
    }
    words.retain(|word| !word.is_empty());
    words
}

const ELLIPSIS: &str = "...";

struct Parser {
    words: Vec<&'static str>,
    next: usize,
}

impl Parser {
    fn peek(&self) -> &'static str {
        self.words.get(self.next).copied().unwrap_or_default()
    }

    /// Takes the next word if it is this one.
    fn take(&mut self, word: &str) -> bool {
        let is_next = self.peek() == word;
        self.next += usize::from(is_next);
        is_next
    }

    /// Arguments up to a closing bracket, a bar or the end, and whether an ellipsis ended them.
    fn sequence(&mut self) -> (Vec<Argument>, bool) {
        let mut items = Vec::new();
        let mut repeats = false;
        loop {
            match self.peek() {
                "" | "]" | ">" | "|" => return (items, repeats),
                ELLIPSIS => {
                    self.next += 1;
                    repeats = true;
                }
                "[" if self.repetition_of(&mut items) => {}
                "[" => {
                    let (mut argument, is_multiple) = self.bracketed();
                    argument.is_optional = true;
                    argument.is_multiple |= is_multiple;
                    items.push(argument);
                }
                "<" => items.push(self.bracketed().0),
                word if is_token(word) => items.push(self.token()),
                word => {
                    self.next += 1;
                    items.push(Argument::new(word.to_owned(), Kind::of(word), None, Vec::new()));
                }
            }
        }
    }

    /// A group in brackets of either kind as one argument, and whether it may be repeated.
    fn bracketed(&mut self) -> (Argument, bool) {
        self.next += 1;
        let mut alternatives = Vec::new();
        let mut repeats = false;
        loop {
            let (items, is_repeated) = self.sequence();
            repeats |= is_repeated;
            alternatives.push(Argument::group(Kind::Block, items));
            if !self.take("|") {
                self.next += 1;
                return (Argument::group(Kind::OneOf, alternatives), repeats);
            }
        }
    }

    /// A token with the words behind it.
    fn token(&mut self) -> Argument {
        let token = self.peek();
        self.next += 1;
        let mut operands = Vec::new();
        if self.peek() == "<" {
            operands.push(self.bracketed().0);
        }
        while is_placeholder(self.peek()) {
            operands.push(Argument::new(self.peek().to_owned(), Kind::of(self.peek()), None, Vec::new()));
            self.next += 1;
        }
        if self.peek() == "[" {
            self.repetition_of(&mut operands);
        }
        if let [operand] = &mut operands[..]
            && operand.token.is_none()
            && !operand.is_multiple
        {
            operand.token = Some(token);
            return operands.remove(0);
        }
        let kind = if operands.is_empty() { Kind::PureToken } else { Kind::Block };
        Argument::new(token.to_lowercase(), kind, Some(token), operands)
    }

    /// Takes the next group if it only says that the last arguments may be repeated, and marks them so.
    fn repetition_of(&mut self, items: &mut Vec<Argument>) -> bool {
        let start = self.next;
        self.next += 1;
        let (again, repeats) = self.sequence();
        if !repeats || again.is_empty() || !self.take("]") || !items.ends_with(&again) {
            self.next = start;
            return false;
        }
        let last = items.split_off(items.len() - again.len());
        let mut argument = Argument::group(Kind::Block, last);
        argument.is_multiple = true;
        argument.repeats_token = argument.token.is_some();
        items.push(argument);
        true
    }
}

fn is_token(word: &str) -> bool {
    !word.contains(|letter: char| letter.is_ascii_lowercase()) && word != ELLIPSIS
}

fn is_placeholder(word: &str) -> bool {
    word.contains(|letter: char| letter.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::all;
    use super::*;

    /// A compact form: `name:kind`, `TOKEN=` before, `?` optional, `+` multiple, `*` with its token, parts in braces.
    fn show(arguments: &[Argument]) -> String {
        let shown = arguments.iter().map(|argument| {
            let token = argument.token.map_or(String::new(), |token| format!("{token}="));
            let parts = if argument.parts.is_empty() {
                String::new()
            } else {
                format!("{{{}}}", show(&argument.parts))
            };
            let marks =
                [(argument.is_optional, "?"), (argument.is_multiple, "+"), (argument.repeats_token, "*")];
            let marks: String =
                marks.into_iter().filter_map(|(is_set, mark)| is_set.then_some(mark)).collect();
            format!("{token}{}:{}{parts}{marks}", argument.name, argument.kind.name())
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn check(syntax: &'static str, expected: &str) {
        assert_eq!(show(&parse(syntax)), expected, "{syntax}");
    }

    #[test]
    fn a_syntax_string_is_read_as_a_tree() {
        check("", "");
        check("key", "key:key");
        check("key [key ...]", "key:key+");
        check("[key [key ...]]", "key:key?+");
        check("[message]", "message:string?");
        check("[arg ...]", "arg:string?+");
        check("key value [key value ...]", "key_value:block{key:key value:string}+");
        check(
            "key value [NX | XX] [GET] [EX seconds | PXAT unix-time-milliseconds]",
            "key:key value:string nx_xx:oneof{NX=nx:pure-token XX=xx:pure-token}? GET=get:pure-token? \
             seconds_unix-time-milliseconds:oneof{EX=seconds:integer \
             PXAT=unix-time-milliseconds:unix-time}?",
        );
    }

    #[test]
    fn tokens_take_the_words_behind_them() {
        check("[DB db]", "DB=db:integer?");
        check("[AUTH username password]", "AUTH=auth:block{username:string password:string}?");
        check("[ID client-id [client-id ...]]", "ID=id:block{client-id:integer+}?");
        check("[GET pattern [GET pattern ...]]", "GET=pattern:pattern?+*");
        check("<ON | OFF>", "on_off:oneof{ON=on:pure-token OFF=off:pure-token}");
        check("[TYPE <A | B>]", "TYPE=a_b:oneof{A=a:pure-token B=b:pure-token}?");
        check(
            "name ON event[,event ...] KEYS pattern",
            "name:string ON=on:block{event:string+} KEYS=pattern:pattern",
        );
        check(
            "[protover [AUTH username password] [SETNAME clientname]]",
            "protover_auth_clientname:block{protover:integer AUTH=auth:block{username:string password:string}? \
             SETNAME=clientname:string?}?",
        );
    }

    #[test]
    fn the_syntax_of_every_row_has_its_brackets_in_pairs() {
        for row in all().flat_map(|row| std::iter::once(row).chain(row.subcommands)) {
            let count = |bracket| row.syntax.matches(bracket).count();
            assert_eq!((count('['), count('<')), (count(']'), count('>')), "{}: {}", row.name, row.syntax);
            let mut parser = Parser { words: split(row.syntax), next: 0 };
            parser.sequence();
            assert_eq!(parser.next, parser.words.len(), "{}: {}", row.name, row.syntax);
        }
    }
}
