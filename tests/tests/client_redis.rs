//! kvasm used with the crate `redis`, in RESP2 and RESP3, blocking and async. What its page in `docs/clients` shows is run.

#[path = "../clients/redis-rs/example.rs"]
mod example;

use kvasm_tests::guest::{self, procedure};
use kvasm_tests::{Options, Server, clients};
use redis::caching::CacheConfig;
use redis::streams::{
    StreamAutoClaimOptions, StreamAutoClaimReply, StreamPendingReply, StreamReadOptions, StreamReadReply,
};
use redis::{AsyncCommands as _, AsyncConnectionConfig, Client, Commands, Connection, PushKind, RedisResult};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(120);

#[test]
fn the_page_shows_what_is_run() -> RedisResult<()> {
    clients::check_page("redis-rs", "rust", include_str!("../clients/redis-rs/example.rs"));
    let server = Server::kvasm(&Options::new());
    for protocol in ["resp2", "resp3"] {
        example::transfer(&url(&server, protocol), &guest::example("bank"))?;
    }
    Ok(())
}

fn url(server: &Server, protocol: &str) -> String {
    format!("redis://127.0.0.1:{}/?protocol={protocol}", server.port())
}

fn connect(server: &Server, protocol: &str) -> Connection {
    let connection = Client::open(url(server, protocol))
        .expect("a URL")
        .get_connection_with_timeout(TIMEOUT)
        .expect("connect");
    connection.set_read_timeout(Some(TIMEOUT)).expect("set the time limit");
    connection
}

#[test]
fn the_redis_crate_pipelines_and_transacts() -> RedisResult<()> {
    let server = Server::kvasm(&Options::new());
    for protocol in ["resp2", "resp3"] {
        let mut connection = connect(&server, protocol);
        let [count, list] = ["count", "list"].map(|name| format!("crate:{protocol}:{name}"));
        let (set, value, missing): (String, i64, Option<i64>) =
            redis::pipe().set(&count, 41).get(&count).get("crate:nokey").query(&mut connection)?;
        assert_eq!((set.as_str(), value, missing), ("OK", 41, None));
        let (first, second): (i64, i64) =
            redis::pipe().atomic().incr(&count, 1).incr(&count, 1).query(&mut connection)?;
        assert_eq!((first, second), (42, 43));
        let doubled = redis::transaction(&mut connection, &[&count], |connection, pipe| {
            let value: i64 = connection.get(&count)?;
            pipe.set(&count, value * 2).ignore().get(&count).query::<Option<(i64,)>>(connection)
        })?;
        assert_eq!(doubled, (86,));
        let failed: RedisResult<i64> =
            connection.set::<_, _, ()>(&list, "text").and_then(|()| connection.incr(&list, 1));
        assert_eq!(failed.expect_err("an error").detail(), Some("value is not an integer or out of range"));
        let bytes = vec![0u8, 255, b'\r', b'\n'];
        connection.set::<_, _, ()>(&list, &bytes)?;
        assert_eq!(connection.get::<_, Vec<u8>>(&list)?, bytes);
    }
    Ok(())
}

#[test]
fn the_redis_crate_scans() -> RedisResult<()> {
    let server = Server::kvasm(&Options::new());
    let mut connection = connect(&server, "resp3");
    for number in 0..100 {
        connection.set::<_, _, ()>(format!("crate:scan:{number}"), number)?;
    }
    let mut keys: Vec<String> = connection.scan_match("crate:scan:*")?.collect::<RedisResult<_>>()?;
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 100);
    Ok(())
}

#[test]
fn the_redis_crate_subscribes_in_resp2() -> RedisResult<()> {
    let server = Server::kvasm(&Options::new());
    let mut subscriber = connect(&server, "resp2");
    let mut messages = subscriber.as_pubsub();
    messages.subscribe("crate:news")?;
    messages.psubscribe("crate:n*")?;
    assert_eq!(connect(&server, "resp2").publish::<_, _, i64>("crate:news", "hello")?, 2);
    let (first, second) = (messages.get_message()?, messages.get_message()?);
    assert_eq!((first.get_channel_name(), first.get_payload::<String>()?.as_str()), ("crate:news", "hello"));
    assert_eq!(second.get_pattern::<String>()?, "crate:n*");
    Ok(())
}

#[test]
fn the_redis_crate_gets_pushes_in_resp3() -> RedisResult<()> {
    let server = Server::kvasm(&Options::new());
    let mut subscriber = connect(&server, "resp3");
    let (sender, pushed) = std::sync::mpsc::channel();
    subscriber.set_push_sender(sender);
    subscriber.subscribe_resp3("crate:resp3")?;
    // In RESP3 other commands go on working.
    assert_eq!(subscriber.publish::<_, _, i64>("crate:resp3", "hello")?, 1);
    redis::cmd("PING").query::<String>(&mut subscriber)?;
    let kinds: Vec<PushKind> = pushed.try_iter().map(|push| push.kind).collect();
    assert_eq!(kinds, [PushKind::Subscribe, PushKind::Message]);
    Ok(())
}

#[test]
fn the_redis_crate_waits_for_elements() -> RedisResult<()> {
    let server = Server::kvasm(&Options::new());
    for protocol in ["resp2", "resp3"] {
        let [mut waiting, mut writer] = [connect(&server, protocol), connect(&server, protocol)];
        let waiter = std::thread::spawn(move || {
            let popped = waiting.blpop::<_, [String; 2]>("queue", 20.0);
            let options = StreamReadOptions::default().block(20_000);
            popped.and_then(|popped| {
                waiting
                    .xread_options::<_, _, StreamReadReply>(&["events"], &["0"], &options)
                    .map(|read| (popped, read))
            })
        });
        std::thread::sleep(Duration::from_millis(50));
        writer.rpush::<_, _, ()>("queue", "job")?;
        std::thread::sleep(Duration::from_millis(50));
        let id: String = writer.xadd("events", "*", &[("n", 1)])?;
        let (popped, read) = waiter.join().expect("the waiter")?;
        assert_eq!(popped, ["queue", "job"]);
        assert_eq!((read.keys[0].key.as_str(), &read.keys[0].ids[0].id), ("events", &id));
        writer.del::<_, ()>("events")?;
    }
    Ok(())
}

#[test]
fn the_redis_crate_reads_streams_in_groups() -> RedisResult<()> {
    let server = Server::kvasm(&Options::new());
    for protocol in ["resp2", "resp3"] {
        let mut connection = connect(&server, protocol);
        connection.del::<_, ()>("stream")?;
        connection.xgroup_create_mkstream::<_, _, _, ()>("stream", "group", "0")?;
        let first: String = connection.xadd("stream", "*", &[("n", 1)])?;
        connection.xadd::<_, _, _, _, ()>("stream", "*", &[("n", 2)])?;
        let options = StreamReadOptions::default().group("group", "one").count(1);
        let read: StreamReadReply = connection.xread_options(&["stream"], &[">"], &options)?;
        assert_eq!(read.keys[0].ids[0].get::<i64>("n"), Some(1));
        assert_eq!(connection.xpending::<_, _, StreamPendingReply>("stream", "group")?.count(), 1);
        let claimed: StreamAutoClaimReply = connection.xautoclaim_options(
            "stream",
            "group",
            "two",
            0,
            "0",
            StreamAutoClaimOptions::default(),
        )?;
        assert_eq!(claimed.claimed[0].id, first);
        assert_eq!(connection.xack::<_, _, _, i64>("stream", "group", &[&first])?, 1);
    }
    Ok(())
}

#[test]
fn the_redis_crate_caches_until_a_procedure_writes() -> RedisResult<()> {
    let server = Server::kvasm(&Options::new());
    let mut writer = connect(&server, "resp3");
    writer.set::<_, _, ()>("alice", 5)?;
    let code = [b"#!wasm name=bank\n".as_slice(), &guest::example("bank")].concat();
    redis::cmd("FUNCTION").arg("LOAD").arg(code).exec(&mut writer)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let config = AsyncConnectionConfig::new().set_cache_config(CacheConfig::new());
        let client = Client::open(url(&server, "resp3"))?;
        let mut cached = client.get_multiplexed_async_connection_with_config(&config).await?;
        assert_eq!(cached.get::<_, i64>("alice").await?, 5);
        assert_eq!(cached.get::<_, i64>("alice").await?, 5);
        assert_eq!(cached.get_cache_statistics().expect("the statistics").hit, 1);
        redis::cmd("FCALL").arg("transfer").arg(2).arg(&["alice", "bob"]).arg(1).exec(&mut writer)?;
        tokio::time::timeout(TIMEOUT, async {
            while cached.get::<_, i64>("alice").await? != 4 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Ok(())
        })
        .await
        .expect("the invalidation")
    })
}

#[test]
fn the_redis_crate_tells_errors_by_their_code() {
    let server = Server::kvasm(&Options::new());
    let trap = procedure("", "unreachable");
    for protocol in ["resp2", "resp3"] {
        let mut connection = connect(&server, protocol);
        let nowhere = "0".repeat(40);
        for (command, module, code) in [
            ("EVALWASM", trap.as_str(), "WASMTRAP"),
            ("EVALWASM", "no module", "WASMINVALID"),
            ("EVALWASMSHA", &nowhere, "NOSCRIPT"),
            ("FCALL", "nothing", "ERR"),
        ] {
            let mut command = redis::cmd(command);
            let error = command.arg(module).arg(0).query::<()>(&mut connection).expect_err("an error");
            assert_eq!(error.code(), Some(code), "{error}");
        }
    }
}
