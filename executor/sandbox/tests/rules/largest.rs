//! The largest rules that the compiler's limits let through: their modules pass the gate, and compile in bounded time.

use std::fmt::Write;
use std::time::{Duration, Instant};

use rulebox_dsl::Limits;
use rulebox_sandbox::ModuleLimits;

use crate::harness::SANDBOX;

/// Thirty times what the slowest took when this was written, so that a busy machine does not decide.
const LONGEST: Duration = Duration::from_secs(10);

/// Repeats a part of a rule, given its number, and how often.
fn repeat(times: usize, part: impl Fn(usize) -> String) -> String {
    (0..times).fold(String::new(), |mut text, i| {
        let _ = writeln!(text, "{}", part(i));
        text
    })
}

/// Wraps an expression again and again.
fn nest(times: usize, from: &str, wrap: impl Fn(&str, usize) -> String) -> String {
    (0..times).fold(from.to_owned(), |inner, i| wrap(&inner, i))
}

fn largest() -> Vec<(&'static str, String)> {
    let end = "if x > 3 { breach \"\" }";
    let vars = |n| repeat(n, |i| format!("var v{i} = x"));
    let assign = |n: usize| {
        move |i: usize| {
            let (a, b) = (i % n, (i * 7 + 3) % n);
            format!("if v{a} > v{b} {{ v{b} := v{a} + 1 }}")
        }
    };
    let deviations = repeat(64, |i| format!("let w{i} = stdev(x + {i}, 20)"));
    let read = repeat(250, |i| {
        let (a, b) = (i % 64, (i * 7 + 3) % 150);
        format!("if (w{a} ?? x) > v{b} {{ v{b} := (w{a} ?? v{b}) + 1 }}")
    });
    let extremes = repeat(64, |i| format!("let w{i} = highest(x + {i}, 20) ?? x"));
    let sums = repeat(180, |i| format!("let z{i} = w{} + w{} * 2", i % 64, (i * 5 + 1) % 64));
    vec![
        ("vars in branches", format!("rule r(x: num) {{ {} {} {end} }}", vars(250), repeat(540, assign(250)))),
        ("windows and vars", format!("rule r(x: num) {{ {deviations} {} {read} {end} }}", vars(150))),
        ("windows and lets", format!("rule r(x: num) {{ {extremes} {sums} {end} }}")),
        (
            "missing values",
            format!(
                "rule r(x: num, y: num?) {{ {} {end} }}",
                repeat(44, |k| {
                    format!("out o{k} = {}", nest(18, "y", |inner, i| format!("({inner} / (y + {i}))")))
                })
            ),
        ),
        (
            "divisions",
            format!(
                "rule r(x: num) {{ {} {end} }}",
                repeat(28, |k| {
                    format!("out o{k} = {}", nest(28, "x", |inner, i| format!("({inner} / (x + {i}))")))
                })
            ),
        ),
        (
            "branches in branches",
            format!(
                "rule r(x: num) {{ var v = x {} {end} }}",
                repeat(10, |_| {
                    nest(55, "v := v + 1", |inner, i| format!("if v > {i} {{ {inner} }} else {{ v := {i} }}"))
                })
            ),
        ),
        (
            "choices in choices",
            format!(
                "rule r(x: num) {{ {} {end} }}",
                repeat(17, |k| {
                    let nested = nest(25, "x", |inner, i| format!("(if x > {i} then {inner} else x / (x + {i}))"));
                    format!("out l{k} = {nested}")
                })
            ),
        ),
        (
            "comparisons",
            format!(
                "rule r(x: num, y: num) {{ {} {end} }}",
                repeat(20, |k| {
                    format!("out l{k} = {}", (0..40).map(|i| format!("x == y + {i}")).collect::<Vec<_>>().join(" or "))
                })
            ),
        ),
        (
            "chains of operators",
            format!(
                "rule r(x: num, y: num?) {{ {} {end} }}",
                repeat(7, |k| {
                    let terms = |sign: &str| vec!["(y ?? x)"; 60].join(sign) + &format!("{sign}x").repeat(190);
                    format!("out a{k} = {}", terms([" + ", " / ", " - ", " * "][k % 4]))
                })
            ),
        ),
        (
            "chains of conditions",
            format!(
                "rule r(x: num) {{ {} {end} }}",
                repeat(4, |k| format!("out c{k} = x > {k}{}", " and x != 0".repeat(250)))
            ),
        ),
        (
            "inputs",
            format!(
                "rule r(x: num, {}) {{ {end} }}",
                (0..250).map(|i| format!("i{i}: num? in 0..{i}1")).collect::<Vec<_>>().join(", ")
            ),
        ),
    ]
}

#[test]
fn the_largest_rules_load_in_bounded_time() {
    for (name, source) in largest() {
        let began = Instant::now();
        let compiled = rulebox_dsl::compile(&source, &Limits::DEFAULT).unwrap_or_else(|d| panic!("{name}: {d}"));
        let generated = began.elapsed();
        SANDBOX.load(&compiled.module, &ModuleLimits::default()).unwrap_or_else(|r| panic!("{name}: {r}"));
        let (bytes, all) = (compiled.module.len(), began.elapsed());
        assert!(all < LONGEST, "{name}: generated in {generated:?}, loaded after {all:?}, {bytes} bytes");
        assert!(bytes < 40 * source.len() + 10_000, "{name}: {} bytes became {bytes}", source.len());
        println!("{name}: {} bytes of text, {bytes} of module, {generated:?} and {all:?}", source.len());
    }
}
