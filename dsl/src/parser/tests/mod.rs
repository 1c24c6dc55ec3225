//! What is read, what is refused, and that nothing is too much.

mod grammar;
mod hostile;
mod messages;
mod properties;

use super::parse;
use crate::check_source;
use crate::limits::Limits;

fn codes(source: &str) -> Vec<String> {
    let (_, diagnostics) = parse(source, &Limits::DEFAULT);
    diagnostics.iter().map(|d| format!("{} {}", d.code.as_str(), d.labels[0].span.start)).collect()
}

#[test]
fn several_errors_are_all_reported_in_the_order_of_the_text() {
    let source = "rule r(a) {\n  let x = \n  if a = 1 { breach \"x\" }\n  warn 3\n  out day = 1\n  let ok_ = a\n}\ntest \"t\" {\n  bar a=1 -> maybe\n  bar a=2 ok\n}\n";
    assert_eq!(codes(source), ["E0206 30", "E0201 56", "E0202 64", "E0201 112", "E0201 128"]);
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
        ("rule r(a) = a = 1", "E0206"),
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
        assert!(starts && found.len() == 1, "{source}: {found:?}");
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
        format!("rule r(a) = a{} > 1", many(" ?? -a")),
        format!("rule r(a) = {}a > 1", many("if true then ")),
        format!("rule r(a) = {}a > 1", many("-(")),
    ] {
        let found = codes(&source);
        assert!(found.iter().any(|c| c == "E0205") && found.len() <= 3, "{source:.40}: {found:?}");
    }
    // Each missing brace is a mistake of its own until they are too deep.
    let found = codes(&format!("rule r(a) {{ {} }}", many("if a > 1 warn \"x\" ")));
    assert_eq!(found.iter().filter(|c| *c == "E0201").count(), limits.nesting);
}

#[test]
fn a_head_that_is_wrong_does_not_hide_the_body() {
    for (source, code) in [
        ("rule day(a) { let x = }", "E0202"),
        ("rule (a) { let x = }", "E0201"),
        ("rule r(a: text, b) { let x = }", "E0201"),
        ("rule r(a in 0..1e999) { let x = }", "E0105"),
        ("rule r(a b) { let x = }", "E0203"),
        ("rule r(a,) { let x = }", "E0201"),
        ("rule r(a) -> bool { let x = }", "E0201"),
        ("edition 1 2 rule r(a) { let x = }", "E0201"),
        ("clock \"UTC\" day 00:00 edition 1 rule r(a) { let x = }", "E0201"),
        ("hello rule r(a) { let x = }", "E0201"),
    ] {
        let found = codes(source);
        assert!(found.len() == 2 && found[0].starts_with(code), "{source}: {found:?}");
        assert!(found[1] == format!("E0201 {}", source.len() - 1), "{source}: {found:?}");
        assert!(parse(source, &Limits::DEFAULT).0.is_some(), "{source}");
    }
}

#[test]
fn what_a_block_without_an_end_has_is_checked() {
    let source = "rule r(a) {\n  if a > 1 {\n    if a > 2 {\n      let x = y\n";
    let found = check_source(source, &Limits::DEFAULT).unwrap_err().0;
    let codes: Vec<_> = found.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(codes, ["E0301", "E0203"]);
}

#[test]
fn limits_of_names_are_kept() {
    let limits = Limits { name_bytes: 4, names: 3, ..Limits::DEFAULT };
    let codes = |source: &str| -> Vec<_> { parse(source, &limits).1.iter().map(|d| d.code.as_str()).collect() };
    assert_eq!(codes("rule four(four) = four > 1"), [""; 0]);
    assert_eq!(codes("rule four(fiver) = four > 1"), ["E0210"]);
    assert_eq!(codes("rule four(a, b, c) = four > 1"), [""; 0]);
    assert_eq!(codes("rule four(a, b, c, d) = four > 1"), ["E0405"]);
}

/// What the grammar does not have although it is near.
#[test]
fn the_grammar_is_taken_at_its_word() {
    for source in [
        "rule r(a,) = a > 1",
        "rule r(a) = max(a, 1,) > 1",
        "rule r(a) = a > 1 > 2",
        "rule r(a) = a == 1 == 2",
        "rule r(a) = (a)[1] > 1",
        "rule r(a) = a[b] ?? 1 > 1",
        "rule r(a) = a[-1] ?? 1 > 1",
        "rule r(a) = 1 + if a > 1 then 1 else 2 > 1",
        "rule r(a) = a > -not 1",
        "rule r(a) = a > +1",
        "rule r(a) { if (a > 1) warn \"x\" }",
        "rule r(a) { let x: num = 1 }",
        "rule r(a) { param p: num }",
        "rule r(a) { param p = 1 }",
        "rule r(a) { breach for 1 bar \"x\" }",
        "rule r(a) { breach for day liquidate \"x\" }",
        "rule r(a) { breach reduce \"x\" }",
        "edition 1.0 rule r(a) = a > 1",
        "clock \"UTC\" rule r(a) = a > 1",
        "clock \"UTC\" day 0:00 rule r(a) = a > 1",
        "rule r(a) = a > 1 test \"t\" { bar a=1 set p = 1 }",
        "rule r(a) = a > 1 test \"t\" { bar a=1+1 -> ok }",
        "rule r(a) = a > 1 test \"t\" { bar a=1 -> ok warn }",
        "rule r(a) = a > 1 test t { bar a=1 -> ok }",
    ] {
        assert!(!codes(source).is_empty(), "{source}");
        assert_ne!(grammar::has(source), Some(true), "{source}");
    }
    for source in [
        "rule r(a) = not not a > 1",
        "rule r(a) = - - a > 1",
        "rule r(a) = a[1] ?? -a ?? 0 > 1",
        "rule r(a) = if a > 1 then true else if a > 0 then false else true",
        "rule r(a) { } test \"\" { }",
        "rule r(a) { if a > 1 { } else { } let b = a let c = b out b = -c warn \"\" }",
        "rule r(a: int? in -1..-0.5e3) = true",
        "rule r(\na\n)\n=\na\n>\n1",
        "rule r(a) { let floor = a[1] ?? floor(a) }",
    ] {
        assert_eq!(codes(source), [""; 0], "{source}");
        assert_eq!(grammar::has(source), Some(true), "{source}");
    }
}
