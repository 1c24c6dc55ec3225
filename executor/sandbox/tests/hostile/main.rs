//! Runs hostile modules through the whole sandbox: each has its outcome, in bounded time and memory, and the next run
//! in the same process is right. `cargo nextest run -E 'test(every_hostile_module)' --no-capture` prints the table.

#![expect(clippy::unwrap_used, reason = "what the tests share is outside of `#[test]` functions")]

mod abi;
mod bombs;
mod broken;
mod leaks;
mod limits;
mod messages;
#[path = "../../../../fuzz/src/seeds.rs"]
mod seeds;
mod untrusted;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rulebox_abi::columns::OutputColumns;
use rulebox_sandbox::selftest::{self, frame};
use rulebox_sandbox::{Limits, Module, ModuleLimits, Refusal, RunError, RunReport, Sandbox, SandboxConfig, Violation};

include!("../../hostile/outcomes.rs");

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
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wat"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
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
