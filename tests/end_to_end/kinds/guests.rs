//! Modules that do something forbidden, each at one input alone or in what it is.

use std::fmt::Write;

use serde_json::{Value, json};

/// At this input a module does what it is for. Nobody tries it by chance, and nothing else looks like it in a log.
pub const TRIGGER: &str = "7.0718293645";
/// In the memory of every module.
pub const IN_MODULE: &str = "canary_of_a_module";
/// In its manifest: what it says of a breach.
pub const IN_MANIFEST: &str = "canary_of_a_manifest";

/// What there is of a module of one input beside what it does.
const FRAME: &str = r#"
  (global (export "rulebox_abi_1") i32 (i32.const 1))
  (func (export "rulebox_init") (param i32) (result i32) (i32.const 0))
  (func (export "rulebox_buffer") (param $kind i32) (param i32 i32) (result i32)
    (if (i32.eq (local.get $kind) (i32.const 1)) (then (return (i32.const 4096))))
    (if (i32.eq (local.get $kind) (i32.const 6)) (then (return (i32.const 40960))))
    (if (i32.eq (local.get $kind) (i32.const 7)) (then (return (i32.const 45056))))
    (i32.const 0))
  (func (export "rulebox_reset"))
  (func $deeper (param i32) (result i32) (i32.add (i32.const 1) (call $deeper (local.get 0))))
  (func (export "rulebox_eval") (param $rows i32) (result i32)
    (i32.store8 (i32.const 40960) (i32.const 0))
    (i32.store (i32.const 45056) (i32.const 0))"#;

/// A module that does this when its first input of a call is the trigger, with these fields more.
pub fn at_trigger(then: &str, more: &str) -> Vec<u8> {
    let memory = r#"(memory (export "memory") 2)"#;
    assemble(&format!(
        "{memory} {FRAME}\n(if (f64.eq (f64.load (i32.const 4096)) (f64.const {TRIGGER})) (then {then})) (i32.const 0))
        (data (i32.const 70000) \"{IN_MODULE}\") {more}"
    ))
}

/// A module that does nothing, with these fields before all others.
pub fn with(fields: &str) -> Vec<u8> {
    assemble(&format!("{fields} (memory (export \"memory\") 2) {FRAME} (i32.const 0))"))
}

/// A module that does this at every call, so that it is refused when it is tried.
pub fn always(does: &str) -> Vec<u8> {
    assemble(&format!("(memory (export \"memory\") 2) {FRAME} {does} (i32.const 0))"))
}

/// A module that does nothing, with this memory.
pub fn with_memory(memory: &str) -> Vec<u8> {
    assemble(&format!("{memory} {FRAME} (i32.const 0))"))
}

/// Passes the gate's counts, and takes some hundred MiB to compile.
pub fn bomb() -> Vec<u8> {
    let mut loads = String::new();
    for offset in (0..10_500).map(|i| i * 8) {
        write!(loads, "(i64.load offset={offset} (i32.const 0))").unwrap();
    }
    let (calls, sums) = ("(call $f)".repeat(10_500), "i64.add ".repeat(10_499));
    with_memory(&format!("(memory (export \"memory\") 2) (func $f) (func (result i64) {loads} {calls} {sums})"))
}

fn manifest() -> Value {
    json!({
        "abi": 1, "name": "hostile", "inputs": [{"name": "x", "type": "num", "optional": false}], "params": [],
        "outs": [], "statements": [{"verdict": "breach", "message": [{"text": IN_MANIFEST}]}], "spans": [],
        "uses_time": false, "clock": {"zone": "UTC", "day_start": 0}, "lookback": 0, "memory_bytes": 0,
        "state_bytes": 0,
    })
}

fn assemble(fields: &str) -> Vec<u8> {
    let manifest = manifest().to_string().replace('"', "\\22");
    wat::parse_str(format!("(module {fields} (@custom \"rulebox.manifest\" \"{manifest}\"))")).unwrap()
}
