//! Counters for INFO.

use std::collections::BTreeMap;

use super::LatencyHistogram;

/// Counters of one command.
#[derive(Clone, Debug, Default)]
pub struct CommandStatistics {
    /// How often it ran.
    pub calls: u64,
    /// How long it ran altogether, in nanoseconds.
    pub duration_ns: u64,
    /// How often it was refused before it ran.
    pub rejected_calls: u64,
    /// How often it ran and replied with an error.
    pub failed_calls: u64,
    /// How long its calls took.
    pub latency: LatencyHistogram,
}

/// Counters of the server.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// Connections accepted.
    pub connections: u64,
    /// Connections refused because of `maxclients`.
    pub rejected_connections: u64,
    /// Commands run.
    pub commands: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// How often requests were read, one or many at once.
    pub reads: u64,
    /// How often replies were sent, one or many at once.
    pub writes: u64,
    /// Error replies sent.
    pub error_replies: u64,
    /// Error replies by their first word; bounded, as in Redis.
    pub errors: BTreeMap<String, u64>,
    /// Clients disconnected because their replies exceeded a limit.
    pub output_limit_disconnections: u64,
    /// Clients disconnected because their requests exceeded a limit.
    pub query_limit_disconnections: u64,
    /// Counters of commands, by the command's index among all commands and subcommands.
    pub per_command: Vec<CommandStatistics>,
    /// Procedures called, by clients and triggers.
    pub procedure_calls: u64,
    /// Calls that finished in the background.
    pub background_calls: u64,
    /// Tries of background calls that ended in a conflict.
    pub background_conflicts: u64,
    /// Triggers run.
    pub trigger_runs: u64,
    /// Triggers that failed.
    pub trigger_failures: u64,
    /// Deliveries of asynchronous triggers that are tried again.
    pub trigger_retries: u64,
    /// Commands per second over the last seconds.
    pub instantaneous_ops: u64,
    /// Bytes received per second over the last seconds.
    pub instantaneous_received_bytes: u64,
    /// Bytes sent per second over the last seconds.
    pub instantaneous_sent_bytes: u64,
    /// How long the search for expired keys took in total, in microseconds.
    pub expiry_us: u64,
    /// The most memory that was ever in use, in bytes.
    pub peak_memory_bytes: u64,
}

/// How many different first words of errors are counted.
const MAX_ERROR_KINDS: usize = 128;
/// Bytes of a first word that is counted; a procedure can answer errors of one long word.
const MAX_ERROR_CODE_BYTES: usize = 64;

impl Statistics {
    /// Counts an error reply by its first word.
    pub fn count_error(&mut self, text: &str) {
        self.error_replies += 1;
        let code = text.split(' ').next().unwrap_or(text);
        if let Some(count) = self.errors.get_mut(code) {
            *count += 1;
        } else if self.errors.len() < MAX_ERROR_KINDS && code.len() <= MAX_ERROR_CODE_BYTES {
            self.errors.insert(code.to_owned(), 1);
        }
    }

    /// The counters of a command.
    pub fn command(&mut self, place: usize) -> &mut CommandStatistics {
        if self.per_command.len() <= place {
            self.per_command.resize(place + 1, CommandStatistics::default());
        }
        &mut self.per_command[place]
    }

    /// Resets the counters that `CONFIG RESETSTAT` resets.
    pub fn reset(&mut self) {
        *self = Self { peak_memory_bytes: self.peak_memory_bytes, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_their_first_word_if_that_is_short() {
        let mut statistics = Statistics::default();
        for text in
            ["ERR a", "ERR b", &"X".repeat(MAX_ERROR_CODE_BYTES), &"Y".repeat(MAX_ERROR_CODE_BYTES + 1)]
        {
            statistics.count_error(text);
        }
        assert_eq!(statistics.error_replies, 4);
        assert_eq!(statistics.errors.values().copied().collect::<Vec<_>>(), [2, 1]);
    }
}
