//! Promises of the hash commands.

use super::super::testing::Fixture;
use super::*;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn fields_come_change_and_go() {
    let arity = "-ERR wrong number of arguments for 'hset' command";
    Fixture::new().check(&[
        ("hset k a 1 b 2 a 3", ":2"),
        ("hset k b 4 c", arity),
        ("hmset k b 1 c", "-ERR wrong number of arguments for 'hmset' command"),
        ("hmset k c ''", "+OK"),
        ("object encoding k", "$listpack"),
        ("hgetall k", "[$a $3 $b $2 $c $]"),
        ("hkeys k", "[$a $b $c]"),
        ("hvals k", "[$3 $2 $]"),
        ("hlen k", ":3"),
        ("hget k a", "$3"),
        ("hget k x", "nil"),
        ("hmget k a x c", "[$3 nil $]"),
        ("hmget none a x", "[nil nil]"),
        ("hexists k c", ":1"),
        ("hexists k x", ":0"),
        ("hstrlen k a", ":1"),
        ("hstrlen k x", ":0"),
        ("hsetnx k a 9", ":0"),
        ("hsetnx k d 9", ":1"),
        ("hdel k a x d a", ":2"),
        ("hdel none a", ":0"),
        ("hdel k b c", ":2"),
        ("exists k", ":0"),
        ("hgetall k", "[]"),
        ("hkeys k", "[]"),
        ("set s x", "+OK"),
        ("hset s a 1", WRONG_TYPE),
        ("hget s a", WRONG_TYPE),
        ("hdel s a", WRONG_TYPE),
        ("hlen s", WRONG_TYPE),
    ]);
}

#[test]
fn events_are_those_of_redis() {
    let mut fixture = Fixture::new();
    fixture.check_events("hset k a 1 b 2", &["0 new k", "0 hset k"]);
    fixture.check_events("hsetnx k a 1", &[]);
    fixture.check_events("hsetnx k c x", &["0 hset k"]);
    fixture.check_events("hincrby k a 1", &["0 hincrby k"]);
    fixture.check_events("hincrbyfloat k a 1", &["0 hincrbyfloat k"]);
    fixture.check_events("hincrby k c 1", &[]);
    fixture.check_events("hincrbyfloat new a x", &[]);
    fixture.check_events("hdel k x", &[]);
    fixture.check_events("hdel k a b", &["0 hdel k"]);
    fixture.check_events("hdel k c", &["0 hdel k", "0 del k"]);
}

#[test]
fn numbers_in_fields_are_added_within_their_range() {
    let not_an_integer = "-ERR hash value is not an integer";
    let not_a_float = "-ERR hash value is not a float";
    Fixture::new().check(&[
        ("hincrby k n 5", ":5"),
        ("hincrby k n -7", ":-2"),
        ("hincrby k n x", "-ERR value is not an integer or out of range"),
        ("hset k max 9223372036854775807 text x space ' 1'", ":3"),
        ("hincrby k max 1", "-ERR increment or decrement would overflow"),
        ("hincrby k text 1", not_an_integer),
        ("hincrby k space 1", not_an_integer),
        ("hincrbyfloat k f 0.1", "$0.1"),
        ("hincrbyfloat k f 0.2", "$0.3"),
        ("hincrby k f 1", not_an_integer),
        ("hincrbyfloat k text 1", not_a_float),
        ("hincrbyfloat k space 1", not_a_float),
        ("hincrbyfloat k f x", "-ERR value is not a valid float"),
        ("hincrbyfloat k f -inf", "-ERR value is NaN or Infinity"),
        ("hset k inf inf", ":1"),
        ("hincrbyfloat k inf 1", "-ERR increment would produce NaN or Infinity"),
        ("hmget k n max f", "[$-2 $9223372036854775807 $0.3]"),
        ("hincrbyfloat new f inf", "-ERR value is NaN or Infinity"),
        ("exists new", ":0"),
    ]);
}

#[test]
fn the_form_follows_from_number_and_length() {
    let mut fixture = Fixture::new();
    let fields = |count: usize| (0..count).map(|number| format!("f{number} v")).collect::<Vec<_>>().join(" ");
    let long = |len: usize| "x".repeat(len);
    for (request, encoding) in [
        (fields(512), "$listpack"),
        (fields(513), "$hashtable"),
        (format!("f {}", long(64)), "$listpack"),
        (format!("f {}", long(65)), "$hashtable"),
        (format!("{} v", long(65)), "$hashtable"),
    ] {
        fixture.run("del k");
        fixture.run(&format!("hset k {request}"));
        fixture.check(&[("object encoding k", encoding)]);
    }
}

#[test]
fn random_fields_come_as_asked_for() {
    let range = "-ERR value is out of range";
    Fixture::new().check(&[
        ("hset k a 1", ":1"),
        ("hrandfield k", "$a"),
        ("hrandfield k 2", "[$a]"),
        ("hrandfield k -2", "[$a $a]"),
        ("hrandfield k 2 withvalues", "[$a $1]"),
        ("hrandfield k -2 WITHVALUES", "[$a $1 $a $1]"),
        ("hrandfield k 0", "[]"),
        ("hrandfield none", "nil"),
        ("hrandfield none -2", "[]"),
        ("hrandfield k x", "-ERR value is not an integer or out of range"),
        ("hrandfield k 1 x", "-ERR syntax error"),
        ("hrandfield k 1 withvalues x", "-ERR syntax error"),
        ("hrandfield k 4611686018427387903 withvalues", "[$a $1]"),
        ("hrandfield k 4611686018427387904 withvalues", range),
        ("hrandfield k 9223372036854775807", "[$a]"),
    ]);
}

#[test]
fn random_fields_of_big_hashes_have_their_own_values() {
    let mut fixture = Fixture::new();
    let fields: Vec<String> = (0..2000).map(|number| format!("f{number} v{number}")).collect();
    fixture.run(&format!("hset k {}", fields.join(" ")));
    for count in [5, 1500, -100] {
        let Reply::Items(Shape::Pairs, items) = fixture.run(&format!("hrandfield k {count} withvalues"))
        else {
            panic!("items")
        };
        let items: Vec<&[u8]> = items.iter().collect();
        assert_eq!(items.len() as i64, 2 * i64::abs(count));
        assert!(items.as_chunks().0.iter().all(|[field, value]| field[1..] == value[1..]));
        let fields: std::collections::HashSet<_> = items.chunks(2).map(|pair| pair[0]).collect();
        assert!(count < 0 || fields.len() as i64 == count);
    }
}

#[test]
fn a_hash_is_walked_in_steps() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("hset k a 1 b 2", ":2"),
        ("hscan k 0", "[$0 [$a $1 $b $2]]"),
        ("hscan k 0 novalues", "[$0 [$a $b]]"),
        ("hscan k 0 match b count 1", "[$0 [$b $2]]"),
        ("hscan none 0 what", "[$0 []]"),
        ("hscan k x", "-ERR invalid cursor"),
        ("hscan k 0 what", "-ERR syntax error"),
        ("hscan k 0 count", "-ERR syntax error"),
        ("hscan k 0 count 0", "-ERR syntax error"),
    ]);
}
