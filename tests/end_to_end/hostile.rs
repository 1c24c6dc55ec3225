//! Modules that do what they may not.

use rulebox_tests::Server;
use serde_json::json;

use super::replicas::body;

/// What every module has, and no input.
const PARTS: &str = r#"
  (memory (export "memory") 1)
  (global (export "rulebox_abi_1") i32 (i32.const 1))
  (func (export "rulebox_init") (param i32) (result i32) (i32.const 0))
  (func (export "rulebox_buffer") (param $kind i32) (param i32 i32) (result i32)
    (if (i32.eq (local.get $kind) (i32.const 6)) (then (return (i32.const 64))))
    (if (i32.eq (local.get $kind) (i32.const 7)) (then (return (i32.const 8192))))
    (i32.const 0))
  (func (export "rulebox_reset"))"#;

/// Evaluates without an end.
pub const ENDLESS: &str = "(loop $again (br $again)) (i32.const 0)";
/// Traps at once.
pub const TRAP: &str = "unreachable";

/// Uploads a module under this name whose `rulebox_eval` is this.
pub fn upload(server: &Server, key: &str, name: &str, eval: &str) {
    let manifest = json!({
        "abi": 1, "name": name, "inputs": [], "params": [], "outs": [], "statements": [], "spans": [],
        "uses_time": false, "clock": {"zone": "UTC", "day_start": 0}, "lookback": 0, "memory_bytes": 0,
        "state_bytes": 0,
    });
    let manifest = manifest.to_string().replace('"', "\\22");
    let text = format!(
        r#"(module {PARTS}
  (func (export "rulebox_eval") (param i32) (result i32) {eval})
  (@custom "rulebox.manifest" "{manifest}"))"#
    );
    let module = wat::parse_str(text).unwrap();
    let request = server.client().post(format!("{}/v1/rules?name={name}", server.api)).bearer_auth(key);
    body(request.header("content-type", "application/wasm").body(module).send(), 201);
}
