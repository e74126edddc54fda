//! What commands do with their keys, in the words of `COMMAND INFO` and `COMMAND GETKEYSANDFLAGS`.

use super::{Command, Flags, flag};

const READ: &str = "RO access";
const CHANGE: &str = "RW access update";

/// The commands for which the flags of the row do not tell enough: by key, the last for all that follow.
const EXCEPTIONS: &[(&str, &[&str])] = &[
    ("append", &["RW insert"]),
    ("blmove", &["RW access delete", "RW insert"]),
    ("blmpop", &["RW access delete"]),
    ("blpop", &["RW access delete"]),
    ("brpop", &["RW access delete"]),
    ("brpoplpush", &["RW access delete", "RW insert"]),
    ("bitfield", &["RW access update variable_flags"]),
    ("bitop", &["OW update", "RO access"]),
    ("bzmpop", &["RW access delete"]),
    ("bzpopmax", &["RW access delete"]),
    ("bzpopmin", &["RW access delete"]),
    ("copy", &["RO access", "OW update"]),
    ("del", &["RM delete"]),
    ("exists", &["RO"]),
    ("expire", &["RW update"]),
    ("expireat", &["RW update"]),
    ("geoadd", &["RW update"]),
    ("georadius", &["RO access", "OW update"]),
    ("georadiusbymember", &["RO access", "OW update"]),
    ("geosearchstore", &["OW update", "RO access"]),
    ("getdel", &["RW access delete"]),
    ("hdel", &["RW delete"]),
    ("hexists", &["RO"]),
    ("hexpire", &["RW update"]),
    ("hexpireat", &["RW update"]),
    ("hgetdel", &["RW access delete"]),
    ("hlen", &["RO"]),
    ("hmset", &["RW update"]),
    ("hpersist", &["RW update"]),
    ("hpexpire", &["RW update"]),
    ("hpexpireat", &["RW update"]),
    ("hset", &["RW update"]),
    ("hsetex", &["RW update"]),
    ("hsetnx", &["RW insert"]),
    ("hstrlen", &["RO"]),
    ("memory|usage", &["RO"]),
    ("linsert", &["RW insert"]),
    ("llen", &["RO"]),
    ("lmove", &["RW access delete", "RW insert"]),
    ("lmpop", &["RW access delete"]),
    ("lpop", &["RW access delete"]),
    ("lpush", &["RW insert"]),
    ("lpushx", &["RW insert"]),
    ("lrem", &["RW delete"]),
    ("lset", &["RW update"]),
    ("ltrim", &["RW delete"]),
    ("mset", &["OW update"]),
    ("msetnx", &["OW insert"]),
    ("object|encoding", &["RO"]),
    ("object|freq", &["RO"]),
    ("object|idletime", &["RO"]),
    ("object|refcount", &["RO"]),
    ("persist", &["RW update"]),
    ("pfadd", &["RW insert"]),
    ("pfcount", &["RW access"]),
    ("pfmerge", &["RW access insert", "RO access"]),
    ("pexpire", &["RW update"]),
    ("pexpireat", &["RW update"]),
    ("psetex", &["OW update"]),
    ("rename", &["RW access delete", "OW update"]),
    ("renamenx", &["RW access delete", "OW insert"]),
    ("sadd", &["RW insert"]),
    ("scard", &["RO"]),
    ("sdiffstore", &["OW update", "RO access"]),
    ("restore", &["OW update"]),
    ("rpop", &["RW access delete"]),
    ("rpoplpush", &["RW access delete", "RW insert"]),
    ("rpush", &["RW insert"]),
    ("rpushx", &["RW insert"]),
    ("set", &["RW access update variable_flags"]),
    ("setex", &["OW update"]),
    ("setnx", &["OW insert"]),
    ("setrange", &["RW update"]),
    ("sinterstore", &["RW update", "RO access"]),
    ("sismember", &["RO"]),
    ("sort", &["RO access", "RO access", "OW update"]),
    ("smove", &["RW access delete", "RW insert"]),
    ("spop", &["RW access delete"]),
    ("srem", &["RW delete"]),
    ("strlen", &["RO"]),
    ("sunionstore", &["OW update", "RO access"]),
    ("touch", &["RO"]),
    ("type", &["RO"]),
    ("unlink", &["RM delete"]),
    ("watch", &["RO"]),
    ("zadd", &["RW update"]),
    ("zcard", &["RO"]),
    ("zdiffstore", &["OW update", "RO access"]),
    ("zinterstore", &["OW update", "RO access"]),
    ("zmpop", &["RW access delete"]),
    ("zpopmax", &["RW access delete"]),
    ("zpopmin", &["RW access delete"]),
    ("zrangestore", &["OW update", "RO access"]),
    ("zrem", &["RW delete"]),
    ("zremrangebylex", &["RW delete"]),
    ("zremrangebyrank", &["RW delete"]),
    ("zremrangebyscore", &["RW delete"]),
    ("zunionstore", &["OW update", "RO access"]),
    ("xack", &["RW update"]),
    ("xadd", &["RW update"]),
    ("xautoclaim", &["RW delete"]),
    ("xclaim", &["RW update"]),
    ("xdel", &["RW delete"]),
    ("xgroup|create", &["RW insert"]),
    ("xgroup|createconsumer", &["RW insert"]),
    ("xgroup|delconsumer", &["RW delete"]),
    ("xgroup|destroy", &["RW delete"]),
    ("xgroup|setid", &["RW update"]),
    ("xlen", &["RO"]),
    ("xreadgroup", &["RO access"]),
    ("xsetid", &["RW update"]),
    ("xtrim", &["RW delete"]),
];

/// What a command does with its first key, and if that differs, with the others.
pub(super) fn key_uses(full_name: &str, row: &Command) -> &'static [&'static str] {
    let exception = EXCEPTIONS.iter().find(|(name, _)| *name == full_name);
    let default: &[&str] = if row.is(Flags::READONLY) { &[READ] } else { &[CHANGE] };
    exception.map_or(default, |(_, uses)| uses)
}

/// The same for a call with these arguments, which may say more than the row.
pub(super) fn key_uses_of_call(
    full_name: &str,
    row: &Command,
    arguments: &[&[u8]],
) -> &'static [&'static str] {
    let has = |word| arguments.iter().skip(2).any(|argument| flag(argument, word));
    match full_name {
        "set" if arguments.iter().skip(3).any(|argument| flag(argument, "GET")) => &[CHANGE],
        "set" => &["OW update"],
        "sort" => &["RO access", "OW update"],
        "bitfield" if !has("SET") && !has("INCRBY") => &[READ],
        "bitfield" => &[CHANGE],
        _ => key_uses(full_name, row),
    }
}

#[cfg(test)]
mod tests {
    use super::super::find_named;
    use super::*;

    #[test]
    fn exceptions_are_commands_that_have_keys() {
        for (name, _) in EXCEPTIONS {
            let found = find_named(name.as_bytes()).unwrap_or_else(|| panic!("{name} is no command"));
            assert_ne!(found.row.keys, super::super::Keys::None, "{name}");
        }
    }
}
