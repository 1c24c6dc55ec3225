//! Runs hostile modules through the whole sandbox: each has its outcome, in bounded time and memory, and the next run
//! in the same process is right. `cargo nextest run -E 'test(every_hostile_module)' --no-capture` prints the table.

#![expect(clippy::unwrap_used, reason = "what the tests share is outside of `#[test]` functions")]

mod abi;
mod bombs;
mod broken;
mod limits;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rulebox_abi::columns::OutputColumns;
use rulebox_sandbox::selftest::{self, frame};
use rulebox_sandbox::{Limits, Module, ModuleLimits, Refusal, RunError, RunReport, Sandbox, SandboxConfig, Violation};

/// Each file of `hostile/`, and how it ends.
const OUTCOMES: [(&str, &str); 75] = [
    ("abort", "trap: abort"),
    ("buffer_at_2_gib", "abi_breach"),
    ("buffer_grows", "other results"),
    ("buffer_negative", "abi_breach"),
    ("buffer_on_its_way_out", "abi_breach"),
    ("buffer_over_the_params", "abi_breach"),
    ("buffer_overlapping", "abi_breach"),
    ("buffer_past_the_end", "abi_breach"),
    ("buffer_unaligned", "abi_breach"),
    ("buffer_zero", "abi_breach"),
    ("bulk_memory", "module_invalid"),
    ("call_of_null", "trap: indirect_call_to_null"),
    ("call_of_the_wrong_type", "trap: bad_signature"),
    ("call_past_the_table", "trap: table_out_of_bounds"),
    ("data_out_of_bounds", "trap: memory_out_of_bounds"),
    ("division_by_zero", "trap: integer_division_by_zero"),
    ("division_overflow", "trap: integer_overflow"),
    ("elements_out_of_bounds", "trap: table_out_of_bounds"),
    ("endless_loop", "fuel_exhausted"),
    ("endless_loop_in_init", "fuel_exhausted"),
    ("endless_loop_in_state", "ok"),
    ("endless_recursion", "stack_overflow"),
    ("eval_fails", "abi_breach"),
    ("eval_grows", "other results"),
    ("eval_is_a_global", "module_invalid"),
    ("eval_of_another_type", "module_invalid"),
    ("eval_returns_one", "abi_breach"),
    ("huge_table", "module_too_large"),
    ("import_abort_of_another_type", "import_forbidden"),
    ("import_function", "import_forbidden"),
    ("import_global", "import_forbidden"),
    ("import_memory", "import_forbidden"),
    ("import_table", "import_forbidden"),
    ("import_wasi", "import_forbidden"),
    ("import_with_a_long_name", "import_forbidden"),
    ("init_refuses", "params_refused"),
    ("init_returns_seven", "abi_breach"),
    ("large_float_to_integer", "trap: integer_overflow"),
    ("load_out_of_bounds", "trap: memory_out_of_bounds"),
    ("load_wrapping", "trap: memory_out_of_bounds"),
    ("marker_is_memory", "module_invalid"),
    ("memory64", "module_invalid"),
    ("memory_growth", "memory_limit"),
    ("memory_growth_at_once", "memory_limit"),
    ("memory_is_function", "module_invalid"),
    ("memory_of_4_gib", "module_too_large"),
    ("memory_over_the_run", "memory_limit"),
    ("memory_own_maximum", "other results"),
    ("multi_value", "module_invalid"),
    ("mutual_recursion", "stack_overflow"),
    ("nan_payload", "other results"),
    ("nan_to_integer", "trap: bad_conversion_to_integer"),
    ("nested_loops", "fuel_exhausted"),
    ("no_eval", "module_invalid"),
    ("no_exports", "module_invalid"),
    ("no_marker", "module_invalid"),
    ("no_memory", "module_invalid"),
    ("remainder_by_zero", "trap: integer_division_by_zero"),
    ("shared_memory", "module_invalid"),
    ("simd", "module_invalid"),
    ("slow_straight_line", "fuel_exhausted"),
    ("start_function", "module_invalid"),
    ("state_huge", "ok"),
    ("state_moves", "ok"),
    ("state_of_another_type", "module_invalid"),
    ("state_out_of_bounds", "ok"),
    ("store_out_of_bounds", "trap: memory_out_of_bounds"),
    ("table_growth", "module_invalid"),
    ("table_huge_maximum", "ok"),
    ("table_over_the_run", "memory_limit"),
    ("tail_call", "module_invalid"),
    ("two_memories", "module_invalid"),
    ("unreachable", "trap: unreachable"),
    ("unreachable_in_reset", "trap: unreachable"),
    ("verdict_seven", "abi_breach"),
];

fn sandbox() -> Sandbox {
    Sandbox::new(SandboxConfig { pool_size: 4, ..SandboxConfig::default() }).unwrap()
}

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile").join(format!("{name}.wat"));
    fs::read_to_string(path).unwrap()
}

fn load(sandbox: &Sandbox, text: &str) -> Result<Module, Refusal> {
    sandbox.load(&frame::assemble(text).unwrap(), &ModuleLimits::default())
}

fn run(module: &Module, bars: &[f64], limits: &Limits) -> (Result<RunReport, RunError>, OutputColumns) {
    let mut output = OutputColumns::default();
    let report = module.run(&frame::SHAPE, &[2.0], &frame::input(&[bars]), limits, &mut output);
    (report, output)
}

fn violation(sandbox: &Sandbox, name: &str) -> Violation {
    let module = load(sandbox, &text(name)).unwrap();
    run(&module, &[1.0], &selftest::limits()).0.unwrap_err().violation().unwrap().clone()
}

/// The process is as it was: a good module runs, and is right.
fn assert_well(sandbox: &Sandbox) {
    assert_eq!(selftest::outcome(sandbox, "", &selftest::limits()).0, "ok");
}

#[test]
fn every_hostile_module_has_its_outcome() {
    let sandbox = sandbox();
    println!("| module | outcome | ms | fuel |\n|---|---|---|---|");
    for (name, expected) in OUTCOMES {
        let text = text(name);
        let began = Instant::now();
        let (got, fuel) = selftest::outcome(&sandbox, &text, &selftest::limits());
        let took = began.elapsed();
        println!("| {name} | {got} | {:.1} | {fuel} |", took.as_secs_f64() * 1e3);
        assert_eq!(got, expected, "{name}");
        assert!(took < Duration::from_secs(20), "{name} took {took:?}");
        assert_well(&sandbox);
    }
}

#[test]
fn no_hostile_module_is_forgotten() {
    let files: BTreeSet<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let table: BTreeSet<_> = OUTCOMES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, table);
}

#[test]
fn the_selftest_prints_its_table() {
    for check in selftest::run(&sandbox()) {
        println!("| {} | {} | {:.1} | {} |", check.name, check.got, check.elapsed.as_secs_f64() * 1e3, check.fuel);
        assert!(check.passed, "{check:?}");
    }
}
