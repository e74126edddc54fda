//! Replies and events, compared with those of redis-server 7.0.

use std::vec::Vec;

use super::*;

#[test]
fn the_tables_are_sorted_and_have_every_name_once() {
    for group in GROUPS {
        let names: Vec<_> = group.iter().map(|row| row.name).collect();
        assert!(names.is_sorted_by(|first, second| first < second), "{names:?}");
    }
    let mut names: Vec<_> = GROUPS.iter().copied().flatten().map(|row| row.name).collect();
    names.sort_unstable();
    assert!(names.is_sorted_by(|first, second| first < second), "{names:?}");
}

/// Runs lines of words separated by spaces, `""` being the empty word; the replies are those of redis-server 7.0.
fn check(lines: &[(&str, &str)]) {
    let mut store = Store::new(1_700_000_000_000_000);
    for (line, expected) in lines {
        let words: Vec<&[u8]> =
            line.split(' ').map(|word| if word == "\"\"" { &[][..] } else { word.as_bytes() }).collect();
        let reply = run(&mut store, &words, true).unwrap_or_else(Reply::Error).encode();
        let reply = String::from_utf8(reply).unwrap().trim_end().replace("\r\n", " ");
        assert_eq!(&reply, expected, "{line}");
    }
}

#[test]
fn strings_behave_as_in_redis() {
    check(&[
        ("GET k", "_"),
        ("set k v", "+OK"),
        ("GET k", "$1 v"),
        ("APPEND k w", ":2"),
        ("STRLEN k", ":2"),
        ("SETRANGE k 4 x", ":5"),
        ("GETRANGE k 0 1", "$2 vw"),
        ("GETRANGE k -1 -1", "$1 x"),
        ("GETRANGE k -1 -3", "$0"),
        ("GETRANGE k 3 99", "$2 \0x"),
        ("GETRANGE nothing 0 -1", "$0"),
        ("SETRANGE nothing 0 \"\"", ":0"),
        ("SETRANGE k -1 x", "-ERR offset is out of range"),
        ("SETRANGE k 536870912 x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"),
        ("MSET a 1 b 2", "+OK"),
        ("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command"),
        ("MGET a none b", "*3 $1 1 _ $1 2"),
        ("SETNX a 9", ":0"),
        ("GETDEL a", "$1 1"),
        ("EXISTS a b b", ":2"),
        ("TYPE b", "+string"),
        ("RENAME b c", "+OK"),
        ("RENAME b c", "-ERR no such key"),
        ("DEL b c k", ":2"),
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        ("BITCOUNT k", "-ERR the test database has no command 'BITCOUNT': test it with a server"),
    ]);
}

#[test]
fn numbers_behave_as_in_redis() {
    check(&[
        ("INCR n", ":1"),
        ("INCRBY n 9", ":10"),
        ("DECR n", ":9"),
        ("DECRBY n -1", ":10"),
        ("INCRBY n 9223372036854775800", "-ERR increment or decrement would overflow"),
        ("DECRBY n -9223372036854775808", "-ERR decrement would overflow"),
        ("INCRBY n 01", "-ERR value is not an integer or out of range"),
        ("SET n +1", "+OK"),
        ("INCR n", "-ERR value is not an integer or out of range"),
    ]);
}

#[test]
fn set_has_all_its_options() {
    check(&[
        ("SET k 1 XX", "_"),
        ("SET k 1 NX EX 10", "+OK"),
        ("SET k 2 NX", "_"),
        ("SET k 2 NX GET", "$1 1"),
        ("SET k 2 XX KEEPTTL GET", "$1 1"),
        ("TTL k", ":10"),
        ("SET k 3", "+OK"),
        ("PTTL k", ":-1"),
        ("SET k 3 PXAT 1700000001500", "+OK"),
        ("PTTL k", ":1500"),
        ("SET k 3 EXAT 1", "+OK"),
        ("EXISTS k", ":0"),
        ("SET k 3 NX XX", "-ERR syntax error"),
        ("SET k 3 EX 1 PX 1", "-ERR syntax error"),
        ("SET k 3 EX 1 KEEPTTL", "-ERR syntax error"),
        ("SET k 3 EX", "-ERR syntax error"),
        ("SET k 3 EX 0", "-ERR invalid expire time in 'set' command"),
        ("SET k 3 EX x", "-ERR value is not an integer or out of range"),
        ("SETEX k 5 v", "+OK"),
        ("PSETEX k 5000 v", "+OK"),
        ("PEXPIRETIME k", ":1700000005000"),
    ]);
}

#[test]
fn expiry_behaves_as_in_redis() {
    check(&[
        ("EXPIRE k 1", ":0"),
        ("TTL k", ":-2"),
        ("SET k v", "+OK"),
        ("EXPIRE k 10", ":1"),
        ("EXPIRETIME k", ":1700000010"),
        ("PERSIST k", ":1"),
        ("PERSIST k", ":0"),
        ("PEXPIREAT k 1700000000001", ":1"),
        ("PTTL k", ":1"),
        ("APPEND k w", ":2"),
        ("PTTL k", ":1"),
        ("EXPIREAT k 9223372036854775807", "-ERR invalid expire time in 'expireat' command"),
        ("PEXPIRE k -1", ":1"),
        ("EXISTS k", ":0"),
        ("SET k v", "+OK"),
        ("EXPIRE k 10 XX", ":0"),
        ("EXPIRE k 10 GT", ":0"),
        ("EXPIRE k 10 NX", ":1"),
        ("EXPIRE k 20 NX", ":0"),
        ("EXPIRE k 5 GT", ":0"),
        ("EXPIRE k 20 XX GT", ":1"),
        ("EXPIRE k 20 LT", ":0"),
        ("TTL k", ":20"),
        ("EXPIRE k 5 LT", ":1"),
        ("EXPIRE k 5 NX XX", "-ERR NX and XX, GT or LT options at the same time are not compatible"),
        ("EXPIRE k 5 GT LT", "-ERR GT and LT options at the same time are not compatible"),
        ("EXPIRE k 5 zz", "-ERR Unsupported option zz"),
    ]);
}

#[test]
fn hashes_behave_as_in_redis() {
    check(&[
        ("HSET h a 1 b 2 a 3", ":2"),
        ("HSET h a 4", ":0"),
        ("HSET h a", "-ERR wrong number of arguments for 'hset' command"),
        ("HSET h a 1 b", "-ERR wrong number of arguments for 'hset' command"),
        ("HMSET h a 4", "+OK"),
        ("HMSET h a 4 b", "-ERR wrong number of arguments for 'hmset' command"),
        ("HGET h a", "$1 4"),
        ("HGET h x", "_"),
        ("HGET none x", "_"),
        ("HMGET h a x b", "*3 $1 4 _ $1 2"),
        ("HMGET none a", "*1 _"),
        ("HGETALL none", "%0"),
        ("HLEN h", ":2"),
        ("HSTRLEN h a", ":1"),
        ("HEXISTS h a", ":1"),
        ("HEXISTS h x", ":0"),
        ("HSETNX h a 9", ":0"),
        ("HSETNX h c x", ":1"),
        ("HINCRBY h a -5", ":-1"),
        ("HINCRBY h new 5", ":5"),
        ("HINCRBY h c 1", "-ERR hash value is not an integer"),
        ("HINCRBY h a x", "-ERR value is not an integer or out of range"),
        ("HINCRBY h a -9223372036854775808", "-ERR increment or decrement would overflow"),
        ("HDEL h a x a b c", ":3"),
        ("HGETALL h", "%1 $3 new $1 5"),
        ("HKEYS h", "*1 $3 new"),
        ("HVALS h", "*1 $1 5"),
        ("HSCAN h 0", "*2 $1 0 *2 $3 new $1 5"),
        ("HSCAN h 0 MATCH x* COUNT 5", "*2 $1 0 *0"),
        ("HSCAN h x", "-ERR invalid cursor"),
        ("HSCAN h 0 COUNT 0", "-ERR syntax error"),
        ("HSCAN h 0 COUNT", "-ERR syntax error"),
        ("HSCAN none 0", "*2 $1 0 *0"),
        ("HDEL h new", ":1"),
        ("EXISTS h", ":0"),
        ("HDEL h new", ":0"),
    ]);
}

#[test]
fn lists_behave_as_in_redis() {
    check(&[
        ("RPUSH l b c", ":2"),
        ("LPUSH l a z", ":4"),
        ("LRANGE l 0 -1", "*4 $1 z $1 a $1 b $1 c"),
        ("LRANGE l -2 100", "*2 $1 b $1 c"),
        ("LRANGE l 3 2", "*0"),
        ("LRANGE l -100 0", "*1 $1 z"),
        ("LRANGE l 5 9", "*0"),
        ("LRANGE none 0 -1", "*0"),
        ("LINDEX l -1", "$1 c"),
        ("LINDEX l 4", "_"),
        ("LINDEX l -5", "_"),
        ("LSET l -4 Z", "+OK"),
        ("LSET l 4 x", "-ERR index out of range"),
        ("LSET none 0 x", "-ERR no such key"),
        ("LINSERT l BEFORE b x", ":5"),
        ("LINSERT l after b x", ":6"),
        ("LINSERT l after none x", ":-1"),
        ("LINSERT none after a x", ":0"),
        ("LINSERT l beside a x", "-ERR syntax error"),
        ("LPOS l x", ":2"),
        ("LPOS l none", "_"),
        ("LREM l -1 x", ":1"),
        ("LREM l 1 none", ":0"),
        ("LRANGE l 0 -1", "*5 $1 Z $1 a $1 x $1 b $1 c"),
        ("LTRIM l 1 -2", "+OK"),
        ("LLEN l", ":3"),
        ("RPOP l", "$1 b"),
        ("LPOP l 5", "*2 $1 a $1 x"),
        ("LPOP l", "_"),
        ("LPOP l 2", "_"),
        ("RPUSH l 1 2 3", ":3"),
        ("RPOP l 2", "*2 $1 3 $1 2"),
        ("RPOP l 0", "*0"),
        ("RPOP l -1", "-ERR value is out of range, must be positive"),
        ("LPUSH l 1 2 1", ":4"),
        ("LREM l 2 1", ":2"),
        ("LRANGE l 0 -1", "*2 $1 2 $1 1"),
        ("LTRIM l 5 6", "+OK"),
        ("EXISTS l", ":0"),
    ]);
}

#[test]
fn sets_behave_as_in_redis() {
    check(&[
        ("SADD s a b a", ":2"),
        ("SADD s a", ":0"),
        ("SCARD s", ":2"),
        ("SISMEMBER s a", ":1"),
        ("SISMEMBER none a", ":0"),
        ("SMISMEMBER s a x b", "*3 :1 :0 :1"),
        ("SREM s b x b", ":1"),
        ("SMEMBERS s", "~1 $1 a"),
        ("SMEMBERS none", "~0"),
        ("SSCAN s 0", "*2 $1 0 *1 $1 a"),
        ("SRANDMEMBER s", "$1 a"),
        ("SRANDMEMBER s 5", "*1 $1 a"),
        ("SRANDMEMBER s -3", "*3 $1 a $1 a $1 a"),
        ("SRANDMEMBER none", "_"),
        ("SRANDMEMBER none 5", "*0"),
        ("SADD t a c", ":2"),
        ("SDIFF t s", "~1 $1 c"),
        ("SINTER t s", "~1 $1 a"),
        ("SINTER t none", "~0"),
        ("SUNION s none", "~1 $1 a"),
        ("SMOVE t s c", ":1"),
        ("SMOVE t s c", ":0"),
        ("SMOVE t s a", ":1"),
        ("EXISTS t", ":0"),
        ("SCARD s", ":2"),
        ("SREM s c", ":1"),
        ("SPOP s", "$1 a"),
        ("SPOP s", "_"),
        ("SPOP s 2", "~0"),
        ("SADD s a", ":1"),
        ("SPOP s 2", "~1 $1 a"),
        ("EXISTS s", ":0"),
    ]);
}

#[test]
fn sorted_sets_behave_as_in_redis() {
    check(&[
        ("ZADD z 1 a 2 b 2 c", ":3"),
        ("ZADD z 1 a 3 b", ":0"),
        ("ZADD z CH 1 a 2 b", ":1"),
        ("ZADD z NX 9 a 4 d", ":1"),
        ("ZADD z XX CH 5 d 1 new", ":1"),
        ("ZADD z GT CH 4 d 6 c", ":1"),
        ("ZADD z LT CH 2 c", ":1"),
        ("ZADD z INCR 0.5 a", ",1.5"),
        ("ZADD z NX INCR 1 a", "_"),
        ("ZADD z NX XX 1 a", "-ERR XX and NX options at the same time are not compatible"),
        ("ZADD z GT LT 1 a", "-ERR GT, LT, and/or NX options at the same time are not compatible"),
        ("ZADD z INCR 1 a 2 b", "-ERR INCR option supports a single increment-element pair"),
        ("ZADD z 1 a 2", "-ERR syntax error"),
        ("ZADD z x a", "-ERR value is not a valid float"),
        ("ZADD z nan a", "-ERR value is not a valid float"),
        ("ZINCRBY z -0.5 a", ",1"),
        ("ZADD z inf max", ":1"),
        ("ZINCRBY z -inf max", "-ERR resulting score is not a number (NaN)"),
        ("ZRANGE z 0 -1 WITHSCORES", "*5 *2 $1 a ,1 *2 $1 b ,2 *2 $1 c ,2 *2 $1 d ,5 *2 $3 max ,inf"),
        ("ZRANGE z 0 1 REV", "*2 $3 max $1 d"),
        ("ZRANGE z -2 -1", "*2 $1 d $3 max"),
        ("ZRANGE z 9 10", "*0"),
        ("ZRANGE z (2 +inf BYSCORE", "*2 $1 d $3 max"),
        ("ZRANGE z -inf 2 BYSCORE LIMIT 1 1", "*1 $1 b"),
        ("ZRANGE z 2 (1 BYSCORE REV WITHSCORES", "*2 *2 $1 c ,2 *2 $1 b ,2"),
        ("ZRANGE z 2 1 BYSCORE", "*0"),
        ("ZRANGE z 0 1 LIMIT 0 1", LIMIT_OF_RANKS),
        (
            "ZRANGE z - + BYLEX WITHSCORES",
            "-ERR syntax error, WITHSCORES not supported in combination with BYLEX",
        ),
        ("ZRANGE z x 1", "-ERR value is not an integer or out of range"),
        ("ZRANGE z x 1 BYSCORE", "-ERR min or max is not a float"),
        ("ZRANGE z x 1 BYLEX", "-ERR min or max not valid string range item"),
        ("ZRANGEBYSCORE z 2 2", "*2 $1 b $1 c"),
        ("ZREVRANGEBYSCORE z 2 2 LIMIT 0 -1", "*2 $1 c $1 b"),
        ("ZREVRANGE z 0 0 WITHSCORES", "*1 *2 $3 max ,inf"),
        ("ZRANGE none 0 -1", "*0"),
        ("ZCARD z", ":5"),
        ("ZCOUNT z (1 2", ":2"),
        ("ZCOUNT z 1 x", "-ERR min or max is not a float"),
        ("ZSCORE z b", ",2"),
        ("ZSCORE z x", "_"),
        ("ZMSCORE z a x", "*2 ,1 _"),
        ("ZRANK z c", ":2"),
        ("ZREVRANK z c", ":2"),
        ("ZREVRANK z max", ":0"),
        ("ZRANK z x", "_"),
        ("ZPOPMIN z", "*2 $1 a ,1"),
        ("ZPOPMAX z 1", "*1 *2 $3 max ,inf"),
        ("ZPOPMIN none", "*0"),
        ("ZPOPMIN none 2", "*0"),
        ("ZREM z d x", ":1"),
        ("ZREMRANGEBYSCORE z (2 9", ":0"),
        ("ZREMRANGEBYRANK z 0 0", ":1"),
        ("ZREMRANGEBYSCORE z 2 2", ":1"),
        ("EXISTS z", ":0"),
        ("ZADD z XX 1 a", ":0"),
        ("EXISTS z", ":0"),
        ("ZADD z 0 a 0 b 0 c 0 d", ":4"),
        ("ZRANGE z [b (d BYLEX", "*2 $1 b $1 c"),
        ("ZRANGEBYLEX z - (c", "*2 $1 a $1 b"),
        ("ZREVRANGEBYLEX z + [c", "*2 $1 d $1 c"),
        ("ZRANGEBYLEX z + -", "*0"),
        ("ZLEXCOUNT z (a +", ":3"),
        ("ZREMRANGEBYLEX z [b +", ":3"),
        ("ZADD z -0 zero", ":1"),
        ("ZSCORE z zero", ",0"),
    ]);
}

const LIMIT_OF_RANKS: &str =
    "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";

#[test]
fn streams_behave_as_in_redis() {
    check(&[
        ("XADD x 5-1 f v g w", "$3 5-1"),
        ("XADD x 5-1 f v", XADD_TOO_LOW),
        ("XADD x 4 f v", XADD_TOO_LOW),
        ("XADD x 4-* f v", XADD_TOO_LOW),
        ("XADD x 5-* f v", "$3 5-2"),
        ("XADD x 7-* f v", "$3 7-0"),
        ("XADD x 8 f v", "$3 8-0"),
        ("XADD none 0-0 f v", "-ERR The ID specified in XADD must be greater than 0-0"),
        ("XADD none 0-* f v", "$3 0-1"),
        ("XADD x 9 f", "-ERR wrong number of arguments for 'xadd' command"),
        ("XADD x 9 f v g", "-ERR wrong number of arguments for 'xadd' command"),
        ("XADD x y f v", "-ERR Invalid stream ID specified as stream command argument"),
        ("XADD missing NOMKSTREAM 1 f v", "_"),
        ("XLEN x", ":4"),
        ("XLEN missing", ":0"),
        ("XRANGE x - + COUNT 1", "*1 *2 $3 5-1 *4 $1 f $1 v $1 g $1 w"),
        ("XRANGE x 5 5", "*2 *2 $3 5-1 *4 $1 f $1 v $1 g $1 w *2 $3 5-2 *2 $1 f $1 v"),
        ("XRANGE x (5-2 (8", "*2 *2 $3 7-0 *2 $1 f $1 v *2 $3 8-0 *2 $1 f $1 v"),
        ("XRANGE x 9 1", "*0"),
        ("XRANGE x - + COUNT 0", "_"),
        ("XRANGE missing - +", "*0"),
        ("XRANGE x y +", "-ERR Invalid stream ID specified as stream command argument"),
        ("XREVRANGE x + (5-2", "*2 *2 $3 8-0 *2 $1 f $1 v *2 $3 7-0 *2 $1 f $1 v"),
        ("XDEL x 5-2 5-2 9-9", ":1"),
        ("XADD x MAXLEN 2 9 f v", "$3 9-0"),
        ("XLEN x", ":2"),
        ("XTRIM x MINID = 9", ":1"),
        ("XTRIM x MAXLEN = 0", ":1"),
        ("XTRIM x MAXLEN -1", "-ERR The MAXLEN argument must be >= 0."),
        ("XTRIM x LEAST 1", "-ERR syntax error"),
        ("EXISTS x", ":1"),
        ("XADD x 9 f v", XADD_TOO_LOW),
        ("TYPE x", "+stream"),
    ]);
}

const XADD_TOO_LOW: &str =
    "-ERR The ID specified in XADD is equal or smaller than the target stream top item";

#[test]
fn commands_refuse_values_of_another_type() {
    let mut store = Store::new(0);
    for (command, key) in
        [("SET", "string"), ("SADD", "set"), ("LPUSH", "list"), ("HSET", "hash"), ("XADD", "stream")]
    {
        let id = if command == "XADD" { "1" } else { "f" };
        let words = [command, key, id, "v", "w"];
        let count = match command {
            "SET" | "SADD" | "LPUSH" => 3,
            "HSET" => 4,
            _ => 5,
        };
        run(&mut store, &words[..count].iter().map(|word| word.as_bytes()).collect::<Vec<_>>(), true)
            .unwrap();
    }
    let wrong_type = |store: &mut Store, line: &str| {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        run(store, &words, true).is_err_and(|error| error.kind() == crate::ErrorKind::WrongType)
    };
    for line in [
        "GET hash",
        "APPEND list x",
        "INCR set",
        "GETDEL stream",
        "STRLEN hash",
        "SET hash x GET",
        "HGET string f",
        "HSET list f v",
        "HINCRBY set f 1",
        "HSCAN stream 0",
        "HDEL string f",
        "LPUSH hash x",
        "LPOP string",
        "LSET set 0 x",
        "LTRIM hash 0 1",
        "LLEN stream",
        "SADD list x",
        "SPOP hash",
        "SUNION set list",
        "SMOVE set list v",
        "SMOVE set hash f",
        "ZADD set 1 x",
        "ZRANGE list 0 1",
        "ZPOPMIN hash",
        "ZINCRBY string 1 x",
        "XADD hash * f v",
        "XLEN list",
        "XRANGE set - +",
        "XTRIM string MAXLEN 1",
    ] {
        assert!(wrong_type(&mut store, line), "{line}");
    }
    check(&[
        ("HSET h f v", ":1"),
        ("SET h x", "+OK"),
        ("GET h", "$1 x"),
        ("SADD s x", ":1"),
        ("MGET h s", "*2 $1 x _"),
    ]);
}

#[test]
fn a_scan_gives_every_element_that_stays() {
    let mut store = Store::new(0);
    let mut command = |line: &str| {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        run(&mut store, &words, true).unwrap()
    };
    for number in 0..1000 {
        command(&format!("SADD s {number}"));
    }
    let (mut cursor, mut seen, mut pages) = (String::from("0"), std::collections::BTreeSet::new(), 0);
    loop {
        let reply = command(&format!("SSCAN s {cursor} COUNT 50"));
        let [next, Reply::Array(page)] = reply.as_items().unwrap() else { panic!("{reply:?}") };
        cursor = String::from_utf8(next.as_bytes().unwrap().into()).unwrap();
        for member in page {
            assert!(seen.insert(member.as_bytes().unwrap().to_vec()), "given twice");
        }
        // Odd numbers go, and others come.
        command(&format!("SREM s {}", 2 * pages + 1));
        command(&format!("SADD s new{pages}"));
        pages += 1;
        if cursor == "0" {
            break;
        }
    }
    assert!(pages > 10, "{pages}");
    assert!((0..1000).step_by(2).all(|number| seen.contains(format!("{number}").as_bytes())));
}

/// The events that a command raises with the elements that they are about, on keys that the lines before made.
fn check_events(before: &[&str], line: &str, expected: &[&str]) {
    let mut store = Store::new(1_000);
    let mut command = |line: &str| {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        run(&mut store, &words, true).unwrap();
    };
    before.iter().for_each(|line| command(line));
    command(line);
    let mut events = Vec::new();
    while let Some(change) = store.take_change() {
        let elements = change.elements.iter().map(|element| format!(" {}", String::from_utf8_lossy(element)));
        events.push(format!(
            "{} {}{}",
            change.event,
            String::from_utf8_lossy(&change.key),
            elements.collect::<String>()
        ));
    }
    let skipped = events.len() - expected.len();
    assert_eq!(events[skipped..], *expected, "{line}");
    assert!(before.len() <= skipped, "{line}: an event too many is expected");
}

#[test]
fn changes_raise_the_events_of_redis_with_their_elements() {
    check_events(&[], "SET k v EX 5", &["new k", "set k", "expire k"]);
    check_events(&["SET k 1"], "DECR k", &["incrby k"]);
    check_events(&[], "HSET h a 1 b 2", &["new h", "hset h a b"]);
    check_events(&["HSET h a 1 b 2"], "HDEL h a x b", &["hdel h a b", "del h"]);
    check_events(&["HSET h a 1"], "HINCRBY h a 1", &["hincrby h a"]);
    check_events(&["RPUSH l a b"], "RPUSH l c d", &["rpush l 2 3"]);
    check_events(&["RPUSH l a b"], "LPUSH l c d", &["lpush l 0 1"]);
    check_events(&["RPUSH l a b c"], "RPOP l 2", &["rpop l 1 2"]);
    check_events(&["RPUSH l a"], "LPOP l", &["lpop l 0", "del l"]);
    check_events(&["RPUSH l a b"], "LSET l -1 c", &["lset l 1"]);
    check_events(&["RPUSH l a b a b a"], "LREM l -2 a", &["lrem l 2 4"]);
    check_events(&["RPUSH l a b"], "LTRIM l 0 -1", &["ltrim l"]);
    check_events(&["RPUSH l a b"], "LINSERT l AFTER a x", &["linsert l 1"]);
    check_events(&["SADD s a"], "SADD s a b c", &["sadd s b c"]);
    check_events(&["SADD s a b"], "SMOVE s t a", &["srem s a", "new t", "sadd t a"]);
    check_events(&["SADD s a"], "SPOP s", &["spop s a", "del s"]);
    check_events(&["ZADD z 1 a 1 b"], "ZADD z 1 a 2 b 3 c", &["zadd z b c"]);
    check_events(&["ZADD z 1 a"], "ZINCRBY z 1 a", &["zincr z a"]);
    check_events(&["ZADD z 1 a 2 b"], "ZPOPMIN z 2", &["zpopmin z a b", "del z"]);
    check_events(&["ZADD z 1 a 2 b"], "ZREMRANGEBYSCORE z 2 9", &["zremrangebyscore z b"]);
    check_events(&["XADD x 1 f v"], "XADD x MAXLEN 1 2 f v", &["xadd x 2-0", "xtrim x"]);
    check_events(&["XADD x 1 f v"], "XDEL x 1", &["xdel x 1-0"]);
    check_events(&["HSET h a 1"], "RENAME h g", &["rename_from h", "new g", "rename_to g"]);
}

#[test]
fn a_reading_call_cannot_write() {
    let mut store = Store::new(0);
    for row in GROUPS.iter().copied().flatten() {
        let words = std::vec![row.name.as_bytes(); row.arity.unsigned_abs()];
        let refused = run(&mut store, &words, false)
            .is_err_and(|error| error.text() == "ERR Write commands are not allowed from read-only scripts.");
        assert_eq!(refused, row.writes, "{}", row.name);
    }
}
