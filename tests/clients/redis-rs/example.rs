use redis::{Commands, RedisResult};

/// Transfers money from alice to bob; `module` is the content of bank.wasm.
pub fn transfer(url: &str, module: &[u8]) -> RedisResult<()> {
    let mut client = redis::Client::open(url)?.get_connection()?;

    // Once: upload the library `bank`.
    let code = [b"#!wasm name=bank\n", module].concat();
    let _: String = redis::cmd("FUNCTION").arg("LOAD").arg("REPLACE").arg(code).query(&mut client)?;

    // Call its functions.
    let _: () = client.mset(&[("alice", 25), ("bob", 0)])?;
    let mut transfer = redis::cmd("FCALL");
    transfer.arg("transfer").arg(2).arg(&["alice", "bob"]);
    let left: i64 = transfer.clone().arg(10).query(&mut client)?;
    assert_eq!(left, 15);
    let balances: Vec<i64> =
        redis::cmd("FCALL_RO").arg("balances").arg(2).arg(&["alice", "bob"]).query(&mut client)?;
    assert_eq!(balances, [15, 10]);

    // An error undoes all that the procedure did. Its first word is the code.
    let error = transfer.clone().arg(99).query::<i64>(&mut client).expect_err("alice has too little");
    assert_eq!((error.code(), error.detail()), (Some("INSUFFICIENT"), Some("alice lacks 84")));
    assert_eq!(client.get::<_, i64>("bob")?, 10);

    // A one-off module: text or bytes.
    let module = r#"(module
        (import "kvasm_1" "reply_integer" (func $reply_integer (param i64)))
        (func (export "run") (call $reply_integer (i64.const 42))))"#;
    let reply: i64 = redis::cmd("EVALWASM").arg(module).arg(0).query(&mut client)?;
    assert_eq!(reply, 42);
    let module = r#"(module (func (export "run") unreachable))"#;
    let error = redis::cmd("EVALWASM").arg(module).arg(0).query::<()>(&mut client).expect_err("a trap");
    assert_eq!(error.code(), Some("WASMTRAP"));
    Ok(())
}
