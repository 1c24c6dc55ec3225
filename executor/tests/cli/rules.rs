//! `check`, `fmt`, `test`, `explain`, `selftest`.

use serde_json::Value;

use crate::harness::{DRAWDOWN, Room, repository};

const TWO_MISTAKES: &str =
    "rule b(equity) {\n  if equty > 1 { warn \"{equity:.2%\" }\n  if equity[1] < 2 { breach \"x\" }\n}\n";

#[test]
fn check_reports_every_mistake_of_every_file() {
    let room = Room::new();
    room.write("b.rule", TWO_MISTAKES);
    let said = room.rulebox(&["check", "r.rule", "b.rule", "r.rule"]);
    assert_eq!(said.code, Some(1));
    assert_eq!(said.out.lines().filter(|line| line.contains("r.rule: check_custom_rule is right")).count(), 2);
    insta::assert_snapshot!(said.err);
}

#[test]
fn check_writes_one_json_object_a_file() {
    let room = Room::new();
    room.write("b.rule", TWO_MISTAKES);
    let said = room.rulebox(&["check", "--format", "json", "r.rule", "b.rule"]);
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""));
    let answers: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers[0]["manifest"]["name"], "check_custom_rule");
    assert_eq!(answers[0]["diagnostics"], serde_json::json!([]));
    assert_eq!(answers[1]["manifest"], Value::Null);
    assert!(answers[1]["diagnostics"].as_array().unwrap().len() >= 2, "{}", answers[1]);
    assert_eq!(answers[1]["diagnostics"][0]["spans"][0]["line"], 2);
}

#[test]
fn sources_that_are_no_rules_are_refused() {
    let room = Room::new();
    let deep = format!("rule d(x) = {}x{} > 1", "(".repeat(10_000), ")".repeat(10_000));
    for (name, bytes) in [
        ("empty", Vec::new()),
        ("blank", b"\n# nothing\n".to_vec()),
        ("large", vec![b'#'; 10 << 20]),
        ("bytes", b"rule b(x) = x > \xff\n".to_vec()),
        ("nul", b"rule b(x) = x > 1\0\n".to_vec()),
        ("deep", deep.into_bytes()),
        ("string", b"rule s(x) { if x > 1 { warn \"never ends } }\n".to_vec()),
        ("keyword", b"rule k(if) = if > 1\n".to_vec()),
    ] {
        room.write("s.rule", bytes);
        for command in ["check", "test", "explain"] {
            let err = room.rulebox(&[command, "s.rule"]).refused(1);
            assert!(err.starts_with("error[E") && err.contains("--> s.rule:"), "{command} {name}: {err}");
        }
    }
}

/// Vars that live across branches in branches, each with faults: much for its length to compile.
fn intricate() -> String {
    let vars = (0..64).map(|at| format!("var v{at} = 0\n"));
    let branches = (0..150).map(|at| {
        let v = |step: usize| (at * step) % 64;
        format!(
            "if x / y > {at} {{ v{} := v{} / x if v{} / y > 1 {{ v{} := x / y }} else {{ v{} := y / v{} }} }} else {{ v{} := o ?? 1 / x }}\n",
            v(1), v(7), v(3), v(5), v(11), v(1), v(13)
        )
    });
    format!("rule r(x, y, o: num?) {{\n{}}}\n", vars.chain(branches).collect::<String>())
}

#[test]
fn a_rule_that_would_take_too_long_to_compile_is_refused_by_every_command() {
    let room = Room::new();
    room.write("i.rule", intricate());
    room.write("d.csv", "x,y,o\n1,1,1\n");
    for arguments in [&["check", "i.rule"][..], &["test", "i.rule"], &["run", "i.rule", "--data", "d.csv"]] {
        let err = room.rulebox(arguments).refused(1);
        assert!(err.starts_with("error[E0413]") && err.contains("split it"), "{arguments:?}: {err}");
    }
    assert!(room.rulebox(&["explain", "E0413"]).ok().contains("Split it"));
}

#[test]
fn fmt_rewrites_once_and_check_changes_nothing() {
    let room = Room::new();
    let crooked = "# kept\nrule f( x )=x>1 # and this\n";
    room.write("f.rule", crooked);
    assert_eq!(room.rulebox(&["fmt", "--check", "r.rule"]).ok(), "");
    let said = room.rulebox(&["fmt", "--check", "r.rule", "f.rule"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), "f.rule: would be laid out anew\n"));
    assert_eq!(room.read("f.rule"), crooked);
    assert_eq!(room.rulebox(&["fmt", "r.rule", "f.rule"]).ok(), "");
    let straight = room.read("f.rule");
    assert_eq!(straight, "# kept\nrule f(x) = x > 1  # and this\n");
    assert_eq!(room.rulebox(&["fmt", "f.rule"]).ok(), "");
    assert_eq!(room.read("f.rule"), straight);
    assert_eq!(room.read("r.rule"), DRAWDOWN);
}

#[test]
fn fmt_leaves_what_it_cannot_read() {
    let room = Room::new();
    let broken = "rule f( x )=x>\n";
    room.write("f.rule", broken);
    assert!(room.rulebox(&["fmt", "f.rule"]).refused(1).contains("error[E"));
    assert_eq!(room.read("f.rule"), broken);
    let files: Vec<_> = std::fs::read_dir(room.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files.len(), 2, "{files:?}");
}

#[cfg(unix)]
#[test]
fn fmt_keeps_permissions_and_links() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let room = Room::new();
    room.write("f.rule", "rule f( x )=x>1\n");
    std::fs::set_permissions(room.path("f.rule"), std::fs::Permissions::from_mode(0o640)).unwrap();
    symlink("f.rule", room.path("link.rule")).unwrap();
    assert_eq!(room.rulebox(&["fmt", "link.rule"]).ok(), "");
    assert!(std::fs::symlink_metadata(room.path("link.rule")).unwrap().is_symlink());
    assert_eq!(room.read("f.rule"), "rule f(x) = x > 1\n");
    assert_eq!(std::fs::metadata(room.path("f.rule")).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_test_that_fails_says_which_bar_and_why() {
    let room = Room::new();
    let rule = "rule f(x) = 1 / x > 1\ntest \"right\" { bar x=2 -> ok }\ntest \"wrong\" {\n  bar x=2 -> ok\n  bar x=0.5 -> ok\n}\ntest \"fault\" { bar x=0 -> breach }\n";
    room.write("f.rule", rule);
    let said = room.rulebox(&["test", "r.rule", "f.rule"]);
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""));
    insta::assert_snapshot!(said.out);
}

#[test]
fn the_tests_of_every_example_pass() {
    let files = std::fs::read_dir(repository("dsl/examples")).unwrap().map(|entry| entry.unwrap().path());
    let rules: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "rule")).collect();
    assert!(rules.len() >= 8);
    let mut arguments = vec!["test"];
    arguments.extend(rules.iter().map(|path| path.to_str().unwrap()));
    let out = Room::new().rulebox(&arguments).ok();
    assert!(out.lines().count() >= rules.len() && out.lines().all(|line| line.contains(": passed ")), "{out}");
}

#[test]
fn explain_describes_a_rule_and_its_cost() {
    let room = Room::new();
    room.write(
        "e.rule",
        "clock \"Europe/Prague\" day 17:00\nrule e(x: num in 0..1, seen: bool?) {\n  param n: int = 3 in 1..20\n  let m = sma(x, n) ?? x\n  out mean = m\n  if new_day and m > 0.5 and (seen ?? true) { breach \"m {m:.2}\" }\n}\n",
    );
    insta::assert_snapshot!(room.rulebox(&["explain", "e.rule"]).ok());
}

#[test]
fn explain_has_a_page_for_a_code() {
    let page = Room::new().rulebox(&["explain", "E0312"]).ok();
    assert!(page.starts_with("E0312: ") && page.contains("??"), "{page}");
}

#[test]
fn selftest_holds_every_limit() {
    let out = Room::new().rulebox(&["selftest"]).ok();
    for kind in ["fuel_exhausted", "output_limit", "compile_killed", "cost_over_bound", "differential_mismatch"] {
        assert!(out.lines().any(|line| line.contains(kind) && line.ends_with("yes")), "{kind}:\n{out}");
    }
    assert!(out.contains("not tried: executor_died, since "), "{out}");
    assert!(out.lines().last().unwrap().starts_with("all "), "{out}");
}
