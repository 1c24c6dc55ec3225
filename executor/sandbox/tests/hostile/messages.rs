//! Texts of a module's own: which are asked for, what becomes of them, and what they cost.

use rulebox_abi::columns::OutputColumns;
use rulebox_sandbox::selftest::{self, frame};
use rulebox_sandbox::{Limits, Messages, ViolationKind};

use crate::{load, run, sandbox, text, violation};

/// Texts `row 0` to `row 9`, by the row of the call; the sum decides what is flagged.
const TEXTS: &str = r#"(data (i32.const 96) "row 0")
    (func (export "rulebox_message") (param $row i32) (result i64)
      (i32.store8 (i32.const 100) (i32.add (i32.const 48) (local.get $row)))
      (i64.const 0x6000000005))"#;

fn limits(messages: Messages, chunk_rows: u32) -> Limits {
    Limits { messages, chunk_rows, ..Limits::default() }
}

fn texts(output: &OutputColumns) -> Vec<(usize, &str)> {
    output.messages.iter().map(|(row, text)| (*row, text.as_str())).collect()
}

#[test]
fn texts_are_asked_for_as_the_caller_wants_them() {
    let module = load(&sandbox(), TEXTS).unwrap();
    assert!(module.has_messages());
    // Sums of 20, 120, 140, 160, -40, 160, with a limit of 100.
    let bars = [10.0, 50.0, 10.0, 10.0, -100.0, 100.0];
    let said = |messages| run(&module, &bars, &limits(messages, 4096)).1;
    assert_eq!(texts(&said(Messages::None)), []);
    assert_eq!(texts(&said(Messages::Flagged)), [(1, "row 1"), (2, "row 2"), (3, "row 3"), (5, "row 5")]);
    assert_eq!(texts(&said(Messages::Changes)), [(1, "row 1"), (5, "row 5")]);
    // The last bar is shown in full, changed or not.
    let said = run(&module, &bars[..4], &limits(Messages::Changes, 4096)).1;
    assert_eq!(texts(&said), [(1, "row 1"), (3, "row 3")]);
}

#[test]
fn which_texts_there_are_does_not_depend_on_the_calls() {
    let module = load(&sandbox(), TEXTS).unwrap();
    let bars = [10.0, 50.0, 10.0, 10.0, -100.0, 100.0, 1.0, 1.0];
    for messages in [Messages::Changes, Messages::Flagged] {
        let rows = |chunk| {
            let said = run(&module, &bars, &limits(messages, chunk)).1;
            (said.messages.iter().map(|(row, _)| *row).collect::<Vec<_>>(), said.verdicts, said.outs)
        };
        let whole = rows(4096);
        for chunk in 1..=8 {
            assert_eq!(rows(chunk), whole, "{chunk} {messages:?}");
        }
    }
}

#[test]
fn a_batch_goes_on_where_the_one_before_it_ended() {
    let module = load(&sandbox(), TEXTS).unwrap();
    let mut instance = module.start(&frame::SHAPE, &[2.0], &limits(Messages::Changes, 4096)).unwrap();
    let mut said = OutputColumns::default();
    for (first, bars) in [(0, &[10.0, 50.0][..]), (2, &[10.0, 10.0, -100.0]), (5, &[0.0])] {
        instance.eval(&frame::input(&[bars]), first, &mut said).unwrap();
    }
    assert_eq!(said.messages.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [1]);
}

#[test]
fn what_is_no_text_is_cleaned_and_what_is_long_is_cut() {
    let sandbox = sandbox();
    let flagged = [100.0];
    let module = load(&sandbox, &text("message_of_controls")).unwrap();
    let (report, said) = run(&module, &flagged, &selftest::limits());
    assert_eq!(texts(&said), [(0, "\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd} evil")]);
    assert_eq!(report.unwrap().texts_cut, 0);

    // All of its memory, from 96 on.
    let whole = r#"(func (export "rulebox_message") (param i32) (result i64) (i64.const 0x000000600001ffa0))"#;
    let module = load(&sandbox, whole).unwrap();
    let (report, said) = run(&module, &flagged, &selftest::limits());
    assert_eq!(report.unwrap().texts_cut, 1);
    let [(0, text)] = said.messages.as_slice() else { panic!("{:?}", said.messages) };
    assert!(text.len() <= 1024 && text.ends_with('…'), "{} bytes", text.len());

    let none = r#"(func (export "rulebox_message") (param i32) (result i64) (i64.const 0))"#;
    let module = load(&sandbox, none).unwrap();
    assert_eq!(texts(&run(&module, &flagged, &selftest::limits()).1), []);
}

#[test]
fn texts_burn_the_fuel_of_the_run() {
    let sandbox = sandbox();
    let module = load(&sandbox, TEXTS).unwrap();
    let fuel = |messages| run(&module, &[100.0], &limits(messages, 1)).0.unwrap().fuel;
    let (without, with) = (fuel(Messages::None), fuel(Messages::Flagged));
    assert!(with > without);
    let exact = Limits { fuel: with, ..limits(Messages::Flagged, 1) };
    run(&module, &[100.0], &exact).0.unwrap();
    let short = Limits { fuel: with - 1, ..exact };
    let error = run(&module, &[100.0], &short).0.unwrap_err();
    assert_eq!(error.violation().unwrap().kind, ViolationKind::FuelExhausted);
}

#[test]
fn a_text_outside_the_memory_is_a_breach() {
    let sandbox = sandbox();
    let detail = |name| {
        let module = load(&sandbox, &text(name)).unwrap();
        run(&module, &[100.0], &selftest::limits()).0.unwrap_err().violation().unwrap().detail.clone()
    };
    assert_eq!(detail("message_of_4_gib"), "rulebox_message gave 4294967295 bytes at 16; the memory has 131072 bytes");
    assert_eq!(detail("message_past_the_end"), "rulebox_message gave 2 bytes at 131071; the memory has 131072 bytes");
    assert_eq!(violation(&sandbox, "verdict_seven").kind, ViolationKind::AbiBreach);
}

#[test]
fn a_module_has_the_buffers_of_its_shape_and_no_others() {
    let sandbox = sandbox();
    let strict = Limits { every_buffer: true, ..selftest::limits() };
    let start = |text: &str, shape| load(&sandbox, text).unwrap().start(&shape, &[2.0], &strict);
    let detail = |text: &str, shape| start(text, shape).unwrap_err().violation().unwrap().detail.clone();
    // The well-behaved module does not look at the index; that is no other buffer.
    start("", frame::SHAPE).unwrap();
    let exact = r#"(func (export "rulebox_buffer") (param $kind i32) (param $index i32) (param $bytes i32) (result i32)
        (if (i32.eq (local.get $kind) (i32.const 0)) (then (return (i32.const 8))))
        (if (i32.and (i32.eq (local.get $kind) (i32.const 1)) (i32.lt_u (local.get $index) (i32.const 2)))
          (then (return (i32.add (i32.const 4096) (i32.mul (local.get $index) (i32.const 131072))))))
        (if (i32.eq (local.get $kind) (i32.const 6)) (then (return (i32.const 40960))))
        (if (i32.eq (local.get $kind) (i32.const 7)) (then (return (i32.const 45056))))
        (if (i32.and (i32.eq (local.get $kind) (i32.const 8)) (i32.eqz (local.get $index)))
          (then (return (i32.const 61440))))
        (i32.const 0))
      (memory (export "memory") 4)"#;
    let shape = |inputs, outs| rulebox_sandbox::Shape { inputs, outs, ..frame::SHAPE };
    start(exact, shape(2, 1)).unwrap();
    assert_eq!(
        detail(exact, shape(1, 1)),
        "rulebox_buffer gave an address for input column 1, which there should not be: its answer is then 0"
    );
    assert_eq!(detail(exact, shape(3, 1)), "rulebox_buffer gave no address for input column 2");
    assert_eq!(
        detail(exact, shape(2, 0)),
        "rulebox_buffer gave an address for out column 0, which there should not be: its answer is then 0"
    );
    assert_eq!(detail(exact, shape(2, 2)), "rulebox_buffer gave no address for out column 1");
}
