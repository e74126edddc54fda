//! kvasm used with the crate `fred`, in RESP2 and RESP3. What its page in `docs/clients` shows is run.

#[path = "../clients/fred/example.rs"]
mod example;

use fred::prelude::*;
use fred::types::scan::Scanner as _;
use fred::types::streams::{XReadResponse, XReadValue};
use fred::types::{ClusterHash, CustomCommand, RespVersion};
use futures::TryStreamExt as _;
use kvasm_tests::guest::{self, procedure};
use kvasm_tests::{Options, Server, clients};
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(120);

/// A command that fred has no method for.
fn raw(name: &'static str) -> CustomCommand {
    CustomCommand::new_static(name, ClusterHash::FirstKey, false)
}

async fn connect(server: &Server, version: RespVersion) -> Result<Client, Error> {
    let mut config = Config::from_url(&format!("redis://127.0.0.1:{}", server.port()))?;
    config.version = version;
    let client = Builder::from_config(config).build()?;
    client.init().await?;
    Ok(client)
}

/// Runs a test to its end, which must come in time.
#[track_caller]
fn run(test: impl Future<Output = Result<(), Error>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let in_time = runtime.block_on(async { tokio::time::timeout(TIMEOUT, test).await });
    in_time.expect("an end").expect("no error");
}

/// Runs a test with two clients of a new server, in each version of the protocol.
#[track_caller]
fn check<F: Future<Output = Result<(), Error>>>(test: impl Fn(Client, Client) -> F) {
    for version in [RespVersion::RESP2, RespVersion::RESP3] {
        let server = Server::kvasm(&Options::new());
        run(async {
            let [one, two] =
                [connect(&server, version.clone()).await?, connect(&server, version.clone()).await?];
            test(one, two).await
        });
    }
}

#[test]
fn the_page_shows_what_is_run() {
    clients::check_page("fred", "rust", include_str!("../clients/fred/example.rs"));
    let server = Server::kvasm(&Options::new());
    let url = format!("redis://127.0.0.1:{}", server.port());
    run(example::transfer(&url, &guest::example("bank")));
}

#[test]
fn fred_pipelines_and_transacts() {
    check(|one, two| async move {
        let pipeline = one.pipeline();
        pipeline.set::<(), _, _>("count", 41, None, None, false).await?;
        pipeline.incr::<(), _>("count").await?;
        let replies: (String, i64) = pipeline.all().await?;
        assert_eq!(replies, ("OK".into(), 42));

        one.watch("count").await?;
        let transaction = one.multi();
        transaction.incr::<(), _>("count").await?;
        transaction.get::<(), _>("count").await?;
        assert_eq!(transaction.exec::<(i64, i64)>(true).await?, (43, 43));

        one.watch("count").await?;
        two.set::<(), _, _>("count", 1, None, None, false).await?;
        let transaction = one.multi();
        transaction.set::<(), _, _>("count", 2, None, None, false).await?;
        assert_eq!(transaction.exec::<Option<Vec<String>>>(true).await?, None);
        assert_eq!(two.get::<i64, _>("count").await?, 1);
        Ok(())
    });
}

#[test]
fn fred_subscribes() {
    check(|one, two| async move {
        let mut messages = one.message_rx();
        one.subscribe("news").await?;
        one.psubscribe("n*").await?;
        // fred does not wait until the server has done it.
        while two.pubsub_numpat::<i64>().await? == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(two.publish::<i64, _, _>("news", "hello").await?, 2);
        for _ in 0..2 {
            let message = messages.recv().await.expect("a message");
            assert_eq!((&*message.channel, message.value.as_string().as_deref()), ("news", Some("hello")));
        }
        one.unsubscribe("news").await
    });
}

#[test]
fn fred_waits_for_elements() {
    check(|one, two| async move {
        let write = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            two.rpush::<(), _, _>("queue", "job").await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
            two.xadd::<String, _, _, _, _>("events", false, None, "*", ("n", 1)).await
        };
        let read = async {
            let popped: (String, String) = one.blpop("queue", 20.0).await?;
            let read: XReadResponse<String, String, String, i64> =
                one.xread_map(None, Some(20_000), "events", "0").await?;
            Ok((popped, read))
        };
        let (id, (popped, read)) = tokio::try_join!(write, read)?;
        assert_eq!(popped, ("queue".into(), "job".into()));
        assert_eq!(read["events"], [(id, HashMap::from([("n".to_owned(), 1)]))]);
        Ok(())
    });
}

#[test]
fn fred_scans() {
    check(|one, _two| async move {
        let pairs: Vec<(String, i64)> = (0..300).map(|number| (format!("scan:{number}"), number)).collect();
        one.mset(pairs).await?;
        let keys: HashSet<Key> = one.scan_buffered("scan:*", Some(20), None).try_collect().await?;
        assert_eq!(keys.len(), 300);
        let pairs: Vec<(String, i64)> = (0..600).map(|number| (format!("field{number}"), number)).collect();
        one.hset::<(), _, _>("big", pairs).await?;
        let mut pages = std::pin::pin!(one.hscan("big", "*", Some(50)));
        let mut fields = HashSet::new();
        while let Some(mut page) = pages.try_next().await? {
            let found = page.take_results().expect("a page");
            fields.extend(found.inner().into_keys());
            page.next();
        }
        assert_eq!(fields.len(), 600);
        Ok(())
    });
}

#[test]
fn fred_reads_streams_in_groups() {
    check(|one, _two| async move {
        one.xgroup_create::<(), _, _, _>("stream", "group", "0", true).await?;
        let first: String = one.xadd("stream", false, None, "*", ("n", 1)).await?;
        one.xadd::<(), _, _, _, _>("stream", false, None, "*", ("n", 2)).await?;
        let read: XReadResponse<String, String, String, i64> =
            one.xreadgroup_map("group", "one", Some(1), None, false, "stream", ">").await?;
        assert_eq!(read["stream"], [(first.clone(), HashMap::from([("n".to_owned(), 1)]))]);
        let (_, claimed): (String, Vec<XReadValue<String, String, i64>>) =
            one.xautoclaim_values("stream", "group", "two", 0, "0", None, false).await?;
        assert_eq!(claimed[0].0, first);
        assert_eq!(one.xack::<i64, _, _, _>("stream", "group", first).await?, 1);
        Ok(())
    });
}

#[test]
fn fred_is_told_when_a_procedure_changes_what_it_read() {
    let server = Server::kvasm(&Options::new());
    run(async {
        // `start_tracking` needs RESP3.
        let [reader, writer] =
            [connect(&server, RespVersion::RESP3).await?, connect(&server, RespVersion::RESP3).await?];
        let code = [b"#!wasm name=bank\n".as_slice(), &guest::example("bank")].concat();
        writer.custom::<(), Value>(raw("FUNCTION"), vec!["LOAD".into(), Value::Bytes(code.into())]).await?;
        writer.set::<(), _, _>("alice", 5, None, None, false).await?;
        let mut invalidations = reader.invalidation_rx();
        reader.start_tracking(None, false, false, false, false).await?;
        assert_eq!(reader.get::<i64, _>("alice").await?, 5);
        writer.fcall::<i64, _, _, _>("transfer", vec!["alice", "bob"], 1).await?;
        let invalidation = invalidations.recv().await.expect("an invalidation");
        assert_eq!(invalidation.keys, [Key::from("alice")]);
        reader.stop_tracking().await
    });
}

#[test]
fn fred_shows_errors_as_they_are() {
    check(|one, _two| async move {
        // A library in text form needs no raw command.
        let code = format!("#!wasm name=text\n{}", procedure("", "unreachable"));
        assert_eq!(one.function_load::<String, _>(true, code).await?, "text");
        let error = one
            .fcall::<(), _, _, _>("run", Vec::<Key>::new(), Vec::<Value>::new())
            .await
            .expect_err("a trap");
        assert!(error.details().starts_with("WASMTRAP "), "{error:?}");
        let trap = procedure("", "unreachable");
        let nowhere = "0".repeat(40);
        for (command, module, code) in [
            ("EVALWASM", trap.as_str(), "WASMTRAP "),
            ("EVALWASM", "no module", "WASMINVALID "),
            ("EVALWASMSHA", &nowhere, "NOSCRIPT "),
        ] {
            let failed: Result<(), Error> = one.custom(raw(command), vec![module, "0"]).await;
            let error = failed.expect_err("an error");
            assert!(error.details().starts_with(code), "{error:?}");
        }
        Ok(())
    });
}
