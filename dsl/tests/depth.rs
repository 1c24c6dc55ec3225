//! Expressions as deep as the limits allow pass through every stage on a small stack, without optimisation too.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::convert::Infallible;

use rulebox_dsl::format::format;
use rulebox_dsl::interp::Interpreter;
use rulebox_dsl::{Limits, compile, testing};

const LIMITS: Limits = Limits::DEFAULT;
/// Half of what Rust gives a thread.
const STACK: usize = 1024 * 1024;

/// Every stage, on a stack of its own.
fn run(source: String) -> Vec<String> {
    let every_stage = move || {
        let compiled = match compile(&source, &LIMITS) {
            Ok(compiled) => compiled,
            Err(found) => return found.0.iter().map(|d| d.code.as_str().to_owned()).collect(),
        };
        let rule = compiled.rule.clone();
        let results = testing::run(&rule, &compiled.manifest, |params, bars, sink| {
            Interpreter::new(&rule, params).run(bars, 0, sink);
            Ok::<(), Infallible>(())
        });
        assert_eq!(results.len(), 1);
        let text = format(&source, &LIMITS).unwrap();
        assert_eq!(format(&text, &LIMITS).unwrap(), text);
        Vec::new()
    };
    std::thread::Builder::new().stack_size(STACK).spawn(every_stage).unwrap().join().unwrap()
}

/// A rule that is an expression inside as many blocks as its own nesting leaves.
fn rule(expr: &str, blocks: usize) -> String {
    let (open, close) = ("if b {\n".repeat(blocks), "}\n".repeat(blocks));
    format!(
        "rule r(a: num, b: bool) {{\nlet late = sum(a, 3)\n{open}let x = {expr}\nif x == x {{ warn \"\" }}\n{close}}}\n\
         test \"t\" {{ bar a=1 b=true -> warn bar a=2 b=false -> ok }}\n"
    )
}

/// `first`, and an operator with its operand until the tree is `depth` deep.
fn chain(first: &str, next: &str, depth: usize) -> String {
    format!("{first}{}", next.repeat(depth - 1))
}

#[test]
fn chains_are_as_long_as_the_tree_may_be_deep() {
    for (first, next) in [
        ("a", " + a"),
        ("a", "\n + a"),
        ("a", " - 1"),
        ("a", " * a"),
        ("a", "\n / a"),
        ("b", " and b"),
        ("b", "\n or b"),
    ] {
        let whole = |depth| rule(&chain(first, next, depth), LIMITS.nesting - 3);
        assert_eq!(run(whole(LIMITS.depth)), [""; 0], "{next:?}");
        assert_eq!(run(whole(LIMITS.depth + 1)), ["E0205"], "{next:?}");
    }
}

#[test]
fn nesting_and_chains_together_are_bounded() {
    let most = LIMITS.nesting - 3;
    let rest = LIMITS.depth - most - 4;
    let long = chain("a", " + a", rest);
    let all = chain("b", " and b", rest);
    for expr in [
        format!("{}{long}{}", "(".repeat(most), ")".repeat(most)),
        format!("{}{long}{}", "-(".repeat(most / 2), ")".repeat(most / 2)),
        format!("{}({all})", "not ".repeat(most - 1)),
        format!("{}{long}{}", "max(1, ".repeat(most), ")".repeat(most)),
        format!("{}{long}{}", "div(1, ".repeat(most), ", 0)".repeat(most)),
        format!("{}{long}", "if b then a else ".repeat(most)),
        format!("{}({all}){}", "if ".repeat(most - 1), " then b else b".repeat(most - 1)),
        format!("{}({long})", "a[1] ?? ".repeat(most - 1)),
        format!("{}a{}", "(".repeat(most), " + a - a * a)".repeat(most)),
        format!("{}a{}", "(".repeat(most), "\n + a\n - a)".repeat(most)),
        format!("{}b{}", "(".repeat(most), " and b or b)".repeat(most)),
        format!("{}a{}", "a + (".repeat(most), ")".repeat(most)),
        format!("({long} / late) ?? 0"),
        format!("({}) ?? 0", chain("a", " / late", LIMITS.depth - 2)),
        format!("({}) ?? 0", chain("a", "\n - late / a[1]", LIMITS.depth - 3)),
        format!("sum({long}, 5) ?? 0"),
        format!("sum({}a{}, 5) ?? 0", "(".repeat(most - 2), " + a - a)".repeat(most - 2)),
        format!("count(crosses_above({long}, 1), 5) ?? 0"),
    ] {
        assert_eq!(run(rule(&expr, 0)), [""; 0], "{expr}");
    }
}

#[test]
fn a_chain_of_two_hundred_needs_no_let() {
    for next in [" + a", " - a * 2", " / 2"] {
        assert_eq!(run(rule(&chain("a", next, 200), 0)), [""; 0]);
    }
    let conditions = (0..200).map(|i| format!("a > {i}")).collect::<Vec<_>>();
    for word in [" and ", " or ", "\nand "] {
        assert_eq!(run(rule(&conditions.join(word), 0)), [""; 0]);
    }
}
