//! Patterns of keys, as `KEYS` and `PSUBSCRIBE` know them.

/// Whether all of `text` fits `pattern`: `*`, `?`, `[a-z]`, `[^a]`, and a backslash before what stands for itself.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], text) => text.is_empty(),
        ([b'*', rest @ ..], text) => (0..=text.len()).any(|skipped| matches(rest, &text[skipped..])),
        ([b'?', rest @ ..], [_, text @ ..]) => matches(rest, text),
        ([b'[', rest @ ..], [byte, text @ ..]) => {
            let (is_in, rest) = class(rest, *byte);
            is_in && matches(rest, text)
        }
        ([b'\\', literal, rest @ ..] | [literal, rest @ ..], [byte, text @ ..]) => {
            literal == byte && matches(rest, text)
        }
        _ => false,
    }
}

/// Whether `byte` is in the class whose pattern begins after `[`, and the pattern after `]`.
fn class(pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let (negated, mut rest) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut found = false;
    loop {
        rest = match rest {
            [] => break,
            [b']', after @ ..] => {
                rest = after;
                break;
            }
            [b'\\', literal, after @ ..] => {
                found |= *literal == byte;
                after
            }
            [first, b'-', last, after @ ..] => {
                found |= (*first.min(last)..=*first.max(last)).contains(&byte);
                after
            }
            [literal, after @ ..] => {
                found |= *literal == byte;
                after
            }
        };
    }
    (found != negated, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        };
        check("*", "", true);
        check("user:*", "user:1", true);
        check("user:*", "users", false);
        check("*:name", "user:1:name", true);
        check("h?llo", "hello", true);
        check("h?llo", "hllo", false);
        check("h[ae]llo", "hallo", true);
        check("h[^e]llo", "hello", false);
        check("h[a-c]llo", "hbllo", true);
        check("h[c-a]llo", "hdllo", false);
        check("h\\*llo", "h*llo", true);
        check("h\\*llo", "hello", false);
        check("[\\]]", "]", true);
        check("", "a", false);
    }
}
