//! Promises of the set commands.

use super::super::testing::Fixture;
use super::*;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn members_come_and_go() {
    Fixture::new().check(&[
        ("sadd k 3 1 2 1", ":3"),
        ("sadd k 1", ":0"),
        ("object encoding k", "$intset"),
        ("smembers k", "[$1 $2 $3]"),
        ("sadd k a", ":1"),
        ("object encoding k", "$listpack"),
        ("scard k", ":4"),
        ("sismember k a", ":1"),
        ("sismember k b", ":0"),
        ("smismember k 1 b a", "[:1 :0 :1]"),
        ("smismember none 1 b", "[:0 :0]"),
        ("srem k 1 2 9 1", ":2"),
        ("srem none 1", ":0"),
        ("smembers none", "[]"),
        ("srem k 3 a b", ":2"),
        ("exists k", ":0"),
        ("set s x", "+OK"),
        ("sadd s x", WRONG_TYPE),
        ("srem s x", WRONG_TYPE),
        ("spop s", WRONG_TYPE),
        ("scard s", WRONG_TYPE),
    ]);
}

#[test]
fn events_are_those_of_redis() {
    let mut fixture = Fixture::new();
    fixture.check_events("sadd k a b", &["0 new k", "0 sadd k"]);
    fixture.check_events("sadd k a b", &[]);
    fixture.check_events("srem k x", &[]);
    fixture.check_events("srem k a", &["0 srem k"]);
    fixture.check_events("spop k 0", &[]);
    fixture.check_events("smove k d b", &["0 srem k", "0 del k", "0 new d", "0 sadd d"]);
    fixture.check_events("sadd k b", &["0 new k", "0 sadd k"]);
    fixture.check_events("smove k d b", &["0 srem k", "0 del k"]);
    fixture.check_events("spop d", &["0 spop d", "0 del d"]);
    fixture.check_events("sadd k a b c", &["0 new k", "0 sadd k"]);
    fixture.check_events("spop k 2", &["0 spop k"]);
    fixture.check_events("spop k 5", &["0 spop k", "0 del k"]);
}

#[test]
fn a_member_is_moved_or_stays() {
    Fixture::new().check(&[
        ("sadd k a b", ":2"),
        ("smove k d a", ":1"),
        ("smove k d x", ":0"),
        ("smove k k b", ":1"),
        ("smove k k x", ":0"),
        ("smembers k", "[$b]"),
        ("set s x", "+OK"),
        ("smove k s x", WRONG_TYPE),
        ("smove s k x", WRONG_TYPE),
        ("smove none s x", ":0"),
    ]);
}

#[test]
fn counts_of_random_members_are_checked() {
    let positive = "-ERR value is out of range, must be positive";
    Fixture::new().check(&[
        ("sadd k 1 2", ":2"),
        ("spop k -1", positive),
        ("spop k x", positive),
        ("spop k 1 2", "-ERR syntax error"),
        ("spop k 0", "[]"),
        ("spop none", "nil"),
        ("spop none 2", "[]"),
        ("srandmember k 0", "[]"),
        ("srandmember k 3", "[$1 $2]"),
        ("srandmember k x", "-ERR value is not an integer or out of range"),
        ("srandmember k 1 2", "-ERR syntax error"),
        ("srandmember none", "nil"),
        ("srandmember none -2", "[]"),
        ("spop k 9223372036854775807", "[$1 $2]"),
        ("exists k", ":0"),
    ]);
}

/// Members as bytes, whatever form the set has.
fn members_of(reply: Reply) -> Vec<Vec<u8>> {
    match reply {
        Reply::Items(_, items) => items.iter().map(<[u8]>::to_vec).collect(),
        Reply::Bytes(member) => vec![member],
        other => panic!("{other:?}"),
    }
}

#[test]
fn random_members_are_evenly_distributed_in_every_form() {
    const ROUNDS: u32 = 4000;
    let forms = [(20, "", "intset"), (20, "m", "listpack"), (700, "", "hashtable")];
    for (len, prefix, encoding) in forms {
        let mut fixture = Fixture::new();
        let members: Vec<String> = (0..len).map(|number| format!("{prefix}{number}")).collect();
        fixture.run(&format!("sadd k {}", members.join(" ")));
        fixture.check(&[("object encoding k", &format!("${encoding}"))]);
        for (request, chosen) in
            [("srandmember k", 1), ("srandmember k 5", 5), ("srandmember k -5", 5), ("spop k 5", 5)]
        {
            let mut hits = std::collections::HashMap::new();
            for _ in 0..ROUNDS {
                let chosen = members_of(fixture.run(request));
                let back: Vec<_> = chosen.iter().map(|member| String::from_utf8_lossy(member)).collect();
                fixture.run(&format!("sadd k {}", back.join(" ")));
                for member in chosen {
                    *hits.entry(member).or_insert(0_u32) += 1;
                }
            }
            // Pearson's test: the sum has a mean of len - 1 and a variance of twice that.
            let expected = f64::from(ROUNDS * chosen) / f64::from(len);
            let square = |hits: u32| (f64::from(hits) - expected).powi(2) / expected;
            let seen: f64 = hits.values().map(|hits| square(*hits)).sum();
            let sum = seen + (f64::from(len) - hits.len() as f64) * expected;
            let mean = f64::from(len - 1);
            assert!(sum < mean + 6.0 * (2.0 * mean).sqrt(), "{request} {encoding}: {sum}, mean {mean}");
        }
        fixture.check(&[("scard k", &format!(":{len}"))]);
    }
}

#[test]
fn a_set_is_walked_in_steps() {
    let mut fixture = Fixture::new();
    let members: Vec<String> = (0..1000).map(|number| format!("m{number}")).collect();
    fixture.run(&format!("sadd big {}", members.join(" ")));
    let (mut found, mut cursor, mut steps) = (Vec::new(), "0".to_owned(), 0);
    loop {
        let Reply::Array(parts) = fixture.run(&format!("sscan big {cursor} count 50 match m*")) else {
            panic!("an array")
        };
        let [Reply::Text(next), items] = &parts[..] else { panic!("{parts:?}") };
        found.extend(members_of(items.clone()));
        cursor = next.clone().into_owned();
        steps += 1;
        if cursor == "0" {
            break;
        }
    }
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 1000);
    assert!((5..=20).contains(&steps), "{steps} steps");
    fixture.check(&[
        ("sadd k 1 a b", ":3"),
        ("sscan k 0", "[$0 [$1 $a $b]]"),
        ("sscan k 0 match [ab]", "[$0 [$a $b]]"),
        ("sscan none 0 what", "[$0 []]"),
        ("sscan k x", "-ERR invalid cursor"),
        ("sscan k 0 count 0", "-ERR syntax error"),
        ("sscan k 0 novalues", "-ERR syntax error"),
        ("sscan k 0 type set", "-ERR syntax error"),
    ]);
}
