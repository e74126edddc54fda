use std::time::Duration;

use crate::command::testing::Fixture;
use crate::command::{Outcome, Run, find};
use crate::protocol::{Reply, Version, encode};
use crate::types::Kind;

const NOT_FLOAT: &str = "-ERR value is not a valid float";
const SYNTAX: &str = "-ERR syntax error";
const NOT_INTEGER: &str = "-ERR value is not an integer or out of range";

#[test]
fn members_are_added_changed_and_removed() {
    Fixture::new().check(&[
        ("zadd z 1 a 2 b 1 a", ":2"),
        ("zadd z ch 1 a 3 b 4 c", ":2"),
        ("zadd z nx 9 a 5 d", ":1"),
        ("zadd z xx 9 e 6 d", ":0"),
        ("zadd z gt ch 1 b 7 d 1 f", ":2"),
        ("zadd z lt ch 9 b 6 d 1 f", ":1"),
        ("zrange z 0 -1 withscores", "[[$a ,1] [$f ,1] [$b ,3] [$c ,4] [$d ,6]]"),
        ("zadd z incr 2 a", ",3"),
        ("zadd z nx incr 2 a", "nil"),
        ("zadd z gt incr -1 a", "nil"),
        ("zincrby z -1.5 a", ",1.5"),
        ("zincrby z 1 new", ",1"),
        ("zrem z a b nope a", ":2"),
        ("zcard z", ":4"),
        ("zscore z c", ",4"),
        ("zscore z nope", "nil"),
        ("zmscore z c nope d", "[,4 nil ,6]"),
        ("zmscore none a", "[nil]"),
        ("type z", "+zset"),
        ("object encoding z", "$listpack"),
        ("zrem z c d f new", ":4"),
        ("exists z", ":0"),
        ("zrem z c", ":0"),
        ("zadd new xx 1 a", ":0"),
        ("exists new", ":0"),
    ]);
}

#[test]
fn what_zadd_cannot_do_is_refused_before_anything_is_done() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("zadd z nx xx 1 a", "-ERR XX and NX options at the same time are not compatible"),
        ("zadd z nx gt 1 a", "-ERR GT, LT, and/or NX options at the same time are not compatible"),
        ("zadd z gt lt 1 a", "-ERR GT, LT, and/or NX options at the same time are not compatible"),
        ("zadd z incr 1 a 2 b", "-ERR INCR option supports a single increment-element pair"),
        ("zadd z 1 a 2", SYNTAX),
        ("zadd z nx ch", SYNTAX),
        ("zadd z 1 a x b", NOT_FLOAT),
        ("zadd z nan a", NOT_FLOAT),
        ("zincrby z x a", NOT_FLOAT),
        ("exists z", ":0"),
        ("zadd z inf a -inf b -0 c", ":3"),
        ("zincrby z -inf a", "-ERR resulting score is not a number (NaN)"),
        ("zrange z 0 -1 withscores", "[[$b ,-inf] [$c ,0] [$a ,inf]]"),
        ("set s x", "+OK"),
        ("zadd s 1 a", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("zscore s a", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ]);
}

#[test]
fn ranks_count_from_either_end() {
    Fixture::new().check(&[
        ("zadd z 1 a 1 b 2 c", ":3"),
        ("zrank z b", ":1"),
        ("zrevrank z b", ":1"),
        ("zrevrank z a", ":2"),
        ("zrank z c withscore", "[:2 ,2]"),
        ("zrank z nope", "nil"),
        ("zrevrank none a withscore", "nil"),
        ("zrank z a x", SYNTAX),
        ("ZRANK z a withscore x", "-ERR wrong number of arguments for 'zrank' command"),
        ("zrevrank z a withscore x", "-ERR wrong number of arguments for 'zrevrank' command"),
    ]);
}

#[test]
fn ranges_are_told_by_rank_score_or_member() {
    const LIMIT: &str =
        "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";
    const LEX_SCORES: &str = "-ERR syntax error, WITHSCORES not supported in combination with BYLEX";
    Fixture::new().check(&[
        ("zadd z 1 a 2 b 3 c 4 d", ":4"),
        ("zrange z 1 2", "[$b $c]"),
        ("zrange z -2 -1 rev", "[$b $a]"),
        ("zrevrange z 0 0 withscores", "[[$d ,4]]"),
        ("zrange z (1 3 byscore", "[$b $c]"),
        ("zrange z 3 (1 byscore rev withscores", "[[$c ,3] [$b ,2]]"),
        ("zrange z -inf +inf byscore limit 1 2", "[$b $c]"),
        ("zrange z +inf -inf byscore rev limit 1 2", "[$c $b]"),
        ("zrange z -inf +inf byscore limit 1 -1", "[$b $c $d]"),
        ("zrange z -inf +inf byscore limit -1 9", "[]"),
        ("zrange z -inf +inf byscore limit 9 1", "[]"),
        ("zrangebyscore z 2 (4 withscores limit 0 1", "[[$b ,2]]"),
        ("zrevrangebyscore z 4 2", "[$d $c $b]"),
        ("zrange z 3 1 byscore", "[]"),
        ("zcount z (1 4", ":3"),
        ("zcount z 5 9", ":0"),
        ("zrange none 0 -1", "[]"),
        ("zadd l 0 a 0 aa 0 b 0 c", ":4"),
        ("zrange l [a (b bylex", "[$a $aa]"),
        ("zrangebylex l - [aa", "[$a $aa]"),
        ("zrevrangebylex l + (aa limit 0 1", "[$c]"),
        ("zrange l + - bylex rev", "[$c $b $aa $a]"),
        ("zlexcount l (a +", ":3"),
        ("zlexcount l + -", ":0"),
        ("zrange z 0 1 limit 0 1", LIMIT),
        ("zrange z [a [b bylex withscores", LEX_SCORES),
        ("zrange z a b", NOT_INTEGER),
        ("zrange z 0 1 byscore bylex", SYNTAX),
        ("zrange z 0 1 byscore limit 0", SYNTAX),
        ("zrange z 0 x byscore", "-ERR min or max is not a float"),
        ("zrangebylex z - b", "-ERR min or max not valid string range item"),
    ]);
}

#[test]
fn ranges_are_stored_and_removed() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("zadd z 1 a 2 b 3 c 4 d", ":4"),
        ("set dst x", "+OK"),
        ("zrangestore dst z (1 +inf byscore limit 0 2", ":2"),
        ("zrange dst 0 -1 withscores", "[[$b ,2] [$c ,3]]"),
        ("zrangestore dst z 0 0 rev", ":1"),
        ("zrange dst 0 -1", "[$d]"),
        ("zrangestore dst z 0 1 withscores", SYNTAX),
        ("zremrangebyrank z 0 0", ":1"),
        ("zremrangebyscore z (2 3", ":1"),
        ("zremrangebyscore z 9 10", ":0"),
        ("zrange z 0 -1", "[$b $d]"),
        ("zadd l 0 a 0 b", ":2"),
        ("zremrangebylex l [a (b", ":1"),
        ("zrange l 0 -1", "[$b]"),
        ("zremrangebyrank none 0 -1", ":0"),
    ]);
    fixture.check_events("zrangestore dst none 0 -1", &["0 keymiss none", "0 del dst"]);
    fixture.check_events("zremrangebyrank z 5 9", &[]);
    fixture.check_events("zremrangebyscore z -inf inf", &["0 zremrangebyscore z", "0 del z"]);
}

#[test]
fn members_are_taken_from_the_ends() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("zadd z 1 a 2 b 3 c 4 d", ":4"),
        ("zpopmin z", "[$a ,1]"),
        ("zpopmax z 2", "[[$d ,4] [$c ,3]]"),
        ("zpopmin z 0", "[]"),
        ("zpopmin none 3", "[]"),
        ("zpopmin z -1", "-ERR value is out of range, must be positive"),
        ("zpopmin z 1 2", SYNTAX),
        ("zmpop 2 none z max count 9", "[$z [[$b ,2]]]"),
        ("zmpop 2 none z min", "nil"),
        ("zmpop 0 z min", "-ERR numkeys should be greater than 0"),
        ("zmpop 1 z min count 0", "-ERR count should be greater than 0"),
        ("zmpop 1 z min count 1 count 1", SYNTAX),
        ("zmpop 1 z middle", SYNTAX),
        ("zmpop 2 z min", SYNTAX),
        ("zadd z 1 a", ":1"),
    ]);
    fixture.check_events("zmpop 1 z max", &["0 zpopmax z", "0 del z"]);
    fixture.check_events("zpopmin z", &[]);
}

#[test]
fn what_finds_no_sorted_set_waits_for_its_keys() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("zadd z 1 a 2 b 3 c 4 d", ":4"),
        ("bzpopmin none z 0", "[$z $a ,1]"),
        ("bzpopmax z none 1.5", "[$z $d ,4]"),
        ("bzmpop 0 2 none z max count 9", "[$z [[$c ,3] [$b ,2]]]"),
        ("bzpopmin z 0", "nil"),
        ("bzmpop 0 1 z min", "nil"),
        ("bzpopmin z -1", "-ERR timeout is negative"),
        ("bzpopmin z x", "-ERR timeout is not a float or out of range"),
        ("bzmpop x 0 z min", "-ERR numkeys should be greater than 0"),
        ("bzmpop x 1 z min", "-ERR timeout is not a float or out of range"),
        ("set s x", "+OK"),
        ("bzpopmin z s 0", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ]);
    for (request, keys, timeout) in
        [("bzpopmin a b 1.5", 1..3, Some(Duration::from_millis(1500))), ("bzmpop 0 2 a b min", 3..5, None)]
    {
        let args: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let row = find(&args).ok().expect("a command").row;
        let Run::Outcome(run) = row.run else { panic!("{request} can wait") };
        let outcome = fixture.with_context(|ctx| run(ctx, &args)).expect("no error");
        let Outcome::Block(block) = outcome else { panic!("{outcome:?}") };
        assert_eq!(block.request.slices(), args);
        assert_eq!((block.keys, block.kind, block.timeout), (keys, Kind::SortedSet, timeout));
    }
}

#[test]
fn random_members_are_members() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("zadd z 1 a", ":1"),
        ("zrandmember z", "$a"),
        ("zrandmember z -3", "[$a $a $a]"),
        ("zrandmember z 3 withscores", "[[$a ,1]]"),
        ("zrandmember z 0", "[]"),
        ("zrandmember none", "nil"),
        ("zrandmember none 1", "[]"),
        ("zrandmember z 1 x", SYNTAX),
        ("zrandmember z x", NOT_INTEGER),
        ("zrandmember z 5000000000000000000 withscores", "-ERR value is out of range"),
    ]);
    assert!(fixture.run("zrandmember z -100000000000").is_error());
    fixture.run("zadd z 2 b 3 c 4 d");
    for _ in 0..50 {
        let Reply::Items(_, items) = fixture.run("zrandmember z 3") else { panic!("items") };
        let mut members: Vec<_> = items.iter().collect();
        members.sort_unstable();
        members.dedup();
        assert_eq!(members.len(), 3);
    }
}

#[test]
fn a_difference_with_few_members_leaves_its_sources_as_they_were() {
    let mut fixture = Fixture::new();
    let members: Vec<String> = (0..1000).map(|number| format!("{number} m{number}")).collect();
    fixture.run(&format!("zadd big {}", members.join(" ")));
    let plain: Vec<String> = (0..200).map(|number| format!("m{number}")).collect();
    fixture.run(&format!("sadd plain {}", plain.join(" ")));
    fixture.check(&[
        ("zrangestore few big 200 299", ":100"),
        ("zdiffstore d 4 big plain few none", ":700"),
        ("zrange d 0 1 withscores", "[[$m300 ,300] [$m301 ,301]]"),
        ("zcard big", ":1000"),
        ("zdiff 4 plain big few none", "[]"),
        ("scard plain", ":200"),
    ]);
}

#[test]
fn sets_are_combined_with_weights() {
    Fixture::new().check(&[
        ("zadd a 1 x 2 y", ":2"),
        ("zadd b 10 y 20 z", ":2"),
        ("zunion 2 a b", "[$x $y $z]"),
        ("zunion 2 a b withscores", "[[$x ,1] [$y ,12] [$z ,20]]"),
        ("zunion 2 a b weights 2 -1 aggregate max withscores", "[[$z ,-20] [$x ,2] [$y ,4]]"),
        ("zinter 2 a b withscores", "[[$y ,12]]"),
        ("zinter 2 a b aggregate min withscores", "[[$y ,2]]"),
        ("zinter 2 a none", "[]"),
        ("zinter 2 a a withscores", "[[$x ,2] [$y ,4]]"),
        ("zdiff 2 a b withscores", "[[$x ,1]]"),
        ("zdiff 2 a a", "[]"),
        ("zintercard 2 a b", ":1"),
        ("zintercard 2 a a limit 1", ":1"),
        ("zintercard 2 a a limit 0", ":2"),
        ("zunionstore d 2 a b", ":3"),
        ("zrange d 0 -1", "[$x $y $z]"),
        ("zinterstore d 2 a b weights 1 0", ":1"),
        ("zscore d y", ",2"),
        ("zdiffstore d 2 a b", ":1"),
        ("zdiffstore d 2 a a", ":0"),
        ("exists d", ":0"),
        ("sadd plain x 7", ":2"),
        ("zunion 2 a plain withscores", "[[$7 ,1] [$x ,2] [$y ,2]]"),
        ("zinter 2 plain a weights 3 1 withscores", "[[$x ,4]]"),
        ("zdiff 2 a plain", "[$y]"),
        ("zintercard 2 plain a", ":1"),
        ("zadd i inf x", ":1"),
        ("zunion 1 i weights 0 withscores", "[[$x ,0]]"),
        ("zadd m -inf x", ":1"),
        ("zunion 2 i m withscores", "[[$x ,0]]"),
        ("zunion 0 a", "-ERR at least 1 input key is needed for 'zunion' command"),
        ("zunion x a", NOT_INTEGER),
        ("zunion 2 a", SYNTAX),
        ("zunion 1 a weights", SYNTAX),
        ("zunion 1 a weights x", "-ERR weight value is not a float"),
        ("zunion 1 a aggregate avg", SYNTAX),
        ("zdiff 1 a weights 1", SYNTAX),
        ("zunionstore d 1 a withscores", SYNTAX),
        ("zintercard 1 a limit -1", "-ERR LIMIT can't be negative"),
        ("zintercard 1 a limit", SYNTAX),
        ("set s x", "+OK"),
        ("zunion 1 s", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        // The source may be the destination.
        ("zunionstore a 2 a b", ":3"),
        ("zcard a", ":3"),
    ]);
}

#[test]
fn a_walk_finds_every_member_once() {
    let mut fixture = Fixture::new();
    for number in 0..500 {
        fixture.run(&format!("zadd z {number} member:{number}"));
    }
    fixture.check(&[("object encoding z", "$skiplist"), ("zrank z member:321", ":321")]);
    let (mut cursor, mut found) = ("0".to_owned(), Vec::new());
    loop {
        let Reply::Array(parts) = fixture.run(&format!("zscan z {cursor} count 7")) else {
            panic!("an array")
        };
        let [Reply::Text(next), Reply::Items(_, pairs)] = &parts[..] else { panic!("{parts:?}") };
        let pairs: Vec<&[u8]> = pairs.iter().collect();
        found.extend(pairs.chunks(2).map(<[&[u8]]>::concat));
        cursor = next.clone().into_owned();
        if cursor == "0" {
            break;
        }
    }
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 500);
    fixture.check(&[
        ("zadd small 1.5 a 2 b", ":2"),
        ("zscan small 0", "[$0 [$a $1.5 $b $2]]"),
        ("zscan small 0 match b count 1", "[$0 [$b $2]]"),
        ("zscan none 0 nonsense", "[$0 []]"),
        ("zscan small 0 type zset", SYNTAX),
        ("zscan small x", "-ERR invalid cursor"),
    ]);
}

#[test]
fn long_members_and_many_members_are_not_packed() {
    let mut fixture = Fixture::new();
    let long = "m".repeat(65);
    fixture.run(&format!("zadd z 1 {long}"));
    fixture.check(&[("object encoding z", "$skiplist"), ("zadd few 1 a 2 b", ":2")]);
    fixture.server.options.zset_max_listpack_entries = 2;
    fixture.check(&[
        ("zadd few 3 a", ":0"),
        ("object encoding few", "$listpack"),
        ("zadd few 3 c", ":1"),
        ("object encoding few", "$skiplist"),
        ("zrangestore d few 0 1", ":2"),
        ("object encoding d", "$listpack"),
        ("zunionstore d 1 few", ":3"),
        ("object encoding d", "$skiplist"),
        ("zpopmin d 3", "[[$b ,2] [$a ,3] [$c ,3]]"),
        ("exists d", ":0"),
    ]);
}

#[test]
fn events_are_those_of_redis() {
    let mut fixture = Fixture::new();
    fixture.check_events("zadd z 1 a", &["0 new z", "0 zadd z"]);
    fixture.check_events("zadd z 1 a", &[]);
    fixture.check_events("zadd z incr 1 a", &["0 zincr z"]);
    fixture.check_events("zincrby z 0 a", &[]);
    fixture.check_events("zunionstore d 1 z", &["0 new d", "0 zunionstore d"]);
    fixture.check_events("zinterstore d 1 z", &["0 zinterstore d"]);
    fixture.check_events("zdiffstore d 1 z", &["0 zdiffstore d"]);
    fixture.check_events("zrem z a", &["0 zrem z", "0 del z"]);
}

#[test]
fn scores_are_flat_in_resp2_and_pairs_in_resp3() {
    let mut fixture = Fixture::new();
    fixture.run("zadd z 1 a 1.5 b");
    for (request, resp2, resp3) in [
        ("zrange z 0 0 withscores", "*2\r\n$1\r\na\r\n$1\r\n1\r\n", "*1\r\n*2\r\n$1\r\na\r\n,1\r\n"),
        ("zscore z b", "$3\r\n1.5\r\n", ",1.5\r\n"),
        ("zpopmin z", "*2\r\n$1\r\na\r\n$1\r\n1\r\n", "*2\r\n$1\r\na\r\n,1\r\n"),
    ] {
        let reply = fixture.run(request);
        for (version, expected) in [(Version::Resp2, resp2), (Version::Resp3, resp3)] {
            let mut output = Vec::new();
            encode(&reply, version, &mut output);
            assert_eq!(String::from_utf8_lossy(&output), expected, "{request}");
        }
    }
}
