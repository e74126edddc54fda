//! The ids of stream entries.

use std::fmt;

/// The bytes of an id.
pub const ID_BYTES: usize = 16;

/// The longest text that is read as an id, in bytes.
const MAX_TEXT_BYTES: usize = 127;

/// When an entry was added, in milliseconds of unix time, and a number among those of that time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Milliseconds of unix time.
    pub ms: u64,
    /// Orders entries of the same time.
    pub seq: u64,
}

impl StreamId {
    /// The lowest id, which no entry has.
    pub const MIN: Self = Self { ms: 0, seq: 0 };
    /// The highest id.
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// An id of these parts.
    #[must_use]
    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// The id behind this one.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The id before this one.
    #[must_use]
    pub fn previous(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// Bytes in the order of the ids.
    #[must_use]
    pub fn to_bytes(self) -> [u8; ID_BYTES] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    /// The id of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; ID_BYTES]) -> Self {
        let both = u128::from_be_bytes(bytes);
        Self { ms: (both >> 64) as u64, seq: both as u64 }
    }

    /// Reads `ms-seq`, or `ms` alone, to which `missing_seq` is added.
    #[must_use]
    pub fn parse(text: &[u8], missing_seq: u64) -> Option<Self> {
        if text.len() > MAX_TEXT_BYTES {
            return None;
        }
        let (ms, seq) = match text.iter().position(|byte| *byte == b'-') {
            Some(dash) => (&text[..dash], parse_unsigned(&text[dash + 1..])?),
            None => (text, missing_seq),
        };
        Some(Self { ms: parse_unsigned(ms)?, seq })
    }

    /// The time of an id whose text ends in `-*`: its number is still to be chosen.
    #[must_use]
    pub fn parse_time(text: &[u8]) -> Option<u64> {
        if text.len() > MAX_TEXT_BYTES {
            return None;
        }
        parse_unsigned(text.strip_suffix(b"-*")?)
    }
}

/// Decimal digits, with zeroes and a plus sign before them if one likes, as Redis reads ids.
fn parse_unsigned(text: &[u8]) -> Option<u64> {
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

impl fmt::Display for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.ms, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_redis_reads_them() {
        const SEQ: u64 = 77;
        let id = StreamId::new;
        for (text, expected) in [
            ("1-2", Some(id(1, 2))),
            ("5", Some(id(5, SEQ))),
            ("007-003", Some(id(7, 3))),
            ("+1-+2", Some(id(1, 2))),
            ("18446744073709551615-18446744073709551615", Some(StreamId::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("-", None),
            ("+", None),
            ("1-", None),
            ("-1", None),
            ("1-2-3", None),
            ("1 ", None),
            ("a-1", None),
        ] {
            assert_eq!(StreamId::parse(text.as_bytes(), SEQ), expected, "{text}");
        }
        assert_eq!(StreamId::parse(&[b'0'; MAX_TEXT_BYTES], 0), Some(StreamId::MIN));
        assert_eq!(StreamId::parse(&[b'0'; MAX_TEXT_BYTES + 1], 0), None);
        assert_eq!(StreamId::parse_time(b"12-*"), Some(12));
        assert_eq!(StreamId::parse_time(b"12-3"), None);
    }

    #[test]
    fn neighbours_and_bytes_keep_the_order() {
        let ids = [
            StreamId::MIN,
            StreamId::new(0, 1),
            StreamId::new(0, u64::MAX),
            StreamId::new(1, 0),
            StreamId::new(u64::MAX, u64::MAX - 1),
            StreamId::MAX,
        ];
        for pair in ids.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].to_bytes() < pair[1].to_bytes());
        }
        for id in ids {
            assert_eq!(StreamId::from_bytes(id.to_bytes()), id);
            assert_eq!(id.next().and_then(StreamId::previous), id.next().map(|_| id));
            assert_eq!(id.previous().and_then(StreamId::next), id.previous().map(|_| id));
        }
        assert_eq!((StreamId::MIN.previous(), StreamId::MAX.next()), (None, None));
        assert_eq!(StreamId::new(0, u64::MAX).next(), Some(StreamId::new(1, 0)));
    }
}
