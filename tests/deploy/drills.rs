//! The drills of backups and of data stores, each run for real on servers of its own; and again over copies with one
//! fault, which they must find.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rulebox_tests::tools::{run, tried};
use rulebox_tests::{binary, root};
use tempfile::TempDir;

use crate::{changed, full};

/// The folders of the repository that a drill reads, with one file changed.
pub(crate) fn copy_with(folders: &[&str], file: &str, from: &str, to: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    // Servers that refuse to be root come here too.
    run(Command::new("chmod").arg("0755").arg(directory.path()));
    for folder in folders {
        let copy = directory.path().join(folder);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        run(Command::new("cp").arg("--archive").arg(root().join(folder)).arg(copy));
    }
    let path = directory.path().join(file);
    let text = changed(&fs::read_to_string(&path).unwrap(), from, to);
    fs::write(&path, text).unwrap();
    let copy = directory.path().to_owned();
    (directory, copy)
}

pub(crate) fn drill(top: &Path, path: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(top.join(path));
    command.args(arguments);
    if top != root() {
        // One that fails leaves what there was, for a look at it: here it goes with the copy.
        command.env("TMPDIR", top);
    }
    command
}

/// The lines of a drill that say what it found.
pub(crate) fn findings(said: &str) -> Vec<&str> {
    said.lines().filter_map(|line| line.strip_prefix("drill: ")).collect()
}

/// The number before these words.
pub(crate) fn number(said: &str, before: &str) -> f64 {
    let end = said.find(before).unwrap_or_else(|| panic!("no {before:?} in {said}"));
    said[..end].split_whitespace().next_back().unwrap().parse().unwrap()
}

#[test]
fn backups_are_restored_and_nothing_differs() {
    let program = binary();
    let program = program.to_str().unwrap();
    // How many rows at least, and how many seconds of commits are gone at most: beside other tests a disk is busy.
    let (arguments, least, most) = if full("a backup of a million rows") {
        (&["--full", "--rulebox", program][..], 900_000.0, 5.0)
    } else {
        (&["--rulebox", program][..], 2_500.0, 60.0)
    };
    let said = run(&mut drill(&root(), "deploy/backup/drill", arguments));
    for line in findings(&said) {
        println!("{line}");
    }
    assert!(number(&said, " rows of ") >= least && number(&said, " tables and lists, one by one: all the same") > 15.0);
    assert!(said.contains("an encrypted backup was opened by its key alone"), "{said}");
    // The targets of deploy/backup/README.md.
    assert!(number(&said, " s of commits are gone, with archive_timeout = 2 s") < most);
    for what in ["restore with its proof", "recovery to a moment before a mistake"] {
        let seconds: f64 = said.split(what).nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
        assert!(seconds < 3_600.0, "{what} took {seconds} s");
    }
}

#[test]
fn the_drill_of_backups_finds_a_restore_that_proves_nothing() {
    let folders = ["deploy/backup", "deploy/postgres", "deploy/monitoring/exporters", "migrations"];
    let faults = [
        // Damage is not looked for.
        (
            "deploy/backup/restore",
            "sha256sum --check --quiet --strict SHA256SUMS >&2",
            "true",
            "was refused, but not for 'is damaged'",
        ),
        // Rows are not compared.
        ("deploy/backup/restore", "differ \"$backup/rows.tsv\"", "cat >/dev/null", "not refused"),
        // Of an earlier version, the catalogue is not compared.
        ("deploy/backup/restore", "differ <(without_expressions <<<\"$written\")", "true", "it was not refused"),
        // Backups may not log in any more.
        (
            "deploy/backup/restore",
            "in (''rulebox_backup'', ''rulebox_monitor'')",
            "in (''rulebox_monitor'')",
            "what was restored cannot be backed up",
        ),
        // Nor those who watch.
        (
            "deploy/backup/restore",
            "in (''rulebox_backup'', ''rulebox_monitor'')",
            "in (''rulebox_backup'')",
            "what was restored cannot be watched",
        ),
        // Their login is taken for a part of the service, now or by a backup of before.
        (
            "deploy/backup/catalog.sql",
            "rolname not in ('rulebox_backup', 'rulebox_monitor')",
            "rolname <> 'rulebox_backup'",
            "what is written down has the logins of others",
        ),
        (
            "deploy/backup/restore",
            "rulebox_(backup|monitor)( |$)/d",
            "rulebox_(backup)( |$)/d",
            "owners, policies or grants are not",
        ),
        // The time of an earlier recovery stays.
        (
            "deploy/backup/recover",
            "for other in recovery_target recovery_target_lsn recovery_target_name recovery_target_xid; do \
             echo \"$other = ''\"; done\n  echo \"recovery_target_time",
            "[ -z \"$until\" ] || echo \"recovery_target_time",
            "since the copy of a server that was recovered is gone",
        ),
        // A backup that could not be copied away is kept.
        ("deploy/backup/backup", "if [ -n \"$upload\" ] &&", "if false &&", "not refused"),
    ];
    for (file, from, to, found) in faults {
        let (_directory, copy) = copy_with(&folders, file, from, to);
        let (output, said) = tried(&mut drill(&copy, "deploy/backup/drill", &[]));
        assert!(!output.status.success() && said.contains(found), "{file} with {to:?}: {said}");
    }
    println!("{} faults of restores and backups found", faults.len());
}

#[test]
fn the_archive_takes_a_file_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let archive = path("the archive's");
    fs::create_dir(&archive).unwrap();
    fs::write(archive.join(".rulebox-archive"), "").unwrap();
    let script = |name: &str| Command::new(root().join("deploy/backup").join(name));
    let servers: Vec<_> = (0..8).map(|n| (path(&format!("log {n}")), vec![n; 1 << 20])).collect();
    for (log, bytes) in &servers {
        fs::write(log, bytes).unwrap();
    }
    for round in 0..5 {
        let name = format!("0000000100000000000000{round:02}");
        // Servers that do not know of one another.
        let at_once: Vec<_> =
            servers.iter().map(|(log, _)| script("wal-archive").arg(&archive).arg(log).arg(&name).spawn()).collect();
        let taken: Vec<_> = at_once.into_iter().map(|child| child.unwrap().wait().unwrap().success()).collect();
        let kept = fs::read(archive.join(&name)).unwrap();
        let is_kept: Vec<_> = servers.iter().map(|(_, bytes)| *bytes == kept).collect();
        assert_eq!(taken, is_kept, "who was told that its file is kept");
        let (log, _) = &servers[taken.iter().position(|one| *one).unwrap()];
        assert!(tried(script("wal-archive").arg(&archive).arg(log).arg(&name)).0.status.success(), "once more");
        run(script("wal-restore").arg(&archive).arg(&name).arg(path("restored")));
        assert_eq!(fs::read(path("restored")).unwrap(), kept);
    }
    assert_eq!(fs::read_dir(&archive).unwrap().count(), 1 + 5, "something half-written is left");
    // What is not mounted is not the end of the log, whether the directory that it would be mounted on is there or not.
    let code = |command: &mut Command| tried(command).0.status.code();
    let unmounted = path("unmounted");
    fs::create_dir(&unmounted).unwrap();
    assert_eq!(code(script("wal-restore").arg(&unmounted).arg("a").arg(path("b"))), Some(126));
    assert_eq!(code(script("wal-archive").arg(&unmounted).arg(path("log 0")).arg("a")), Some(1));
    assert_eq!(fs::read_dir(&unmounted).unwrap().count(), 0);
    assert_eq!(code(script("wal-restore").arg(path("none")).arg("a").arg(path("b"))), Some(126));
    assert_eq!(code(script("wal-restore").arg(&archive).arg("a").arg(path("b"))), Some(1));
    assert_eq!(code(script("wal-archive").arg(path("none")).arg(path("log 0")).arg("a")), Some(1));
    println!("the archive: 5 files, each of one of {} servers that wrote it at a time", servers.len());
}

#[test]
fn sessions_outlive_redis() {
    let said = run(&mut drill(&root(), "deploy/data/drill", &["--rulebox", binary().to_str().unwrap()]));
    for line in findings(&said) {
        println!("{line}");
    }
    assert!(said.contains("a session of 200 bars lost none"), "{said}");
    assert!(number(&said, " ms after the loss of the primary") < 30_000.0);

    // Without the log of writes, a restart loses them.
    let (_directory, copy) = copy_with(&["deploy/data"], "deploy/data/redis.conf", "appendonly yes", "appendonly no");
    let (output, said) = tried(&mut drill(&copy, "deploy/data/drill", &["--rulebox", binary().to_str().unwrap()]));
    assert!(!output.status.success() && said.contains("FAILED: Redis was started again"), "{said}");
}
