//! The self-test: trips every limit with hand-written modules, and sees that each holds.
//!
//! A limit that does not hold looks like nothing at all until somebody needs it. So the service runs this at its
//! start, and `rulebox selftest` for whoever asks; it takes less than a second.

pub mod frame;

use std::time::{Duration, Instant};

use rulebox_abi::columns::{InputColumns, OutputColumns};

use crate::engine::Sandbox;
use crate::instance::RunReport;
use crate::limits::{Limits, Messages, ModuleLimits};
use crate::outcome::RunError;

/// A limit that was tried.
#[derive(Clone, Debug)]
pub struct Check {
    /// Name of the module.
    pub name: &'static str,
    /// The outcome that it must have: `ok`, or a kind of violation and, after a colon, the code of a trap.
    pub expected: &'static str,
    /// The outcome that it had.
    pub got: String,
    /// Whether it is the one, and the well-behaved rule ran right after it.
    pub passed: bool,
    /// Time from its text to its outcome.
    pub elapsed: Duration,
    /// Fuel of its bars.
    pub fuel: u64,
}

/// Name, text, and outcome.
type Case = (&'static str, &'static str, &'static str);

macro_rules! case {
    ($name:literal, $expected:literal) => {
        ($name, include_str!(concat!("../../hostile/", $name, ".wat")), $expected)
    };
}

const CASES: [Case; 17] = [
    ("well_behaved", "", "ok"),
    case!("endless_loop", "fuel_exhausted"),
    case!("slow_straight_line", "fuel_exhausted"),
    case!("endless_loop_in_init", "fuel_exhausted"),
    case!("endless_recursion", "stack_overflow"),
    case!("memory_growth", "memory_limit"),
    case!("memory_over_the_run", "memory_limit"),
    case!("memory_of_4_gib", "module_too_large"),
    case!("table_over_the_run", "memory_limit"),
    case!("load_out_of_bounds", "trap: memory_out_of_bounds"),
    case!("division_by_zero", "trap: integer_division_by_zero"),
    case!("call_of_the_wrong_type", "trap: bad_signature"),
    case!("buffer_past_the_end", "abi_breach"),
    case!("verdict_seven", "abi_breach"),
    case!("import_wasi", "import_forbidden"),
    case!("start_function", "module_invalid"),
    // The deadline is tried by itself: see `deadline`.
    ("too_many_blocks", "", "module_too_complex"),
];

/// Limits small enough that every hostile module meets its own within milliseconds. The deadline is not among them: on
/// a machine that has no time for us it would be met before the others.
pub fn limits() -> Limits {
    Limits {
        fuel: 500_000,
        setup_fuel: 1_000_000,
        deadline: Duration::from_mins(1),
        memory_bytes: 8 << 20,
        table_elements: 1_000,
        messages: Messages::Flagged,
        ..Limits::default()
    }
}

/// Tries every limit of this sandbox.
pub fn run(sandbox: &Sandbox) -> Vec<Check> {
    let mut checks = Vec::with_capacity(CASES.len() + 1);
    let nested = deep_blocks();
    for (name, text, expected) in CASES {
        let text = if name == "too_many_blocks" { &nested } else { text };
        checks.push(check(sandbox, name, text, expected, &limits()));
    }
    checks.push(deadline(sandbox));
    checks
}

fn deep_blocks() -> String {
    let depth = 1 + ModuleLimits::default().nesting as usize;
    format!("(func {} {})", "block ".repeat(depth), "end ".repeat(depth))
}

/// Endless, with all the fuel there is: the clock alone can stop it.
fn deadline(sandbox: &Sandbox) -> Check {
    let (_, text, _) = case!("endless_loop", "");
    let limits = Limits { fuel: u64::MAX, deadline: Limits::MIN_DEADLINE, ..limits() };
    check(sandbox, "endless_loop_with_endless_fuel", text, "deadline_exceeded", &limits)
}

fn check(sandbox: &Sandbox, name: &'static str, text: &str, expected: &'static str, limits: &Limits) -> Check {
    let began = Instant::now();
    let (got, fuel) = outcome(sandbox, text, limits);
    let elapsed = began.elapsed();
    let passed = got == expected && outcome(sandbox, "", &self::limits()).0 == "ok";
    Check { name, expected, got, passed, elapsed, fuel }
}

/// Runs three bars through a module of the frame, and says how it ended and what fuel its bars used.
pub fn outcome(sandbox: &Sandbox, text: &str, limits: &Limits) -> (String, u64) {
    let module = match frame::assemble(text) {
        Ok(bytes) => match sandbox.load(&bytes, &ModuleLimits::default()) {
            Ok(module) => module,
            Err(refusal) => return (refusal.kind.name().to_owned(), 0),
        },
        Err(error) => return (format!("not WebAssembly text: {error}"), 0),
    };
    let bars = [10.0, 20.0, 40.0];
    let input = InputColumns { rows: bars.len(), inputs: &[&bars], time: None };
    let mut output = OutputColumns::default();
    match module.run(&frame::SHAPE, &[2.0], &input, limits, &mut output) {
        Ok(RunReport { fuel, .. }) => (if is_right(&output) { "ok" } else { "other results" }.to_owned(), fuel),
        Err(error) => (name(&error), error.violation().map_or(0, |violation| violation.fuel_used)),
    }
}

/// Whether these are the sums 20, 60, 140 and the verdicts that belong to them.
fn is_right(output: &OutputColumns) -> bool {
    let sums = [20.0_f64, 60.0, 140.0].map(f64::to_bits);
    output.outs.iter().map(Vec::as_slice).eq([sums.as_slice()]) && output.verdicts == [0, 0, 2]
}

fn name(error: &RunError) -> String {
    match error {
        RunError::Violation(violation) => match violation.trap {
            Some(code) => format!("{}: {}", violation.kind, code.name()),
            None => violation.kind.name().to_owned(),
        },
        RunError::ParamsRefused(_) => "params_refused".to_owned(),
        RunError::Busy => "busy".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SandboxConfig;

    #[test]
    fn every_limit_holds_and_quickly() {
        let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
        let began = Instant::now();
        for check in run(&sandbox) {
            assert!(check.passed, "{check:?}");
        }
        assert!(began.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_limit_that_does_not_hold_is_seen() {
        let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
        let (_, text, _) = case!("memory_over_the_run", "");
        let lax = Limits { memory_bytes: 16 << 20, ..limits() };
        assert!(!check(&sandbox, "lax", text, "memory_limit", &lax).passed);
    }
}
