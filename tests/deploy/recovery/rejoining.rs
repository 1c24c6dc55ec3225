//! The old primary as a standby of the new one: a dry run changes nothing, and what it kept for others goes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rulebox_tests::root;
use rulebox_tests::servers::postgres::{PASSWORD, Postgres, other_user, own, program};
use rulebox_tests::tools::{run, tried};
use tempfile::TempDir;

use crate::{changed, read, yaml};

/// A primary and its standby, and a copy of the scripts where the user that they run as gets.
struct Pair {
    old: Postgres,
    new: Postgres,
    directory: TempDir,
}

impl Pair {
    fn new() -> Self {
        let mut old = Postgres::start();
        // `pg_rewind` asks for it where pages have no sums.
        old.start_again_with("wal_log_hints = on\n");
        let (new, directory) = (old.standby(), tempfile::tempdir().unwrap());
        run(Command::new("cp").arg("--archive").arg(root().join("deploy/recovery")).arg(directory.path()));
        let pair = Self { old, new, directory };
        pair.write("pgpass", &format!("*:*:*:postgres:{PASSWORD}\n"), 0o600);
        own(pair.directory.path());
        own(&pair.at("pgpass"));
        fs::create_dir(pair.at("bin")).unwrap();
        pair
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn write(&self, path: &str, text: &str, mode: u32) {
        fs::write(self.at(path), text).unwrap();
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A script with these arguments, as the user that `PostgreSQL` runs as: its code, and what it says.
    fn script(&self, name: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new("setpriv");
        if let Some((user, group)) = other_user() {
            command.args([&format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups"]);
        }
        let path = format!("{}:{}:{}", self.at("bin").display(), folder().display(), std::env::var("PATH").unwrap());
        command.arg(self.at("recovery").join(name)).args(arguments).envs(self.new.superuser());
        command.env("PATH", path).env_remove("PGPASSWORD").env("PGPASSFILE", self.at("pgpass"));
        let (output, said) = tried(command.current_dir(self.directory.path()));
        (output.status.code(), said)
    }

    /// Fences the old one and promotes the other, and says where the old one ended.
    fn fail_over(&self) -> String {
        let data = self.old.data();
        let (code, said) = self.script("fence", &["--data", data.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{said}");
        let end = said.split_whitespace().next().unwrap().to_owned();
        let old = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", self.old.port());
        let known = if end == "unknown" { vec!["--accept-loss"] } else { vec!["--ended-at", &end] };
        let (code, said) = self.script("promote", &[&["--old", &old, "--fenced"][..], &known].concat());
        assert_eq!(code, Some(0), "{said}");
        end
    }

    fn rejoin(&self, name: &str, more: &[&str]) -> (Option<i32>, String) {
        let data = self.old.data();
        let primary = format!("host=127.0.0.1 port={} user=postgres", self.new.port());
        let follow = format!("passfile={} {primary}", self.at("pgpass").display());
        let arguments =
            ["--data", data.to_str().unwrap(), "--primary", &primary, "--follow", &follow, "--name", "back"];
        self.script(name, &[&arguments[..], &["--slot", "back"], more].concat())
    }

    /// A copy of `rejoin` with a fault.
    fn broken(&self, from: &str, to: &str) {
        self.write("recovery/broken", &changed(&read("deploy/recovery/rejoin"), from, to), 0o755);
    }

    /// The slots of the old one, which does not run.
    fn slots(&self) -> usize {
        fs::read_dir(self.old.data().join("pg_replslot")).unwrap().count()
    }

    /// All that there is of the old one, with its times.
    fn listed(&self) -> String {
        run(Command::new("find").arg(self.old.data()).args(["-printf", "%P %s %T@\\n"]))
    }

    /// The slots that the new one has for it.
    fn kept_for_it(&self) -> String {
        self.new.psql("postgres", "select count(*) from pg_replication_slots where slot_name = 'back'")
    }

    fn follows(&self) {
        let is_there = "select count(*) from pg_stat_replication where application_name = 'back' and state = 'streaming' \
                        and replay_lsn >= pg_current_wal_lsn()";
        let follows = (0..600).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            self.new.psql("postgres", is_there) == "1"
        });
        assert!(follows, "it does not follow: {}", self.old.log());
    }
}

/// Where programs of `PostgreSQL` are.
fn folder() -> PathBuf {
    program("pg_rewind").parent().map(Path::to_owned).unwrap()
}

/// What a server keeps of its log for each slot, as the exporter asks.
fn retained(server: &Postgres) -> String {
    let queries = yaml(&read("deploy/monitoring/exporters/queries.yaml"));
    let query = queries["postgresql_slot"]["query"].as_str().unwrap();
    server
        .psql("postgres", &format!("select slot, retained_bytes > 0 from ({}) it", query.trim().trim_end_matches(';')))
}

#[test]
fn a_server_that_was_ended_in_order_follows_and_keeps_nothing_for_others() {
    let mut pair = Pair::new();
    assert_ne!(pair.fail_over(), "unknown");
    let before = pair.listed();
    let (code, said) = pair.rejoin("rejoin", &["--dry-run"]);
    assert!(code == Some(0) && pair.listed() == before, "a dry run changes something: {said}");
    // One that takes the mark away meanwhile is seen by the same.
    pair.broken("rewind --dry-run", "rm \"$data/standby.signal\"; : >\"$data/standby.signal\"; rewind --dry-run");
    pair.rejoin("broken", &["--dry-run"]);
    assert_ne!(pair.listed(), before, "the fault makes no difference");

    // It had nothing to take back, so the slot of the one that followed it is still there.
    pair.broken("    rm -rf \"$own\"\n", "");
    let (code, said) = pair.rejoin("broken", &[]);
    assert!(code == Some(0) && pair.slots() == 1, "the fault makes no difference: {said}");
    let (code, said) = pair.rejoin("rejoin", &[]);
    assert!(code == Some(0) && pair.slots() == 0 && said.contains("removed its own slot standby"), "{said}");
    pair.old.start_again();
    pair.follows();

    // What a standby keeps for a slot of its own is counted.
    let Pair { old, new, .. } = &pair;
    old.psql("postgres", "select pg_create_physical_replication_slot('forgotten', true)");
    new.psql("postgres", "create table a (b int)");
    new.psql("postgres", "select pg_switch_wal()");
    new.psql("postgres", "create table b (c int)");
    pair.follows();
    assert_eq!(retained(old), "forgotten|t");
    println!("a fail-back in order: it follows, and has no slot");
}

#[test]
fn a_server_that_was_killed_is_told_of_truly_and_follows_over_a_slot_that_was_lost() {
    let mut pair = Pair::new();
    pair.old.crash();
    assert_eq!(pair.fail_over(), "unknown");
    let before = pair.listed();
    let (code, said) = pair.rejoin("rejoin", &["--dry-run"]);
    assert!(code == Some(3) && said.contains("cannot be told"), "{code:?}: {said}");
    assert_eq!(pair.listed(), before, "a dry run changes something");

    // Nobody followed for so long that its slot is good for nothing.
    for sql in [
        "select pg_create_physical_replication_slot('back', true)",
        "alter system set max_slot_wal_keep_size = '1MB'",
        "select pg_reload_conf()",
        "create table a (b int)",
        "select pg_switch_wal()",
        "create table b (c int)",
        "select pg_switch_wal()",
        "create table c (d int)",
        "checkpoint",
    ] {
        pair.new.psql("postgres", sql);
    }
    let status = "select wal_status from pg_replication_slots where slot_name = 'back'";
    assert_eq!(pair.new.psql("postgres", status), "lost");
    // What gets its name is marked before: else it would start as a primary.
    let shim = "#!/bin/sh\ncase $1 in *.part) [ -f \"$1/standby.signal\" ] && grep -q primary_conninfo \
                \"$1/postgresql.auto.conf\" || exit 9 ;; esac\nexec /bin/mv \"$@\"\n";
    pair.write("bin/mv", shim, 0o755);
    pair.broken("  follow_in \"$part\"\n", "");
    let (code, said) = pair.rejoin("broken", &["--copy"]);
    assert!(code == Some(1) && said.contains("cannot be put in place"), "{code:?}: {said}");
    assert_eq!(pair.listed(), before, "what was there before is not");
    assert_eq!(pair.kept_for_it(), "0", "the primary keeps its log for nobody");
    let (code, said) = pair.rejoin("rejoin", &["--copy"]);
    assert!(code == Some(0), "{said}");
    pair.old.start_again();
    pair.follows();
    let used = "select active, wal_status <> 'lost' from pg_replication_slots where slot_name = 'back'";
    assert_eq!(pair.new.psql("postgres", used), "t|t");
    println!("a fail-back of one that was killed: it follows, over a slot that was lost");
}

/// As Debian lays it out: what the server is started with is not in its data.
#[test]
fn a_server_that_was_killed_follows_where_its_configuration_is_elsewhere() {
    let mut pair = Pair::new();
    pair.old.crash();
    assert_eq!(pair.fail_over(), "unknown");
    let elsewhere = pair.at("postgresql.conf");
    run(Command::new("mv").arg(pair.old.data().join("postgresql.conf")).arg(&elsewhere));
    let before = pair.listed();
    for more in [&[][..], &["--dry-run"], &["--config-file", "/nowhere/postgresql.conf"]] {
        let (code, said) = pair.rejoin("rejoin", more);
        assert!(code == Some(2) && said.contains("--config-file"), "{more:?}: {code:?}: {said}");
        assert!(pair.listed() == before && pair.kept_for_it() == "0", "{more:?}: it was refused, and did something");
    }
    // Without a look before, pg_rewind finds it out, and a slot that stays keeps the primary's log.
    let look = "[ ! -f \"$data/postgresql.conf\" ]";
    pair.broken(look, "false");
    let (code, said) = pair.rejoin("broken", &[]);
    assert!(code == Some(1) && said.contains("pg_rewind failed") && pair.kept_for_it() == "0", "{code:?}: {said}");
    let text = changed(&read("deploy/recovery/rejoin"), look, "false");
    pair.write("recovery/broken", &changed(&text, "  [ -z \"$made\" ] ||", "  true ||"), 0o755);
    pair.rejoin("broken", &[]);
    assert_eq!(pair.kept_for_it(), "1", "the fault makes no difference");
    pair.new.psql("postgres", "select pg_drop_replication_slot('back')");

    let (code, said) = pair.rejoin("rejoin", &["--config-file", elsewhere.to_str().unwrap()]);
    assert!(code == Some(0), "{said}");
    // The new one has its configuration in its data, from where pg_rewind takes it along.
    pair.old.start_again();
    pair.follows();
    println!("a fail-back of one that was killed, with its configuration elsewhere: it follows");
}
