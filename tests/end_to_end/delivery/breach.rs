//! A module that behaves for nine bars in one call, which is as long as its trial, and breaks the ABI at more.

use rulebox_tests::Server;
use serde_json::{Value, json};

use crate::replicas::body;

/// With the manifest before its end.
const BREACH: &str = r#"(module
  (memory (export "memory") 1)
  (global (export "rulebox_abi_1") i32 (i32.const 1))
  (func (export "rulebox_init") (param i32) (result i32) (i32.const 0))
  (func (export "rulebox_buffer") (param $kind i32) (param i32 i32) (result i32)
    (if (i32.eq (local.get $kind) (i32.const 1)) (then (return (i32.const 24576))))
    (if (i32.eq (local.get $kind) (i32.const 6)) (then (return (i32.const 64))))
    (if (i32.eq (local.get $kind) (i32.const 7)) (then (return (i32.const 8192))))
    (i32.const 0))
  (func (export "rulebox_reset"))
  (func (export "rulebox_eval") (param $rows i32) (result i32) (i32.gt_u (local.get $rows) (i32.const 9)))"#;

/// Uploads it under this name, which makes it a module of its own.
pub fn upload(server: &Server, key: &str, name: &str) {
    let manifest = json!({
        "abi": 1, "name": name, "inputs": [{"name": "x", "type": "num", "optional": true}], "params": [], "outs": [],
        "statements": [], "spans": [], "uses_time": false, "clock": {"zone": "UTC", "day_start": 0}, "lookback": 0,
        "memory_bytes": 0, "state_bytes": 0,
    });
    let manifest = manifest.to_string().replace('"', "\\22");
    let module = wat::parse_str(format!("{BREACH} (@custom \"rulebox.manifest\" \"{manifest}\"))")).unwrap();
    let request = server.client().post(format!("{}/v1/rules?name={name}", server.api)).bearer_auth(key);
    let answer = request.header("content-type", "application/wasm").body(module).send().unwrap();
    assert_eq!(answer.status().as_u16(), 201, "{}", answer.text().unwrap());
}

/// Has it break the ABI, which is high: the answer.
pub fn run(server: &Server, key: &str, name: &str) -> Value {
    let bars = json!({"columns": {"x": vec![1.0; 10]}});
    let problem = body(server.post(key, &format!("/v1/rules/{name}/evaluate"), &bars), 422);
    assert_eq!((&problem["code"], &problem["kind"]), (&json!("sandbox_violation"), &json!("abi_breach")), "{problem}");
    problem
}
