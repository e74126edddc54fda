//! The expected replies are those of redis-server 7.0.

use super::super::testing::Fixture;
use crate::protocol::Version;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
const INVALID_ID: &str = "-ERR Invalid stream ID specified as stream command argument";
const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range";
const SYNTAX: &str = "-ERR syntax error";

#[test]
fn entries_get_rising_ids() {
    const TOO_SMALL: &str =
        "-ERR The ID specified in XADD is equal or smaller than the target stream top item";
    const EXHAUSTED: &str = "-ERR The stream has exhausted the last possible ID, unable to add more items";
    Fixture::new().check(&[
        ("xadd s 1-1 a 1", "$1-1"),
        ("xadd s 1-1 a 1", TOO_SMALL),
        ("xadd s 0-0 a 1", "-ERR The ID specified in XADD must be greater than 0-0"),
        ("xadd s 1 a b c", "-ERR wrong number of arguments for 'xadd' command"),
        ("xadd s 1-2 a 1 b", "-ERR wrong number of arguments for 'xadd' command"),
        ("xadd s maxlen 1 nomkstream nomkstream", "-ERR wrong number of arguments for 'xadd' command"),
        ("xadd s abc a 1", INVALID_ID),
        ("xadd s 1-* a 1", "$1-2"),
        ("xadd s 5-* a 1", "$5-0"),
        ("xadd s 7 a 1", "$7-0"),
        ("xadd s * a 1", "$1704067200000-0"),
        ("xadd s * a 1", "$1704067200000-1"),
        ("xadd n nomkstream * a 1", "nil"),
        ("exists n", ":0"),
        ("xadd n 0-* a 1", "$0-1"),
        (
            "xadd s 18446744073709551615-18446744073709551615 a 1",
            "$18446744073709551615-18446744073709551615",
        ),
        ("xadd s * a 1", EXHAUSTED),
        ("xadd s 5-* a 1", EXHAUSTED),
        ("xlen s", ":7"),
        ("type s", "+stream"),
        ("object encoding s", "$stream"),
        ("set str x", "+OK"),
        ("xadd str * a 1", WRONG_TYPE),
    ]);
}

#[test]
fn streams_are_trimmed_as_asked() {
    let mut fixture = Fixture::new();
    for number in 1..=250 {
        fixture.run(&format!("xadd s {number} f v"));
    }
    fixture.check(&[
        ("xtrim s maxlen ~ 100", ":100"),
        ("xtrim s maxlen 148", ":2"),
        ("xtrim s minid 105", ":2"),
        ("xtrim s minid ~ 150", ":0"),
        ("xtrim s maxlen ~ 0 limit 96", ":96"),
        ("xadd s maxlen = 10 300 f v", "$300-0"),
        ("xlen s", ":10"),
        ("xrange s - + count 1", "[[$242-0 [$f $v]]]"),
        ("xadd s minid 299 * f v", "$1704067200000-0"),
        ("xlen s", ":2"),
        ("xtrim none maxlen 5", ":0"),
    ]);
    let trimming = "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible";
    let strategy = "-ERR syntax error, LIMIT cannot be used without specifying a trimming strategy";
    let tilde = "-ERR syntax error, LIMIT cannot be used without the special ~ option";
    fixture.check(&[
        ("xadd s maxlen 5 minid 3 * a 1", trimming),
        ("xadd s maxlen -1 * a 1", "-ERR The MAXLEN argument must be >= 0."),
        ("xadd s maxlen abc * a 1", NOT_AN_INTEGER),
        ("xadd s maxlen 5 limit 3 * a 1", tilde),
        ("xadd s limit 3 * a 1", strategy),
        ("xadd s maxlen ~ 5 limit -3 * a 1", "-ERR The LIMIT argument must be >= 0."),
        ("xtrim s limit 5", strategy),
        ("xtrim s limit 0", "-ERR syntax error, XTRIM must be called with a trimming strategy"),
        ("xtrim s maxlen 5 foo", SYNTAX),
        ("xtrim s foo 5", SYNTAX),
        ("xtrim s minid abc", INVALID_ID),
    ]);
}

#[test]
fn ranges_are_read_in_either_direction() {
    Fixture::new().check(&[
        ("xadd s 1-1 a 1", "$1-1"),
        ("xadd s 1-2 a 2 b x", "$1-2"),
        ("xadd s 2-0 a 3", "$2-0"),
        ("xrange s - +", "[[$1-1 [$a $1]] [$1-2 [$a $2 $b $x]] [$2-0 [$a $3]]]"),
        ("xrevrange s + -", "[[$2-0 [$a $3]] [$1-2 [$a $2 $b $x]] [$1-1 [$a $1]]]"),
        ("xrange s 1 1", "[[$1-1 [$a $1]] [$1-2 [$a $2 $b $x]]]"),
        ("xrange s (1-1 (2-0", "[[$1-2 [$a $2 $b $x]]]"),
        ("xrevrange s + - count 1", "[[$2-0 [$a $3]]]"),
        ("xrange s 2 1", "[]"),
        ("xrange s - + count 0", "nil"),
        ("xrange none - + count 0", "[]"),
        ("xrange s - + count x", NOT_AN_INTEGER),
        ("xrange s - + foo", SYNTAX),
        ("xrange s a b", INVALID_ID),
        ("xrange s (- +", INVALID_ID),
        ("xrange s (18446744073709551615-18446744073709551615 +", "-ERR invalid start ID for the interval"),
        ("xrange s - (0-0", "-ERR invalid end ID for the interval"),
        ("xdel s 1-1 1-1 9-9", ":1"),
        ("xdel s 1-1 abc", INVALID_ID),
        ("xdel none abc", ":0"),
        ("xrange s - +", "[[$1-2 [$a $2 $b $x]] [$2-0 [$a $3]]]"),
        ("xdel s 1-2 2-0", ":2"),
        ("xlen s", ":0"),
        ("exists s", ":1"),
    ]);
}

#[test]
fn the_last_id_is_set_within_bounds() {
    let deleted = "-ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id";
    Fixture::new().check(&[
        ("xadd s 5-1 a 1", "$5-1"),
        ("xsetid s 0", "-ERR The ID specified in XSETID is smaller than the target stream top item"),
        ("xsetid s 9-9 entriesadded 7 maxdeletedid 6", "+OK"),
        (
            "xinfo stream s",
            "{$length: :1, $radix-tree-keys: :1, $radix-tree-nodes: :2, $last-generated-id: $9-9, \
          $max-deleted-entry-id: $6-0, $entries-added: :7, $recorded-first-entry-id: $5-1, $groups: :0, \
          $first-entry: [$5-1 [$a $1]], $last-entry: [$5-1 [$a $1]]}",
        ),
        ("xsetid s 5-9", "-ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"),
        (
            "xsetid s 9-9 entriesadded 0",
            "-ERR The entries_added specified in XSETID is smaller than the target stream length",
        ),
        ("xsetid s 9-9 entriesadded -1", "-ERR entries_added must be positive"),
        ("xsetid s 9 maxdeletedid 9-1", deleted),
        ("xsetid s 9-9 foo 1", SYNTAX),
        ("xsetid s 9-9 entriesadded", SYNTAX),
        ("xsetid none 5", "-ERR no such key"),
        ("xsetid s abc", INVALID_ID),
    ]);
}

#[test]
fn what_is_new_is_read_from_several_streams() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("xadd s 1-1 a 1", "$1-1"),
        ("xadd t 2-1 a 2", "$2-1"),
        ("xread streams s t 0 0", "[[$s [[$1-1 [$a $1]]]] [$t [[$2-1 [$a $2]]]]]"),
        ("xread count 1 streams s t 1-1 0", "[[$t [[$2-1 [$a $2]]]]]"),
        ("xread streams s t $ $", "nil"),
        ("xread streams s t + +", "[[$s [[$1-1 [$a $1]]]] [$t [[$2-1 [$a $2]]]]]"),
        ("xread streams none +", "nil"),
        ("xadd t 2-2 a 3", "$2-2"),
        ("xread count 9 streams t +", "[[$t [[$2-2 [$a $3]]]]]"),
        ("xdel t 2-2", ":1"),
        ("xread count 9 streams t +", "[[$t [[$2-1 [$a $2]]]]]"),
        ("xread block 1 streams none 0", "nil"),
        ("xread streams s 18446744073709551615-18446744073709551615", "nil"),
        ("xread count -1 streams s 0", "[[$s [[$1-1 [$a $1]]]]]"),
        ("xread streams s x", INVALID_ID),
        ("xread count x streams s 0", NOT_AN_INTEGER),
        ("xread foo streams s 0", SYNTAX),
        ("xread block -1 streams s 0", "-ERR timeout is negative"),
        ("xread block x streams s 0", "-ERR timeout is not an integer or out of range"),
        (
            "xread group g c streams s 0",
            "-ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
        ),
        (
            "xread noack streams s 0",
            "-ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
        ),
        (
            "xread streams s >",
            "-ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
        ),
        (
            "xread streams s t 0",
            "-ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
        ),
        ("xread count 1 count 2", SYNTAX),
        ("set str x", "+OK"),
        ("xread streams str $", WRONG_TYPE),
    ]);
    fixture.session.version = Version::Resp3;
    fixture.check(&[("xread streams s t 0 2-1", "{$s: [[$1-1 [$a $1]]]}")]);
}

#[test]
fn groups_share_entries_and_remember_who_has_them() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("xadd s 1-1 a 1", "$1-1"),
        ("xadd s 1-2 a 2", "$1-2"),
        ("xadd s 1-3 a 3", "$1-3"),
        ("xgroup create s g 0", "+OK"),
        ("xreadgroup group g alice count 2 streams s >", "[[$s [[$1-1 [$a $1]] [$1-2 [$a $2]]]]]"),
        ("xreadgroup group g bob streams s >", "[[$s [[$1-3 [$a $3]]]]]"),
        ("xreadgroup group g bob streams s >", "nil"),
        ("xpending s g", "[:3 $1-1 $1-3 [[$alice $2] [$bob $1]]]"),
        ("xpending s g - + 10", "[[$1-1 $alice :0 :1] [$1-2 $alice :0 :1] [$1-3 $bob :0 :1]]"),
        ("xpending s g (1-1 + 10 alice", "[[$1-2 $alice :0 :1]]"),
        ("xpending s g - + 10 nobody", "[]"),
        ("xpending s g idle 1 - + 10", "[]"),
        ("xack s g 1-1 9-9", ":1"),
        ("xdel s 1-2", ":1"),
        ("xreadgroup group g alice streams s 0", "[[$s [[$1-2 nil]]]]"),
        ("xreadgroup group g bob streams s s 0 1-3", "[[$s [[$1-3 [$a $3]]]] [$s []]]"),
        ("xpending s g - + 10 bob", "[[$1-3 $bob :0 :2]]"),
        ("xgroup delconsumer s g alice", ":1"),
        ("xgroup delconsumer s g alice", ":0"),
        ("xpending s g", "[:1 $1-3 $1-3 [[$bob $1]]]"),
        ("xgroup setid s g 0 entriesread 0", "+OK"),
        ("xreadgroup group g alice noack streams s >", "[[$s [[$1-1 [$a $1]] [$1-3 [$a $3]]]]]"),
        ("xgroup setid s g 1-1", "+OK"),
        ("xreadgroup group g alice streams s >", "[[$s [[$1-3 [$a $3]]]]]"),
        ("xpending s g - + 10", "[[$1-3 $alice :0 :1]]"),
        ("xack s g 1-3", ":1"),
        ("xpending s g", "[:0 nil nil nil]"),
        ("xgroup destroy s g", ":1"),
        ("xgroup destroy s g", ":0"),
    ]);
    fixture.session.version = Version::Resp3;
    fixture.check(&[
        ("xgroup create s g 0", "+OK"),
        ("xreadgroup group g alice count 1 streams s >", "{$s: [[$1-1 [$a $1]]]}"),
    ]);
}

#[test]
fn groups_are_made_under_conditions() {
    const NO_STREAM: &str = "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to \
         use the MKSTREAM option to create an empty stream automatically.";
    let wrong_create = "-ERR unknown subcommand or wrong number of arguments for 'create'. Try XGROUP HELP.";
    let wrong_setid = "-ERR unknown subcommand or wrong number of arguments for 'setid'. Try XGROUP HELP.";
    let no_group = "-NOGROUP No such consumer group 'nog' for key name 's'";
    Fixture::new().check(&[
        ("xgroup create s g $", NO_STREAM),
        ("xgroup create s g $ mkstream", "+OK"),
        ("xgroup create s g $", "-BUSYGROUP Consumer Group name already exists"),
        ("xlen s", ":0"),
        ("xgroup create s h abc", INVALID_ID),
        ("xgroup create s h -", INVALID_ID),
        ("xgroup create s h 0 entriesread -2", "-ERR value for ENTRIESREAD must be positive or -1"),
        ("xgroup create s h 0 entriesread x", NOT_AN_INTEGER),
        ("xgroup create s h 0 foo", wrong_create),
        ("xgroup create s h 0 mkstream mkstream entriesread 1 mkstream mkstream", wrong_create),
        ("xgroup setid s g -", "+OK"),
        ("xgroup setid s g $ entriesread 2", "+OK"),
        ("xgroup setid s g 0 mkstream", wrong_setid),
        ("xgroup setid s nog 0", no_group),
        ("xgroup setid none g 0", NO_STREAM),
        ("xgroup createconsumer s g c", ":1"),
        ("xgroup createconsumer s g c", ":0"),
        ("xgroup createconsumer s nog c", no_group),
        ("xgroup createconsumer none g c", NO_STREAM),
        ("xgroup delconsumer s nog c", no_group),
        ("xgroup destroy none g", NO_STREAM),
        ("set str x", "+OK"),
        ("xgroup create str g 0 mkstream", WRONG_TYPE),
        (
            "xreadgroup group nog c streams s >",
            "-NOGROUP No such key 's' or consumer group 'nog' in XREADGROUP with GROUP option",
        ),
        ("xreadgroup count 1 streams s s s > > >", "-ERR Missing GROUP option for XREADGROUP"),
        (
            "xreadgroup group g c streams s $",
            "-ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer \
             by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty \
             result set.",
        ),
        (
            "xreadgroup group g c streams s +",
            "-ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer \
             by specifying a proper ID, or use the > ID to get new messages. The + ID would just return an empty \
             result set.",
        ),
    ]);
}

#[test]
fn pending_entries_are_claimed() {
    let no_group = "-NOGROUP No such key 's' or consumer group 'nog'";
    Fixture::new().check(&[
        ("xadd s 1-1 a 1", "$1-1"),
        ("xadd s 1-2 a 2", "$1-2"),
        ("xadd s 1-3 a 3", "$1-3"),
        ("xgroup create s g 0", "+OK"),
        ("xclaim s g bob 0 1-1", "[]"),
        ("xautoclaim s g bob 0 0", "[$0-0 [] []]"),
        ("xinfo consumers s g", "[]"),
        ("xreadgroup group g alice count 2 streams s >", "[[$s [[$1-1 [$a $1]] [$1-2 [$a $2]]]]]"),
        ("xclaim s g bob 1 1-1", "[]"),
        ("xclaim s g bob 0 1-1 1-3 justid", "[$1-1]"),
        ("xclaim s g bob 0 1-1 1-1 retrycount -7", "[[$1-1 [$a $1]] [$1-1 [$a $1]]]"),
        ("xpending s g - + 10", "[[$1-1 $bob :0 :3] [$1-2 $alice :0 :1]]"),
        ("xclaim s g bob 0 1-3 force", "[[$1-3 [$a $3]]]"),
        ("xclaim s g bob 0 1-3 idle 1000 retrycount 7 lastid 9-9", "[[$1-3 [$a $3]]]"),
        ("xpending s g idle 1000 - + 10", "[[$1-3 $bob :1000 :7]]"),
        ("xclaim s g bob 0 1-3 time 1704067199000 justid", "[$1-3]"),
        ("xclaim s g bob 0 1-3 time 9704067199000 justid", "[$1-3]"),
        ("xdel s 1-1", ":1"),
        ("xautoclaim s g carol 0 0 count 1", "[$1-2 [] [$1-1]]"),
        ("xautoclaim s g carol 0 0 count 1", "[$1-3 [[$1-2 [$a $2]]] []]"),
        ("xautoclaim s g carol 0 (1-2 justid", "[$0-0 [$1-3] []]"),
        ("xautoclaim s g carol 1 0", "[$0-0 [] []]"),
        ("xdel s 1-2", ":1"),
        ("xclaim s g bob 0 1-2", "[]"),
        ("xpending s g", "[:1 $1-3 $1-3 [[$carol $1]]]"),
        ("xclaim s g c 0 abc", "-ERR Unrecognized XCLAIM option 'abc'"),
        ("xclaim s g c x 0-1", "-ERR Invalid min-idle-time argument for XCLAIM"),
        ("xclaim s nog c 0 0-1", no_group),
        ("xclaim s g c 0 0-1 idle", "-ERR Unrecognized XCLAIM option 'idle'"),
        ("xclaim s g c 0 0-1 idle x", "-ERR Invalid IDLE option argument for XCLAIM"),
        ("xclaim s g c 0 0-1 time x", "-ERR Invalid TIME option argument for XCLAIM"),
        ("xclaim s g c 0 0-1 retrycount x", "-ERR Invalid RETRYCOUNT option argument for XCLAIM"),
        ("xclaim s g c 0 0-1 lastid x", INVALID_ID),
        ("xautoclaim s g c 0 0 count 0", "-ERR COUNT must be > 0"),
        ("xautoclaim s g c x 0", "-ERR Invalid min-idle-time argument for XAUTOCLAIM"),
        ("xautoclaim s g c 0 x", INVALID_ID),
        ("xautoclaim s g c 0 0 foo", SYNTAX),
        ("xautoclaim s nog c 0 0", no_group),
        ("xpending s nog", no_group),
        ("xpending s g idle 0 - +", SYNTAX),
        ("xpending s g idle x - + 10", NOT_AN_INTEGER),
        ("xpending s g - +", SYNTAX),
        ("xpending s g - + x", NOT_AN_INTEGER),
        ("xpending s g - + -1", "[]"),
        ("xpending s g idle 0 - + 10 c d", SYNTAX),
        ("xack s nog abc", ":0"),
        ("xack none g abc", ":0"),
        ("xack s g abc", INVALID_ID),
    ]);
}

#[test]
fn a_stream_is_described_with_its_groups() {
    let wrong = "-ERR unknown subcommand or wrong number of arguments for 'stream'. Try XINFO HELP.";
    Fixture::new().check(&[
        ("xadd s 1-1 a 1", "$1-1"),
        ("xadd s 1-2 a 2", "$1-2"),
        ("xgroup create s g 0", "+OK"),
        ("xgroup createconsumer s g alice", ":1"),
        (
            "xinfo groups s",
            "[{$name: $g, $consumers: :1, $pending: :0, $last-delivered-id: $0-0, $entries-read: nil, $lag: :2}]",
        ),
        ("xreadgroup group g bob count 1 streams s >", "[[$s [[$1-1 [$a $1]]]]]"),
        (
            "xinfo groups s",
            "[{$name: $g, $consumers: :2, $pending: :1, $last-delivered-id: $1-1, $entries-read: :1, $lag: :1}]",
        ),
        (
            "xinfo consumers s g",
            "[{$name: $alice, $pending: :0, $idle: :0, $inactive: :-1} {$name: $bob, $pending: :1, $idle: :0, \
             $inactive: :0}]",
        ),
        (
            "xinfo stream s full count 1",
            "{$length: :2, $radix-tree-keys: :1, $radix-tree-nodes: :2, $last-generated-id: $1-2, \
             $max-deleted-entry-id: $0-0, $entries-added: :2, $recorded-first-entry-id: $1-1, \
             $entries: [[$1-1 [$a $1]]], $groups: [{$name: $g, $last-delivered-id: $1-1, $entries-read: :1, $lag: :1, \
             $pel-count: :1, $pending: [[$1-1 $bob :1704067200000 :1]], \
             $consumers: [{$name: $alice, $seen-time: :1704067200000, $active-time: :-1, $pel-count: :0, $pending: []} \
             {$name: $bob, $seen-time: :1704067200000, $active-time: :1704067200000, $pel-count: :1, \
             $pending: [[$1-1 :1704067200000 :1]]}]}]}",
        ),
        ("xdel s 1-2", ":1"),
        (
            "xinfo groups s",
            "[{$name: $g, $consumers: :2, $pending: :1, $last-delivered-id: $1-1, $entries-read: :1, $lag: nil}]",
        ),
        ("xinfo stream s full count x", NOT_AN_INTEGER),
        ("xinfo stream s full foo", wrong),
        ("xinfo stream s foo", wrong),
        ("xinfo stream none", "-ERR no such key"),
        ("xinfo groups none", "-ERR no such key"),
        ("xinfo consumers none g", "-ERR no such key"),
        ("xinfo consumers s nog", "-NOGROUP No such consumer group 'nog' for key name 's'"),
        ("xgroup create e g $ mkstream", "+OK"),
        (
            "xinfo stream e",
            "{$length: :0, $radix-tree-keys: :0, $radix-tree-nodes: :1, $last-generated-id: $0-0, \
             $max-deleted-entry-id: $0-0, $entries-added: :0, $recorded-first-entry-id: $0-0, $groups: :1, \
             $first-entry: nil, $last-entry: nil}",
        ),
    ]);
}

#[test]
fn changes_are_announced_as_redis_does() {
    let mut fixture = Fixture::new();
    fixture.check_events("xadd s 1-1 a 1", &["0 new s", "0 xadd s"]);
    fixture.check_events("xadd s maxlen 1 1-2 a 1", &["0 xadd s", "0 xtrim s"]);
    fixture.check_events("xadd s maxlen 9 1-3 a 1", &["0 xadd s"]);
    fixture.check_events("xtrim s maxlen 9", &[]);
    fixture.check_events("xdel s 9-9", &[]);
    fixture.check_events("xsetid s 1-3", &["0 xsetid s"]);
    fixture.check_events("xsetid s 1-4", &["0 xsetid s"]);
    fixture.check_events("xgroup create s g 0", &["0 xgroup-create s"]);
    fixture.check_events("xgroup setid s g 0", &["0 xgroup-setid s"]);
    fixture.check_events("xreadgroup group g alice count 1 streams s >", &["0 xgroup-createconsumer s"]);
    fixture.check_events("xreadgroup group g alice streams s >", &[]);
    fixture.check_events("xreadgroup group g eve streams s >", &[]);
    fixture.check_events("xclaim s g bob 0 9-9", &[]);
    fixture.check_events("xclaim s g bob 0 1-2", &["0 xgroup-createconsumer s"]);
    fixture.check_events("xautoclaim s g carol 0 0", &["0 xgroup-createconsumer s"]);
    fixture.check_events("xgroup createconsumer s g dora", &["0 xgroup-createconsumer s"]);
    fixture.check_events("xgroup createconsumer s g dora", &[]);
    fixture.check_events("xack s g 1-2", &[]);
    fixture.check_events("xgroup delconsumer s g dora", &["0 xgroup-delconsumer s"]);
    fixture.check_events("xgroup destroy s g", &["0 xgroup-destroy s"]);
    fixture.check_events("xdel s 1-2 1-3", &["0 xdel s"]);
}

#[test]
fn a_change_of_a_long_stream_journals_little() {
    let mut fixture = Fixture::new();
    fixture.run("xgroup create s g 0 mkstream");
    for number in 1..=5000 {
        fixture.run(&format!("xadd s {number} field value"));
    }
    fixture.run("xreadgroup group g alice count 3000 streams s >");
    for request in [
        "xadd s * field value",
        "xdel s 2000-0",
        "xreadgroup group g bob count 1 streams s >",
        "xack s g 1000-0",
        "xclaim s g bob 0 1500-0",
    ] {
        let before = fixture.keyspace.journal().pending_bytes();
        fixture.run(request);
        let written = fixture.keyspace.journal().pending_bytes() - before;
        assert!((1..200).contains(&written), "{request}: {written} bytes");
    }
}
