//! The slow log: the last commands that took longer than `slowlog-log-slower-than`.

use std::collections::VecDeque;

/// Arguments kept of each command; the last one says how many more there were.
const MAX_ARGUMENTS: usize = 32;
/// Bytes kept of an argument.
const MAX_ARGUMENT_LEN: usize = 128;

/// A command that took long.
#[derive(Clone, Debug)]
pub struct SlowLogEntry {
    /// Number of the entry, never used twice.
    pub id: u64,
    /// When it ran, in seconds of unix time.
    pub time_s: u64,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// Its arguments, shortened.
    pub arguments: Vec<Vec<u8>>,
    /// The client's address.
    pub address: String,
    /// The client's name.
    pub name: Vec<u8>,
}

/// See the module's description. The newest entry comes first.
#[derive(Debug, Default)]
pub struct SlowLog {
    entries: VecDeque<SlowLogEntry>,
    next_id: u64,
}

impl SlowLog {
    /// Enters a command, and drops the oldest entries beyond `max_len`.
    pub fn add(&mut self, mut entry: SlowLogEntry, max_len: usize) {
        entry.id = self.next_id;
        self.next_id += 1;
        self.entries.push_front(entry);
        self.entries.truncate(max_len);
    }

    /// The entries, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = &SlowLogEntry> {
        self.entries.iter()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Drops all entries; numbering continues.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Shortens arguments for an entry, as Redis does.
    #[must_use]
    pub fn shorten(arguments: &[&[u8]]) -> Vec<Vec<u8>> {
        let kept = if arguments.len() > MAX_ARGUMENTS { MAX_ARGUMENTS - 1 } else { arguments.len() };
        let mut shortened: Vec<Vec<u8>> = arguments[..kept]
            .iter()
            .map(|argument| match argument.len().checked_sub(MAX_ARGUMENT_LEN) {
                None | Some(0) => argument.to_vec(),
                Some(more) => {
                    [&argument[..MAX_ARGUMENT_LEN], format!("... ({more} more bytes)").as_bytes()].concat()
                }
            })
            .collect();
        if kept < arguments.len() {
            shortened.push(format!("... ({} more arguments)", arguments.len() - kept).into_bytes());
        }
        shortened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_commands_are_shortened_and_old_entries_dropped() {
        let oversized = [b'x'; MAX_ARGUMENT_LEN + 3];
        let arguments: Vec<&[u8]> = std::iter::once(&oversized[..]).chain([b"a".as_slice(); 40]).collect();
        let kept = SlowLog::shorten(&arguments);
        assert_eq!(kept.len(), MAX_ARGUMENTS);
        assert!(kept[0].ends_with(b"... (3 more bytes)"));
        assert_eq!(kept[MAX_ARGUMENTS - 1], b"... (10 more arguments)");
        let mut log = SlowLog::default();
        let entry = SlowLogEntry {
            id: 0,
            time_s: 0,
            duration_us: 0,
            arguments: vec![],
            address: String::new(),
            name: vec![],
        };
        (0..5).for_each(|_| log.add(entry.clone(), 2));
        assert_eq!(log.iter().map(|entry| entry.id).collect::<Vec<_>>(), [4, 3]);
    }
}
