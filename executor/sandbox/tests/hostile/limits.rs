//! The limits of a run: exact where they can be, and recorded.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rulebox_abi::columns::OutputColumns;
use rulebox_sandbox::selftest::{self, frame};
use rulebox_sandbox::{Limits, RunError, Sandbox, SandboxConfig, TrapCode, ViolationKind};

use crate::{assert_well, load, run, sandbox, text, violation};

#[test]
fn fuel_is_exact_to_the_unit() {
    let sandbox = sandbox();
    // With loops, and without: Wasmtime never stops code that has neither loop nor call.
    let straight = format!(
        r#"(func (export "rulebox_eval") (param i32) (result i32) {} (i32.const 0))"#,
        "(drop (i32.const 1))".repeat(500)
    );
    for text in ["", straight.as_str(), &text("table_huge_maximum")] {
        let module = load(&sandbox, text).unwrap();
        for chunk_rows in [1, 4_096] {
            let limits = |fuel| Limits { fuel, chunk_rows, ..Limits::default() };
            let bars = [1.0; 10];
            let used = run(&module, &bars, &limits(1_000_000)).0.unwrap().fuel;
            assert!(used > 10);
            assert_eq!(run(&module, &bars, &limits(used)).0.unwrap().fuel, used);
            let error = run(&module, &bars, &limits(used - 1)).0.unwrap_err();
            let violation = error.violation().unwrap();
            assert_eq!(violation.kind, ViolationKind::FuelExhausted);
            assert_eq!((violation.fuel_used, violation.fuel_limit), (used - 1, used - 1));
        }
    }
}

#[test]
fn fuel_is_the_same_every_time() {
    let module = load(&sandbox(), "").unwrap();
    let fuel = || run(&module, &[1.5; 1_000], &Limits::default()).0.unwrap().fuel;
    assert_eq!(fuel(), fuel());
}

#[test]
fn a_session_gets_fuel_for_each_request() {
    let module = load(&sandbox(), "").unwrap();
    let mut output = OutputColumns::default();
    let one = run(&module, &[1.0], &Limits::default()).0.unwrap().fuel;
    let mut instance = module.start(&frame::SHAPE, &[2.0], &Limits { fuel: one, ..Limits::default() }).unwrap();
    for _ in 0..3 {
        instance.eval(&frame::input(&[&[1.0]]), 0, &mut output).unwrap();
        instance.refuel(one);
    }
    assert_eq!(instance.report().fuel, 3 * one);
    instance.refuel(one - 1);
    assert!(instance.eval(&frame::input(&[&[1.0]]), 0, &mut output).is_err());
}

#[test]
fn the_deadline_is_for_each_call() {
    let sandbox = sandbox();
    let module = load(&sandbox, &text("endless_loop")).unwrap();
    let began = Instant::now();
    let limits = Limits { fuel: u64::MAX, deadline: Duration::ZERO, ..selftest::limits() };
    let error = run(&module, &[1.0], &limits).0.unwrap_err();
    assert_eq!(error.violation().unwrap().kind, ViolationKind::DeadlineExceeded);
    assert!(began.elapsed() >= Limits::MIN_DEADLINE, "never early");
    assert_well(&sandbox);
}

#[test]
fn a_sandbox_that_is_dropped_still_stops_its_modules() {
    let module = load(&sandbox(), &text("endless_loop")).unwrap();
    let limits = Limits { fuel: u64::MAX, deadline: Duration::ZERO, ..selftest::limits() };
    let error = run(&module, &[1.0], &limits).0.unwrap_err();
    assert_eq!(error.violation().unwrap().kind, ViolationKind::DeadlineExceeded);
}

#[test]
fn a_refused_growth_is_recorded_with_its_numbers() {
    let sandbox = sandbox();
    let growth = violation(&sandbox, "memory_growth");
    assert_eq!(growth.detail, "asked for 8454144 bytes of memory, the limit is 8388608 (on bar 0 of the run)");
    assert_eq!((growth.memory_peak, growth.memory_limit), (8 << 20, 8 << 20));
    let start = violation(&sandbox, "memory_over_the_run");
    assert_eq!((start.memory_peak, start.fuel_used), (0, 0));
    assert_eq!(violation(&sandbox, "table_over_the_run").detail, "asked for 3000 table elements, the limit is 1000");
}

#[test]
fn a_modules_own_maximum_is_its_own_business() {
    let module = load(&sandbox(), &text("memory_own_maximum")).unwrap();
    assert_eq!(run(&module, &[1.0], &Limits::default()).0.unwrap().memory_peak, 3 * 65_536);
}

#[test]
fn a_trap_in_the_setup_is_a_violation_without_bars() {
    let trap = violation(&sandbox(), "unreachable_in_reset");
    assert_eq!((trap.kind, trap.trap, trap.fuel_used), (ViolationKind::Trap, Some(TrapCode::Unreachable), 0));
    assert!(trap.detail.contains("unreachable"));
}

#[test]
fn the_sink_keeps_what_came_before_a_violation() {
    // Bar 3 of each call is one too many.
    let module = load(
        &sandbox(),
        r#"(global $bars (mut i32) (i32.const 0))
        (func (export "rulebox_eval") (param $rows i32) (result i32)
          (global.set $bars (i32.add (global.get $bars) (local.get $rows)))
          (if (i32.gt_u (global.get $bars) (i32.const 4)) (then (unreachable)))
          (i32.const 0))"#,
    )
    .unwrap();
    let (report, output) = run(&module, &[1.0; 6], &Limits { chunk_rows: 2, ..Limits::default() });
    assert!(report.is_err());
    assert_eq!(output.verdicts.len(), 4);
}

#[test]
fn a_full_pool_is_busy_and_not_a_violation() {
    let sandbox = Sandbox::new(SandboxConfig { pool_size: 2, ..SandboxConfig::default() }).unwrap();
    let module = load(&sandbox, "").unwrap();
    let start = || module.start(&frame::SHAPE, &[2.0], &Limits::default());
    let held = [start().unwrap(), start().unwrap()];
    assert!(matches!(start(), Err(RunError::Busy)));
    drop(held);
    assert!(start().is_ok());
    // A run that was stopped gives its place back, though its instance is still held.
    let hostile = load(&sandbox, &text("unreachable")).unwrap();
    let stopped: Vec<_> = (0..4)
        .map(|_| {
            let mut instance = hostile.start(&frame::SHAPE, &[2.0], &Limits::default()).unwrap();
            instance.eval(&frame::input(&[&[1.0]]), 0, &mut OutputColumns::default()).unwrap_err();
            instance
        })
        .collect();
    assert!(start().is_ok());
    assert_eq!(stopped.len(), 4);
}

#[test]
fn a_fresh_instance_sees_nothing_of_the_one_before() {
    let sandbox = Sandbox::new(SandboxConfig { pool_size: 1, ..SandboxConfig::default() }).unwrap();
    // Fills its memory with ones; the next in the same slot gives back the sum of what it finds.
    let writer = load(
        &sandbox,
        r#"(memory (export "memory") 32)
        (func (export "rulebox_eval") (param i32) (result i32) (local $at i32)
          (local.set $at (i32.const 98304))
          (loop $next
            (i32.store (local.get $at) (i32.const -1))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 2097152))))
          (i32.const 0))"#,
    )
    .unwrap();
    let reader = load(
        &sandbox,
        r#"(memory (export "memory") 32)
        (func (export "rulebox_eval") (param i32) (result i32) (local $at i32) (local $found i32)
          (local.set $at (i32.const 98304))
          (loop $next
            (local.set $found (i32.or (local.get $found) (i32.load (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 2097152))))
          (local.get $found))"#,
    )
    .unwrap();
    for _ in 0..3 {
        assert!(run(&writer, &[1.0], &Limits::default()).0.is_ok());
        assert!(run(&reader, &[1.0], &Limits::default()).0.is_ok(), "an eval that finds something returns it");
    }
}

#[test]
fn many_threads_share_a_sandbox() {
    let sandbox = Sandbox::new(SandboxConfig { pool_size: 8, ..SandboxConfig::default() }).unwrap();
    let (good, bad) = (load(&sandbox, "").unwrap(), load(&sandbox, &text("endless_loop")).unwrap());
    let wrong = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (good, bad, wrong) = (&good, &bad, &wrong);
            scope.spawn(move || {
                for _ in 0..50 {
                    let right = if thread % 2 == 0 {
                        let (report, output) = run(good, &[1.0, 2.0], &Limits::default());
                        report.is_ok() && output.outs[0] == [2.0_f64, 6.0].map(f64::to_bits)
                    } else {
                        run(bad, &[1.0], &selftest::limits()).0.is_err()
                    };
                    wrong.fetch_or(!right, Ordering::SeqCst);
                }
            });
        }
    });
    assert!(!wrong.load(Ordering::SeqCst));
}
