use super::parse;
use crate::limits::Limits;

fn codes(source: &str) -> Vec<String> {
    let (_, diagnostics) = parse(source, &Limits::DEFAULT);
    diagnostics.iter().map(|d| format!("{} {}", d.code.as_str(), d.labels[0].span.start)).collect()
}

#[test]
fn several_errors_are_all_reported_in_the_order_of_the_text() {
    let source = "rule r(a) {\n  let x = \n  if a = 1 { breach \"x\" }\n  warn 3\n  out day = 1\n  let ok_ = a\n}\ntest \"t\" {\n  bar a=1 -> maybe\n  bar a=2 ok\n}\n";
    assert_eq!(codes(source), ["E0201 30", "E0206 30", "E0201 56", "E0202 64", "E0201 112", "E0201 128"]);
}

#[test]
fn one_mistake_gives_one_error() {
    for (source, code) in [
        ("", "E0207"),
        ("# only a comment", "E0207"),
        ("rule r(a) = a > 1 rule s(a) = a > 2", "E0201"),
        ("rule r(a) { if a > 1 { breach \"x\" }", "E0203"),
        ("rule r(a) = (a > 1", "E0203"),
        ("rule r(a) = 0 < a < 1", "E0204"),
        ("rule r(a) = a = 1", "E0201"),
        ("rule day(a) = a > 1", "E0202"),
        ("rule r(a, in) = a > 1", "E0202"),
        ("rule r() = true", "E0201"),
        ("rule r(a) { a = 1 }", "E0206"),
        ("rule r(a) { if a > 1 then { warn \"x\" } }", "E0201"),
        ("rule r(a) { let x = if a > 1 { 2 } else { 3 } }", "E0209"),
        ("rule r(a) { if a > 1 { param p: num = 1 } }", "E0208"),
        ("rule r(a) { breach for 0.5 bars \"x\" }", "E0201"),
        ("rule r(a) { breach }", "E0201"),
        ("rule r(a) { else { } }", "E0201"),
        ("rule r(a) = a[1.5] ?? 0 > 1", "E0201"),
        ("rule r(a) = a > 1 }", "E0201"),
        ("edition one rule r(a) = a > 1", "E0201"),
        ("rule r(a) = a && a", "E0103"),
        ("rule r(a) { warn \"open }\n}", "E0104"),
        ("rule r(a: text) = a > 1", "E0201"),
    ] {
        let found = codes(source);
        let starts = found.first().is_some_and(|c| c.starts_with(code));
        assert!(starts && found.len() <= 2, "{source}: {found:?}");
    }
}

#[test]
fn hostile_nesting_is_a_diagnostic() {
    let limits = Limits { source_bytes: 10_000_000, ..Limits::DEFAULT };
    let codes =
        |source: &str| -> Vec<String> { parse(source, &limits).1.iter().map(|d| d.code.as_str().to_owned()).collect() };
    let many = |text: &str| text.repeat(10_000);
    for source in [
        format!("rule r(a) = {}a{} > 1", many("("), many(")")),
        format!("rule r(a) = {}a > 1", many("(")),
        format!("rule r(a) = {}a > 1", many("-")),
        format!("rule r(a) = {}true", many("not ")),
        format!("rule r(a) = a{} > 1", many(" + a")),
        format!("rule r(a) = true{}", many(" and true")),
        format!("rule r(a) = {}a > 1", many("a ?? ")),
        format!("rule r(a) = {}true", many("if a > 1 then true else ")),
        format!("rule r(a) = {}", many("min(")),
        format!("rule r(a) {{ {} }}", many("if a > 1 { ")),
        format!("rule r(a) {{ if a > 1 {{ }} {} }}", many("else if a > 1 { } ")),
    ] {
        let found = codes(&source);
        assert!(found.iter().any(|c| c.starts_with("E0205")) && found.len() <= 3, "{source:.40}: {found:?}");
    }
}
