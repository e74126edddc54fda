//! Checks a JSON document of 8 KiB and adds up its numbers.
#![no_std]
#![no_main]

include!("prelude.rs");

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    sum: i64,
}

impl Scanner<'_> {
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    fn expect(&mut self, word: &[u8]) -> bool {
        let found = self.text[self.at..].starts_with(word);
        self.at += word.len();
        found
    }

    fn string(&mut self) -> bool {
        self.at += 1;
        loop {
            match self.peek() {
                b'"' => {
                    self.at += 1;
                    return true;
                }
                b'\\' => self.at += 2,
                0..=0x1f => return false,
                _ => self.at += 1,
            }
        }
    }

    fn number(&mut self) -> bool {
        let negative = self.peek() == b'-';
        self.at += usize::from(negative);
        let start = self.at;
        let mut value = 0i64;
        while self.peek().is_ascii_digit() {
            value = value.wrapping_mul(10).wrapping_add(i64::from(self.peek() - b'0'));
            self.at += 1;
        }
        if self.peek() == b'.' {
            self.at += 1;
            while self.peek().is_ascii_digit() {
                self.at += 1;
            }
        }
        self.sum = self.sum.wrapping_add(if negative { -value } else { value });
        self.at > start
    }

    fn list(&mut self, close: u8, is_object: bool) -> bool {
        self.at += 1;
        self.skip_space();
        if self.peek() == close {
            self.at += 1;
            return true;
        }
        loop {
            self.skip_space();
            if is_object {
                if self.peek() != b'"' || !self.string() {
                    return false;
                }
                self.skip_space();
                if !self.expect(b":") {
                    return false;
                }
            }
            if !self.value() {
                return false;
            }
            self.skip_space();
            let next = self.peek();
            self.at += 1;
            if next == close {
                return true;
            }
            if next != b',' {
                return false;
            }
        }
    }

    fn value(&mut self) -> bool {
        self.skip_space();
        match self.peek() {
            b'{' => self.list(b'}', true),
            b'[' => self.list(b']', false),
            b'"' => self.string(),
            b't' => self.expect(b"true"),
            b'f' => self.expect(b"false"),
            b'n' => self.expect(b"null"),
            _ => self.number(),
        }
    }
}

const RECORD: &[u8] =
    br#"{"id": 4711, "name": "Ada \"Countess\" Lovelace", "tags": ["a", "bb", "ccc"], "score": -12.5, "ok": true, "x": null},
"#;

fn work() -> i64 {
    let mut document = [b' '; 8 << 10];
    document[0] = b'[';
    let mut at = 1;
    while at + RECORD.len() + 2 < document.len() {
        document[at..at + RECORD.len()].copy_from_slice(RECORD);
        at += RECORD.len();
    }
    document[at] = b'0';
    document[at + 1] = b']';
    let mut sum = 0;
    for _ in 0..1 {
        let mut scanner = Scanner { text: &document, at: 0, sum: 0 };
        assert!(scanner.value());
        sum += scanner.sum;
    }
    sum
}
