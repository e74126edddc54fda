use fred::prelude::*;
use fred::types::{ClusterHash, CustomCommand};

/// Transfers money from alice to bob; `module` is the content of bank.wasm.
pub async fn transfer(url: &str, module: &[u8]) -> Result<(), Error> {
    let client = Builder::from_config(Config::from_url(url)?).build()?;
    client.init().await?;

    // Once: upload the library `bank`. `function_load` takes text only, so a binary module goes as a raw command.
    let raw = |name: &'static str| CustomCommand::new_static(name, ClusterHash::FirstKey, false);
    let code = [b"#!wasm name=bank\n", module].concat();
    let arguments: Vec<Value> = vec!["LOAD".into(), "REPLACE".into(), Value::Bytes(code.into())];
    let _: String = client.custom(raw("FUNCTION"), arguments).await?;

    // Call its functions.
    let _: () = client.mset(vec![("alice", 25), ("bob", 0)]).await?;
    let left: i64 = client.fcall("transfer", vec!["alice", "bob"], 10).await?;
    assert_eq!(left, 15);
    let balances: Vec<i64> = client.fcall_ro("balances", vec!["alice", "bob"], Vec::<Value>::new()).await?;
    assert_eq!(balances, [15, 10]);

    // An error undoes all that the procedure did. Its first word is the code.
    let failed: Result<i64, Error> = client.fcall("transfer", vec!["alice", "bob"], 99).await;
    assert_eq!(failed.expect_err("alice has too little").details(), "INSUFFICIENT alice lacks 84");
    assert_eq!(client.get::<i64, _>("bob").await?, 10);

    // A one-off module: text or bytes.
    let module = r#"(module
        (import "kvasm_1" "reply_integer" (func $reply_integer (param i64)))
        (func (export "run") (call $reply_integer (i64.const 42))))"#;
    let reply: i64 = client.custom(raw("EVALWASM"), vec![module, "0"]).await?;
    assert_eq!(reply, 42);
    let module = r#"(module (func (export "run") unreachable))"#;
    let failed: Result<(), Error> = client.custom(raw("EVALWASM"), vec![module, "0"]).await;
    assert!(failed.expect_err("a trap").details().starts_with("WASMTRAP "));
    client.quit().await
}
