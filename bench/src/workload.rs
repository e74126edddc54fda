//! What is measured by redis-benchmark, as a table.

use crate::server::Durability::{self, Always, EverySecond, None};

/// One workload and the ratios that are to be reached.
pub struct Workload {
    /// The name for `--only`.
    pub name: &'static str,
    /// What the report calls it.
    pub title: &'static str,
    /// What the clients send.
    pub request: Request,
    /// Requests that a client sends before it reads the replies.
    pub pipeline: u32,
    /// Clients at the same time.
    pub clients: u32,
    /// Requests of one run.
    pub requests: u64,
    /// How durable kvasm is.
    pub kvasm: Durability,
    /// The redis-servers to compare with, and the ratio (kvasm over redis-server) to reach with each.
    pub opponents: &'static [(Durability, f64)],
}

/// What the clients of a workload send.
pub enum Request {
    /// A test of redis-benchmark (`-t`), on keys that exist.
    Test(&'static str),
    /// The last of some tests of redis-benchmark, which make what they need themselves.
    Tests(&'static str),
    /// A procedure: WebAssembly in kvasm, the same in Lua in redis-server.
    Procedure {
        /// The exported function and the name of the Lua file.
        name: &'static str,
        /// The keys.
        keys: &'static [&'static str],
        /// The arguments.
        arguments: &'static [&'static str],
    },
}

/// Keys that the clients choose from, which are there before a run.
pub const KEYS: u64 = 1_000_000;
/// Bytes in a value.
pub const VALUE_LEN: usize = 100;
/// As many bytes as in a value, for procedures.
const VALUE: &str =
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
const _: () = assert!(VALUE.len() == VALUE_LEN);
/// A key out of all, in the form that redis-benchmark fills in.
const KEY: &str = "key:__rand_int__";

const fn test(name: &'static str, title: &'static str, test: &'static str) -> Workload {
    Workload {
        name,
        title,
        request: Request::Test(test),
        pipeline: 1,
        clients: 50,
        requests: 400_000,
        kvasm: EverySecond,
        opponents: &[(None, 1.0)],
    }
}

const fn pipelined(
    name: &'static str,
    title: &'static str,
    request: &'static str,
    opponents: &'static [(Durability, f64)],
) -> Workload {
    Workload { pipeline: 32, requests: 2_000_000, opponents, ..test(name, title, request) }
}

/// A test of a data type, behind the one that makes its value.
const fn of_type(name: &'static str, title: &'static str, tests: &'static str) -> Workload {
    Workload { request: Request::Tests(tests), requests: 200_000, ..test(name, title, "") }
}

const fn of_type_pipelined(name: &'static str, title: &'static str, tests: &'static str) -> Workload {
    Workload { pipeline: 32, requests: 1_000_000, opponents: &[(None, 1.2)], ..of_type(name, title, tests) }
}

const fn cpu_bound(name: &'static str, title: &'static str, arguments: &'static [&'static str]) -> Workload {
    Workload {
        request: Request::Procedure { name, keys: &[], arguments },
        clients: 1,
        requests: 500,
        opponents: &[(None, 3.0)],
        ..test(name, title, "")
    }
}

/// Everything that redis-benchmark measures.
pub const WORKLOADS: &[Workload] = &[
    test("get", "GET", "get"),
    test("set", "SET", "set"),
    test("incr", "INCR", "incr"),
    test("mset", "MSET of 10 keys", "mset"),
    pipelined("get-32", "GET, 32 pipelined", "get", &[(None, 1.4)]),
    pipelined("set-32", "SET, 32 pipelined", "set", &[(None, 1.2), (EverySecond, 1.6)]),
    pipelined("incr-32", "INCR, 32 pipelined", "incr", &[(None, 1.2), (EverySecond, 1.6)]),
    of_type("ping-inline", "PING, inline", "ping_inline"),
    of_type("ping", "PING", "ping_mbulk"),
    of_type("lpush", "LPUSH", "lpush"),
    of_type("rpush", "RPUSH", "rpush"),
    of_type("lpop", "LPOP", "lpush,lpop"),
    of_type("rpop", "RPOP", "lpush,rpop"),
    of_type("sadd", "SADD", "sadd"),
    of_type("hset", "HSET", "hset"),
    of_type("spop", "SPOP", "sadd,spop"),
    of_type("zadd", "ZADD", "zadd"),
    of_type("zpopmin", "ZPOPMIN", "zadd,zpopmin"),
    Workload { requests: 50_000, ..of_type("lrange-100", "LRANGE of 100", "lrange_100") },
    Workload { requests: 20_000, ..of_type("lrange-300", "LRANGE of 300", "lrange_300") },
    Workload { requests: 20_000, ..of_type("lrange-500", "LRANGE of 500", "lrange_500") },
    Workload { requests: 20_000, ..of_type("lrange-600", "LRANGE of 600", "lrange_600") },
    of_type_pipelined("lpush-32", "LPUSH, 32 pipelined", "lpush"),
    of_type_pipelined("rpop-32", "RPOP, 32 pipelined", "lpush,rpop"),
    of_type_pipelined("sadd-32", "SADD, 32 pipelined", "sadd"),
    of_type_pipelined("hset-32", "HSET, 32 pipelined", "hset"),
    of_type_pipelined("spop-32", "SPOP, 32 pipelined", "sadd,spop"),
    of_type_pipelined("zadd-32", "ZADD, 32 pipelined", "zadd"),
    of_type_pipelined("zpopmin-32", "ZPOPMIN, 32 pipelined", "zadd,zpopmin"),
    Workload {
        kvasm: Always,
        requests: 100_000,
        opponents: &[(Always, 1.0)],
        ..test("set-always", "SET, every reply durable, 50 clients", "set")
    },
    Workload {
        request: Request::Procedure { name: "get_put", keys: &[KEY], arguments: &[VALUE] },
        pipeline: 32,
        requests: 1_000_000,
        opponents: &[(None, 1.0), (EverySecond, 1.5)],
        ..test("get_put", "procedure: get + put, 32 pipelined", "")
    },
    cpu_bound("fib", "procedure: Fibonacci", &["24"]),
    cpu_bound("sieve", "procedure: sieve of Eratosthenes", &["20000"]),
    cpu_bound("json_scan", "procedure: scan of a JSON text", &["200"]),
];
