//! The scheduled test of restores, over real backups: one that is good is written down as good, and every other as not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rulebox_tests::servers::postgres::{Database, Postgres, other_user, own};
use rulebox_tests::tools::{run, tried};
use rulebox_tests::{binary, root};
use tempfile::TempDir;

use crate::{changed, read};

const SECRET: &str = "a master secret of this test, long enough for one";

/// A database of the service with a log, and a backup of it.
struct Place {
    server: Postgres,
    database: Database,
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let server = Postgres::start();
        let database = server.database();
        let place = Self { server, database, directory: tempfile::tempdir().unwrap() };
        place.rulebox(&["migrate"]);
        place.rulebox(&["tenant", "create", "acme"]);
        place.rulebox(&["key", "create", "--tenant", "acme", "--role", "author"]);
        let mut backup = Command::new(root().join("deploy/backup/backup"));
        backup.args(["--no-record", "--database", &place.database.name, "--to"]).arg(place.at("backups"));
        run(backup.envs(place.server.superuser()));
        // Where the user that PostgreSQL runs as gets, too.
        run(Command::new("cp").arg(binary()).arg(place.at("rulebox")));
        place.scripts("scripts");
        place
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn settings(&self, command: &mut Command) {
        command.envs(self.database.settings()).env("RULEBOX_DATABASE__MIGRATE_URL", self.database.migrate_url());
        command.env("RULEBOX_MASTER_SECRET", SECRET).env("RULEBOX_LOG__FILTER", "warn");
    }

    fn rulebox(&self, arguments: &[&str]) {
        let mut command = Command::new(binary());
        self.settings(&mut command);
        run(command.args(arguments));
    }

    /// A copy of the scripts, below this folder.
    fn scripts(&self, folder: &str) -> PathBuf {
        let folder = self.at(folder);
        fs::create_dir(&folder).unwrap();
        for part in ["deploy/backup", "deploy/postgres"] {
            run(Command::new("cp").arg("--archive").arg(root().join(part)).arg(&folder));
        }
        folder.join("backup")
    }

    /// A folder of backups with the one that was made, changed.
    fn folder(&self, name: &str, change: impl Fn(&Path)) -> PathBuf {
        let folder = self.at(name);
        run(Command::new("cp").arg("--archive").arg(self.at("backups")).arg(&folder));
        change(&backup_in(&folder));
        folder
    }

    /// Runs a script of this folder over these backups, and says how that ended and what was written down: that one held,
    /// that one did not.
    fn test(&self, scripts: &Path, backups: &Path, more: &[(&str, &str)]) -> (Option<i32>, String, [bool; 2]) {
        let times = "select coalesce(restore_tested_at, 0), coalesce(restore_failed_at, 0) from service";
        let before = self.server.psql(&self.database.name, times);
        let scratch = self.at("scratch");
        fs::create_dir_all(&scratch).unwrap();
        own(self.directory.path());
        run(Command::new("chown").arg("--recursive").arg(owner()).arg(self.directory.path()));
        let mut command = Command::new("setpriv");
        if let Some((user, group)) = other_user() {
            command.args([&format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups"]);
        }
        command.arg(scripts.join("restore-test")).arg("--from").arg(backups).arg("--scratch").arg(&scratch);
        command.arg("--rulebox").arg(self.at("rulebox"));
        self.settings(&mut command);
        let (output, said) = tried(command.envs(more.iter().copied()));
        assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0, "something of the trial is left");
        let after = self.server.psql(&self.database.name, times);
        let (before, after): (Vec<_>, Vec<_>) = (before.trim().split('|').collect(), after.trim().split('|').collect());
        (output.status.code(), said, [before[0] != after[0], before[1] != after[1]])
    }
}

fn owner() -> String {
    other_user().map_or_else(|| ":".to_owned(), |(user, group)| format!("{user}:{group}"))
}

fn backup_in(folder: &Path) -> PathBuf {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("rulebox-")).max().unwrap()
}

#[test]
fn a_backup_that_can_be_restored_is_written_down_and_no_other() {
    let place = Place::new();
    let scripts = place.at("scripts/backup");
    let (code, said, written) = place.test(&scripts, &place.at("backups"), &[]);
    assert!(code == Some(0) && written == [true, false], "{written:?} {said}");
    assert!(said.contains("was restored and proved, with 3 entries of the audit log in 2 chains"), "{said}");

    let damaged = place.folder("damaged", |backup| {
        let files = fs::read_dir(backup.join("dump")).unwrap().map(|entry| entry.unwrap().path());
        let largest = files.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
        let mut bytes = fs::read(&largest).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(largest, bytes).unwrap();
    });
    let old =
        place.folder("old", |backup| fs::rename(backup, backup.with_file_name("rulebox-20200101T000000Z")).unwrap());
    let empty = place.folder("empty", |backup| fs::remove_dir_all(backup).unwrap());
    let half = place.folder("half", |backup| fs::remove_file(backup.join("rows.tsv")).unwrap());
    let sealed = place.folder("sealed", |backup| {
        fs::remove_dir_all(backup).unwrap();
        fs::write(backup.with_extension("tar.age"), "no age").unwrap();
    });
    let rows: [(&Path, &str); 6] = [
        (&damaged, "is damaged"),
        (&old, "hours old, and may be 26"),
        (&empty, "there is no backup in"),
        (&half, "it has no rows.tsv"),
        (&sealed, "--identity says which key"),
        (&place.at("none"), "is it mounted?"),
    ];
    for (backups, words) in rows {
        let (code, said, written) = place.test(&scripts, backups, &[]);
        assert!(code == Some(1) && written == [false, true] && said.contains(words), "{backups:?}: {written:?} {said}");
    }
    // With another secret nothing opens the database to be written to, either: what is left is that it gets too old.
    let other_secret = [("RULEBOX_MASTER_SECRET", "another master secret, long enough for one")];
    let (code, said, written) = place.test(&scripts, &place.at("backups"), &other_secret);
    assert!(
        code == Some(3) && written == [false, false] && said.contains("alerts will not know"),
        "{written:?} {said}"
    );
    println!("restores on trial: 1 good, {} bad", rows.len() + 1);

    // A script that does not look is found by the same rows.
    let copies = place.scripts("changed");
    let text = changed(&read("deploy/backup/restore-test"), "[ \"$age\" -lt \"$max_age\" ] ||", "true ||");
    fs::write(copies.join("restore-test"), text).unwrap();
    let (code, _, written) = place.test(&copies, &old, &[]);
    assert_eq!((code, written), (Some(0), [true, false]), "the fault makes no difference");
}
