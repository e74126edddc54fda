//! Glob patterns as in Redis: `*`, `?`, `[a-c]`, `[^x]` and `\`. Knows bytes only.
//!
//! Every element of a pattern but `*` consumes exactly one byte, so a mismatch needs to return to the last `*` only:
//! the time is at most pattern length times text length, whatever the pattern.

/// Whether `pattern` matches the whole of `text`, byte for byte.
///
/// As in Redis, an empty text is matched by the empty pattern only, not even by `*`.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    run(pattern, text, |byte| byte)
}

/// As [`matches()`], but a lone star means everything, the empty text too (KEYS, SCAN and its relatives).
#[must_use]
pub fn matches_in_walk(pattern: &[u8], text: &[u8]) -> bool {
    pattern == b"*" || matches(pattern, text)
}

/// As [`matches()`], but ASCII letters match in either case (names of options and commands).
#[must_use]
pub fn matches_ignoring_case(pattern: &[u8], text: &[u8]) -> bool {
    run(pattern, text, |byte| byte.to_ascii_lowercase())
}

fn run(mut pattern: &[u8], mut text: &[u8], fold: fn(u8) -> u8) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    // Where to go on after a mismatch: behind the last `*`, which then takes one more byte.
    let mut retry: Option<(&[u8], &[u8])> = None;
    while let Some((&byte, behind)) = text.split_first() {
        if let Some((b'*', behind_star)) = pattern.split_first() {
            if behind_star.is_empty() {
                return true;
            }
            retry = Some((behind_star, text));
            pattern = behind_star;
        } else if let Some(rest) = match_one(pattern, byte, fold) {
            pattern = rest;
            text = behind;
        } else if let Some((behind_star, [_, tail @ ..])) = retry {
            retry = Some((behind_star, tail));
            pattern = behind_star;
            text = tail;
        } else {
            return false;
        }
    }
    pattern.iter().all(|&element| element == b'*')
}

/// Matches the first element of `pattern`, which is no `*`, against one byte; yields the rest of the pattern.
fn match_one(pattern: &[u8], byte: u8, fold: fn(u8) -> u8) -> Option<&[u8]> {
    let (literal, rest) = match pattern {
        [] => return None,
        [b'?', rest @ ..] => return Some(rest),
        [b'[', rest @ ..] => return match_class(rest, byte, fold),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal, rest),
    };
    (fold(literal) == fold(byte)).then_some(rest)
}

/// Matches a class, given from behind its `[`; one that is not closed ends with the pattern.
fn match_class(pattern: &[u8], byte: u8, fold: fn(u8) -> u8) -> Option<&[u8]> {
    let (negated, mut class) = match pattern {
        [b'^', class @ ..] => (true, class),
        class => (false, class),
    };
    let mut found = false;
    let rest = loop {
        class = match class {
            [] => break class,
            [b'\\', literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
            [b']', rest @ ..] => break rest,
            [from, b'-', to, rest @ ..] => {
                found |= in_range(*from, *to, byte, fold);
                rest
            }
            [literal, rest @ ..] => {
                found |= fold(*literal) == fold(byte);
                rest
            }
        };
    };
    (found != negated).then_some(rest)
}

/// Bytes are compared as signed, as Redis does on x86, and the ends of a range may come in either order.
fn in_range(from: u8, to: u8, byte: u8, fold: fn(u8) -> u8) -> bool {
    let (low, high) = if from.cast_signed() <= to.cast_signed() { (from, to) } else { (to, from) };
    (fold(low).cast_signed()..=fold(high).cast_signed()).contains(&fold(byte).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::{matches, matches_ignoring_case};

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", false),
            ("*", "a", true),
            ("**", "abc", true),
            ("a*", "a", true),
            ("a**", "a", true),
            ("*a", "a", true),
            ("*a", "bab", false),
            ("*a*b*", "xxayybzz", true),
            ("*ab", "aab", true),
            ("*abc?", "abcabcd", true),
            ("?", "a", true),
            ("?", "", false),
            ("h?llo", "hello", true),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hbllo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hallo", true),
            ("[a-]", "`", true),
            ("[a-]", "b", false),
            ("[a\\-c]", "-", true),
            ("[a\\-c]", "b", false),
            ("[\\]]", "]", true),
            ("[]", "a", false),
            ("[^]", "a", true),
            ("[abc", "b", true),
            ("[", "[", false),
            ("[^", "a", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("\\a", "\\", false),
            ("\\", "\\", true),
            ("A", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn bytes_of_any_value_match() {
        assert!(matches(b"\x00?\xff", b"\x00\x80\xff"));
        assert!(matches(b"[\x80-\x90]", b"\x85"));
        assert!(!matches(b"[\x01-\xff]", b"\x85"), "bytes are compared as signed: -1 to 1");
    }

    #[test]
    fn case_is_ignored_only_when_asked() {
        assert!(matches_ignoring_case(b"MAX[a-m]*", b"maxMEMORY"));
        assert!(!matches(b"MAX*", b"maxmemory"));
    }

    #[test]
    fn nested_stars_take_linear_steps() {
        let pattern = b"a*".repeat(10_000);
        let text = vec![b'a'; 20_000];
        assert!(!matches(&[&pattern[..], b"b"].concat(), &text));
    }
}
