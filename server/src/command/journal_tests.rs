//! What holds for every writing command: it can be undone, and the journal alone does it again.

use super::testing::Fixture;
use crate::keyspace::{Keyspace, Replay, WatcherId};
use crate::protocol::Reply;
use crate::store::record::decode;
use crate::store::{Databases, Seed, StorageId};

/// The keys that the requests use.
const KEYS: [&[u8]; 6] = [b"k0", b"k1", b"k2", b"k3", b"k4", b"k5"];
/// The databases that they use.
const DATABASES: std::ops::Range<u8> = 0..2;

/// Value, encoding and end of every key that there is.
type Snapshot = Vec<Option<(Vec<u8>, &'static str, Option<u64>)>>;
/// A client that watches all keys.
const WATCHER: WatcherId = 7;

/// A snapshot without encodings: the journal does not tell that a short string has room to grow.
fn values(snapshot: Snapshot) -> Vec<Option<(Vec<u8>, Option<u64>)>> {
    snapshot.into_iter().map(|key| key.map(|(value, _, end_ms)| (value, end_ms))).collect()
}

fn snapshot(keyspace: &mut Keyspace) -> Snapshot {
    let addresses = DATABASES.flat_map(|database| KEYS.map(|key| (database, key)));
    let look = |(database, key): (u8, &[u8])| {
        let entry = keyspace.peek(database, key).expect("nothing is on disk")?;
        Some((entry.value.image(), entry.value.encoding(), entry.expires_at_ms()))
    };
    addresses.map(look).collect()
}

/// A keyspace made of nothing but a group of the journal.
fn replayed(group: &[u8]) -> Keyspace {
    let mut replay = Replay::new(Keyspace::new(Seed::new(1), Databases::new(), &[0; 17], 0));
    for transaction in decode(group).expect("a group") {
        for change in transaction.expect("a transaction") {
            let change = change.expect("a change");
            let nothing = |_: StorageId, _: &[u8]| Ok::<_, ()>(None);
            replay.apply(&change, 1, nothing).expect("nothing is loaded");
        }
    }
    replay.finish().expect("values")
}

/// A random request that writes, on few keys, so that commands meet what others have left.
#[expect(clippy::too_many_lines, reason = "a table of requests, a line each")]
fn request(random: &mut fastrand::Rng) -> String {
    const FORMS: &[&str] = &[
        "set K V",
        "set K N",
        "set K V ex 100",
        "set K V keepttl",
        "set K V xx get",
        "setnx K V",
        "getset K V",
        "append K V",
        "setrange K N V",
        "setbit K N 1",
        "setbit K N 0",
        "getdel K",
        "getex K ex 50",
        "getex K persist",
        "getex K pxat 1",
        "incr K",
        "decrby K N",
        "incrbyfloat K 0.5",
        "mset K V K N",
        "msetnx K V K V",
        "bitop not K K",
        "bitop or K K K",
        "bitfield K set u7 N 99 incrby i5 3 N",
        "bitfield K overflow fail incrby u2 N 9",
        "rpush K V V N",
        "lpush K V",
        "lpush K N N N N N N N N",
        "rpushx K V V",
        "lpop K",
        "rpop K 3",
        "lpop K 100",
        "lset K -1 V",
        "lset K 3 N",
        "linsert K before N V",
        "lrem K 0 N",
        "lrem K -1 N",
        "ltrim K 1 -2",
        "ltrim K N N",
        "lmove K K left right",
        "rpoplpush K K",
        "lmpop 2 K K left count 2",
        "sort K store K",
        "sort K alpha desc limit 1 50 get # get K* store K",
        "sort K by nosort limit 2 100 store K",
        "blpop K K 0",
        "blmove K K right left 0",
        "hset K M V",
        "hset K M V M N M V",
        "hset K FIELDS",
        "hsetnx K M V",
        "hincrby K M N",
        "hincrbyfloat K M 0.25",
        "hdel K M M M",
        "hexpire K 50 fields 2 M M",
        "hpexpire K 1500 fields 1 M",
        "hexpire K 0 fields 2 M M",
        "hexpire K 70 gt fields 3 M M M",
        "hexpire K 90 nx fields 300 ENDS",
        "hpersist K fields 2 M M",
        "hpersist K fields 300 ENDS",
        "hgetdel K fields 2 M M",
        "hgetex K ex 100 fields 2 M M",
        "hsetex K ex 30 fields 2 M V M V",
        "hsetex K px 0 fields 2 M V M V",
        "hsetex K keepttl fields 1 M V",
        "sadd K M",
        "sadd K N N N",
        "sadd K MEMBERS",
        "srem K M N",
        "srem K MEMBERS",
        "smove K K M",
        "smove K K N",
        "sinterstore K K K",
        "sunionstore K K K",
        "sdiffstore K K K",
        "spop K",
        "spop K 3",
        "spop K 300",
        "zadd K N V N V",
        "zadd K N M N M N M N M N M",
        "zadd K N M N M N M N M N M",
        "zadd K gt ch N M N M",
        "zadd K incr N M",
        "zincrby K N M",
        "zrem K M M M M M M",
        "zpopmin K",
        "zpopmax K 9",
        "zmpop 2 K K min count 4",
        "bzpopmin K K 0",
        "bzmpop 0 2 K K max count 2",
        "zremrangebyrank K 0 2",
        "zremrangebyscore K N N",
        "zremrangebylex K [a (k",
        "zrangestore K K 1 -2",
        "zunionstore K 2 K K weights 1 N",
        "zinterstore K 2 K K aggregate max",
        "zdiffstore K 2 K K",
        "geoadd K N N M N N M",
        "geosearchstore K K fromlonlat 5 5 byradius 2000 km",
        "georadius K 5 5 2000 km storedist K",
        "xadd K * f V",
        "xadd K * f N g N",
        "xadd K * f N",
        "xadd K maxlen 5 * f V",
        "xdel K I I I",
        "xtrim K maxlen 3",
        "xtrim K minid I",
        "xsetid K 1704067200000-N",
        "xgroup create K g 0 mkstream",
        "xgroup create K h $ mkstream",
        "xgroup setid K g I",
        "xgroup destroy K g",
        "xgroup createconsumer K g C",
        "xgroup delconsumer K g C",
        "xreadgroup group g C count 3 streams K >",
        "xreadgroup group g C streams K K > 0",
        "xreadgroup group g C noack streams K >",
        "xack K g I I I",
        "xclaim K g C 0 I I force",
        "xclaim K g C 0 I lastid I justid",
        "xautoclaim K g C 0 0 count 2",
        "pfadd K V N",
        "pfadd K N N N",
        "pfmerge K K K",
        "del K K",
        "rename K K",
        "renamenx K K",
        "copy K K",
        "copy K K db 1 replace",
        "move K 1",
        "expire K 100",
        "expire K -1",
        "pexpireat K 1704067300000 gt",
        "persist K",
        "flushdb",
        "swapdb 0 1",
    ];
    let form = FORMS[random.usize(..FORMS.len())];
    let word = |word| match word {
        "K" => String::from_utf8_lossy(KEYS[random.usize(..KEYS.len())]).into_owned(),
        "V" if random.u8(..8) == 0 => "v".repeat(random.usize(..200_000)),
        "V" => format!("v{}", random.u32(..)),
        "M" => format!("m{}", random.u8(..20)),
        // Enough for a big value.
        "MEMBERS" => (0..300).map(|_| format!("m{}", random.u16(..500))).collect::<Vec<_>>().join(" "),
        "ENDS" => (0..300).map(|_| format!("m{}", random.u16(..900))).collect::<Vec<_>>().join(" "),
        "FIELDS" => (0..700).map(|_| format!("m{} v", random.u16(..900))).collect::<Vec<_>>().join(" "),
        "C" => ["alice", "bob", "carol"][random.usize(..3)].to_owned(),
        // Of the time that stands still.
        "I" => format!("1704067200000-{}", random.u8(..12)),
        "N" if random.u8(..8) == 0 => random.u32(..2_000_000).to_string(),
        "N" => random.u8(..64).to_string(),
        other => other.to_owned(),
    };
    form.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_write_can_be_undone_and_is_done_again_by_the_journal_alone() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut fixture = Fixture::new();
        // Of half the collections the small forms are soon too small.
        if seed % 2 == 0 {
            fixture.server.options.zset_max_listpack_entries = 5;
        }
        for step in 0..300 {
            let request = request(&mut random);
            let context = || format!("seed {seed}, step {step}: {}", &request[..request.len().min(60)]);
            let before = snapshot(&mut fixture.keyspace);
            let pending = fixture.keyspace.journal().pending_bytes();
            for (database, key) in DATABASES.flat_map(|database| KEYS.map(|key| (database, key))) {
                fixture.keyspace.watch(WATCHER, database, key).expect("nothing is on disk");
            }
            let savepoint = fixture.keyspace.savepoint();
            let undone = fixture.run_within(&request);
            fixture.keyspace.rollback(savepoint);
            assert!(fixture.keyspace.commit().is_empty(), "{}", context());
            assert_eq!(fixture.keyspace.journal().pending_bytes(), pending, "{}", context());
            assert!(snapshot(&mut fixture.keyspace) == before, "{}", context());
            assert!(!fixture.keyspace.is_dirty(WATCHER), "{}", context());
            let done = fixture.run(&request);
            let is_changed = values(snapshot(&mut fixture.keyspace)) != values(before);
            // What groups of streams note of their consumers is no change to those who watch.
            let is_noticed = fixture.keyspace.is_dirty(WATCHER) || request.starts_with('x');
            assert!(is_noticed || !is_changed, "{}", context());
            fixture.keyspace.unwatch(WATCHER);
            // What is random is another choice each time.
            assert!(done == undone || request.starts_with("spop"), "{}", context());
        }
        let (group, _) = fixture.keyspace.journal_mut().take_group(Vec::new());
        let [replayed, there] = [&mut replayed(&group), &mut fixture.keyspace].map(snapshot);
        assert!(values(replayed) == values(there), "seed {seed}");
    }
}

#[test]
fn a_refused_request_changes_nothing() {
    let mut fixture = Fixture::new();
    fixture.check(&[("mset k0 x k1 9223372036854775807", "+OK"), ("rpush k2 a b", ":2")]);
    let (before, pending) = (snapshot(&mut fixture.keyspace), fixture.keyspace.journal().pending_bytes());
    for request in [
        "incr k0",
        "incr k1",
        "incrbyfloat k0 1",
        "decrby k1 -1",
        "setrange k0 536870912 x",
        "rpush k0 x",
        "lmove k2 k0 left left",
        "lmpop 2 k3 k0 left",
        "lset k2 5 x",
        "lpop k2 -1",
        "blmove k2 k0 left left 0",
        "setbit k0 0 2",
        "set k0 1 nx xx",
        "getex k0 ex 0",
        "mset k0 1 k1",
        "bitfield k0 set u8 0 1 set u64 0 1",
        "bitop not k0 k0 k1",
        "rename none k0",
        "copy k0 k1 db 16",
        "move k0 16",
        "expire k0 1 nx gt",
        "expire k0 x",
    ] {
        assert!(matches!(fixture.run(request), Reply::Error(_)), "{request}");
        assert!(snapshot(&mut fixture.keyspace) == before, "{request}");
        assert_eq!(fixture.keyspace.journal().pending_bytes(), pending, "{request}");
    }
}
