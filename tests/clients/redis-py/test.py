"""Uses kvasm with redis-py, in RESP2 and RESP3: python test.py PORT, in the directory with the example procedures."""

import sys
import threading
import time
from pathlib import Path

import redis
from redis.cache import CacheConfig

PORT = int(sys.argv[1])
ANSWER = '(module (import "kvasm_1" "reply_integer" (func $reply (param i64))) (func (export "run") %s))'


def connect(protocol, **options):
    return redis.Redis(port=PORT, protocol=protocol, decode_responses=True, socket_timeout=20, **options)


def error_of(call, kind=redis.ResponseError):
    """The text of the error that a call raises."""
    try:
        result = call()
    except kind as error:
        return str(error)
    raise AssertionError(f"no error but {result!r}")


def until(what, condition):
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError(f"waited in vain for {what}")


def connection(client, protocol):
    assert client.ping() is True
    client.client_setname("redis-py")
    assert client.client_info()["resp"] == str(protocol)
    assert client.client_list(client_id=[client.client_id()])
    assert client.info("server")["tcp_port"] == PORT
    raw = redis.Redis(port=PORT, protocol=protocol)
    raw.set("bytes", bytes(range(256)))
    assert raw.get("bytes") == bytes(range(256))
    other = connect(protocol, db=3)
    other.set("elsewhere", 1)
    assert client.get("elsewhere") is None
    assert "integer" in error_of(lambda: client.incr("bytes"))


def types(client, protocol):
    client.hset("hash", mapping={"a": 1, "b": 2})
    assert client.hgetall("hash") == {"a": "1", "b": "2"}
    client.sadd("set", "a", "b")
    assert set(client.smembers("set")) == {"a", "b"}
    client.zadd("zset", {"a": 1.5, "b": 2})
    ranged = client.zrange("zset", 0, -1, withscores=True)
    assert [tuple(pair) for pair in ranged] == [("a", 1.5), ("b", 2.0)]
    assert client.zscore("zset", "a") == 1.5
    assert client.set("text", "x", ex=100) and 0 < client.ttl("text") <= 100
    client.geoadd("geo", (13.361389, 38.115556, "Palermo"))
    assert client.geodist("geo", "Palermo", "Palermo") == 0
    assert client.hexpire("hash", 100, "a") == [1]


def pipelines(client, protocol):
    with client.pipeline(transaction=False) as pipe:
        assert pipe.set("count", 41).incr("count").get("nokey").execute() == [True, 42, None]
        pipe.lpush("count", "x").incr("count")
        failed, count = pipe.execute(raise_on_error=False)
        assert str(failed).startswith("WRONGTYPE") and count == 43, (str(failed), count)


def transactions(client, protocol):
    with client.pipeline() as pipe:
        pipe.watch("count")
        value = int(pipe.get("count"))
        pipe.multi()
        pipe.set("count", value * 2).get("count")
        assert pipe.execute() == [True, str(value * 2)]
        pipe.watch("count")
        client.set("count", 1)
        pipe.multi()
        pipe.set("count", 2)
        error_of(pipe.execute, redis.WatchError)
    assert client.get("count") == "1"

    def increment(pipe):
        value = int(pipe.get("count"))
        pipe.multi()
        pipe.set("count", value + 1)

    assert client.transaction(increment, "count") == [True]
    assert client.get("count") == "2"


def publish_and_subscribe(client, protocol):
    subscriber = client.pubsub()
    subscriber.subscribe("news")
    subscriber.psubscribe("n*")
    confirmed = [subscriber.get_message(timeout=20)["type"] for _ in range(2)]
    assert confirmed == ["subscribe", "psubscribe"]
    assert client.publish("news", "hello") == 2
    messages = [subscriber.get_message(timeout=20) for _ in range(2)]
    assert [(m["type"], m["channel"], m["data"]) for m in messages] == [
        ("message", "news", "hello"),
        ("pmessage", "news", "hello"),
    ]
    assert client.pubsub_numsub("news") in ([("news", 1)], {"news": 1})
    subscriber.close()


def blocking(client, protocol):
    other = connect(protocol)

    def later(action):
        thread = threading.Thread(target=lambda: (time.sleep(0.05), action()))
        thread.start()
        return thread

    thread = later(lambda: other.rpush("queue", "job"))
    assert list(client.blpop("queue", timeout=20)) == ["queue", "job"]
    thread.join()
    assert client.blpop("queue", timeout=0.01) is None
    thread = later(lambda: other.xadd("events", {"n": 1}))
    reply = client.xread({"events": "0-0"}, block=20_000)
    (entries,) = reply.values() if isinstance(reply, dict) else [entries for _, entries in reply]
    assert "'n': '1'" in repr(entries)
    thread.join()
    thread = later(lambda: other.zadd("waiting", {"m": 2}))
    assert list(client.bzpopmin("waiting", timeout=20)) == ["waiting", "m", 2.0]
    thread.join()


def scans(client, protocol):
    client.mset({f"scan:{number}": number for number in range(300)})
    assert len(set(client.scan_iter("scan:*", count=20))) == 300
    client.hset("big", mapping={f"field{number}": number for number in range(600)})
    assert len(dict(client.hscan_iter("big"))) == 600
    client.sadd("bigset", *range(600))
    assert len(set(client.sscan_iter("bigset"))) == 600
    client.zadd("bigzset", {f"member{number}": number for number in range(600)})
    assert dict(client.zscan_iter("bigzset"))["member599"] == 599


def streams(client, protocol):
    client.xgroup_create("stream", "group", id="0", mkstream=True)
    ids = [client.xadd("stream", {"n": number}) for number in range(3)]
    reply = client.xreadgroup("group", "one", {"stream": ">"}, count=2)
    assert all(f"{id}" in repr(reply) for id in ids[:2]) and ids[2] not in repr(reply)
    assert client.xack("stream", "group", ids[0]) == 1
    assert client.xpending("stream", "group")["pending"] == 1
    (pending,) = client.xpending_range("stream", "group", "-", "+", 10)
    assert (pending["message_id"], pending["consumer"]) == (ids[1], "one")
    claimed = client.xautoclaim("stream", "group", "two", min_idle_time=0)
    assert [entry for entry, _ in claimed[1]] == [ids[1]]
    assert client.xinfo_stream("stream")["length"] == 3
    assert client.xinfo_groups("stream")[0]["name"] == "group"
    assert [entry for entry, _ in client.xrange("stream")] == ids


def client_side_cache():
    cached = connect(3, cache_config=CacheConfig())
    writer = connect(3)
    writer.set("cached", "old")
    assert cached.get("cached") == "old"
    assert cached.get("cached") == "old"
    assert cached.get_cache().size == 1
    writer.set("cached", "new")
    until("the invalidation", lambda: cached.get("cached") == "new")
    # A procedure's write is one like any other.
    writer.set("alice", 5)
    assert cached.get("alice") == "5"
    writer.fcall("transfer", 2, "alice", "bob", 1)
    until("the invalidation by a procedure", lambda: cached.get("alice") == "4")


def procedures(client, protocol):
    client.function_flush()
    module = Path("bank.wasm").read_bytes()
    assert client.function_load(b"#!wasm name=bank\n" + module) == "bank"
    assert "already exists" in error_of(lambda: client.function_load(b"#!wasm name=bank\n" + module))
    assert client.function_load(b"#!wasm name=bank\n" + module, replace=True) == "bank"
    assert "transfer" in repr(client.function_list())
    client.mset({"alice": 25, "bob": 0})
    assert client.fcall("transfer", 2, "alice", "bob", 10) == 15
    assert client.fcall_ro("balances", 2, "alice", "bob") == [15, 10]
    assert error_of(lambda: client.fcall("transfer", 2, "alice", "bob", 99)) == "INSUFFICIENT alice lacks 84"
    assert client.mget("alice", "bob") == ["15", "10"]
    assert "write" in error_of(lambda: client.fcall_ro("transfer", 2, "alice", "bob", 1))
    with client.pipeline() as pipe:
        pipe.fcall("transfer", 2, "alice", "bob", 99).fcall("transfer", 2, "alice", "bob", 5)
        failed, left = pipe.execute(raise_on_error=False)
        assert "INSUFFICIENT" in str(failed) and left == 10

    answer = ANSWER % "(call $reply (i64.const 42))"
    assert client.execute_command("EVALWASM", answer, 0) == 42
    binary = bytes.fromhex("0061736d01000000010401600000030201000707010372756e00000a040102000b")
    digest = client.execute_command("WASM", "LOAD", binary)
    assert client.execute_command("EVALWASM", binary, 0) == client.execute_command("EVALWASMSHA", digest, 0)
    error_of(lambda: client.execute_command("EVALWASMSHA", "0" * 40, 0), redis.exceptions.NoScriptError)
    assert error_of(lambda: client.execute_command("EVALWASM", ANSWER % "unreachable", 0)).startswith("WASMTRAP ")
    assert error_of(lambda: client.execute_command("EVALWASM", "no module", 0)).startswith("WASMINVALID ")


def main():
    for protocol in (2, 3):
        client = connect(protocol)
        client.flushall()
        for part in (
            connection, types, pipelines, transactions, publish_and_subscribe, blocking, scans, streams, procedures,
        ):
            print(f"RESP{protocol}: {part.__name__}")
            part(client, protocol)
    print("RESP3: client_side_cache")
    client_side_cache()


main()
