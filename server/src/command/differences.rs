//! Where this server differs from Redis 7, for the page of commands. A test holds the names against the table.

/// What several commands have in common.
pub(super) const GENERAL: &[&str] = &[
    "Replies, errors and events are compared with those of redis-server 7.0. Where Redis 7.2 changed them, kvasm \
     follows 7.2: scores are printed in the fewest digits that read back as the same number, and small lists and sets have \
     the encoding `listpack`. `INFO` and `HELLO` report the version 7.4.0, because some libraries check it before they use \
     what is here.",
    "Hash fields can have a time to live, as in Redis 8: `HEXPIRE` and its relatives, `HGETEX`, `HSETEX`, `HGETDEL`. \
     `DUMP` of a hash that has such fields has the format of Redis 7.4, which 7.0 and 7.2 cannot read. \
     Looking up a hash removes all its fields whose time has come, however many they are; fields of hashes that nobody \
     looks up are removed a few at a time.",
    "Cursors of `SCAN`, `HSCAN`, `SSCAN` and `ZSCAN` are places in an order of the server's own. Those of `SCAN` stay \
     valid across a restart.",
    "The order of sets, hashes and their replies differs, as it does from one release of Redis to the next. Keys that \
     are looked up in the order of a set, as `SORT` does, are announced as missing in that order.",
    "Error texts quote arguments whole, where Redis stops at a zero byte, and show bytes that are not UTF-8 as `\u{fffd}`.",
    "Writes become durable as `appendfsync` says. There are no snapshots, so commands about them are absent, and their \
     fields in `INFO persistence` are those of a server that has made none.",
    "After a restart, an encoding depends on the value alone: a short string that was `raw` because it grew is `embstr`.",
    "There is no eviction: with `maxmemory`, commands that need memory are refused. Priorities such as `CLIENT \
     NO-EVICT` are accepted and have no effect.",
    "`HRANDFIELD`, `SRANDMEMBER` and `ZRANDMEMBER` refuse counts below -4194304, and negative counts whose reply would \
     copy more than `proto-max-bulk-len` bytes.",
    "`COMMAND INFO` has no tips; key specifications have no notes.",
];

/// Groups of commands of Redis 7 that are absent, and why.
pub(super) const ABSENT: &[(&[&str], &str)] = &[
    (
        &["EVAL", "EVAL_RO", "EVALSHA", "EVALSHA_RO", "SCRIPT"],
        "Procedures are WebAssembly: `EVALWASM`, `EVALWASMSHA`, `WASM`.",
    ),
    (&["ACL"], "There is one user, with `requirepass`."),
    (
        &["ASKING", "CLUSTER", "MIGRATE", "READONLY", "READWRITE", "RESTORE-ASKING"],
        "There is no cluster. `DUMP` and `RESTORE` move values by hand.",
    ),
    (&["SPUBLISH", "SSUBSCRIBE", "SUNSUBSCRIBE"], "Sharded channels belong to a cluster."),
    (
        &["FAILOVER", "PSYNC", "REPLCONF", "REPLICAOF", "SLAVEOF", "SYNC"],
        "There is no replication; `ROLE` and `WAIT` answer as a master without replicas.",
    ),
    (
        &["WAITAOF"],
        "With `appendfsync always` every reply waits until what it tells is on disk; with the others nothing does.",
    ),
    (&["BGREWRITEAOF", "BGSAVE", "SAVE"], "All data is always on disk, or on its way."),
    (
        &["LOLWUT", "MODULE", "PFDEBUG", "PFSELFTEST"],
        "There are no Redis modules, and no internals of Redis to test.",
    ),
];

/// Single commands that differ, by what is written before a colon: a command, or one with its subcommand.
pub(super) const BY_COMMAND: &[(&str, &str)] = &[
    (
        "CLIENT TRACKING",
        "`SWAPDB` tells all clients to forget everything, as `FLUSHALL` does; in Redis it tells them nothing.",
    ),
    (
        "CONFIG SET",
        "Knows the options of [options.md](options.md), and no others of Redis. \
     `proto-max-bulk-len` is at most 512mb.",
    ),
    ("DEBUG SLEEP", "Besides `HELP` the only subcommand of `DEBUG`."),
    (
        "DUMP",
        "Values are written in the plainest forms that Redis 7 reads, uncompressed, so the bytes are others than Redis'.",
    ),
    (
        "FUNCTION LOAD",
        "Libraries are WebAssembly: the first line is `#!wasm name=LIB`. `FUNCTION KILL` stops all procedures in the background, or those of one name, even if they have written.",
    ),
    ("FUNCTION DUMP", "The bytes are kvasm's own."),
    ("MEMORY USAGE", "Counts all that the value takes here; `SAMPLES` has no effect."),
    ("MONITOR", "Is refused inside MULTI at once, not when EXEC runs it."),
    ("OBJECT FREQ", "Always an error: use is not counted, only its last time."),
    ("OBJECT REFCOUNT", "1, or what Redis says of a small shared integer."),
    ("PFCOUNT", "Does not write down what it has counted, so that `GET` of a sketch stays the same."),
    ("RANDOMKEY", "Passes over expired keys; Redis removes those that it meets, and says so."),
    (
        "SCAN",
        "Passes over expired keys; Redis removes those that it meets, and says so. The first call that comes to a slot of \
         more than 20,000 keys, such as those of one hash tag, sorts them; the calls after it do not. With fewer keys each \
         call sorts those of its slot.",
    ),
    (
        "SHUTDOWN",
        "Always tries to keep all data, and is refused while the disk takes no writes, unless `FORCE` insists. `NOSAVE` \
         insists as `FORCE` does; `SAVE` changes nothing.",
    ),
    (
        "SORT",
        "Compares texts by their bytes, not by a locale; equal texts keep their order. A sorted set keeps its encoding.",
    ),
    ("UNLINK", "The same as `DEL`, which frees big values in the background too."),
    (
        "WATCH",
        "Notices that groups of a stream are created, set and removed, that groups get and lose consumers, and that \
         `BITFIELD` made a string longer although no number fits; Redis does not. Clients that track keys are told of the same.",
    ),
    ("XINFO STREAM", "`radix-tree-keys` and `radix-tree-nodes` count blocks."),
    (
        "XREAD",
        "Announces a missing key once; Redis looks it up twice and announces it twice. The id `+` means the last entry, as \
         in Redis since 7.4.",
    ),
];

#[cfg(test)]
mod tests {
    use super::super::find_named;
    use super::*;

    #[test]
    fn what_is_said_of_commands_is_said_of_those_that_there_are() {
        for (name, _) in BY_COMMAND {
            assert!(find_named(name.replace(' ', "|").as_bytes()).is_some(), "{name} is no command");
        }
        for name in ABSENT.iter().flat_map(|(names, _)| *names) {
            assert!(find_named(name.as_bytes()).is_none(), "{name} is a command");
        }
    }
}
