//! Standard input and output: pipes, readers that leave, disks that are full.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::harness::{DRAWDOWN, Room};

#[test]
fn a_dash_is_standard_input() {
    let room = Room::new();
    let bars = "equity,drawdown\n1,0.09\n";
    room.write("d.csv", bars);
    let from_files = room.rulebox(&["run", "r.rule", "--data", "d.csv", "--format", "csv"]).ok();
    assert_eq!(from_files, "bar,time,verdict,action,reasons\n0,,warn,,drawdown 9.00% near 10.00%\n");
    let bars_piped = room.rulebox_reading(bars.as_bytes(), &["run", "r.rule", "--data", "-", "--format", "csv"]);
    assert_eq!(bars_piped.ok(), from_files);
    let rule_piped = room.rulebox_reading(DRAWDOWN.as_bytes(), &["run", "-", "--data", "d.csv", "--format", "csv"]);
    assert_eq!(rule_piped.ok(), from_files);
    assert_eq!(room.rulebox_reading(DRAWDOWN.as_bytes(), &["fmt", "-"]).ok(), DRAWDOWN);
    assert!(room.rulebox_reading(b"rule", &["check", "-"]).refused(1).contains("--> <stdin>:1:"));
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let room = Room::new();
    let bars: String = (0..200_000).map(|_| "1,0.09\n").collect();
    room.write("d.csv", format!("equity,drawdown\n{bars}"));
    let mut command = room.command(&["run", "r.rule", "--data", "d.csv", "--format", "csv"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "bar,time,verdict,action,reasons\n");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let room = Room::new();
    room.write("d.csv", "equity,drawdown\n1,0.09\n");
    for arguments in [&["check", "r.rule"][..], &["test", "r.rule"], &["run", "r.rule", "--data", "d.csv"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = room.command(arguments).stdout(full).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {err}");
        assert!(err.contains("cannot write the output"), "{arguments:?}: {err}");
    }
}

#[test]
fn pipes_get_neither_colours_nor_progress() {
    let room = Room::new();
    let bars: String = (0..300_000).map(|row| format!("{row},0.{:02}\n", row % 20)).collect();
    room.write("d.csv", format!("equity,drawdown\n{bars}"));
    room.write("bad.rule", "rule b(x) = x > y\n");
    for arguments in
        [&["run", "r.rule", "--data", "d.csv"][..], &["check", "bad.rule"], &["test", "r.rule"], &["explain", "E0312"]]
    {
        let said = room.rulebox(arguments);
        assert!(!said.out.contains('\u{1b}') && !said.err.contains('\u{1b}'), "{arguments:?}: {said:?}");
    }
}
