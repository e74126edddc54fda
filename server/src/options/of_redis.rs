//! Options that a redis.conf usually has and that mean nothing here. In a file they are passed over, so that one that was
//! made for Redis can be used; on the command line and in `CONFIG` they do not exist.

/// What Redis takes.
#[derive(Clone, Copy, Debug)]
enum Takes {
    YesOrNo,
    /// So many integers, or sizes.
    Numbers(usize),
    /// Words, at least one, of which nothing is checked.
    Words,
}

use Takes::{Numbers, Words, YesOrNo};

/// Names in lower case. Nothing is here that would make the server do what somebody relies on.
const PASSED_OVER: [(&str, Takes); 49] = [
    ("acllog-max-len", Numbers(1)),
    ("activerehashing", YesOrNo),
    ("always-show-logo", YesOrNo),
    ("aof-load-truncated", YesOrNo),
    ("aof-rewrite-incremental-fsync", YesOrNo),
    ("aof-timestamp-enabled", YesOrNo),
    ("aof-use-rdb-preamble", YesOrNo),
    ("appenddirname", Words),
    ("appendfilename", Words),
    ("auto-aof-rewrite-min-size", Numbers(1)),
    ("auto-aof-rewrite-percentage", Numbers(1)),
    ("daemonize", YesOrNo),
    ("dbfilename", Words),
    ("disable-thp", YesOrNo),
    ("dynamic-hz", YesOrNo),
    ("hash-max-ziplist-entries", Numbers(1)),
    ("hash-max-ziplist-value", Numbers(1)),
    ("jemalloc-bg-thread", YesOrNo),
    ("lazyfree-lazy-eviction", YesOrNo),
    ("lazyfree-lazy-expire", YesOrNo),
    ("lazyfree-lazy-server-del", YesOrNo),
    ("lazyfree-lazy-user-del", YesOrNo),
    ("lazyfree-lazy-user-flush", YesOrNo),
    ("list-compress-depth", Numbers(1)),
    ("list-max-listpack-size", Numbers(1)),
    ("list-max-ziplist-size", Numbers(1)),
    ("no-appendfsync-on-rewrite", YesOrNo),
    ("oom-score-adj", Words),
    ("oom-score-adj-values", Numbers(3)),
    ("pidfile", Words),
    ("proc-title-template", Words),
    ("protected-mode", YesOrNo),
    ("rdb-del-sync-files", YesOrNo),
    ("rdb-save-incremental-fsync", YesOrNo),
    ("rdbchecksum", YesOrNo),
    ("rdbcompression", YesOrNo),
    ("repl-disable-tcp-nodelay", YesOrNo),
    ("repl-diskless-load", Words),
    ("repl-diskless-sync", YesOrNo),
    ("repl-diskless-sync-delay", Numbers(1)),
    ("repl-diskless-sync-max-replicas", Numbers(1)),
    ("replica-lazy-flush", YesOrNo),
    ("replica-priority", Numbers(1)),
    ("replica-read-only", YesOrNo),
    ("replica-serve-stale-data", YesOrNo),
    ("set-proc-title", YesOrNo),
    ("stop-writes-on-bgsave-error", YesOrNo),
    ("supervised", Words),
    ("zset-max-ziplist-entries", Numbers(1)),
];

/// The name of an option of Redis that is passed over, if this is one with values that Redis takes.
pub fn passed_over(name: &str, values: &[String]) -> Option<&'static str> {
    let (name, takes) = PASSED_OVER.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    let is_right = match takes {
        YesOrNo => {
            matches!(values, [value] if ["yes", "no"].iter().any(|word| value.eq_ignore_ascii_case(word)))
        }
        Numbers(count) => values.len() == *count && values.iter().all(|value| is_number(value)),
        Words => !values.is_empty(),
    };
    is_right.then_some(name)
}

/// Whether it is an integer, perhaps with a unit of sizes.
fn is_number(value: &str) -> bool {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = value[digits.len()..].to_ascii_lowercase();
    digits.parse::<i64>().is_ok() && ["", "b", "k", "kb", "m", "mb", "g", "gb"].contains(&&unit[..])
}
