//! Modules that lie about their buffers, their state and their results.

use rulebox_abi::columns::{InputColumns, OutputColumns, TimeColumns};
use rulebox_abi::{MISSING_BITS, TIME_MISSING};
use rulebox_sandbox::selftest::{self, frame};
use rulebox_sandbox::{InputError, Limits, RunError, Shape, ViolationKind};

use crate::{assert_well, load, run, sandbox, text, violation};

#[test]
fn a_breach_says_what_was_wrong() {
    let sandbox = sandbox();
    let detail = |name| violation(&sandbox, name).detail;
    assert_eq!(
        detail("buffer_negative"),
        "rulebox_buffer gave address 4294967288 for 32768 bytes of out column 0; the memory has 131072 bytes"
    );
    assert_eq!(
        detail("buffer_past_the_end"),
        "rulebox_buffer gave address 98312 for 32768 bytes of out column 0; the memory has 131072 bytes"
    );
    assert_eq!(
        detail("buffer_unaligned"),
        "rulebox_buffer gave address 61444 for out column 0, which is not a multiple of 8"
    );
    assert_eq!(
        detail("buffer_overlapping"),
        "rulebox_buffer gave overlapping addresses for the fired statements and out column 0"
    );
    assert_eq!(
        detail("buffer_over_the_params"),
        "rulebox_buffer gave overlapping addresses for the params and out column 0"
    );
    assert_eq!(detail("buffer_zero"), "rulebox_buffer gave no address for out column 0");
    assert_eq!(detail("verdict_seven"), "rulebox_eval wrote verdict 7 for bar 0 of the call: the largest is 3");
    assert_eq!(detail("eval_fails"), "rulebox_eval returned -5: it failed");
    assert_eq!(detail("init_returns_seven"), "rulebox_init returned 7: 0 accepts, a negative number refuses");
}

#[test]
fn refused_params_are_no_violation() {
    let module = load(&sandbox(), &text("init_refuses")).unwrap();
    assert!(matches!(run(&module, &[1.0], &Limits::default()).0, Err(RunError::ParamsRefused(-1))));
}

#[test]
fn memory_that_grows_is_found_again() {
    let sandbox = sandbox();
    for name in ["buffer_grows", "eval_grows"] {
        let module = load(&sandbox, &text(name)).unwrap();
        let limits = Limits { chunk_rows: 1, ..Limits::default() };
        let (report, output) = run(&module, &[5.0, 6.0, 7.0], &limits);
        assert!(report.unwrap().memory_peak > 131_072, "{name}");
        assert_eq!(output.outs[0], [5.0_f64, 6.0, 7.0].map(f64::to_bits), "{name}");
        assert_eq!(output.verdicts, [1, 1, 1], "{name}");
    }
}

#[test]
fn the_bits_of_a_nan_do_not_come_out() {
    let module = load(&sandbox(), &text("nan_payload")).unwrap();
    assert_eq!(run(&module, &[5.0], &Limits::default()).1.outs[0], [MISSING_BITS]);
}

#[test]
fn every_column_of_numbers_has_one_nan() {
    // A page for each kind of column; 8 bars fit.
    let module = load(
        &sandbox(),
        r#"(memory (export "memory") 12)
        (func (export "rulebox_buffer") (param $kind i32) (param $index i32) (param $bytes i32) (result i32)
          (i32.add (i32.const 256) (i32.shl (local.get $kind) (i32.const 16))))
        (func (export "rulebox_eval") (param $rows i32) (result i32)
          (i64.store (i32.const 0x80100) (i64.const 0x7ff8000000000123))
          (i64.store (i32.const 0x90100) (i64.const 0xfff8000000000000))
          (i64.store (i32.const 0xa0100) (i64.const 0x7ff0000000000001))
          (i32.const 0))"#,
    )
    .unwrap();
    let shape = Shape { message_values: 1, keep: true, ..frame::SHAPE };
    let limits = Limits { chunk_rows: 8, ..Limits::default() };
    let mut output = OutputColumns::default();
    module.run(&shape, &[2.0], &frame::input(&[&[1.0]]), &limits, &mut output).unwrap();
    assert_eq!(output.outs, [[MISSING_BITS]]);
    assert_eq!(output.message_values, [[MISSING_BITS]]);
    assert_eq!(output.keep, [MISSING_BITS]);
}

#[test]
fn lies_about_state_are_breaches() {
    let sandbox = sandbox();
    for (name, expected) in [
        ("state_huge", "rulebox_state gave 4294967295 bytes at 0; the memory has 131072 bytes"),
        ("state_out_of_bounds", "rulebox_state gave 32 bytes at 131056; the memory has 131072 bytes"),
    ] {
        let mut instance =
            load(&sandbox, &text(name)).unwrap().start(&frame::SHAPE, &[2.0], &Limits::default()).unwrap();
        let error = instance.save_state().unwrap_err();
        let violation = error.violation().unwrap();
        assert_eq!((violation.kind, violation.detail.as_str()), (ViolationKind::AbiBreach, expected));
        assert!(matches!(instance.save_state(), Err(RunError::Stopped)), "its store is gone");
        assert!(matches!(
            instance.eval(&frame::input(&[&[1.0]]), 0, &mut OutputColumns::default()),
            Err(RunError::Stopped)
        ));
    }
    // A size that it has is no lie, and too much all the same.
    let large = r#"(func (export "rulebox_state") (result i64) (i64.const 0x1000001000))"#;
    let limits = Limits { state_bytes: 4_000, ..Limits::default() };
    let error = load(&sandbox, large).unwrap().start(&frame::SHAPE, &[2.0], &limits).unwrap().save_state().unwrap_err();
    let violation = error.violation().unwrap();
    assert_eq!(violation.kind, ViolationKind::MemoryLimit);
    assert!(violation.detail.contains("has 4096 bytes; the most that is kept is 4000"), "{}", violation.detail);
    let mut moving =
        load(&sandbox, &text("state_moves")).unwrap().start(&frame::SHAPE, &[2.0], &Limits::default()).unwrap();
    assert_eq!(moving.save_state().unwrap().len(), 8);
    assert_eq!(
        moving.save_state().unwrap_err().violation().unwrap().detail,
        "rulebox_state gave another address or length than before"
    );
    let mut endless = load(&sandbox, &text("endless_loop_in_state"))
        .unwrap()
        .start(&frame::SHAPE, &[2.0], &selftest::limits())
        .unwrap();
    assert_eq!(endless.save_state().unwrap_err().violation().unwrap().kind, ViolationKind::FuelExhausted);
    assert_well(&sandbox);
}

#[test]
fn saved_state_resumes_a_run_in_another_instance() {
    let module = load(&sandbox(), "").unwrap();
    let limits = Limits::default();
    let whole = run(&module, &[1.0, 2.0, 3.0], &limits).1;

    let mut first = module.start(&frame::SHAPE, &[2.0], &limits).unwrap();
    let mut output = OutputColumns::default();
    first.eval(&frame::input(&[&[1.0, 2.0]]), 0, &mut output).unwrap();
    let state = first.save_state().unwrap();
    drop(first);

    let mut second = module.start(&frame::SHAPE, &[2.0], &limits).unwrap();
    assert!(matches!(
        second.restore_state(&state[1..]),
        Err(RunError::Input(InputError::StateLength { expected: 8, got: 7 }))
    ));
    second.restore_state(&state).unwrap();
    second.eval(&frame::input(&[&[3.0]]), 2, &mut output).unwrap();
    assert_eq!(output, whole);
}

#[test]
fn results_do_not_depend_on_chunks() {
    let module = load(&sandbox(), "").unwrap();
    let bars: Vec<f64> = (0..5_000).map(|i| f64::from(i % 97) * 0.01).collect();
    let whole = run(&module, &bars, &Limits::default()).1;
    for chunk_rows in [1, 7, 4_095, 4_096] {
        assert_eq!(run(&module, &bars, &Limits { chunk_rows, ..Limits::default() }).1, whole, "{chunk_rows}");
    }
    assert_eq!(whole.verdicts.len(), 5_000);
}

#[test]
fn columns_that_do_not_fit_are_the_callers_mistake() {
    let module = load(&sandbox(), "").unwrap();
    let mut output = OutputColumns::default();
    let mut eval = |shape: &Shape, input: &InputColumns<'_>| {
        module.start(shape, &[2.0], &Limits::default()).unwrap().eval(input, 0, &mut output)
    };
    let none = InputColumns { rows: 1, inputs: &[], time: None };
    assert!(matches!(eval(&frame::SHAPE, &none), Err(RunError::Input(InputError::Inputs { expected: 1, got: 0 }))));
    let short = InputColumns { rows: 2, inputs: &[&[1.0]], time: None };
    assert!(matches!(eval(&frame::SHAPE, &short), Err(RunError::Input(InputError::Rows { rows: 2, got: 1 }))));
    let timed = Shape { uses_time: true, ..frame::SHAPE };
    let input = InputColumns { rows: 1, inputs: &[&[1.0]], time: None };
    assert!(matches!(eval(&timed, &input), Err(RunError::Input(InputError::NoTime))));
    let time = TimeColumns { time: &[TIME_MISSING], local_day: &[0], minute_of_day: &[], weekday: &[1] };
    let ragged = InputColumns { time: Some(time), ..input };
    assert!(matches!(eval(&timed, &ragged), Err(RunError::Input(InputError::Rows { rows: 1, got: 0 }))));
    let params = module.start(&frame::SHAPE, &[], &Limits::default());
    assert!(matches!(params, Err(RunError::Input(InputError::Params { expected: 1, got: 0 }))));
}

#[test]
fn every_column_reaches_its_own_buffer() {
    // kind x 65536 + index x 1024 is an address of its own for each; 8 bars fit.
    let module = load(
        &sandbox(),
        r#"(memory (export "memory") 12)
        (func (export "rulebox_buffer") (param $kind i32) (param $index i32) (param $bytes i32) (result i32)
          (i32.add (i32.const 256)
            (i32.add (i32.shl (local.get $kind) (i32.const 16)) (i32.shl (local.get $index) (i32.const 10)))))
        (func (export "rulebox_eval") (param $rows i32) (result i32)
          ;; out 0 = param 1 + input 1 + time; out 1 = day + minute + weekday; value 2 = 7; keep = 0.5
          (f64.store (i32.const 0x80100) (f64.add (f64.load (i32.const 0x108))
            (f64.add (f64.load (i32.const 0x10500)) (f64.convert_i64_s (i64.load (i32.const 0x20100))))))
          (f64.store (i32.const 0x80500) (f64.convert_i32_s (i32.add (i32.load (i32.const 0x30100))
            (i32.add (i32.load (i32.const 0x40100)) (i32.load (i32.const 0x50100))))))
          (f64.store (i32.const 0x90900) (f64.const 7))
          (f64.store (i32.const 0xa0100) (f64.const 0.5))
          (i32.store8 (i32.const 0x60100) (i32.const 2))
          (i32.store (i32.const 0x70100) (i32.const 5))
          (i32.const 0))"#,
    )
    .unwrap();
    let shape = Shape { params: 2, inputs: 2, uses_time: true, outs: 2, message_values: 3, keep: true };
    let time = TimeColumns { time: &[1_000], local_day: &[100], minute_of_day: &[20], weekday: &[3] };
    let input = InputColumns { rows: 1, inputs: &[&[1.0], &[10.0]], time: Some(time) };
    let limits = Limits { chunk_rows: 8, ..Limits::default() };
    let mut output = OutputColumns::default();
    module.run(&shape, &[0.25, 0.5], &input, &limits, &mut output).unwrap();
    let bits = |value: f64| vec![value.to_bits()];
    assert_eq!(output.outs, [bits(1_010.5), bits(123.0)]);
    assert_eq!(output.message_values, [bits(0.0), bits(0.0), bits(7.0)]);
    assert_eq!((output.keep, output.verdicts, output.fired), (bits(0.5), vec![2], vec![5]));
}
