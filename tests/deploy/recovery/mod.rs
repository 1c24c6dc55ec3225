//! The loss of a region, and the way back, run for real; and again over copies with one fault, which the drill must find.

mod alerts;
mod pages;
mod pruning;
mod rejoining;
mod restores;
mod sessions;
mod standby;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rulebox_tests::tools::{run, tried};
use rulebox_tests::{binary, root};

use crate::drills::{copy_with, drill, findings, number};
use crate::full;

const DRILL: &str = "deploy/recovery/drill";

/// What the drill reads beside its own folder.
const FOLDERS: [&str; 4] = ["deploy/recovery", "deploy/data", "deploy/backup", "deploy/postgres"];

/// What processes of a drill have in their environment.
const MARK: &str = "TESTS_DRILL";

/// Services of a drill with this mark that run: it must leave none.
fn serving(mark: &str) -> Vec<String> {
    let marked = format!("{MARK}={mark}");
    let text = |path: PathBuf| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', "\n"));
    let all = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let marked = all.filter(|at| text(at.join("environ")).is_ok_and(|it| it.lines().any(|line| line == marked)));
    let lines = marked.filter_map(|at| text(at.join("cmdline")).ok());
    lines.filter(|line| line.lines().nth(1) == Some("serve")).collect()
}

#[test]
fn a_region_is_lost_and_taken_back() {
    let program = binary();
    let program = program.to_str().unwrap();
    let arguments: &[&str] = if full("a region of a hundred thousand rows, for minutes") {
        &["--full", "--rulebox", program]
    } else {
        &["--rulebox", program]
    };
    let said = run(drill(&root(), DRILL, arguments).env(MARK, "lost"));
    assert_eq!(serving("lost"), Vec::<String>::new(), "is left behind");
    for line in findings(&said) {
        println!("{line}");
    }
    // What README.md promises of each loss.
    assert!(said.contains("region lost, synchronous: 0 commits of "), "{said}");
    assert!(said.contains("switched back in order: 0 commits of "), "{said}");
    let behind = said.split("1 s behind: ").nth(1).unwrap();
    assert!(number(behind, " commits of ") > 0.0, "{said}");
    assert!(said.contains("each counted once") && said.contains("with the same verdicts"), "{said}");
    for (what, seconds) in [(" s after the loss", 900.0), (" s, bars for", 300.0)] {
        assert!(number(&said, what) < seconds, "{what}: {said}");
    }
}

#[test]
fn the_drill_of_regions_finds_what_is_left_out() {
    let faults = [
        // The old primary comes back as one.
        (
            "deploy/recovery/fence",
            ": >\"$data/standby.signal\"\nsync \"$data/standby.signal\" \"$data\"",
            "",
            "split brain",
        ),
        // Nobody looks whether it is still one.
        (
            "deploy/recovery/promote",
            "[ \"$was\" = t ] || fail \"the old primary answers, and takes writes",
            "true || fail \"the old primary answers, and takes writes",
            "it was not refused",
        ),
        // What it kept for another is kept for ever.
        ("deploy/recovery/rejoin", "    rm -rf \"$own\"\n", "", "a standby keeps its log for a slot"),
        // Redis over there has no replica, and nobody knows.
        (DRILL, "redis b replicaof \"${address[a]}\" 6379 >/dev/null\nredis_follows a b\n", "", "a session was lost"),
    ];
    let program = binary();
    for (file, from, to, found) in faults {
        let (_directory, copy) = copy_with(&FOLDERS, file, from, to);
        let (output, said) = tried(drill(&copy, DRILL, &["--rulebox", program.to_str().unwrap()]).env(MARK, "fault"));
        assert_eq!(serving("fault"), Vec::<String>::new(), "{file}: is left behind");
        assert!(!output.status.success() && said.contains(&format!("FAILED: {found}")), "{file} with {to:?}: {said}");
    }
    println!("{} faults of a fail-over found", faults.len());
}

#[test]
fn scripts_of_recovery_say_what_they_would_do_and_refuse_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    fs::create_dir(&data).unwrap();
    let data = data.to_str().unwrap();
    let script = |name: &str, arguments: &[&str]| {
        let (output, said) = tried(Command::new(root().join("deploy/recovery").join(name)).args(arguments));
        (output.status.code(), said)
    };
    let rows: [(&str, &[&str], &str); 12] = [
        ("fence", &[], "--data is missing"),
        ("fence", &["--data", data], "it has no PG_VERSION"),
        ("fence", &["--force"], "unknown argument"),
        ("promote", &["--fenced", "--accept-loss"], "--old is missing"),
        ("promote", &["--old", "host=x", "--accept-loss"], "--fenced is missing"),
        ("promote", &["--old", "host=x", "--fenced"], "one of --ended-at and --accept-loss"),
        ("promote", &["--old", "host=x", "--fenced", "--accept-loss", "--ended-at", "0/1"], "one of --ended-at"),
        ("promote", &["--old", "host=x", "--fenced", "--ended-at", "unknown"], "it is what `fence` printed"),
        ("promote", &["--old", "host=x", "--fenced", "--accept-loss", "--synchronous", "a'b"], "a list of names"),
        ("rejoin", &["--data", data, "--primary", "host=x", "--name", "a b"], "small letters"),
        ("rejoin", &["--data", data, "--primary", "host=x password=y", "--name", "a"], "has a password"),
        ("status", &["host=x"], "usage: status"),
    ];
    for (name, arguments, words) in &rows {
        let (code, said) = script(name, arguments);
        assert!(code == Some(2) && said.contains(words), "{name} {arguments:?}: {code:?} {said}");
    }
    for name in ["fence", "promote", "rejoin", "status", "drill"] {
        let (code, said) = script(name, &["--help"]);
        assert!(code == Some(0) && said.starts_with(&format!("usage: {name}")), "{said}");
    }
    println!("{} calls of scripts of recovery refused", rows.len());
}
