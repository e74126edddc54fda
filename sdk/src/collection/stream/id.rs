//! Ids of stream entries.

use alloc::vec::Vec;
use core::fmt;

use crate::from_reply::FromReply;
use crate::{Argument, Error, IntoReply, Reply, Result, decimal, resp};

/// The id of a stream's entry: written `1700000000000-0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Unix time in milliseconds, where the server chose the id.
    pub ms: u64,
    /// Counts the entries of one millisecond.
    pub sequence: u64,
}

impl StreamId {
    /// Lower than every entry's id, except that no entry has it.
    pub const MIN: Self = Self { ms: 0, sequence: 0 };
    /// The highest id.
    pub const MAX: Self = Self { ms: u64::MAX, sequence: u64::MAX };

    /// The first id of a millisecond.
    #[must_use]
    pub const fn at_ms(ms: u64) -> Self {
        Self { ms, sequence: 0 }
    }

    /// From `milliseconds-sequence`, as the server writes ids.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self> {
        let parsed = || {
            let (ms, sequence) = core::str::from_utf8(text.as_ref()).ok()?.split_once('-')?;
            Some(Self { ms: ms.parse().ok()?, sequence: sequence.parse().ok()? })
        };
        parsed().ok_or_else(|| Error::new("not the id of an entry of a stream"))
    }

    /// The id that follows.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match (self.sequence.checked_add(1), self.ms.checked_add(1)) {
            (Some(sequence), _) => Some(Self { ms: self.ms, sequence }),
            (None, Some(ms)) => Some(Self { ms, sequence: 0 }),
            (None, None) => None,
        }
    }

    /// The id before this one.
    #[must_use]
    pub const fn previous(self) -> Option<Self> {
        match (self.sequence.checked_sub(1), self.ms.checked_sub(1)) {
            (Some(sequence), _) => Some(Self { ms: self.ms, sequence }),
            (None, Some(ms)) => Some(Self { ms, sequence: u64::MAX }),
            (None, None) => None,
        }
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut text = Vec::new();
        decimal::push_unsigned(&mut text, self.ms);
        text.push(b'-');
        decimal::push_unsigned(&mut text, self.sequence);
        text
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.ms, self.sequence)
    }
}

impl core::str::FromStr for StreamId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl Argument for StreamId {
    fn write(&self, body: &mut Vec<u8>) {
        resp::push_bulk(body, &self.to_bytes());
    }
}

impl FromReply for StreamId {
    fn from_reply(reply: Reply) -> Result<Self> {
        let text = Vec::from_reply(reply)?;
        Self::parse(&text)
    }
}

impl IntoReply for StreamId {
    fn into_reply(self) -> Result<Reply> {
        Ok(Reply::Bulk(self.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        for id in [StreamId::MIN, StreamId::at_ms(7), StreamId { ms: 3, sequence: 9 }, StreamId::MAX] {
            assert_eq!(StreamId::parse(format!("{id}")), Ok(id));
            assert_eq!(id.to_bytes(), format!("{id}").into_bytes());
        }
        for text in ["", "-", "1", "1-", "-1", "1-x", "1-2-3", "1-18446744073709551616"] {
            assert!(StreamId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ids_have_neighbours_up_to_the_ends() {
        let carried = StreamId { ms: 1, sequence: u64::MAX };
        assert_eq!(carried.next(), Some(StreamId::at_ms(2)));
        assert_eq!(StreamId::at_ms(2).previous(), Some(carried));
        assert_eq!((StreamId::MAX.next(), StreamId::MIN.previous()), (None, None));
        assert!(StreamId::at_ms(2) > carried);
    }
}
