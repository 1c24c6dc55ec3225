//! The typed tree: what advances in which order, what is kept, and where arithmetic is tested.

use super::rule;
use crate::typed::{Expr, ExprKind, FaultKind, MemoryKind, Rule, Source, Step, StmtKind, Window, WindowSize};

/// The steps of step 2: a call by its text, a let by its name.
fn steps(source: &str) -> Vec<String> {
    let rule = rule(source);
    let step = |step: &Step| match step {
        Step::Memory(id) => {
            let span = rule.memories[id.index()].span;
            source[span.start as usize..span.end as usize].to_owned()
        }
        Step::Let(id, _) => rule.lets[id.index()].name.clone(),
    };
    rule.advance.iter().map(step).collect()
}

#[test]
fn calls_with_memory_and_series_lets_advance_in_the_order_of_the_text() {
    let source = "rule r(x) {
      let a = x + cum_sum(x)
      var v = cum_max(x)
      let not_series = v + cum_min(x)
      if false { out o = sum(a, 2)  v := streak(x > 1) } else if crosses_above(x, a) { let inner = sma(x, 2) ?? 0 v := inner }
      let b = sma(ema(x, 2) ?? 0, 3)
      breach reduce(lowest(x, 4, min: 1)) \"{not_series}{b}\"
      let c = b[1]
    }";
    let expected = [
        "cum_sum(x)",
        "a",
        "cum_max(x)",
        "cum_min(x)",
        "sum(a, 2)",
        "streak(x > 1)",
        "crosses_above(x, a)",
        "sma(x, 2)",
        "ema(x, 2)",
        "sma(ema(x, 2) ?? 0, 3)",
        "b",
        "lowest(x, 4, min: 1)",
        "c",
    ];
    assert_eq!(steps(source), expected);
    assert_eq!(steps("rule r(x) = true or sum(x, 2, min: 1) > 1"), ["sum(x, 2, min: 1)"]);
}

#[test]
fn lets_are_series_if_they_read_series_alone() {
    let source = "rule r(x) {
      param p: num = 1  var v = 0
      let a = x + p * weekday   let b = a + bar_index + (x[1] ?? 0) + (a[1] ?? 0)
      let c = v   let d = if v > 0 then 1 else 2   let e = a + c   let f = 1
      if x > 1 { let g = x  v := d + e + g }
      let h = sum(x, 2)  let i = not (b > f or known(h))  if i { }
    }";
    let rule = rule(source);
    let series: Vec<_> = rule.lets.iter().map(|l| (l.name.as_str(), l.series)).collect();
    let expected = [("a", true), ("b", true), ("c", false), ("d", false), ("e", false), ("f", true), ("g", false)];
    assert_eq!(series[..7], expected);
    assert_eq!(series[7..], [("h", true), ("i", true)]);
}

#[test]
fn a_history_is_as_deep_as_its_deepest_use() {
    let rule = rule(
        "rule r(x, y: num?) { let a = x  let b = (x[2] ?? 0) + (a[1] ?? 0) + (x[5] ?? 0) + (x[3] ?? 0) + (y[1] ?? 0)
           if (new_day[4] ?? false) and b > 1 { } }",
    );
    let found: Vec<_> = rule.histories.iter().map(|h| (h.source, h.depth, h.ty.optional)).collect();
    let input = |n| Source::Input(crate::typed::InputId(n));
    let expected = [
        (input(0), 5, false),
        (Source::Let(crate::typed::LetId(0)), 1, false),
        (input(1), 1, true),
        (Source::NewDay, 4, false),
    ];
    assert_eq!(found, expected);
}

#[test]
fn windows_reserve_the_maximum_of_their_param() {
    let rule =
        rule("rule r(x) { param n: int = 5 in 2..250 let a = sum(x, n, min: 2) let b = ema(x, 7) warn \"{a}{b}\" }");
    let MemoryKind::Window { window, min, .. } = &rule.memories[0].kind else { panic!("a window") };
    assert_eq!((window.min, window.max, *min), (2, 250, Some(2)));
    let MemoryKind::Smooth { window, .. } = &rule.memories[1].kind else { panic!("a mean") };
    assert_eq!(*window, Window { size: WindowSize::Literal(7), min: 7, max: 7 });
}

#[test]
fn the_short_form_is_a_breach_of_its_name() {
    let rule = rule("rule too_low(x) = x < 1");
    assert_eq!(rule.statements.len(), 1);
    assert_eq!(rule.statements[0].severity, crate::ast::Severity::Breach);
    let crate::typed::MessagePart::Text(text) = &rule.statements[0].message[0] else { panic!("text") };
    assert_eq!(text, "too_low");
    assert!(matches!(rule.body[0].kind, StmtKind::If { .. }));
}

/// The operators of an expression with their faults: `!` tests for a result that is not finite, `0` for a divisor.
fn marks(rule: &Rule, expr: &Expr) -> String {
    let mark = |id: &Option<crate::typed::FaultId>| {
        id.map_or("", |id| match rule.faults[id.index()].kind {
            FaultKind::DivisionByZero => "0",
            FaultKind::SqrtNegative => "<",
            _ => "!",
        })
    };
    let of = |e: &Expr| marks(rule, e);
    match &expr.kind {
        ExprKind::Arith { op, left, right, fault, zero } => {
            format!("({} {op:?}{}{} {})", of(left), mark(zero), mark(fault), of(right))
        }
        ExprKind::Neg { operand, fault } => format!("Neg{} {}", mark(fault), of(operand)),
        ExprKind::Call { function, args, fault } => {
            format!("{function:?}{}({})", mark(fault), args.iter().map(of).collect::<Vec<_>>().join(", "))
        }
        ExprKind::Default { value, default } => format!("({} ?? {})", of(value), of(default)),
        ExprKind::If { condition, then, otherwise } => format!("if {} {} {}", of(condition), of(then), of(otherwise)),
        ExprKind::Compare { left, right, .. } => format!("{} ? {}", of(left), of(right)),
        ExprKind::Num(n) => n.to_string(),
        ExprKind::Input(id) => rule.inputs[id.index()].name.clone(),
        other => format!("{other:?}"),
    }
}

#[test]
fn chains_are_tested_at_their_roots() {
    for (text, expected) in [
        ("x + 1", "(x Add! 1)"),
        ("x + 1 - 2 * x", "((x Add 1) Sub! (2 Mul x))"),
        // The right operand of `/` is a root of its own: a quotient by an infinity is finite.
        ("x * x / (x + 1)", "((x Mul x) Div0! (x Add! 1))"),
        ("(x / 2) * 3", "((x Div0 2) Mul! 3)"),
        ("2 / (x / 3)", "(2 Div0! (x Div0! 3))"),
        // A negated finite value is finite; a negated chain is a step of the chain.
        ("-x", "Neg x"),
        ("-x + 1", "(Neg x Add! 1)"),
        ("-(x + 1)", "Neg! (x Add 1)"),
        ("--(x + 1)", "Neg! Neg (x Add 1)"),
        ("1 - -(x + 1)", "(1 Sub! Neg (x Add 1))"),
        // A lifted step and its plain operands are roots.
        ("y + (x + 1)", "(y Add! (x Add! 1))"),
        ("(y + 1) * 2", "((y Add! 1) Mul! 2)"),
        ("-(y * 2)", "Neg (y Mul! 2)"),
        // Whatever is no step of arithmetic ends a chain.
        ("((y + 1) ?? (x + 1)) + 1", "(((y Add! 1) ?? (x Add! 1)) Add! 1)"),
        ("(if x + 1 > 2 then x + 3 else x) + 4", "(if (x Add! 1) ? 2 (x Add! 3) x Add! 4)"),
        ("abs(x + 1) + 2", "(Abs((x Add! 1)) Add! 2)"),
        ("-abs(x)", "Neg Abs(x)"),
        ("sqrt(x + 1)", "Sqrt<((x Add! 1))"),
        ("div(x + 1, x - 1, 0)", "Div((x Add! 1), (x Sub! 1), 0)"),
    ] {
        let rule = rule(&format!("rule r(x, y: num?) {{ let a = {text} warn \"{{a}}\" }}"));
        let Step::Let(_, value) = &rule.advance[0] else { panic!("a let") };
        assert_eq!(marks(&rule, value), expected, "{text}");
    }
}

#[test]
fn calls_with_memory_fault_only_where_they_add() {
    for (call, faults) in [
        ("sum(x, 2)", true),
        ("sma(x, 2)", true),
        ("stdev(x, 2)", true),
        ("ema(x, 2)", true),
        ("rma(x, 2)", true),
        ("rsi(x, 2)", true),
        ("atr(x, x, x, 2)", true),
        ("cum_sum(x)", true),
        ("highest(x, 2)", false),
        ("lowest(x, 2)", false),
        ("count(x > 1, 2)", false),
        ("cum_max(x)", false),
        ("cum_min(x)", false),
        ("streak(x > 1)", false),
        ("bars_since(x > 1)", false),
        ("crosses_above(x, 1)", false),
    ] {
        let rule = rule(&format!("rule r(x) {{ let a = {call} warn \"{{a}}\" }}"));
        assert_eq!(rule.memories[0].fault.is_some(), faults, "{call}");
    }
}

#[test]
fn inputs_fault_for_what_can_be_wrong_with_them() {
    let rule = rule("rule r(a, b: num? in -1..1, c: bool) = c and (b ?? a) > 1");
    let kinds: Vec<_> = rule.faults.iter().take(5).map(|f| f.kind.to_string()).collect();
    assert_eq!(
        kinds,
        [
            "the required input `a` is missing",
            "the input `a` is not a finite number or a bool",
            "the input `b` is not a finite number or a bool",
            "the input `b` is outside its range -1..1",
            "the required input `c` is missing",
        ]
    );
    assert!(rule.inputs[1].missing.is_none() && rule.inputs[0].out_of_range.is_none());
}
