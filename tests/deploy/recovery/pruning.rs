//! What is removed of old backups, and what is not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use rulebox_tests::root;
use rulebox_tests::tools::{run, tried};

use crate::{changed, read};

/// When all copies are looked at: one name is made more than once, and must not have gone on by a second.
static NOW: LazyLock<u64> = LazyLock::new(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs());

/// The name of a copy that is so many days old.
fn name(kind: &str, days: u64, end: &str) -> String {
    let at = format!("@{}", *NOW - days * 24 * 60 * 60);
    let time = run(Command::new("date").args(["-u", "-d", &at, "+%Y%m%dT%H%M%SZ"]));
    format!("{kind}-{}{end}", time.trim())
}

fn there(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A folder with copies of all kinds: those that must be removed, and those that must not.
fn folder() -> (tempfile::TempDir, BTreeSet<String>, BTreeSet<String>) {
    let directory = tempfile::tempdir().unwrap();
    let mut old = BTreeSet::new();
    let mut kept =
        BTreeSet::from(["notes".to_owned(), "rulebox-2020-notes".to_owned(), "redis-20200101T000000Z.txt".to_owned()]);
    // Two young dumps and two old ones; of Redis old ones alone; of copies one that is young enough beyond those kept.
    for days in [1, 2] {
        kept.insert(name("rulebox", days, ".tar.age"));
    }
    for days in [40, 50] {
        old.insert(name("rulebox", days, if days == 40 { "" } else { ".tar.age" }));
    }
    for days in [60, 61, 62] {
        let into = if days == 62 { &mut old } else { &mut kept };
        let copy = name("redis", days, ".rdb");
        into.insert(format!("{copy}.sha256"));
        into.insert(copy);
    }
    for days in [1, 2, 20] {
        kept.insert(name("base", days, ""));
    }
    old.insert(name("base", 31, ""));
    for name in old.iter().chain(&kept) {
        let path = directory.path().join(name);
        if name.contains('.') || name == "notes" {
            fs::write(path, "").unwrap();
        } else {
            fs::create_dir_all(path.join("inside")).unwrap();
        }
    }
    (directory, old, kept)
}

fn prune(script: &Path, folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(script);
    command.arg("--in").arg(folder).args(["--older-than", "30"]).args(more);
    command
}

#[test]
fn old_backups_are_removed_and_the_latest_never() {
    let script = root().join("deploy/backup/prune");
    let (directory, old, kept) = folder();
    let all: BTreeSet<_> = old.union(&kept).cloned().collect();
    let said = run(&mut prune(&script, directory.path(), &["--keep", "2", "--dry-run"]));
    assert_eq!(there(directory.path()), all, "--dry-run removed something");
    assert_eq!(said.matches("would remove").count(), 4, "{said}");
    run(&mut prune(&script, directory.path(), &["--keep", "2"]));
    assert_eq!(there(directory.path()), kept);
    let wrong = [
        &["--keep", "0"][..],
        &[],
        &["--keep", "2", "--older-than", "0"],
        &["--keep", "2", "--in", "/nowhere"],
        &["--keep", "2", "--kind", "notes"],
    ];
    for more in wrong {
        assert_eq!(tried(&mut prune(&script, directory.path(), more)).0.status.code(), Some(2), "{more:?}");
    }
    println!("prune: {} of {} removed", old.len(), all.len());

    // Of one kind, whatever their age; without one, an age is asked for.
    let (directory, old, mut kept) = folder();
    kept.extend(old);
    let by_number = |more: &[&str]| {
        let mut command = Command::new(&script);
        tried(command.arg("--in").arg(directory.path()).args(["--keep", "2"]).args(more)).0.status.code()
    };
    assert_eq!((by_number(&[]), there(directory.path()) == kept), (Some(2), true));
    assert_eq!(by_number(&["--kind", "base"]), Some(0));
    let base = |days| name("base", days, "");
    assert!(kept.remove(&base(20)) && kept.remove(&base(31)));
    assert_eq!(there(directory.path()), kept);

    // One that goes by age alone takes the last ones of Redis with it.
    let (directory, _, kept) = folder();
    let broken = directory.path().join("notes");
    fs::write(&broken, changed(&read("deploy/backup/prune"), "\"${copies[@]:$keep}\"", "\"${copies[@]}\"")).unwrap();
    let mut command = Command::new("bash");
    command.arg(&broken).arg("--in").arg(directory.path()).args(["--older-than", "30", "--keep", "2"]);
    run(&mut command);
    assert_ne!(there(directory.path()), kept, "the fault makes no difference");
}
