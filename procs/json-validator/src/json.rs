//! Checks that a text is one JSON value as RFC 8259 defines it, without building anything.

/// How deep arrays and objects may be nested: one bit of a `u128` each.
const MAX_DEPTH: u32 = 128;

/// Why and where a text is not JSON.
#[derive(Debug, PartialEq)]
pub struct Fault {
    pub reason: &'static str,
    pub offset: usize,
}

/// `Err` at the first byte that cannot be.
pub fn validate(text: &[u8]) -> Result<(), Fault> {
    let mut scanner = Scanner { text, at: 0 };
    scanner.document().map_err(|reason| Fault { reason, offset: scanner.at })
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

type Step = Result<(), &'static str>;

impl Scanner<'_> {
    /// A loop with a stack of bits, not a recursion: a guest's stack is small.
    fn document(&mut self) -> Step {
        // The bit of the innermost container is the lowest: 1 is an object.
        let (mut containers, mut depth) = (0_u128, 0);
        loop {
            // Here a value begins.
            self.space();
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    if depth == MAX_DEPTH {
                        return Err("nested too deeply");
                    }
                    self.at += 1;
                    self.space();
                    let close = if open == b'{' { b'}' } else { b']' };
                    if !self.accept(close) {
                        containers = (containers << 1) | u128::from(open == b'{');
                        depth += 1;
                        if open == b'{' {
                            self.name()?;
                        }
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            // Here a value has ended: close containers until one goes on.
            loop {
                self.space();
                if depth == 0 {
                    return if self.at == self.text.len() { Ok(()) } else { Err("text after the value") };
                }
                let in_object = containers & 1 == 1;
                if self.accept(b',') {
                    if in_object {
                        self.space();
                        self.name()?;
                    }
                    break;
                }
                if !self.accept(if in_object { b'}' } else { b']' }) {
                    return Err("expected a comma or the end");
                }
                containers >>= 1;
                depth -= 1;
            }
        }
    }

    /// The name of a member, and its colon.
    fn name(&mut self) -> Step {
        self.string()?;
        self.space();
        if self.accept(b':') { Ok(()) } else { Err("expected a colon") }
    }

    fn scalar(&mut self) -> Step {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => Err("expected a value"),
        }
    }

    fn word(&mut self, word: &[u8]) -> Step {
        if !self.text[self.at..].starts_with(word) {
            return Err("expected a value");
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Step {
        self.accept(b'-');
        if !self.accept(b'0') {
            self.digits()?;
        }
        if self.accept(b'.') {
            self.digits()?;
        }
        if self.accept(b'e') || self.accept(b'E') {
            let _ = self.accept(b'+') || self.accept(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Step {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err("expected a digit") }
    }

    fn string(&mut self) -> Step {
        if !self.accept(b'"') {
            return Err("expected a string");
        }
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => return Err("control character in a string"),
                Some(_) => self.at += 1,
                None => return Err("string without an end"),
            }
        }
        if let Err(error) = core::str::from_utf8(&self.text[start..self.at]) {
            self.at = start + error.valid_up_to();
            return Err("string is not UTF-8");
        }
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Step {
        let digits = match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 0,
            Some(b'u') => 4,
            _ => return Err("unknown escape"),
        };
        let escaped = self.text.get(self.at + 2..self.at + 2 + digits).ok_or("unknown escape")?;
        if !escaped.iter().all(u8::is_ascii_hexdigit) {
            return Err("unknown escape");
        }
        self.at += 2 + digits;
        Ok(())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn accept(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_texts_are_accepted() {
        let texts = [
            "0",
            "-0",
            "10",
            "1.5e-7",
            "-3E+2",
            "true",
            "false",
            "null",
            r#""""#,
            r#""a\u00e9\n\"\\/""#,
            "\"é\u{10ffff}\"",
            "[]",
            "{}",
            " [ 1 , [ ] , { } ] ",
            r#"{"a":{"b":[1,2,{"c":null}]},"d":"e"}"#,
            "\t{\r\n\"a\" : 1 }\n",
        ];
        for text in texts {
            assert_eq!(validate(text.as_bytes()), Ok(()), "{text}");
        }
    }

    #[test]
    fn invalid_texts_are_refused_where_they_break() {
        let check = |text: &[u8], reason: &'static str, offset: usize| {
            assert_eq!(validate(text), Err(Fault { reason, offset }), "{}", text.escape_ascii());
        };
        check(b"", "expected a value", 0);
        check(b" ", "expected a value", 1);
        check(b"{", "expected a string", 1);
        check(b"[1", "expected a comma or the end", 2);
        check(b"[1,]", "expected a value", 3);
        check(b"[1}", "expected a comma or the end", 2);
        check(b"{\"a\"}", "expected a colon", 4);
        check(b"{\"a\":1,}", "expected a string", 7);
        check(b"{a:1}", "expected a string", 1);
        check(b"01", "text after the value", 1);
        check(b"1.", "expected a digit", 2);
        check(b"1e+", "expected a digit", 3);
        check(b"-", "expected a digit", 1);
        check(b"+1", "expected a value", 0);
        check(b"nul", "expected a value", 0);
        check(b"1 2", "text after the value", 2);
        check(b"'a'", "expected a value", 0);
        check(b"\"a", "string without an end", 2);
        check(b"\"a\nb\"", "control character in a string", 2);
        check(b"\"\\x\"", "unknown escape", 1);
        check(b"\"\\u12g4\"", "unknown escape", 1);
        check(b"\"\\u12", "unknown escape", 1);
        check(b"\"\\", "unknown escape", 1);
        check(b"\"a\xff\"", "string is not UTF-8", 2);
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        assert_eq!(validate(&nested(128)), Ok(()));
        assert_eq!(validate(&nested(129)), Err(Fault { reason: "nested too deeply", offset: 128 }));
    }
}
