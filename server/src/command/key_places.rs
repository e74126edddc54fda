//! Which arguments of a command are keys.

use super::{Command, sort};
use crate::types::parse_integer;

/// Which arguments of a command are keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// None.
    None,
    /// Every `step`th from `first` to `last`; a negative `last` counts from the end.
    Range {
        /// The first key.
        first: usize,
        /// The last key.
        last: isize,
        /// From one to the next.
        step: usize,
    },
    /// The argument at this place says how many keys follow it.
    Counted {
        /// Where the number is.
        at: usize,
    },
    /// A destination, and behind it, at this place, the number of keys that follow.
    StoredCounted {
        /// Where the number is.
        at: usize,
    },
    /// The first argument, and the one behind the last `STORE` or `STOREDIST` from a place on.
    Stored {
        /// Where such an option can be for the first time.
        from: usize,
    },
    /// The first argument, and the destination among the options of `SORT`; others are in what the key holds.
    Sorted {
        /// Whether there can be a destination.
        may_store: bool,
    },
    /// Behind this word, which is at `from` or later, are as many keys as other arguments behind them.
    Behind {
        /// In capitals.
        word: &'static str,
        /// Where it is looked for.
        from: usize,
    },
    /// A destination first, then as [`Keys::Range`] from there on to the end.
    From {
        /// The first key.
        first: usize,
    },
}

impl Command {
    /// The places of its keys among the arguments.
    pub fn key_places(&self, arguments: &[&[u8]]) -> impl Iterator<Item = usize> + use<> {
        let count = arguments.len();
        let counted = |at: usize| {
            let first = (at + 1).min(count);
            first..first.saturating_add(count_at(arguments, at)).min(count)
        };
        let (mut before, mut behind) = (None, None);
        let (range, step) = match self.keys {
            Keys::None => (0..0, 1),
            Keys::Range { first, last, step } => {
                let last = if last < 0 { count as isize + last } else { last };
                let end = usize::try_from(last + 1).unwrap_or(0).min(count);
                (first.min(end)..end, step)
            }
            Keys::Counted { at } => (counted(at), 1),
            Keys::StoredCounted { at } => {
                before = (at <= count).then(|| at - 1);
                (counted(at), 1)
            }
            Keys::Stored { from } => {
                let is_option = |place: &usize| {
                    let argument = arguments[*place];
                    argument.eq_ignore_ascii_case(b"STORE") || argument.eq_ignore_ascii_case(b"STOREDIST")
                };
                behind = (from..count.saturating_sub(1)).rev().find(is_option).map(|place| place + 1);
                (1..count.min(2), 1)
            }
            Keys::Sorted { may_store } => {
                behind = sort::destination(arguments).filter(|_| may_store);
                (1..count.min(2), 1)
            }
            Keys::Behind { word, from } => {
                let is_word = |argument: &&[u8]| argument.eq_ignore_ascii_case(word.as_bytes());
                let behind = arguments.iter().skip(from).position(is_word);
                let first = behind.map_or(count, |at| from + at + 1);
                (first..first + (count - first) / 2, 1)
            }
            Keys::From { first } => (first.min(count)..count, 1),
        };
        before.into_iter().chain(range.step_by(step)).chain(behind)
    }

    /// The places of its keys as `COMMAND GETKEYS` tells them: none if there cannot be as many keys as the arguments say,
    /// and every destination, although only the last one is used.
    #[must_use]
    pub fn named_keys(&self, arguments: &[&[u8]]) -> Option<Vec<usize>> {
        let places: Vec<usize> = match self.keys {
            Keys::Counted { at } | Keys::StoredCounted { at }
                if !(1..arguments.len() - at).contains(&count_at(arguments, at)) =>
            {
                return None;
            }
            Keys::Stored { from } => {
                let behind = |word: &[u8]| {
                    let mut places = from..arguments.len() - 1;
                    places.find(|place| arguments[*place].eq_ignore_ascii_case(word)).map(|place| place + 1)
                };
                std::iter::once(1).chain(behind(b"STORE")).chain(behind(b"STOREDIST")).collect()
            }
            _ => self.key_places(arguments).collect(),
        };
        (!places.is_empty()).then_some(places)
    }
}

/// The number of keys that stands at a place; 0 if there is none.
fn count_at(arguments: &[&[u8]], at: usize) -> usize {
    let number = arguments.get(at).and_then(|number| parse_integer(number));
    number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::find_named;

    #[track_caller]
    fn check_keys(request: &str, expected: &[usize]) {
        let arguments: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let command = find_named(arguments[0]).unwrap();
        assert_eq!(command.row.key_places(&arguments).collect::<Vec<_>>(), expected, "{request}");
    }

    #[test]
    fn keys_are_where_the_rows_say() {
        check_keys("get a", &[1]);
        check_keys("mset a 1 b 2", &[1, 3]);
        check_keys("mget a b c", &[1, 2, 3]);
        check_keys("rename a b", &[1, 2]);
        check_keys("bitop and d a b", &[2, 3, 4]);
        check_keys("ping", &[]);
        check_keys("fcall f 2 a b c", &[3, 4]);
        check_keys("fcall f 9 a b c", &[3, 4, 5]);
        check_keys("fcall f -1 a", &[]);
        check_keys("zunionstore d 2 a b weights 1 2", &[1, 3, 4]);
        check_keys("zunionstore d x a b", &[1]);
        check_keys("zunionstore d 5 a", &[1, 3]);
        check_keys("georadius k 1 2 3 m", &[1]);
        check_keys("georadius k 1 2 3 m store a storedist b", &[1, 9]);
        check_keys("georadiusbymember k m 1 m desc Store a", &[1, 7]);
        check_keys("georadiusbymember k m 1 m desc store", &[1]);
        check_keys("sort k", &[1]);
        check_keys("sort k store a by store get store limit store store Store b store", &[1, 12]);
        check_keys("sort k get", &[1]);
        check_keys("sort_ro k store b", &[1]);
        check_keys("xread count 1 streams a b 1 2", &[4, 5]);
        check_keys("xreadgroup group streams c Streams a 1", &[5]);
        check_keys("xread count 1 a", &[]);
        check_keys("xread count 1 streams", &[]);
    }
}
