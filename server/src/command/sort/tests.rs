//! What SORT promises, as tables of requests and replies.

use crate::command::testing::Fixture;

const SYNTAX: &str = "-ERR syntax error";
const NOT_A_NUMBER: &str = "-ERR One or more scores can't be converted into double";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

fn filled() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("rpush l 10 9 2 1 30", ":5"),
        ("sadd s 3 1 2", ":3"),
        ("sadd words b a c", ":3"),
        ("zadd z 1 c 2 a 3 b", ":3"),
        ("mset w_1 5 w_2 4 w_9 -1 w_10 x name_1 one name_2 two", "+OK"),
        ("hset h_1 f 3 g gone->g", ":2"),
        ("hset h_2 f 2", ":1"),
        ("hset h_3 f 1", ":1"),
    ]);
    fixture
}

#[test]
fn elements_are_sorted_as_numbers_or_texts() {
    filled().check(&[
        ("sort l", "[$1 $2 $9 $10 $30]"),
        ("sort l desc", "[$30 $10 $9 $2 $1]"),
        ("sort l desc asc", "[$1 $2 $9 $10 $30]"),
        ("sort l alpha", "[$1 $10 $2 $30 $9]"),
        ("sort_ro l alpha desc", "[$9 $30 $2 $10 $1]"),
        ("sort s", "[$1 $2 $3]"),
        ("sort z alpha", "[$a $b $c]"),
        ("sort words", NOT_A_NUMBER),
        ("sort none", "[]"),
        ("sort w_1", WRONG_TYPE),
        ("sort h_1", WRONG_TYPE),
    ]);
}

#[test]
fn numbers_are_read_as_by_c() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("rpush l inf -inf \"\" \" 3\" 0x10 1e1 -0 \"2\\x00x\"", ":8"),
        ("sort l", "[$-inf $ $-0 $2\\x00x $ 3 $1e1 $0x10 $inf]"),
    ]);
    for wrong in ["x", "1x", "\"1 \"", "\" \"", "nan", "1e999"] {
        fixture.check(&[("del l", ":1")]);
        fixture.check(&[(&format!("rpush l 1 {wrong}"), ":2"), ("sort l", NOT_A_NUMBER)]);
    }
}

#[test]
fn a_part_of_the_order_can_be_asked_for() {
    filled().check(&[
        ("sort l limit 1 2", "[$2 $9]"),
        ("sort l limit 0 -1", "[$1 $2 $9 $10 $30]"),
        ("sort l limit 3 100", "[$10 $30]"),
        ("sort l limit -5 1", "[$1]"),
        ("sort l limit 9 1", "[]"),
        ("sort l limit 0 0", "[]"),
        ("sort l limit 9223372036854775807 9223372036854775807", "[]"),
        ("sort l limit 1 x", "-ERR value is not an integer or out of range"),
        ("sort l limit 1", SYNTAX),
    ]);
}

#[test]
fn weights_stand_at_other_keys_or_in_hashes() {
    filled().check(&[
        ("sort s by w_*", "[$3 $2 $1]"),
        ("sort s by h_*->f", "[$3 $2 $1]"),
        ("sort s by h_*->f desc limit 0 2", "[$1 $2]"),
        ("sort l by w_*", NOT_A_NUMBER),
        // Keys of another type are as good as none.
        ("sort s by h_*", "[$1 $2 $3]"),
        ("sort s by w_*->f", "[$1 $2 $3]"),
        ("sort l by w_* alpha", "[$30 $9 $2 $1 $10]"),
        ("sort l by none_* alpha desc", "[$10 $9 $2 $1 $30]"),
        ("sort s by", SYNTAX),
    ]);
}

#[test]
fn what_patterns_name_is_returned_instead_of_the_elements() {
    filled().check(&[
        ("sort s get name_*", "[$one $two nil]"),
        ("sort s get # get name_* get h_*->f", "[$1 $one $3 $2 $two $2 $3 nil $1]"),
        ("sort s get name_1", "[nil nil nil]"),
        ("sort s get h_*", "[nil nil nil]"),
        ("sort s get h_*-> limit 0 1", "[nil]"),
        ("sort s get h_*->g limit 0 1", "[$gone->g]"),
        ("sort s limit 0 1 get # get #", "[$1 $1]"),
        ("sort none get name_*", "[]"),
        ("sort s get", SYNTAX),
    ]);
}

#[test]
fn what_is_not_sorted_keeps_its_own_order() {
    filled().check(&[
        ("sort l by nosort", "[$10 $9 $2 $1 $30]"),
        ("sort l by nosort desc", "[$30 $1 $2 $9 $10]"),
        ("sort l by nosort limit 1 2", "[$9 $2]"),
        ("sort l by nosort desc limit 1 2", "[$1 $2]"),
        ("sort z by nosort", "[$c $a $b]"),
        ("sort z by nosort desc", "[$b $a $c]"),
        ("sort z by nosort limit 1 1", "[$a]"),
        ("sort z by nosort desc limit 0 2", "[$b $a]"),
        ("sort z by nosort desc limit 5 1", "[]"),
        ("sort s by nosort limit 1 1 desc", "[$2]"),
        ("sort words by nosort get #", "[$b $a $c]"),
        // A pattern that comes later does not take it back.
        ("sort l by nosort by w_*", "[$10 $9 $2 $1 $30]"),
    ]);
}

#[test]
fn an_unsorted_set_is_stored_in_the_order_of_its_texts() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("sadd s 10 9 1", ":3"),
        ("sort s by nosort store d", ":3"),
        ("lrange d 0 -1", "[$1 $10 $9]"),
        ("sort s by nosort desc store d", ":3"),
        ("lrange d 0 -1", "[$9 $10 $1]"),
    ]);
    let reply = fixture.with_context(|context| {
        context.mailbox = None;
        super::sort(context, &[b"sort", b"s", b"by", b"nosort"])
    });
    let expected = [b"1".as_slice(), b"10", b"9"].into_iter().collect();
    assert_eq!(reply, Ok(crate::protocol::Reply::Items(crate::protocol::Shape::Array, expected)));
}

#[test]
fn results_replace_what_was_at_the_destination() {
    let mut fixture = filled();
    fixture.check(&[
        ("set d x ex 100", "+OK"),
        ("sort l store e store d", ":5"),
        ("lrange d 0 -1", "[$1 $2 $9 $10 $30]"),
        ("ttl d", ":-1"),
        ("exists e", ":0"),
        ("sort s get name_* get # store s", ":6"),
        ("lrange s 0 -1", "[$one $1 $two $2 $ $3]"),
        ("sort words store d", NOT_A_NUMBER),
        ("llen d", ":5"),
        ("sort none store e", ":0"),
        ("sort l store", SYNTAX),
        ("sort_ro l store d", SYNTAX),
        ("sort w_1 store d", WRONG_TYPE),
    ]);
    fixture.check_events("sort l store e", &["0 new e", "0 sortstore e"]);
    fixture.check_events("sort l store e", &["0 sortstore e"]);
    fixture.check_events("sort l limit 9 1 store e", &["0 del e"]);
    fixture.check_events("sort none get name_* store e", &["0 keymiss none"]);
    fixture.check_events(
        "sort l by none_* limit 0 1 get name_*",
        &[
            "0 keymiss none_10",
            "0 keymiss none_9",
            "0 keymiss none_2",
            "0 keymiss none_1",
            "0 keymiss none_30",
        ],
    );
}
