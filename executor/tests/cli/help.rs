//! Help is what a newcomer reads first.

use crate::harness::Room;

#[test]
fn every_command_explains_itself() {
    let room = Room::new();
    let mut pages = String::new();
    for command in ["", "serve", "demo", "check", "fmt", "test", "explain", "run", "selftest", "migrate"] {
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        pages.push_str(&format!("$ rulebox {}\n{}\n", arguments.join(" "), room.rulebox(&arguments).ok()));
    }
    insta::assert_snapshot!(pages);
}

#[test]
fn bad_usage_exits_2_and_names_what_is_wrong() {
    let room = Room::new();
    room.write("d.csv", "equity,drawdown\n1,0\n");
    for (arguments, named) in [
        (&[][..], "Usage"),
        (&["frobnicate"], "frobnicate"),
        (&["run", "r.rule"], "--data"),
        (&["run", "r.rule", "--data", "d.csv", "--format", "xml"], "xml"),
        (&["run", "r.rule", "--data", "d.csv", "--engine", "jvm"], "jvm"),
        (&["run", "r.rule", "--data", "d.csv", "--param", "limit"], "name=value"),
        (&["run", "-", "--data", "-"], "standard input"),
        (&["check"], "FILE"),
        (&["explain", "E9999"], "there is no code E9999"),
    ] {
        let err = room.rulebox(arguments).refused(2);
        assert!(err.contains(named), "{arguments:?}: {err}");
    }
}
