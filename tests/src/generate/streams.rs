//! Commands of streams and sketches, as templates, and the ids in them.

use fastrand::Rng;

/// Streams and their groups, mostly on streams of their own. Groups are never made elsewhere: WATCH sees more changes of
/// groups here than in Redis.
pub const STREAMS: &[&str] = &[
    "XADD stream rising entry-fields",
    "XADD stream rising entry-fields",
    "XADD stream rising entry-fields",
    "XADD any-stream rising entry-fields",
    "XADD stream NOMKSTREAM rising entry-fields",
    "XADD stream MAXLEN small rising entry-fields",
    "XADD stream MAXLEN = small rising entry-fields",
    "XADD stream MAXLEN ~ 0 rising entry-fields",
    "XADD stream MINID entry-id rising entry-fields",
    "XADD stream MAXLEN small LIMIT small rising entry-fields",
    "XADD stream MAXLEN small MINID entry-id rising entry-fields",
    "XADD stream entry-id entry-fields",
    "XLEN any-stream",
    "XRANGE any-stream range-id range-id {COUNT small}",
    "XREVRANGE any-stream range-id range-id {COUNT small}",
    "XDEL any-stream entry-id",
    "XDEL stream entry-id entry-id",
    "XTRIM any-stream MAXLEN small",
    "XTRIM stream MINID entry-id",
    "XTRIM stream MAXLEN ~ 0",
    "XTRIM stream MAXLEN small LIMIT small",
    "XTRIM stream LIMIT small {MAXLEN small}",
    "XSETID stream rising-id {ENTRIESADDED small|MAXDELETEDID entry-id}",
    "XREAD STREAMS stream read-id",
    "XREAD BLOCK wait STREAMS stream read-id",
    "XREAD COUNT small STREAMS any-stream stream read-id read-id",
    "XREADGROUP GROUP group consumer BLOCK wait STREAMS stream >",
    "XGROUP CREATE stream group read-id {MKSTREAM|ENTRIESREAD small}",
    "XGROUP CREATE stream group 0",
    "XGROUP SETID any-stream group read-id {ENTRIESREAD small}",
    "XGROUP CREATECONSUMER any-stream group consumer",
    "XGROUP DELCONSUMER any-stream group consumer",
    "XGROUP DESTROY any-stream group",
    "XGROUP garbage stream group",
    "XREADGROUP GROUP group consumer STREAMS stream >",
    "XREADGROUP GROUP group consumer COUNT small STREAMS stream >",
    "XREADGROUP GROUP group consumer COUNT small STREAMS any-stream stream > >",
    "XREADGROUP GROUP group consumer COUNT small NOACK STREAMS stream >",
    // Of a consumer that only looks at what is pending, Redis' log does not know that it came to be, but with NOACK.
    "XREADGROUP GROUP group consumer COUNT small NOACK STREAMS stream stream entry-id >",
    "XREADGROUP GROUP group consumer NOACK STREAMS stream read-id",
    "XACK any-stream group entry-id entry-id",
    "XACK stream group entry-id entry-id entry-id",
    "XPENDING any-stream group",
    "XPENDING stream group range-id range-id small",
    "XPENDING stream group range-id range-id small consumer",
    "XPENDING stream group IDLE idle range-id range-id small",
    "XPENDING stream group IDLE idle range-id range-id small consumer",
    "XCLAIM any-stream group consumer idle entry-id entry-id {JUSTID|FORCE|RETRYCOUNT small|IDLE small|TIME 1}",
    "XCLAIM stream group consumer idle entry-id {JUSTID|FORCE|LASTID entry-id}",
    "XAUTOCLAIM any-stream group consumer idle entry-id {COUNT small|JUSTID}",
    "XINFO STREAM any-stream",
    "XINFO STREAM stream FULL",
    "XINFO STREAM stream FULL COUNT small",
    "XINFO GROUPS any-stream",
    "XINFO CONSUMERS any-stream group",
    "DEL stream",
    "COPY stream stream {REPLACE}",
    "RENAME stream stream",
    "TYPE any-stream",
    "OBJECT ENCODING stream",
];

/// Sketches (`PFADD` and its relatives), on keys of their own: Redis writes down what it has counted, which GET would show.
pub const SKETCHES: &[&str] = &[
    "PFADD sketch fields",
    "PFADD sketch many",
    "PFADD sketch {value|number}",
    "PFCOUNT sketch",
    "PFCOUNT sketch sketch",
    "PFCOUNT sketch key",
    "PFMERGE sketch sketch",
    "PFMERGE sketch sketch sketch",
    "PFMERGE sketch key",
    "GETRANGE sketch 16 -1",
    "STRLEN sketch",
    "OBJECT ENCODING sketch",
    "DEL sketch",
    "COPY sketch sketch REPLACE",
];

/// The keys of streams.
pub const KEYS: &[&str] = &["s", "t", "s"];

/// The names in entries, mostly the same.
pub const FIELDS: &[&str] = &["f", "f", "f", "g", ""];

const IDS: &[&str] = &[
    "0-0",
    "0-1",
    "0-*",
    "-",
    "+",
    ">",
    "$",
    "*-1",
    "",
    "abc",
    "1-",
    "-1",
    "1-2-3",
    "007-01",
    "(5",
    "(0-0",
    "(18446744073709551615-18446744073709551615",
];

/// An id of the kind that `word` names; new ones rise with the number of steps, the others are near them.
pub fn id(random: &mut Rng, steps: u64, word: &str) -> String {
    const STEPS_PER_TIME: u64 = 64;
    let now = steps / STEPS_PER_TIME + 1;
    let past = now.saturating_sub(random.u64(..6));
    let seq = random.u32(..4);
    match (word, random.u32(..40)) {
        // Since Redis 7.4 XREAD takes `+`, and so does kvasm.
        (word, 0) => match IDS[random.usize(..IDS.len())] {
            "+" if word == "read-id" => "$".to_owned(),
            id => id.to_owned(),
        },
        ("rising", 1..30) => format!("{now}-*"),
        ("rising", _) => format!("{now}-{seq}"),
        ("rising-id", _) => format!("{now}-9"),
        ("range-id", 1..10) => "-".to_owned(),
        ("range-id", 10..20) => "+".to_owned(),
        ("range-id", 20..25) => format!("({past}-{seq}"),
        ("read-id", 1..10) => "$".to_owned(),
        ("read-id", 10..15) | ("entry-id", 1..4) => "0".to_owned(),
        (_, 30..33) => past.to_string(),
        _ => format!("{past}-{seq}"),
    }
}
