//! Small modules that would take long to compile. Each is refused before the compiler sees it; and the worst that pass
//! take a bounded time.

use std::fmt::Write;
use std::time::{Duration, Instant};

use rulebox_dsl::generate::{Choices, generate};
use rulebox_sandbox::selftest::frame;
use rulebox_sandbox::{Limits, ModuleLimits, ViolationKind};

use crate::{assert_well, sandbox};

fn eval(locals: usize, body: &str) -> String {
    let locals = if locals == 0 { String::new() } else { format!("(local {})", "i32 ".repeat(locals)) };
    format!("(func (export \"rulebox_eval\") (param i32) (result i32) {locals}\n{body}\n(i32.const 0))")
}

/// Sets every local to something of its own.
fn set_all(locals: usize) -> String {
    (1..=locals).fold(String::new(), |mut text, i| {
        let _ = write!(text, "(local.set {i} (i32.add (local.get {i}) (i32.const 1)))");
        text
    })
}

/// Reads every local.
fn use_all(locals: usize) -> String {
    (1..=locals).fold(String::new(), |mut text, i| {
        let _ = write!(text, "(i32.store (i32.const 16) (local.get {i}))");
        text
    })
}

fn nested_loops(depth: usize, locals: usize) -> String {
    let body = format!("{}{}{}", "(loop ".repeat(depth), set_all(locals), "(br_if 0 (local.get 0)))".repeat(depth));
    eval(locals, &(body + &use_all(locals)))
}

/// A table jumps to the end of every block, and each end joins the locals as they were with those as they became.
fn ladder(depth: usize, locals: usize) -> String {
    let targets = (0..=depth).fold(String::new(), |text, i| text + &format!("{i} "));
    let body = format!(
        "{} local.get 0 br_table {targets} end {} {}",
        "block ".repeat(depth + 1),
        set_all(locals),
        "end ".repeat(depth)
    );
    eval(locals, &(body + &use_all(locals)))
}

/// Branches to one label, and between them locals that change: each branch passes other values.
fn changing_edges(branches: usize, locals: usize, sets: usize) -> String {
    let mut body = String::from("block ");
    let every = branches / (locals * sets);
    for i in 0..branches {
        body.push_str("(br_if 0 (local.get 0))");
        if i % every == 0 {
            let (to, from) = (1 + i / every % locals, 1 + i / every * 7 % locals);
            let _ = write!(body, "(local.set {to} (i32.add (local.get {from}) (i32.const 3)))");
        }
    }
    eval(locals, &(body + " end " + &use_all(locals)))
}

fn functions(count: usize, body: &str) -> String {
    format!("(func {body})").repeat(count)
}

fn many(count: usize, text: &str) -> String {
    eval(0, &text.repeat(count))
}

/// Loads all over the stack: every operand lives until the sums at the end.
fn deep_stack(operands: usize, functions: usize) -> String {
    let load = "local.get 0 i64.load local.get 0 i32.const 1 i32.add local.set 0 local.get 0 i64.load ";
    let body = format!("{}{}", load.repeat(operands / 2), "i64.add ".repeat(operands - 1));
    format!("(func (param i32) (result i64) {body})").repeat(functions)
}

/// Operands that live through calls.
fn stack_and_calls(operands: usize, calls: usize) -> String {
    let loads =
        (0..operands).fold(String::new(), |text, i| text + &format!("(i64.load offset={} (i32.const 0))", i * 8));
    let (calls, sums) = ("(call $f)".repeat(calls), "i64.add ".repeat(operands - 1));
    format!("(func $f) (func (result i64) {loads} {calls} {sums})")
}

/// One long chain of what the optimizer has many rules for.
fn chain(ty: &str, step: &str, steps: usize, functions: usize) -> String {
    format!("(func (param {ty}) (result {ty}) local.get 0 {})", step.repeat(steps)).repeat(functions)
}

/// Locals that are set before a loop and read first in it, so that they live to its end.
fn carried_locals(locals: usize, stores: usize) -> String {
    let body = (1..=locals).fold(String::new(), |mut text, i| {
        let _ = write!(text, "(local.set {i} (i32.load offset={} (local.get 0)))", i * 4);
        text
    }) + "(loop "
        + &use_all(locals)
        + &"(i32.store8 (local.get 0) (i32.load (local.get 0)))".repeat(stores)
        + "(br_if 0 (local.get 0)))";
    eval(locals, &body)
}

#[test]
fn compile_bombs_are_refused_before_they_are_compiled() {
    let sandbox = sandbox();
    let bombs = [
        ("100,000 functions", functions(100_000, "")),
        ("3,000 functions", functions(3_000, "")),
        ("one function with 50,000 locals", eval(50_000, "")),
        ("50,000 locals in all", functions(1_000, &format!("(local {})", "f64 ".repeat(50)))),
        ("10,000 nested blocks", eval(0, &format!("{}{}", "block ".repeat(10_000), " end".repeat(10_000)))),
        ("a br_table of 100,000 labels", eval(0, &format!("block local.get 0 br_table {} end", "0 ".repeat(100_000)))),
        ("65,536 types", "(type (func))".repeat(65_536)),
        ("a type of 500 params", format!("(type (func (param {})))", "i64 ".repeat(500))),
        ("10,000 globals", "(global i32 (i32.const 0))".repeat(10_000)),
        (
            "a table segment of 100,000",
            format!("(table 1000 funcref)(func $f)(elem (i32.const 0) {})", "$f ".repeat(100_000)),
        ),
        ("100,000 data segments", "(data (i32.const 0) \"\")".repeat(100_000)),
        (
            "10,000 exports",
            (0..10_000).fold("(func $f)".to_owned(), |t, i| t + &format!("(export \"e{i}\" (func $f))")),
        ),
        ("200 nested loops that set 2,000 locals", nested_loops(200, 2_000)),
        ("a ladder of 200 joins of 500 locals", ladder(200, 500)),
        ("5,000 edges that pass 100 changing locals", changing_edges(5_000, 100, 10)),
        ("10,000 loops", many(10_000, "(loop (br_if 0 (local.get 0)))")),
        ("20,000 growths", many(20_000, "(drop (memory.grow (i32.const 1)))")),
        ("50,000 operands at once", deep_stack(50_000, 1)),
        ("24,000 operands at once, four times", deep_stack(24_000, 4)),
        ("40,000 operands through 50,000 calls", stack_and_calls(40_000, 50_000)),
        ("5,000 locals through a loop", carried_locals(5_000, 30_000)),
        ("348,000 additions of constants", chain("i32", "i32.const 1 i32.add ", 174_000, 2)),
        ("174,000 subtractions and additions", chain("i64", "i64.const 1 i64.sub i64.const 3 i64.add ", 87_000, 1)),
    ];
    for (name, text) in bombs {
        let bytes = frame::assemble(&text).unwrap();
        let began = Instant::now();
        let refusal = sandbox.load(&bytes, &ModuleLimits::default()).unwrap_err();
        println!("{name}: {} bytes, {:?}: {}", bytes.len(), began.elapsed(), refusal.detail);
        // The types of 2 MB and the like are refused by their size already.
        assert!(
            matches!(refusal.kind, ViolationKind::ModuleTooComplex | ViolationKind::ModuleTooLarge),
            "{name}: {refusal}"
        );
        assert!(began.elapsed() < Duration::from_secs(5), "{name}: refused late");
    }
    assert_well(&sandbox);
}

#[test]
fn a_module_over_its_bytes_is_not_even_read() {
    let sandbox = sandbox();
    let refusal = sandbox.load(&vec![0; 2 << 20], &ModuleLimits::default()).unwrap_err();
    assert_eq!(refusal.kind, ViolationKind::ModuleTooLarge);
    let detail = refusal.detail;
    assert!(detail.starts_with("the module has 2097152 bytes, and may have 1048576: build it for release"), "{detail}");
}

#[test]
fn the_worst_modules_that_pass_compile_in_bounded_time() {
    let worst = [
        (
            "1,900 functions in a table",
            (0..1_900).fold("(table 1900 funcref)".to_owned(), |text, i| {
                text + &format!("(func $f{i}) (elem (i32.const {i}) $f{i})")
            }),
        ),
        ("1,990 globals", "(global (mut f64) (f64.const 0))".repeat(1_990)),
        ("1,900 functions with a loop", functions(1_900, "(loop (br_if 0 (i32.const 1)))")),
        ("nested loops", nested_loops(43, 1_000)),
        ("a ladder", ladder(200, 220)),
        ("edges", changing_edges(3_000, 100, 1)),
        ("4,900 loops", many(4_900, "(loop (br_if 0 (local.get 0)))")),
        ("6,200 ways out", many(6_200, "(br_if 0 (i32.const 0) (local.get 0)) drop")),
        ("5,800 growths", many(5_800, "(local.set 0 (memory.grow (local.get 0)))")),
        ("5,800 indirect calls", format!("(table 1 funcref){}", many(5_800, "(call_indirect (i32.const 0))"))),
        ("25,000 ifs", many(25_000, "(if (local.get 0) (then (i32.store (i32.const 8) (local.get 0))))")),
        ("half a MiB of loads", many(40_000, "(i32.store (i32.load (local.get 0)) (i32.load (local.get 0)))")),
        ("300 nested blocks", eval(0, &format!("{}{}", "block ".repeat(300), " end".repeat(300)))),
    ];
    compile_all(&worst);
}

#[test]
fn the_worst_straight_lines_that_pass_compile_in_bounded_time_and_memory() {
    compile_all(&[
        ("10,000 operands at once", deep_stack(10_000, 1)),
        ("1,000 operands at once, 30 times", deep_stack(1_000, 30)),
        ("10,500 operands through 10,500 calls", stack_and_calls(10_500, 10_500)),
        ("5,000 locals through a loop", carried_locals(5_000, 10_000)),
        ("62,000 additions of constants", chain("i32", "i32.const 1 i32.add ", 62_000, 1)),
        ("62,000 subtractions and additions", chain("i64", "i64.const 1 i64.sub i64.const 3 i64.add ", 31_000, 1)),
        ("62,000 multiplications", chain("i64", "i64.const 3 i64.mul ", 62_000, 1)),
    ]);
    // Nextest gives each test a process. In one with others, this is the most that any of them took.
    assert!(peak_kib().is_none_or(|peak| peak < 500 << 10), "{:?} KiB", peak_kib());
}

fn compile_all(worst: &[(&str, String)]) {
    let sandbox = sandbox();
    for (name, text) in worst {
        let bytes = frame::assemble(text).unwrap();
        let began = Instant::now();
        let loaded = sandbox.load(&bytes, &ModuleLimits::default());
        let took = began.elapsed();
        println!("{name}: {} bytes, {took:?}, {:?} KiB at most", bytes.len(), peak_kib());
        assert!(loaded.is_ok(), "{name}: {loaded:?}");
        // About two seconds on one core; the rest is for a machine that does other things as well.
        assert!(took < Duration::from_mins(1), "{name} took {took:?}");
        // The pool has room for what the gate lets through.
        let started = loaded.unwrap().start(&frame::SHAPE, &[2.0], &Limits::default());
        assert!(started.is_ok(), "{name}: {started:?}");
    }
    assert_well(&sandbox);
}

/// The most memory that this process has had at once, where the system says so.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// A type of 1,000 results and tables of 510,000 branches to it: advice on multi-value may not take longer than the
/// refusal itself.
#[test]
fn advice_for_a_module_with_proposals_that_are_off_takes_bounded_time() {
    let sandbox = sandbox();
    let many_results = |results: usize, labels: usize| {
        let constants = "i32.const 0 ".repeat(results);
        format!("(func (result{}) {constants} i32.const 0 br_table {})", " i32".repeat(results), "0 ".repeat(labels))
    };
    // Params of a block do not need a type of many results.
    let many_params = |params: usize, labels: usize| {
        let (constants, drops) = ("i32.const 0 ".repeat(params), "drop ".repeat(params));
        let list = " i32".repeat(params);
        format!(
            "(func {constants} (loop (param{list}) {drops} {constants} i32.const 0 br_table {}))",
            "0 ".repeat(labels)
        )
    };
    for (name, text, advice) in [
        ("many results", many_results(1_000, 510_000), "multi-value"),
        ("many params", many_params(64, 510_000), "multi-value"),
        ("a block of two params", many_params(2, 2), "multi-value"),
    ] {
        let bytes = frame::assemble(&text).unwrap();
        let began = Instant::now();
        let refusal = sandbox.load(&bytes, &ModuleLimits::default()).unwrap_err();
        println!("{name}: {} bytes, {:?}: {}", bytes.len(), began.elapsed(), refusal.detail);
        assert_eq!(refusal.kind, ViolationKind::ModuleInvalid, "{name}: {refusal}");
        assert!(refusal.detail.contains(advice), "{name}: {refusal}");
        assert!(began.elapsed() < Duration::from_secs(5), "{name}: refused late");
    }
}

#[test]
fn rules_of_the_language_stay_far_from_the_bounds() {
    let sandbox = sandbox();
    let tight = ModuleLimits { compile_work: ModuleLimits::default().compile_work / 4, ..ModuleLimits::default() };
    let mut compiled = 0;
    for size in [2, 10, 40, 120] {
        for seed in 0..5 {
            let rule = generate(&mut Choices::seeded(seed * 1_000 + u64::from(size)), size, 1);
            // Some are over the compiler's own limits.
            let Ok(module) = rulebox_dsl::compile(&rule.source, &rulebox_dsl::limits::Limits::DEFAULT) else {
                continue;
            };
            compiled += 1;
            sandbox.load(&module.module, &tight).unwrap();
        }
    }
    assert!(compiled >= 15, "{compiled}");
}
