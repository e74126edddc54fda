// Uses kvasm with node-redis, in RESP2 and RESP3: node test.mjs PORT, in the directory with the example procedures.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient, ErrorReply, MultiErrorReply, RESP_TYPES, WatchError } from "redis";

const port = Number(process.argv[2]);
const answer = (body) =>
  `(module (import "kvasm_1" "reply_integer" (func $reply (param i64))) (func (export "run") ${body}))`;

const connections = [];

async function connect(protocol, options = {}) {
  const client = createClient({ socket: { port, reconnectStrategy: false }, RESP: protocol, ...options });
  connections.push(client);
  return client.on("error", (error) => console.error(error)).connect();
}

async function until(what, condition) {
  for (let attempt = 0; attempt < 2000; attempt++) {
    if (await condition()) return;
    await sleep(5);
  }
  assert.fail(`waited in vain for ${what}`);
}

async function connection(client, protocol) {
  assert.equal(await client.ping(), "PONG");
  await client.clientSetName("node-redis");
  const { name, resp } = await client.clientInfo();
  assert.deepEqual([name, resp], ["node-redis", protocol]);
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  await client.set("bytes", bytes);
  const buffers = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  assert.deepEqual(await buffers.get("bytes"), bytes);
  const other = await connect(protocol, { database: 3 });
  await other.set("elsewhere", 1);
  assert.equal(await client.get("elsewhere"), null);
  await assert.rejects(client.incr("bytes"), /ERR value is not an integer/);
}

async function types(client) {
  await client.hSet("hash", { a: 1, b: 2 });
  assert.deepEqual({ ...(await client.hGetAll("hash")) }, { a: "1", b: "2" });
  assert.deepEqual(await client.hExpire("hash", "a", 100), [1]);
  await client.sAdd("set", ["a", "b"]);
  assert.deepEqual([...(await client.sMembers("set"))].sort(), ["a", "b"]);
  await client.zAdd("zset", [
    { score: 1.5, value: "a" },
    { score: 2, value: "b" },
  ]);
  assert.deepEqual(await client.zRangeWithScores("zset", 0, -1), [
    { score: 1.5, value: "a" },
    { score: 2, value: "b" },
  ]);
  assert.equal(await client.zScore("zset", "a"), 1.5);
  assert.deepEqual({ ...(await client.configGet("appendfsync")) }, { appendfsync: "everysec" });
}

async function pipelines(client) {
  // Commands of one tick share a write; `execAsPipeline` is explicit about it.
  assert.deepEqual(await Promise.all([client.set("count", 41), client.incr("count")]), ["OK", 42]);
  assert.deepEqual(await client.multi().incr("count").get("nokey").execAsPipeline(), [43, null]);
}

async function transactions(client, protocol) {
  await client.watch("count");
  assert.deepEqual(await client.multi().set("count", 7).get("count").exec(), ["OK", "7"]);
  await client.watch("count");
  await (await connect(protocol)).set("count", 1);
  await assert.rejects(client.multi().set("count", 2).exec(), WatchError);
  assert.equal(await client.get("count"), "1");
  const failed = client.multi().lPush("count", "x").incr("count").exec();
  await assert.rejects(failed, (error) => {
    assert(error instanceof MultiErrorReply);
    assert.match(error.replies[0].message, /^WRONGTYPE/);
    assert.equal(error.replies[1], 2);
    return true;
  });
}

async function publishAndSubscribe(client, protocol) {
  const subscriber = await connect(protocol);
  const received = [];
  const listener = (message, channel) => received.push([channel, message]);
  await subscriber.subscribe("news", listener);
  await subscriber.pSubscribe("n*", listener);
  assert.equal(await client.publish("news", "hello"), 2);
  await until("both messages", () => received.length === 2);
  assert.deepEqual(received, [
    ["news", "hello"],
    ["news", "hello"],
  ]);
  await subscriber.unsubscribe();
  await subscriber.pUnsubscribe();
  assert.equal(await subscriber.get("nokey"), null);
}

async function blocking(client, protocol) {
  const other = await connect(protocol);
  const popped = client.blPop("queue", 20);
  await sleep(50);
  await other.rPush("queue", "job");
  assert.deepEqual({ ...(await popped) }, { key: "queue", element: "job" });
  assert.equal(await client.blPop("queue", 0.01), null);
  const read = client.xRead({ key: "events", id: "0-0" }, { BLOCK: 20_000 });
  await sleep(50);
  const id = await other.xAdd("events", "*", { n: "1" });
  const [{ name, messages }] = await read;
  assert.deepEqual([name, messages.length, messages[0].id, messages[0].message.n], ["events", 1, id, "1"]);
}

async function scans(client) {
  await client.mSet(Object.fromEntries(Array.from({ length: 300 }, (_, number) => [`scan:${number}`, `${number}`])));
  const found = new Set();
  for await (const keys of client.scanIterator({ MATCH: "scan:*", COUNT: 20 })) keys.forEach((key) => found.add(key));
  assert.equal(found.size, 300);
  await client.hSet("big", Object.fromEntries(Array.from({ length: 600 }, (_, number) => [`field${number}`, number])));
  const fields = new Map();
  for await (const page of client.hScanIterator("big")) page.forEach(({ field, value }) => fields.set(field, value));
  assert.equal(fields.get("field599"), "599");
  assert.equal(fields.size, 600);
}

async function streams(client) {
  await client.xGroupCreate("stream", "group", "0", { MKSTREAM: true });
  const first = await client.xAdd("stream", "*", { n: "1" });
  const second = await client.xAdd("stream", "*", { n: "2" });
  const [{ messages }] = await client.xReadGroup("group", "one", { key: "stream", id: ">" }, { COUNT: 1 });
  assert.deepEqual(messages.map(({ id }) => id), [first]);
  const { pending, firstId, consumers } = await client.xPending("stream", "group");
  assert.deepEqual([pending, firstId, consumers[0].name], [1, first, "one"]);
  const claimed = await client.xAutoClaim("stream", "group", "two", 0, "0");
  assert.deepEqual(claimed.messages.map(({ id }) => id), [first]);
  assert.equal(await client.xAck("stream", "group", first), 1);
  assert.equal((await client.xInfoStream("stream")).length, 2);
  assert.deepEqual((await client.xRange("stream", "-", "+")).map(({ id }) => id), [first, second]);
}

async function clientSideCaching(client, protocol) {
  const writer = await connect(protocol);
  if (protocol === 2) {
    // The cache of node-redis needs RESP3.
    assert.throws(() => createClient({ RESP: 2, clientSideCache: {} }), /only supported with RESP3/);
    return;
  }
  const cached = await connect(3, { clientSideCache: { maxEntries: 100, recordStats: true } });
  await writer.set("alice", 5);
  assert.equal(await cached.get("alice"), "5");
  assert.equal(await cached.get("alice"), "5");
  await writer.fCall("transfer", { keys: ["alice", "bob"], arguments: ["1"] });
  await until("the invalidation by a procedure", async () => (await cached.get("alice")) === "4");

  const told = await connect(3, { emitInvalidate: true });
  await told.get("alice");
  const invalidated = once(told, "invalidate");
  await writer.set("alice", 5);
  assert.deepEqual((await invalidated).map(String), ["alice"]);
}

async function procedures(client) {
  await client.functionFlush();
  const code = Buffer.concat([Buffer.from("#!wasm name=bank\n"), await readFile("bank.wasm")]);
  assert.equal(await client.functionLoad(code), "bank");
  await assert.rejects(client.functionLoad(code), /already exists/);
  assert.equal(await client.functionLoad(code, { REPLACE: true }), "bank");
  assert.equal((await client.functionList())[0].library_name, "bank");
  await client.mSet({ alice: "25", bob: "0" });
  const transfer = (amount) => ({ keys: ["alice", "bob"], arguments: [amount] });
  assert.equal(await client.fCall("transfer", transfer("10")), 15);
  assert.deepEqual(await client.fCallRo("balances", { keys: ["alice", "bob"] }), [15, 10]);
  await assert.rejects(client.fCall("transfer", transfer("99")), (error) => {
    assert(error instanceof ErrorReply);
    assert.equal(error.message, "INSUFFICIENT alice lacks 84");
    return true;
  });
  assert.deepEqual(await client.mGet(["alice", "bob"]), ["15", "10"]);
  const replies = await client.multi().fCall("transfer", transfer("99")).fCall("transfer", transfer("5")).exec().then(
    () => assert.fail("no error"),
    (error) => error.replies,
  );
  assert.match(replies[0].message, /^INSUFFICIENT/);
  assert.equal(replies[1], 10);

  assert.equal(await client.sendCommand(["EVALWASM", answer("(call $reply (i64.const 42))"), "0"]), 42);
  const binary = Buffer.from("0061736d01000000010401600000030201000707010372756e00000a040102000b", "hex");
  const digest = await client.sendCommand(["WASM", "LOAD", binary]);
  assert.equal(
    await client.sendCommand(["EVALWASMSHA", digest, "0"]),
    await client.sendCommand(["EVALWASM", binary, "0"]),
  );
  await assert.rejects(client.sendCommand(["EVALWASMSHA", "0".repeat(40), "0"]), /NOSCRIPT/);
  await assert.rejects(client.sendCommand(["EVALWASM", answer("unreachable"), "0"]), /^Error: WASMTRAP /);
  await assert.rejects(client.sendCommand(["EVALWASM", "no module", "0"]), /^Error: WASMINVALID /);
}

const parts = [
  connection, types, pipelines, transactions, publishAndSubscribe, blocking, scans, streams, procedures, clientSideCaching,
];
for (const protocol of [2, 3]) {
  const client = await connect(protocol);
  await client.flushAll();
  for (const part of parts) {
    console.log(`RESP${protocol}: ${part.name}`);
    await part(client, protocol);
  }
}
connections.forEach((client) => client.destroy());
