//! Values with elements: every method that reads or changes one, and what triggers are told.

use kvasm_sdk::testing::Expect::{
    self, Array, Boolean, Bulk as B, Double, Error, Integer, Nil, Ok, Scored as M,
};
use kvasm_sdk::testing::Scenario;
use kvasm_sdk::testing::Step::{Call, Command};

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

/// Hashes.
pub const HASHES: &[Scenario] = &[
    Scenario {
        name: "hashes are written and read",
        steps: &[
            Call("hash_read", &["h"], &["is_empty"], Boolean(true)),
            Call("hash_write", &["h"], &["set", "a", "1"], Boolean(true)),
            Call("hash_write", &["h"], &["set", "a", "2"], Boolean(false)),
            Call("hash_write", &["h"], &["set_all", "a", "3", "b", "x", "c", ""], Integer(2)),
            Call("hash_write", &["h"], &["set_all"], Integer(0)),
            Call("hash_write", &["h"], &["set_if_absent", "a", "9"], Boolean(false)),
            Call("hash_write", &["h"], &["set_if_absent", "d", "9"], Boolean(true)),
            Call("hash_write", &["h"], &["increment", "a", "-5"], Integer(-2)),
            Call("hash_write", &["h"], &["increment", "b", "1"], Error("ERR hash value is not an integer")),
            Call("hash_write", &["h"], &["get", "a"], B("-2")),
            Call("hash_read", &["h"], &["get", "none"], Nil),
            Call("hash_read", &["h"], &["get", "c"], B("")),
            Call("hash_read", &["h"], &["get_many", "b", "none", "a"], Array(&[B("x"), Nil, B("-2")])),
            Call("hash_read", &["h"], &["get_many"], Array(&[])),
            Call("hash_read", &["h"], &["contains", "b"], Boolean(true)),
            Call("hash_read", &["h"], &["contains", "none"], Boolean(false)),
            Call("hash_read", &["h"], &["len"], Integer(4)),
            Call("hash_write", &["h"], &["delete", "b"], Boolean(true)),
            Call("hash_write", &["h"], &["delete_all", "b", "d"], Integer(1)),
            Call("hash_write", &["h"], &["delete_all"], Integer(0)),
            Call("hash_read", &["h"], &["get_all"], Array(AC)),
            Call("hash_read", &["h"], &["scan"], Array(AC)),
            Call("hash_read", &["h"], &["fields"], Array(&[B("a"), B("c")])),
            Call("hash_read", &["h"], &["values"], Array(&[B(""), B("-2")])),
            Call("hash_write", &["h"], &["delete_all", "a", "c"], Integer(2)),
            Command(&["EXISTS", "h"], Integer(0)),
            Call("hash_pages", &["h"], &["10"], Boolean(true)),
            Call("hash_pages", &["big"], &["2000"], Boolean(true)),
            Command(&["SET", "s", "x"], Ok),
            Call("hash_read", &["s"], &["get", "a"], Error(WRONG_TYPE)),
            Call("hash_read", &["s"], &["scan"], Error(WRONG_TYPE)),
            Call("hash_write", &["s"], &["set", "a", "1"], Error(WRONG_TYPE)),
        ],
    },
    Scenario {
        name: "a trigger is told the fields of a hash",
        steps: &[
            Command(&["HSET", "collection:h", "a", "1", "b\0", "2"], Integer(2)),
            Command(&["HINCRBY", "collection:h", "a", "1"], Integer(2)),
            Command(&["HDEL", "collection:h", "a", "none", "b\0"], Integer(2)),
            Command(
                &["GET", "seen"],
                B(r"hset a,b\x00 false;hincrby a false;hdel a,b\x00 false;del  false;"),
            ),
        ],
    },
];

const AC: &[Expect] = &[Array(&[B("a"), B("-2")]), Array(&[B("c"), B("")])];

/// Lists.
pub const LISTS: &[Scenario] = &[
    Scenario {
        name: "lists are written and read",
        steps: &[
            Call("list_read", &["l"], &["is_empty"], Boolean(true)),
            Call("list_read", &["l"], &["all"], Array(&[])),
            Call("list_write", &["l"], &["push_back", "b"], Integer(1)),
            Call("list_write", &["l"], &["push_back_all", "c", "d"], Integer(3)),
            Call("list_write", &["l"], &["push_back_all"], Integer(3)),
            Call("list_write", &["l"], &["push_front", "a"], Integer(4)),
            Call("list_write", &["l"], &["push_front_all", "y", "x"], Integer(6)),
            Call("list_read", &["l"], &["range", "1"], Array(&[B("y"), B("a"), B("b"), B("c"), B("d")])),
            Call("list_read", &["l"], &["range", "6"], Array(&[])),
            Call("list_read", &["l"], &["range_to", "2"], Array(&[B("x"), B("y")])),
            Call("list_read", &["l"], &["get", "2"], B("a")),
            Call("list_read", &["l"], &["get", "6"], Nil),
            Call("list_read", &["l"], &["front"], B("x")),
            Call("list_read", &["l"], &["back"], B("d")),
            Call("list_read", &["l"], &["position", "c"], Integer(4)),
            Call("list_read", &["l"], &["position", "none"], Nil),
            Call("list_read", &["l"], &["len"], Integer(6)),
            Call("list_write", &["l"], &["pop_back"], B("d")),
            Call("list_write", &["l"], &["pop_front"], B("x")),
            Call("list_write", &["l"], &["set", "0", "a"], Ok),
            Call("list_write", &["l"], &["set", "9", "a"], Error("ERR index out of range")),
            Call("list_write", &["none"], &["set", "0", "a"], Error("ERR no such key")),
            Call("list_write", &["l"], &["remove", "a"], Integer(2)),
            Call("list_read", &["l"], &["rev"], Array(&[B("c"), B("b")])),
            Call("list_write", &["l"], &["trim", "1", "2"], Ok),
            Call("list_read", &["l"], &["all"], Array(&[B("c")])),
            Call("list_write", &["l"], &["trim", "1", "1"], Ok),
            Command(&["EXISTS", "l"], Integer(0)),
            Call("list_write", &["l"], &["pop_front"], Nil),
            Call("list_pages", &["l"], &["15"], Boolean(true)),
            Call("list_pages", &["big"], &["2000"], Boolean(true)),
            Command(&["SET", "s", "x"], Ok),
            Call("list_read", &["s"], &["all"], Error(WRONG_TYPE)),
            Call("list_write", &["s"], &["push_back", "a"], Error(WRONG_TYPE)),
        ],
    },
    Scenario {
        name: "a trigger is told the indexes of a list",
        steps: &[
            Command(&["RPUSH", "collection:l", "a", "b", "a"], Integer(3)),
            Command(&["LPUSH", "collection:l", "x", "y"], Integer(5)),
            Command(&["LSET", "collection:l", "-1", "z"], Ok),
            Command(&["RPOP", "collection:l", "2"], Array(&[B("z"), B("b")])),
            Command(&["LREM", "collection:l", "0", "a"], Integer(1)),
            Command(&["LTRIM", "collection:l", "0", "0"], Ok),
            Command(&["LPOP", "collection:l"], B("y")),
            Command(
                &["GET", "seen"],
                B(concat!(
                    "rpush 0,1,2 false;lpush 0,1 false;lset 4 false;rpop 3,4 false;lrem 2 false;ltrim  false;",
                    "lpop 0 false;del  false;"
                )),
            ),
        ],
    },
];

/// Sets.
pub const SETS: &[Scenario] = &[
    Scenario {
        name: "sets are written and read",
        steps: &[
            Call("set_read", &["s"], &["is_empty"], Boolean(true)),
            Call("set_read", &["s"], &["random"], Nil),
            Call("set_write", &["s"], &["add", "a"], Boolean(true)),
            Call("set_write", &["s"], &["add", "a"], Boolean(false)),
            Call("set_write", &["s"], &["add_all", "a", "b", "c", "1"], Integer(3)),
            Call("set_write", &["s"], &["add_all"], Integer(0)),
            Call("set_read", &["s"], &["contains", "b"], Boolean(true)),
            Call("set_read", &["s"], &["contains", "x"], Boolean(false)),
            Call("set_read", &["s"], &["contains_each", "x", "a"], Array(&[Boolean(false), Boolean(true)])),
            Call("set_read", &["s"], &["contains_each"], Array(&[])),
            Call("set_read", &["s"], &["len"], Integer(4)),
            Call("set_write", &["s"], &["remove", "1"], Boolean(true)),
            Call("set_write", &["s"], &["remove_all", "1", "c"], Integer(1)),
            Call("set_write", &["s"], &["remove_all"], Integer(0)),
            Call("set_read", &["s"], &["members"], Array(&[B("a"), B("b")])),
            Call("set_read", &["s"], &["scan"], Array(&[B("a"), B("b")])),
            Command(&["SADD", "t", "b", "d"], Integer(2)),
            Call("set_read", &["s"], &["union", "t"], Array(&[B("a"), B("b"), B("d")])),
            Call("set_read", &["s"], &["intersection", "t"], Array(&[B("b")])),
            Call("set_read", &["s"], &["difference", "t"], Array(&[B("a")])),
            Call("set_read", &["s"], &["union"], Array(&[B("a"), B("b")])),
            Call("set_write", &["s"], &["move_to", "t", "a"], Boolean(true)),
            Call("set_write", &["s"], &["move_to", "t", "a"], Boolean(false)),
            Call("set_read", &["s"], &["random"], B("b")),
            Call("set_write", &["s"], &["pop"], B("b")),
            Call("set_write", &["s"], &["pop"], Nil),
            Command(&["EXISTS", "s"], Integer(0)),
            Call("set_pages", &["s"], &["10"], Boolean(true)),
            Call("set_pages", &["big"], &["2000"], Boolean(true)),
            Command(&["SET", "x", "x"], Ok),
            Call("set_read", &["x"], &["scan"], Error(WRONG_TYPE)),
            Call("set_write", &["x"], &["add", "a"], Error(WRONG_TYPE)),
        ],
    },
    Scenario {
        name: "a trigger is told the members of a set that come and go",
        steps: &[
            Command(&["SADD", "collection:s", "a", "b", "a"], Integer(2)),
            Command(&["SADD", "collection:s", "a", "c"], Integer(1)),
            Command(&["SREM", "collection:s", "b", "none", "a"], Integer(2)),
            Command(&["SPOP", "collection:s"], B("c")),
            Command(
                &["GET", "seen"],
                B("sadd a,b false;sadd c false;srem b,a false;spop c false;del  false;"),
            ),
        ],
    },
];

/// Sorted sets.
pub const SORTED_SETS: &[Scenario] = &[
    Scenario {
        name: "sorted sets are written and read",
        steps: &[
            Call("sorted_set_read", &["z"], &["is_empty"], Boolean(true)),
            Call("sorted_set_write", &["z"], &["add", "b", "2"], Boolean(true)),
            Call("sorted_set_write", &["z"], &["add", "b", "1.5"], Boolean(false)),
            Call("sorted_set_write", &["z"], &["add_all", "a", "1", "c", "3", "d", "inf"], Integer(3)),
            Call("sorted_set_write", &["z"], &["add_all"], Integer(0)),
            Call("sorted_set_write", &["z"], &["increment", "b", "0.5"], Double("2")),
            Call("sorted_set_read", &["z"], &["score", "b"], Double("2")),
            Call("sorted_set_read", &["z"], &["score", "d"], Double("inf")),
            Call("sorted_set_read", &["z"], &["score", "none"], Nil),
            Call("sorted_set_read", &["z"], &["rank", "c"], Integer(2)),
            Call("sorted_set_read", &["z"], &["reverse_rank", "c"], Integer(1)),
            Call("sorted_set_read", &["z"], &["rank", "none"], Nil),
            Call("sorted_set_read", &["z"], &["len"], Integer(4)),
            Call("sorted_set_read", &["z"], &["count", "1", "3"], Integer(3)),
            Call("sorted_set_read", &["z"], &["range", "1", "3"], Array(&[M("b", "2"), M("c", "3")])),
            Call("sorted_set_read", &["z"], &["range", "4", "9"], Array(&[])),
            Call(
                "sorted_set_read",
                &["z"],
                &["range_by_score", "1", "3"],
                Array(&[M("a", "1"), M("b", "2")]),
            ),
            Call("sorted_set_read", &["z"], &["range_by_score", "8", "9"], Array(&[])),
            Call("sorted_set_read", &["z"], &["range_above", "2"], Array(&[M("d", "inf"), M("c", "3")])),
            Call(
                "sorted_set_write",
                &["z"],
                &["increment", "d", "-inf"],
                Error("ERR resulting score is not a number (NaN)"),
            ),
            Call("sorted_set_write", &["z"], &["pop_max"], M("d", "inf")),
            Call("sorted_set_write", &["z"], &["pop_min"], M("a", "1")),
            Call("sorted_set_read", &["z"], &["rev"], Array(&[M("c", "3"), M("b", "2")])),
            Call("sorted_set_write", &["z"], &["remove", "c"], Boolean(true)),
            Call("sorted_set_write", &["z"], &["remove_all", "c", "b"], Integer(1)),
            Command(&["EXISTS", "z"], Integer(0)),
            Call("sorted_set_write", &["z"], &["pop_min"], Nil),
            Call(
                "sorted_set_write",
                &["z"],
                &["add_all", "a", "0", "b", "0", "c", "0", "d", "0"],
                Integer(4),
            ),
            Call(
                "sorted_set_read",
                &["z"],
                &["range_by_member", "b", "d"],
                Array(&[M("b", "0"), M("c", "0")]),
            ),
            Call("sorted_set_read", &["z"], &["range_to_member", "b"], Array(&[M("b", "0"), M("a", "0")])),
            Call("sorted_set_write", &["z"], &["remove_range", "0", "2"], Integer(2)),
            Call("sorted_set_write", &["z"], &["remove_range_by_score", "-1", "0"], Integer(2)),
            Command(&["EXISTS", "z"], Integer(0)),
            Call("sorted_set_pages", &["z"], &["10"], Boolean(true)),
            Call("sorted_set_pages", &["big"], &["2000"], Boolean(true)),
            Command(&["SET", "x", "x"], Ok),
            Call("sorted_set_read", &["x"], &["rev"], Error(WRONG_TYPE)),
            Call("sorted_set_read", &["x"], &["range_by_score", "1", "2"], Error(WRONG_TYPE)),
            Call("sorted_set_write", &["x"], &["add", "a", "1"], Error(WRONG_TYPE)),
        ],
    },
    Scenario {
        name: "a trigger is told the members of a sorted set that change",
        steps: &[
            Command(&["ZADD", "collection:z", "1", "a", "2", "b"], Integer(2)),
            Command(&["ZADD", "collection:z", "1", "a", "3", "b"], Integer(0)),
            Command(&["ZINCRBY", "collection:z", "1", "a"], Double("2")),
            Command(&["ZPOPMIN", "collection:z"], Array(&[B("a"), Double("2")])),
            Command(&["ZREM", "collection:z", "b", "none"], Integer(1)),
            Command(
                &["GET", "seen"],
                B("zadd a,b false;zadd b false;zincr a false;zpopmin a false;zrem b false;del  false;"),
            ),
        ],
    },
];

/// Streams.
pub const STREAMS: &[Scenario] = &[
    Scenario {
        name: "streams are written and read",
        steps: &[
            Call("stream_read", &["x"], &["is_empty"], Boolean(true)),
            Call("stream_read", &["x"], &["rev"], Array(&[])),
            Call("stream_write", &["x"], &["add_with_id", "5-1", "f", "v", "g", "w"], B("5-1")),
            Call("stream_write", &["x"], &["add_with_id", "5-1", "f", "v"], Error(TOO_LOW)),
            Call("stream_write", &["x"], &["add_with_id", "6-0", "f", "v"], B("6-0")),
            Call(
                "stream_write",
                &["x"],
                &["add_with_id", "7-0"],
                Error("ERR an entry of a stream needs a field"),
            ),
            Call("stream_write", &["x"], &["add", "f", "v"], Boolean(true)),
            Call("stream_read", &["x"], &["len"], Integer(3)),
            Call("stream_read", &["x"], &["get", "5-1"], ENTRY),
            Call("stream_read", &["x"], &["get", "5-2"], Nil),
            Call("stream_read", &["x"], &["range", "5-0", "6-0"], Array(&[ENTRY])),
            Call("stream_read", &["x"], &["range", "1-0", "0-0"], Array(&[])),
            Call("stream_read", &["x"], &["get", "5"], Error("ERR not the id of an entry of a stream")),
            Call("stream_write", &["x"], &["trim_to", "2"], Integer(1)),
            Call("stream_write", &["x"], &["trim_before", "6-1"], Integer(1)),
            Call("stream_write", &["x"], &["delete", "6-0"], Boolean(false)),
            Call("stream_write", &["x"], &["delete_all"], Integer(0)),
            Call("stream_read", &["x"], &["len"], Integer(1)),
            Call("stream_write", &["x"], &["trim_to", "0"], Integer(1)),
            Command(&["EXISTS", "x"], Integer(1)),
            Call("stream_write", &["y"], &["add_with_id", "5-1", "f", "v", "g", "w"], B("5-1")),
            Call("stream_read", &["y"], &["rev"], Array(&[ENTRY])),
            Call("stream_write", &["y"], &["delete_all", "5-1", "5-2"], Integer(1)),
            Call("stream_pages", &["few"], &["10"], Boolean(true)),
            Call("stream_pages", &["many"], &["300"], Boolean(true)),
            Command(&["SET", "s", "x"], Ok),
            Call("stream_read", &["s"], &["rev"], Error(WRONG_TYPE)),
            Call("stream_write", &["s"], &["add", "f", "v"], Error(WRONG_TYPE)),
        ],
    },
    Scenario {
        name: "a trigger is told the ids of a stream's entries",
        steps: &[
            Command(&["XADD", "collection:x", "1-5", "f", "v"], B("1-5")),
            Command(&["XDEL", "collection:x", "1-5", "1-6"], Integer(1)),
            Command(&["GET", "seen"], B("xadd 1-5 false;xdel 1-5 false;")),
        ],
    },
];

const TOO_LOW: &str = "ERR The ID specified in XADD is equal or smaller than the target stream top item";

const ENTRY: Expect = Array(&[B("5-1"), Array(&[B("f"), B("v"), B("g"), B("w")])]);
