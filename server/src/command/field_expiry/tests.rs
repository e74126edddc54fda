//! Promises of the ends of fields.

use super::super::testing::Fixture;

/// The fixture's time in milliseconds, and one when fields with a life of a second have ended.
const NOW_MS: u64 = 1_704_067_200_000;

#[test]
fn ends_are_set_under_conditions() {
    Fixture::new().check(&[
        ("hset k a 1 b 2 c 3", ":3"),
        ("object encoding k", "$listpack"),
        ("hexpire k 100 fields 2 a x", "[:1 :-2]"),
        ("object encoding k", "$listpackex"),
        ("hexpire k 200 nx fields 2 a b", "[:0 :1]"),
        ("hexpire k 300 XX fields 2 a c", "[:1 :0]"),
        ("hexpire k 250 gt fields 3 a b c", "[:0 :1 :0]"),
        ("hexpire k 250 lt fields 3 a b c", "[:1 :0 :1]"),
        ("httl k fields 4 a b c x", "[:250 :250 :250 :-2]"),
        ("hpexpire k 1501 fields 1 a", "[:1]"),
        ("hpttl k fields 1 a", "[:1501]"),
        ("httl k fields 1 a", "[:2]"),
        ("hpexpiretime k fields 1 a", "[:1704067201501]"),
        ("hexpiretime k fields 1 a", "[:1704067202]"),
        ("hexpireat k 2704067200 fields 1 a", "[:1]"),
        ("hexpiretime k fields 1 a", "[:2704067200]"),
        ("hpersist k fields 3 a a x", "[:1 :-1 :-2]"),
        ("httl k fields 1 a", "[:-1]"),
        ("hexpire k 0 fields 2 a a", "[:2 :-2]"),
        ("hpexpireat k 1704067200000 fields 1 b", "[:2]"),
        ("hgetall k", "[$c $3]"),
        ("hpersist k fields 1 c", "[:1]"),
        ("object encoding k", "$listpack"),
        ("hpexpireat k 5 fields 1 c", "[:2]"),
        ("exists k", ":0"),
        ("hexpire none 5 fields 2 a b", "[:-2 :-2]"),
        ("httl none fields 1 a", "[:-2]"),
        ("hpersist none fields 1 a", "[:-2]"),
    ]);
}

#[test]
fn fields_are_gone_when_their_end_has_come() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("hset k a 1 b 2 c 3", ":3"),
        ("hpexpire k 1000 fields 2 a b", "[:1 :1]"),
        ("hset l a 1", ":1"),
        ("hpexpire l 1000 fields 1 a", "[:1]"),
    ]);
    // Redis keeps a field until the clock is past that millisecond.
    fixture.now_us = (NOW_MS + 1000) * 1000;
    fixture.check(&[("hlen k", ":3"), ("exists l", ":1")]);
    fixture.now_us += 1000;
    fixture.check_events("hlen k", &["0 hexpired k"]);
    fixture.check_events("hget k c", &[]);
    fixture.check(&[("hgetall k", "[$c $3]"), ("hset k a 5", ":1"), ("httl k fields 1 a", "[:-1]")]);
    fixture.check_events("hget l a", &["0 hexpired l", "0 del l", "0 keymiss l"]);
    assert_eq!(fixture.keyspace.statistics().expired_fields, 3);
}

#[test]
fn what_nobody_looks_at_expires_in_portions() {
    let mut fixture = Fixture::new();
    let fields: Vec<String> = (0..1000).map(|number| format!("f{number}")).collect();
    fixture.run(&format!("hset k {} 1", fields.join(" 1 ")));
    fixture.run(&format!("hpexpire k 1000 fields 900 {}", fields[..900].join(" ")));
    let due = |fixture: &mut Fixture| {
        fixture.keyspace.begin(fixture.now_us);
        let due = fixture.keyspace.next_due();
        if let Some((database, key)) = &due {
            fixture.keyspace.let_expire(*database, key);
            fixture.keyspace.commit();
        }
        due.is_some()
    };
    assert!(!due(&mut fixture));
    fixture.now_us += 1_001_000;
    let mut turns = 0;
    while due(&mut fixture) {
        turns += 1;
    }
    assert_eq!(turns, 900_usize.div_ceil(32));
    fixture.check(&[("hlen k", ":100"), ("object encoding k", "$hashtable")]);
    assert_eq!(fixture.keyspace.next_expiry_ms(), None);
}

#[test]
fn what_writes_a_value_decides_about_its_end() {
    let keeps = |request: &str| {
        let mut fixture = Fixture::new();
        fixture.check(&[("hset k a 1 b 2", ":2"), ("hexpire k 100 fields 1 a", "[:1]")]);
        fixture.run(request);
        fixture.check(&[("httl k fields 1 a", "[:100]")]);
    };
    let clears = |request: &str| {
        let mut fixture = Fixture::new();
        fixture.check(&[("hset k a 1 b 2", ":2"), ("hexpire k 100 fields 1 a", "[:1]")]);
        fixture.run(request);
        fixture.check(&[("httl k fields 1 a", "[:-1]")]);
    };
    keeps("hincrby k a 1");
    keeps("hincrbyfloat k a 1");
    keeps("hset k b 3");
    keeps("hsetnx k a 3");
    keeps("hdel k b");
    keeps("hsetex k keepttl fields 1 a 3");
    keeps("hgetex k fields 1 a");
    keeps("copy k l");
    clears("hset k a 3");
    clears("hmset k a 3");
    clears("hsetex k fields 1 a 3");
    clears("hgetex k persist fields 1 a");
    clears("hpersist k fields 1 a");
}

#[test]
fn values_are_read_with_new_ends_or_for_the_last_time() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("hset k a 1 b 2 c 3 d 4", ":4"),
        ("hgetex k ex 10 fields 3 a b x", "[$1 $2 nil]"),
        ("hpttl k fields 2 a b", "[:10000 :10000]"),
        ("hgetex k pxat 1704067200001 fields 1 a", "[$1]"),
        ("hpttl k fields 1 a", "[:1]"),
        ("hgetex k px 0 fields 1 a", "[$1]"),
        ("hget k a", "nil"),
        ("hgetdel k fields 3 b b x", "[$2 nil nil]"),
        ("hkeys k", "[$c $d]"),
        ("hgetex none fields 2 a b", "[nil nil]"),
        ("hgetdel none fields 1 a", "[nil]"),
    ]);
    fixture.check_events("hgetex k fields 1 c", &[]);
    fixture.check_events("hgetex k ex 10 fields 1 c", &["0 hexpire k"]);
    fixture.check_events("hgetex k persist fields 2 c d", &["0 hpersist k"]);
    fixture.check_events("hgetex k persist fields 2 c d", &[]);
    fixture.check_events("hgetex k exat 1 fields 1 c", &["0 hdel k"]);
    fixture.check_events("hgetdel k fields 2 x y", &[]);
    fixture.check_events("hgetdel k fields 1 d", &["0 hdel k", "0 del k"]);
}

#[test]
fn fields_are_set_with_an_end_and_under_conditions() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("hsetex k fxx fields 1 a 1", ":0"),
        ("exists k", ":0"),
        ("hsetex k fnx ex 10 fields 2 a 1 b 2", ":1"),
        ("hpttl k fields 2 a b", "[:10000 :10000]"),
        ("hsetex k fnx fields 2 b 3 c 3", ":0"),
        ("hsetex k FXX fields 2 b 3 c 3", ":0"),
        ("hsetex k fxx px 500 fields 2 a 3 b 3", ":1"),
        ("hmget k a b c", "[$3 $3 nil]"),
        ("hpttl k fields 2 a b", "[:500 :500]"),
    ]);
    fixture.check_events("hsetex k fields 1 a 1", &["0 hset k"]);
    fixture.check_events("hsetex k ex 5 fields 1 a 1", &["0 hset k", "0 hexpire k"]);
    fixture.check_events("hsetex k px 0 fields 1 a 1", &["0 hset k", "0 hdel k"]);
    fixture.check_events(
        "hsetex new exat 1 fields 1 a 1",
        &["0 new new", "0 hset new", "0 hdel new", "0 del new"],
    );
    fixture.check_events("hexpire k 5 fields 1 b", &["0 hexpire k"]);
    fixture.check_events("hpersist k fields 1 b", &["0 hpersist k"]);
    fixture.check_events("hexpire k 0 fields 2 b x", &["0 hdel k", "0 del k"]);
}

#[test]
fn arguments_are_checked_as_redis_does() {
    let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    let misplaced = "-ERR Mandatory argument FIELDS is missing or not at the right position";
    let mismatch = "-ERR The `numfields` parameter must match the number of arguments";
    let not_positive = "-ERR Number of fields must be a positive integer";
    let negative = "-ERR invalid expire time, must be >= 0";
    let one_end = "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified";
    let one_condition = "-ERR Only one of FXX or FNX arguments can be specified";
    let arity = "-ERR wrong number of arguments for 'hsetex' command";
    Fixture::new().check(&[
        ("set s x", "+OK"),
        ("hexpire s x fields 1 a", wrong_type),
        ("httl s what 1 a", wrong_type),
        ("hpersist s what 1 a", wrong_type),
        ("hgetex s what 1 a", wrong_type),
        ("hgetdel s what 1 a", wrong_type),
        ("hsetex s fields 1 a b", wrong_type),
        ("hexpire k x fields 1 a", "-ERR value is not an integer or out of range"),
        ("hexpire k -1 fields 1 a", negative),
        ("hexpire k 70368744178 fields 1 a", "-ERR invalid expire time in 'hexpire' command"),
        ("hpexpireat k 70368744177663 fields 1 a", "[:-2]"),
        ("hpexpireat k 70368744177664 fields 1 a", "-ERR invalid expire time in 'hpexpireat' command"),
        ("hexpire k 1 ex fields 1 a", misplaced),
        ("hexpire k 1 nx gt fields 1 a", misplaced),
        ("hexpire k 1 fields 0 a", "-ERR Parameter `numFields` should be greater than 0"),
        ("hexpire k 1 fields 2 a", mismatch),
        ("hexpire k 1 fields 1 a b", mismatch),
        ("httl k fields x a", not_positive),
        ("httl k fields 2 a", mismatch),
        ("hpersist k field 1 a", misplaced),
        ("hgetdel k fields -1 a", not_positive),
        ("hgetex k ex 1 persist fields 1 a", misplaced),
        ("hgetex k ex -1 fields 1 a", negative),
        ("hgetex k persist fields 2 a", mismatch),
        ("hsetex k what fields 1 a b", "-ERR unknown argument: what"),
        ("hsetex k fnx fxx fields 1 a b", one_condition),
        ("hsetex k ex 1 keepttl fields 1 a b", one_end),
        ("hsetex k keepttl px 1 fields 1 a b", one_end),
        ("hsetex k ex -1 fields 1 a b", negative),
        ("hsetex k fnx keepttl fields 1", arity),
        ("hsetex k keepttl fnx fields 1", arity),
        ("hsetex k fields 2 a b", arity),
        ("hsetex k fields 1 a b c", arity),
        ("hsetex k fields 0 a b", "-ERR invalid number of fields"),
        ("hsetex k fnx keepttl fnx ex", one_condition),
        ("hsetex k fnx fields x ex", "-ERR invalid number of fields"),
        ("hsetex k keepttl fnx ex 10", one_end),
    ]);
}
