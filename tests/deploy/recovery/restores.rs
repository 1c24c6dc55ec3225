//! The scheduled test of restores, over real backups: one that is good is written down as good, and every other as not.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rulebox_tests::servers::Guarded;
use rulebox_tests::servers::postgres::{Database, Postgres, other_user, own};
use rulebox_tests::tools::{run, tried};
use rulebox_tests::{binary, root, signal};
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
        // A login of this server, which no other has.
        let variables = [("monitor_password", "of the exporter")];
        place.server.psql_file(&place.database.name, "deploy/monitoring/exporters/login.sql", &variables);
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

    /// When one was written down as good, and when as none.
    fn written(&self) -> [String; 2] {
        let times = "select coalesce(restore_tested_at, 0), coalesce(restore_failed_at, 0) from service";
        let times = self.server.psql(&self.database.name, times);
        let (held, failed) = times.trim().split_once('|').unwrap();
        [held.to_owned(), failed.to_owned()]
    }

    /// The script of this folder over these backups, as the user that `PostgreSQL` runs as.
    fn command(&self, scripts: &Path, backups: &Path) -> Command {
        fs::create_dir_all(self.at("scratch")).unwrap();
        own(self.directory.path());
        run(Command::new("chown").arg("--recursive").arg(owner()).arg(self.directory.path()));
        let mut command = Command::new("setpriv");
        if let Some((user, group)) = other_user() {
            command.args([&format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups"]);
        }
        command.arg(scripts.join("restore-test")).arg("--from").arg(backups).arg("--scratch").arg(self.at("scratch"));
        command.arg("--rulebox").arg(self.at("rulebox"));
        self.settings(&mut command);
        command
    }

    /// Runs it, and says how that ended and what was written down: that one held, that one did not.
    fn test(&self, scripts: &Path, backups: &Path, more: &[(&str, &str)]) -> (Option<i32>, String, [bool; 2]) {
        let before = self.written();
        let (output, said) = tried(self.command(scripts, backups).envs(more.iter().copied()));
        assert_eq!(fs::read_dir(self.at("scratch")).unwrap().count(), 0, "something of the trial is left");
        let after = self.written();
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

/// A program that says that it was begun, by its number, and goes on for longer than anybody waits.
fn endless(file: &Path, begun: &Path, of: &str) {
    let text = format!("#!/bin/sh\n{of}\necho $$ >'{0}.part'\nmv '{0}.part' '{0}'\nexec sleep 3600\n", begun.display());
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Whether it comes true within a minute.
fn within_a_minute(mut it: impl FnMut() -> bool) -> bool {
    (0..600).any(|_| {
        let is = it();
        std::thread::sleep(Duration::from_millis(if is { 0 } else { 100 }));
        is
    })
}

/// As Kubernetes ends a pod, at its deadline or for another: its first process is told, and nobody else.
#[test]
fn a_trial_that_is_ended_is_written_down_as_failed() {
    let place = Place::new();
    let begun = place.at("begun");
    let (restoring, migrating) = (place.scripts("restoring"), place.scripts("migrating"));
    endless(&restoring.join("restore"), &begun, "");
    // The program is the real one, but where it migrates.
    let real = place.at("rulebox-real");
    fs::rename(place.at("rulebox"), &real).unwrap();
    endless(&place.at("rulebox"), &begun, &format!("[ \"$1\" = migrate ] || exec '{}' \"$@\"", real.display()));
    for scripts in [&restoring, &migrating] {
        let before = place.written();
        let mut trial = Guarded::spawn(&place.command(scripts, &place.at("backups")));
        assert!(within_a_minute(|| begun.exists()), "{scripts:?}: it does not come so far");
        let inside = fs::read_to_string(&begun).unwrap();
        let is_there = || Path::new("/proc").join(inside.trim()).exists();
        assert!(is_there());
        signal(trial.id(), "TERM");
        let ended = within_a_minute(|| trial.has_ended());
        if !ended {
            signal(inside.trim().parse().unwrap(), "KILL");
        }
        assert!(ended, "{scripts:?}: it waits for what it has begun");
        let after = place.written();
        assert!(before[0] == after[0] && before[1] != after[1], "{scripts:?}: {before:?} {after:?}");
        assert!(within_a_minute(|| !is_there()), "{scripts:?}: what it had begun goes on");
        assert_eq!(
            fs::read_dir(place.at("scratch")).unwrap().count(),
            0,
            "{scripts:?}: something of the trial is left"
        );
        fs::remove_file(&begun).unwrap();
    }
    println!("2 trials were ended, and written down as failed");
}

/// The command at a terminal.
fn at_a_terminal(command: &Command) -> Command {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &words.join(" "), "/dev/null"]);
    terminal.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    terminal
}

/// As age asks for the passphrase of a key.
#[test]
fn a_trial_at_a_terminal_may_be_asked_there() {
    let place = Place::new();
    let (scripts, begun) = (place.scripts("asking"), place.at("begun"));
    let ask = "read -r word </dev/tty\necho \"it was told $word\" >&2\nexit 1\n";
    fs::write(
        scripts.join("restore"),
        format!("#!/bin/sh\necho $$ >'{0}.part'\nmv '{0}.part' '{0}'\n{ask}", begun.display()),
    )
    .unwrap();
    let command = at_a_terminal(&place.command(&scripts, &place.at("backups")));
    // Within a limit: one that is not told ends nothing here.
    let mut trial = Command::new("timeout");
    trial.arg("300").arg(command.get_program()).args(command.get_args());
    trial.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut trial = trial.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut typing = trial.stdin.take().unwrap();
    typing.write_all(b"a passphrase\n").unwrap();
    let output = trial.wait_with_output().unwrap();
    // Who types does not go away meanwhile.
    drop(typing);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.code() == Some(1) && said.contains("it was told a passphrase"), "{output:?}");
    assert!(said.contains("cannot be restored"), "{said}");

    // In a group of its own it is stopped when it asks.
    let text = changed(&read("deploy/backup/restore-test"), "[ -t 0 ]", "false");
    fs::write(scripts.join("restore-test"), text).unwrap();
    fs::remove_file(&begun).unwrap();
    let mut trial = Guarded::spawn(&command);
    assert!(within_a_minute(|| begun.exists()), "it does not come so far");
    let inside: u32 = fs::read_to_string(&begun).unwrap().trim().parse().unwrap();
    let stat = format!("/proc/{inside}/stat");
    let stopped = within_a_minute(|| fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T ")));
    signal(inside, "KILL");
    assert!(stopped, "the fault makes no difference");
    assert!(within_a_minute(|| trial.has_ended()), "it does not end");
    println!("a trial at a terminal was told a passphrase");
}
