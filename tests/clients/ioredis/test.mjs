// Uses kvasm with ioredis, in RESP2 and RESP3: node test.mjs PORT, in the directory with the example procedures.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";

const port = Number(process.argv[2]);
const answer = (body) =>
  `(module (import "kvasm_1" "reply_integer" (func $reply (param i64))) (func (export "run") ${body}))`;

const connections = [];

function connect(protocol, options = {}) {
  const client = new Redis({ port, protocol, maxRetriesPerRequest: 0, ...options });
  connections.push(client);
  return client;
}

async function connection(client, protocol) {
  assert.equal(await client.ping(), "PONG");
  await client.client("SETNAME", "ioredis");
  assert.match(await client.client("INFO"), new RegExp(`name=ioredis .*resp=${protocol}`));
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  await client.set("bytes", bytes);
  assert.deepEqual(await client.getBuffer("bytes"), bytes);
  const other = connect(protocol, { db: 3 });
  await other.set("elsewhere", 1);
  assert.equal(await client.get("elsewhere"), null);
  await assert.rejects(client.incr("bytes"), /^ReplyError: ERR value is not an integer/);
}

async function types(client, protocol) {
  await client.hset("hash", { a: 1, b: 2 });
  assert.deepEqual(await client.hgetall("hash"), { a: "1", b: "2" });
  await client.sadd("set", "a", "b");
  assert.deepEqual((await client.smembers("set")).sort(), ["a", "b"]);
  await client.zadd("zset", 1.5, "a", 2, "b");
  assert.deepEqual((await client.zrange("zset", 0, -1, "WITHSCORES")).flat(), ["a", "1.5", "b", "2"]);
  assert.equal(await client.set("text", "x", "EX", 100), "OK");
  assert.deepEqual(await client.config("GET", "appendfsync"), ["appendfsync", "everysec"]);
  if (protocol === 3) {
    const mapped = connect(3, { replyMapping: "resp3" });
    assert.equal(await mapped.zscore("zset", "a"), 1.5);
    assert.deepEqual(await mapped.config("GET", "appendfsync"), { appendfsync: "everysec" });
  }
}

async function pipelines(client, protocol) {
  assert.deepEqual(await client.pipeline().set("count", 41).incr("count").get("nokey").exec(), [
    [null, "OK"],
    [null, 42],
    [null, null],
  ]);
  const [[failure], [, count]] = await client.pipeline().lpush("count", "x").incr("count").exec();
  assert.match(failure.message, /^WRONGTYPE /);
  assert.equal(count, 43);
  const automatic = connect(protocol, { enableAutoPipelining: true });
  assert.deepEqual(await Promise.all([automatic.incr("count"), automatic.incr("count")]), [44, 45]);
}

async function transactions(client, protocol) {
  await client.watch("count");
  assert.deepEqual(await client.multi().set("count", 7).get("count").exec(), [
    [null, "OK"],
    [null, "7"],
  ]);
  await client.watch("count");
  await connect(protocol).set("count", 1);
  assert.equal(await client.multi().set("count", 2).exec(), null);
  assert.equal(await client.get("count"), "1");
  const rejected = client.multi().set("count").exec();
  await assert.rejects(rejected, /EXECABORT|wrong number/);
}

async function publishAndSubscribe(client, protocol) {
  const subscriber = connect(protocol);
  assert.equal(await subscriber.subscribe("news"), 1);
  assert.equal(await subscriber.psubscribe("n*"), 2);
  const messages = Promise.all([once(subscriber, "message"), once(subscriber, "pmessage")]);
  assert.equal(await client.publish("news", "hello"), 2);
  assert.deepEqual(await messages, [
    ["news", "hello"],
    ["n*", "news", "hello"],
  ]);
  assert.equal(await subscriber.unsubscribe("news"), 1);
  assert.equal(await subscriber.punsubscribe("n*"), 0);
  assert.equal(await subscriber.get("nokey"), null);
}

async function blocking(client, protocol) {
  const other = connect(protocol);
  const popped = client.blpop("queue", 20);
  await sleep(50);
  await other.rpush("queue", "job");
  assert.deepEqual(await popped, ["queue", "job"]);
  assert.equal(await client.blpop("queue", 0.01), null);
  const read = client.xread("BLOCK", 20_000, "STREAMS", "events", "0-0");
  await sleep(50);
  const id = await other.xadd("events", "*", "n", 1);
  assert.deepEqual((await read).flat(), ["events", [[id, ["n", "1"]]]]);
}

async function scans(client) {
  await client.mset(Object.fromEntries(Array.from({ length: 300 }, (_, number) => [`scan:${number}`, number])));
  const found = new Set();
  for await (const keys of client.scanStream({ match: "scan:*", count: 20 })) keys.forEach((key) => found.add(key));
  assert.equal(found.size, 300);
  await client.hset("big", Object.fromEntries(Array.from({ length: 600 }, (_, number) => [`field${number}`, number])));
  const fields = new Map();
  for await (const page of client.hscanStream("big")) {
    for (let at = 0; at < page.length; at += 2) fields.set(page[at], page[at + 1]);
  }
  assert.equal(fields.get("field599"), "599");
  assert.equal(fields.size, 600);
}

async function streams(client) {
  await client.xgroup("CREATE", "stream", "group", "0", "MKSTREAM");
  const first = await client.xadd("stream", "*", "n", 1);
  const second = await client.xadd("stream", "*", "n", 2);
  const read = await client.xreadgroup("GROUP", "group", "one", "COUNT", 1, "STREAMS", "stream", ">");
  assert.deepEqual(read.flat(), ["stream", [[first, ["n", "1"]]]]);
  const [count, lowest, highest, [[consumer]]] = await client.xpending("stream", "group");
  assert.deepEqual([count, lowest, highest, consumer], [1, first, first, "one"]);
  const [, claimed] = await client.xautoclaim("stream", "group", "two", 0, "0");
  assert.deepEqual(claimed, [[first, ["n", "1"]]]);
  assert.equal(await client.xack("stream", "group", first), 1);
  assert.deepEqual(await client.xrange("stream", "-", "+"), [
    [first, ["n", "1"]],
    [second, ["n", "2"]],
  ]);
}

// ioredis has no cache of its own and drops the invalidations that RESP3 pushes; they can be had by redirection to a
// subscriber in RESP2.
async function clientSideCaching(client, protocol) {
  const subscriber = connect(2);
  await client.client("TRACKING", "ON", "REDIRECT", await subscriber.client("ID"));
  await subscriber.subscribe("__redis__:invalidate");
  await client.set("alice", 5);
  assert.equal(await client.get("alice"), "5");
  const invalidated = once(subscriber, "message");
  await connect(protocol).fcall("transfer", 2, "alice", "bob", 1);
  assert.deepEqual(await invalidated, ["__redis__:invalidate", "alice"]);
  await client.client("TRACKING", "OFF");
}

async function procedures(client) {
  await client.function("FLUSH");
  const code = Buffer.concat([Buffer.from("#!wasm name=bank\n"), await readFile("bank.wasm")]);
  assert.equal(await client.function("LOAD", code), "bank");
  await assert.rejects(client.function("LOAD", code), /already exists/);
  assert.equal(await client.function("LOAD", "REPLACE", code), "bank");
  await client.mset("alice", 25, "bob", 0);
  assert.equal(await client.fcall("transfer", 2, "alice", "bob", 10), 15);
  assert.deepEqual(await client.fcall_ro("balances", 2, "alice", "bob"), [15, 10]);
  await assert.rejects(client.fcall("transfer", 2, "alice", "bob", 99), {
    name: "ReplyError",
    message: "INSUFFICIENT alice lacks 84",
  });
  assert.deepEqual(await client.mget("alice", "bob"), ["15", "10"]);
  const [[failure], [, left]] = await client
    .multi()
    .fcall("transfer", 2, "alice", "bob", 99)
    .fcall("transfer", 2, "alice", "bob", 5)
    .exec();
  assert.match(failure.message, /^INSUFFICIENT/);
  assert.equal(left, 10);

  assert.equal(await client.call("EVALWASM", answer("(call $reply (i64.const 42))"), 0), 42);
  const binary = Buffer.from("0061736d01000000010401600000030201000707010372756e00000a040102000b", "hex");
  const digest = await client.call("WASM", "LOAD", binary);
  assert.equal(await client.call("EVALWASMSHA", digest, 0), await client.call("EVALWASM", binary, 0));
  await assert.rejects(client.call("EVALWASMSHA", "0".repeat(40), 0), /NOSCRIPT/);
  await assert.rejects(client.call("EVALWASM", answer("unreachable"), 0), /^ReplyError: WASMTRAP /);
  await assert.rejects(client.call("EVALWASM", "no module", 0), /^ReplyError: WASMINVALID /);
}

const parts = [
  connection, types, pipelines, transactions, publishAndSubscribe, blocking, scans, streams, procedures, clientSideCaching,
];
for (const protocol of [2, 3]) {
  const client = connect(protocol);
  await client.flushall();
  for (const part of parts) {
    console.log(`RESP${protocol}: ${part.name}`);
    await part(client, protocol);
  }
}
connections.forEach((client) => client.disconnect());
