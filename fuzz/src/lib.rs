//! Entries of the fuzz targets. Generators and oracles live with the crates and are replayed by their tests over the
//! seeds of `fuzz/seeds`; those of the sandbox are its integration tests' own, and included here as they are.

#![expect(dead_code, reason = "what is included has more than is called here")]

#[path = "../../executor/sandbox/tests/rules/accepted.rs"]
mod accepted;
#[path = "../../executor/sandbox/tests/generated/check.rs"]
mod check;
#[path = "../../executor/sandbox/tests/rules/harness.rs"]
mod harness;
mod smith;
#[path = "../../executor/sandbox/tests/hostile/untrusted.rs"]
mod untrusted;
#[path = "../../executor/sandbox/tests/rules/walk.rs"]
mod walk;

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::{Mutex, Once, PoisonError};

pub use accepted::compile_and_validate;
pub use check::differential;
pub use rulebox::fuzzing::{executor_wire, http_json, session_state};
pub use rulebox_dsl::fuzzing::{format_roundtrip, lexer_parser};

/// The bytes as a module; and if they do not even begin like one, as decisions of what makes modules.
pub fn untrusted_wasm(bytes: &[u8]) {
    if bytes.starts_with(b"\0asm") {
        return untrusted::untrusted_wasm(bytes);
    }
    if let Some(module) = smith::module(bytes) {
        untrusted::untrusted_wasm(&module);
    }
}

/// As `rulebox::fuzzing::arrow_stream`, where panics may be caught: the library that decodes Arrow panics on broken
/// bytes, and what reads streams expects that. libFuzzer's own hook would end the process at the first of them.
pub fn arrow_stream(bytes: &[u8]) {
    static QUIET: Once = Once::new();
    static LAST: Mutex<String> = Mutex::new(String::new());
    let last = || LAST.lock().unwrap_or_else(PoisonError::into_inner);
    QUIET.call_once(|| set_hook(Box::new(move |panic| *last() = panic.to_string())));
    if catch_unwind(AssertUnwindSafe(|| rulebox::fuzzing::arrow_stream(bytes))).is_err() {
        eprintln!("{}", last());
        std::process::abort();
    }
}
