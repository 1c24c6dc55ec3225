//! The self-test: trips every limit with hand-written modules, and sees that each holds.
//!
//! A limit that does not hold looks like nothing at all until somebody needs it. So the service runs what is quick of
//! this at its start ([`quick`]), and `rulebox selftest` all of it for whoever asks ([`run`]), in less than a second.

pub mod frame;

use std::borrow::Cow;
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

/// Those that take some milliseconds at most, the good rule first and last: what a service tries before it serves. Each
/// kind of limit is among them but the deadline, which takes its time.
const QUICK: [Case; 12] = [
    ("well_behaved", "", "ok"),
    case!("endless_loop", "fuel_exhausted"),
    case!("endless_recursion", "stack_overflow"),
    case!("memory_growth", "memory_limit"),
    case!("memory_over_the_run", "memory_limit"),
    case!("memory_of_4_gib", "module_too_large"),
    case!("load_out_of_bounds", "trap: memory_out_of_bounds"),
    case!("buffer_past_the_end", "abi_breach"),
    case!("import_wasi", "import_forbidden"),
    case!("start_function", "module_invalid"),
    ("too_many_blocks", "", "module_too_complex"),
    ("well_behaved_again", "", "ok"),
];

/// A module that has more to say of each bar than it may.
const TEXT_OF_TWO_KIB: &str =
    r#"(func (export "rulebox_message") (param i32) (result i64) (i64.const 0x0001117000000800))"#;

/// The others. The deadline is tried by itself: see `deadline`.
const SLOWER: [Case; 9] = [
    case!("slow_straight_line", "fuel_exhausted"),
    case!("endless_loop_in_init", "fuel_exhausted"),
    ("too_many_bytes", "", "module_too_large"),
    ("text_of_two_kib", TEXT_OF_TWO_KIB, "output_limit"),
    case!("table_over_the_run", "memory_limit"),
    case!("division_by_zero", "trap: integer_division_by_zero"),
    case!("call_of_the_wrong_type", "trap: bad_signature"),
    case!("call_of_null", "trap: indirect_call_to_null"),
    case!("verdict_seven", "abi_breach"),
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

/// Tries every limit of this sandbox, and after each the well-behaved rule.
pub fn run(sandbox: &Sandbox) -> Vec<Check> {
    let cases = QUICK.into_iter().chain(SLOWER);
    let mut checks: Vec<_> =
        cases.map(|(name, text, expected)| check(sandbox, name, &made(name, text), expected, &limits())).collect();
    checks.push(deadline(sandbox));
    checks
}

/// Tries those limits that are quick to try: some tens of milliseconds. The well-behaved rule runs before and after all
/// of them, and not after each.
pub fn quick(sandbox: &Sandbox) -> Vec<Check> {
    let try_one = |(name, text, expected): Case| {
        let began = Instant::now();
        let (got, fuel) = outcome(sandbox, &made(name, text), &limits());
        Check { name, expected, passed: got == expected, got, elapsed: began.elapsed(), fuel }
    };
    QUICK.into_iter().map(try_one).collect()
}

/// The text of a case; some are too large to be written down.
fn made<'a>(name: &str, text: &'a str) -> Cow<'a, str> {
    let most = ModuleLimits::default();
    match name {
        "too_many_blocks" => {
            let depth = 1 + most.nesting as usize;
            Cow::Owned(format!("(func {} {})", "block ".repeat(depth), "end ".repeat(depth)))
        }
        "too_many_bytes" => Cow::Owned(format!("(data (i32.const 0) \"{}\")", "x".repeat(most.module_bytes))),
        _ => Cow::Borrowed(text),
    }
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
        Ok(RunReport { fuel, texts_cut, .. }) => {
            let outcome = match texts_cut {
                _ if !is_right(&output) => "other results",
                0 => "ok",
                _ => "output_limit",
            };
            (outcome.to_owned(), fuel)
        }
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
    use crate::{SandboxConfig, ViolationKind};

    #[test]
    fn every_limit_holds_and_quickly() {
        let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
        let began = Instant::now();
        for check in run(&sandbox) {
            assert!(check.passed, "{check:?}");
        }
        assert!(began.elapsed() < Duration::from_secs(30));
        let began = Instant::now();
        for check in quick(&sandbox) {
            assert!(check.passed, "{check:?}");
        }
        println!("what is quick took {:?}", began.elapsed());
    }

    #[test]
    fn quickly_every_kind_is_tried_that_is_not_the_clocks() {
        let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
        let tried = quick(&sandbox);
        // What compiles modules is another process, which this crate has no program for.
        let others = [ViolationKind::DeadlineExceeded, ViolationKind::CompileKilled];
        for kind in ViolationKind::ALL.into_iter().filter(|kind| !others.contains(kind)) {
            assert!(tried.iter().any(|check| check.expected.split(':').next() == Some(kind.name())), "{kind}");
        }
    }

    #[test]
    fn a_limit_that_does_not_hold_is_seen() {
        let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
        let (_, text, _) = case!("memory_over_the_run", "");
        let lax = Limits { memory_bytes: 16 << 20, ..limits() };
        assert!(!check(&sandbox, "lax", text, "memory_limit", &lax).passed);
    }
}
