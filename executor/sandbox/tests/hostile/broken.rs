//! Modules that are not what they seem: cut off, with flipped bits, and what their refusals say.

use rulebox_sandbox::selftest::{self, frame};
use rulebox_sandbox::{ModuleLimits, Sandbox, SandboxConfig, ViolationKind};

use crate::{assert_well, load, run, sandbox, text};

#[test]
fn a_module_cut_off_anywhere_is_refused() {
    let sandbox = sandbox();
    let whole = frame::assemble("").unwrap();
    let mut complete = 0;
    for end in 0..whole.len() {
        match sandbox.load(&whole[..end], &ModuleLimits::default()) {
            Err(refusal) => assert_eq!(refusal.kind, ViolationKind::ModuleInvalid, "at {end}"),
            // Cut right before the section of names, which is no part of the code.
            Ok(module) => {
                complete += 1;
                assert!(run(&module, &[1.0], &selftest::limits()).0.is_ok());
            }
        }
    }
    assert_eq!(complete, 1);
    assert_well(&sandbox);
}

#[test]
fn a_module_with_a_flipped_bit_is_refused_or_bounded() {
    let sandbox = Sandbox::new(SandboxConfig { pool_size: 4, ..SandboxConfig::default() }).unwrap();
    let (mut refused, mut stopped, mut ran) = (0, 0, 0);
    for (name, every) in [("", 1), ("mutual_recursion", 5), ("memory_growth", 5)] {
        let text = if name.is_empty() { String::new() } else { text(name) };
        let whole = frame::assemble(&text).unwrap();
        for bit in (0..whole.len() * 8).step_by(every) {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // No outcome is wrong but a panic, a hang or a crash.
            match sandbox.load(&bytes, &ModuleLimits::default()) {
                Err(_) => refused += 1,
                Ok(module) => match run(&module, &[1.0, 2.0], &selftest::limits()).0 {
                    Err(_) => stopped += 1,
                    Ok(_) => ran += 1,
                },
            }
        }
        assert_well(&sandbox);
    }
    println!("{refused} refused, {stopped} stopped, {ran} ran");
    assert!(refused > 100 && stopped > 100 && ran > 100, "every way is tried");
}

#[test]
fn a_forbidden_import_is_named() {
    let sandbox = sandbox();
    let detail = |name| load(&sandbox, &text(name)).unwrap_err().detail;
    assert_eq!(
        detail("import_function"),
        "function `env.now` is not there: a rule may import nothing but the function `env.abort`"
    );
    assert_eq!(
        detail("import_wasi"),
        "function `wasi_snapshot_preview1.fd_write` is WASI, which rules do not have: build for a target without an \
         operating system"
    );
    assert!(detail("import_abort_of_another_type").starts_with("function `env.abort` must be a function that takes"));
    assert!(detail("import_global").starts_with("global `env.__stack_pointer` is not there"));
    let long = detail("import_with_a_long_name");
    assert!(long.starts_with("function `env.\\u{1b}[31mxxx") && long.len() < 250 && long.is_ascii(), "{long}");
}

#[test]
fn a_toolchains_default_is_explained() {
    let sandbox = sandbox();
    let detail = |name| load(&sandbox, &text(name)).unwrap_err().detail;
    assert!(detail("bulk_memory").starts_with("it uses bulk memory, which Rulebox has off; build it without (Rust:"));
    assert!(detail("multi_value").starts_with("it uses multi-value, which Rulebox has off"));
    assert!(detail("simd").starts_with("it uses SIMD, which Rulebox has off"));
    assert!(detail("tail_call").starts_with("it uses tail calls, which Rulebox has off"));
    assert!(detail("memory64").starts_with("it uses 64-bit memory, which Rulebox has off"));
    for (text, names) in [
        (r#"(func (export "more") (param externref))"#, "reference types"),
        (r#"(func (export "more") (local externref))"#, "reference types"),
        (r#"(memory (export "memory") 2 2 shared)"#, "threads"),
        ("(func (drop (i32.atomic.load (i32.const 0))))", "threads"),
        ("(tag)", "exceptions"),
        ("(func (block (try_table (catch_all 0))))", "exceptions"),
    ] {
        let detail = load(&sandbox, text).unwrap_err().detail;
        assert!(detail.starts_with(&format!("it uses {names}, which Rulebox has off")), "{text}: {detail}");
    }
}

#[test]
fn what_a_module_lacks_is_said() {
    let sandbox = sandbox();
    let detail = |name| load(&sandbox, &text(name)).unwrap_err().detail;
    assert_eq!(
        detail("no_marker"),
        "it does not export `rulebox_abi_1`, the mark of a module of the rule ABI, version 1"
    );
    assert_eq!(detail("no_memory"), "it has no memory to export as `memory`");
    assert_eq!(detail("no_eval"), "it does not export `rulebox_eval`, a function (i32) -> i32");
    assert_eq!(detail("eval_of_another_type"), "its export `rulebox_eval` must be a function (i32) -> i32");
    assert_eq!(detail("state_of_another_type"), "its export `rulebox_state` must be a function () -> i64");
    assert_eq!(detail("memory_is_function"), "its export `memory` must be its memory");
}
