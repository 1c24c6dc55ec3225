//! Bars that cannot be read: exit code 2, nothing on standard output, and what is wrong where.

use crate::harness::{DRAWDOWN, Room};

const TIMED: &str = "rule t(equity) = equity < 5 and time_of_day < 10:00\n";

#[track_caller]
fn refused(rule: &str, bars: impl AsRef<[u8]>) -> String {
    let room = Room::new();
    room.write("r.rule", rule);
    room.write("bars.csv", bars);
    let messages = ["table", "csv", "json"].map(|format| {
        let arguments = ["run", "r.rule", "--data", "bars.csv", "--format", format];
        room.rulebox(&arguments).refused(2)
    });
    assert!(messages.iter().all(|message| *message == messages[0]), "{messages:?}");
    let [message, ..] = messages;
    assert!(message.starts_with("error: bars.csv: "), "{message}");
    message
}

#[test]
fn each_mistake_is_named_with_its_place() {
    for (bars, named) in [
        ("", &["empty"][..]),
        ("\u{feff}", &["empty"]),
        ("\n\n", &["empty"]),
        ("equity,drawdown\n", &["no rows"]),
        ("1,0.5\n2,0.6\n", &["no header", "equity, drawdown"]),
        ("equity,equity,drawdown\n1,1,0\n", &["`equity` twice"]),
        ("equity\n1\n", &["no column `drawdown`", "`equity`"]),
        ("equity,Drawdown\n1,0\n", &["no column `drawdown`", "is `Drawdown` meant?"]),
        ("equity,drawdonw\n1,0\n", &["is `drawdonw` meant?"]),
        ("equity;drawdown\n1;0\n", &["semicolons"]),
        ("equity,drawdown\n1,0\n2\n", &["line 3", "1 cells", "2"]),
        ("equity,drawdown\n1,0\n2,0,0\n", &["line 3", "3 cells"]),
        ("equity,drawdown\r\n1,0\r\n\r\n2,0,0\r\n", &["line 4"]),
        ("equity,drawdown\n1,0\n2,abc\n", &["line 3", "column 2", "`drawdown`", "`abc`"]),
        ("equity,drawdown\n1,0\n2,8%\n", &["line 3", "`8%`"]),
        ("equity,drawdown\n1,0\n2,true\n", &["`true`"]),
        ("equity,drawdown\n1, 0\n", &["` 0`"]),
        ("equity,drawdown\n1,\"1,000\"\n", &["`1,000`"]),
        ("note,equity,drawdown\n\"two\nlines\",1,0\nx,y,0\n", &["line 4", "column 2", "`equity`", "`y`"]),
        ("equity,drawdown\n1,\u{1b}[2J\n", &["\\u{1b}[2J"]),
    ] {
        let message = refused(DRAWDOWN, bars);
        assert!(named.iter().all(|name| message.contains(name)), "{bars:?}: {message}");
        assert!(!message.contains('\u{1b}'), "{message:?}");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_line() {
    assert!(refused(DRAWDOWN, b"equity,drawdown\n1,0\n\xff,0\n").contains("line 3: byte 0xff"));
    // Also where the rule reads nothing.
    assert!(refused(DRAWDOWN, b"equity,drawdown,note\n1,0,\xc3\x28\n").contains("line 2: byte 0xc3"));
    let utf16: Vec<u8> = "\u{feff}equity,drawdown\n1,0\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(refused(DRAWDOWN, utf16).contains("UTF-16"));
}

#[test]
fn a_rule_that_uses_time_needs_the_column() {
    assert!(refused(TIMED, "equity\n1\n").contains("`time`"));
    assert!(refused(TIMED, "Time,equity\n5,1\n").contains("is `Time` meant?"));
    assert!(refused(TIMED, "date,equity\n2026-01-05,1\n").contains("is `date` meant?"));
}

#[test]
fn files_that_cannot_be_opened_are_named() {
    let room = Room::new();
    room.write("d.csv", "equity,drawdown\n1,0\n");
    for (arguments, named) in [
        (["run", "r.rule", "--data", "nowhere.csv"], "cannot read nowhere.csv"),
        (["run", "nowhere.rule", "--data", "d.csv"], "cannot read nowhere.rule"),
        (["run", "r.rule", "--data", "."], "cannot read ."),
        (["run", ".", "--data", "d.csv"], "cannot read ."),
    ] {
        let err = room.rulebox(&arguments).refused(2);
        assert!(err.contains(named), "{arguments:?}: {err}");
    }
}

#[test]
fn a_rule_that_does_not_compile_is_said_before_the_bars_are_read() {
    let room = Room::new();
    room.write("bad.rule", "rule b(equity) = equty > 1\n");
    let err = room.rulebox(&["run", "bad.rule", "--data", "nowhere.csv"]).refused(1);
    assert!(err.contains("error[E0301]") && err.contains("bad.rule:1:18"), "{err}");
}
