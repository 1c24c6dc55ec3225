//! `rulebox tenant`, `key` and `audit`, beside a service that does not run.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::harness::{Room, said};

/// The settings of an API, in an environment without its role.
#[test]
fn commands_beside_the_service_do_not_mind_where_executors_are() {
    let room = Room::new();
    let run = |arguments: &[&str]| {
        let variable = "RULEBOX_EXECUTORS__ADDRESSES";
        said(&room.command(arguments).env(variable, "https://executors:7443").output().unwrap())
    };
    assert!(run(&["tenant", "create", "acme"]).ok().starts_with("acme  "));
    run(&["key", "list", "--tenant", "acme"]).ok();
    let refused = run(&["serve"]).refused(2);
    assert!(refused.contains("RULEBOX_EXECUTORS__ADDRESSES") && refused.contains("RULEBOX_ROLE=api"), "{refused}");
}

#[test]
fn a_tenant_and_its_keys_are_made_listed_and_revoked() {
    let room = Room::new();
    let made = room.rulebox(&["tenant", "create", "acme", "--limit", "rules=3"]).ok();
    assert!(made.starts_with("acme  ") && made.trim_end().ends_with("active  rules=3"), "{made}");
    let again = room.rulebox(&["tenant", "create", "acme"]).refused(2);
    assert_eq!(again, "error: there is a tenant `acme` already\n");
    // A job that runs again finds what it made, and changes nothing of it.
    let same = room.rulebox(&["tenant", "create", "acme", "--if-absent", "--limit", "rules=9"]).ok();
    assert_eq!(same, made);
    assert!(room.rulebox(&["tenant", "create", "other", "--if-absent"]).ok().starts_with("other  "));
    assert!(room.rulebox(&["tenant", "create", "No Name", "--if-absent"]).refused(2).contains("No Name"));
    let created =
        room.rulebox(&["key", "create", "--tenant", "acme", "--role", "author", "--role", "engine", "--name", "ci"]);
    let key = created.out.trim().to_owned();
    assert!(created.code == Some(0) && key.starts_with("rbx_live_") && key.len() == 45, "{created:?}");
    assert!(!created.err.contains(&key) && created.err.contains("shown this once"), "{created:?}");
    let platform = room.rulebox(&["key", "create", "--platform", "--role", "admin"]);
    assert_eq!(platform.code, Some(0), "{platform:?}");
    let listed = room.rulebox(&["key", "list", "--tenant", "acme"]).ok();
    assert!(listed.contains("author,engine  valid") && listed.contains("  ci\n") && !listed.contains(&key), "{listed}");
    let id = listed.split_whitespace().next().unwrap();
    room.rulebox(&["key", "revoke", "--platform", id]).refused(2);
    let revoked = room.rulebox(&["key", "revoke", "--tenant", "acme", id]).ok();
    assert!(revoked.contains("  revoked 2"), "{revoked}");
    assert!(room.rulebox(&["tenant", "suspend", "acme"]).ok().contains("  suspended 2"));
    assert!(room.rulebox(&["tenant", "resume", "acme"]).ok().trim_end().ends_with("active  rules=3"));
    assert!(room.rulebox(&["tenant", "limits", "acme"]).ok().trim_end().ends_with("active"));
    assert!(room.rulebox(&["tenant", "show", "acme"]).ok().starts_with("acme  "));
    assert_eq!(room.rulebox(&["tenant", "list"]).ok().lines().count(), 2);
    let used = room.rulebox(&["tenant", "usage", "acme"]).ok();
    let lines: Vec<_> = used.lines().collect();
    assert_eq!(lines[0], "hour                  requests  refused  evaluations  bars  fuel");
    assert!(lines.len() == 26 && lines[1].ends_with("Z         0        0            0     0     0"), "{used}");
    assert_eq!(lines[25], "total                        0        0            0     0     0");
    let days =
        ["tenant", "usage", "acme", "--by", "day", "--from", "2026-01-05T15:00:00Z", "--to", "2026-01-07T00:00:00Z"];
    let days = room.rulebox(&days).ok();
    let begins: Vec<_> = days.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(begins, ["day", "2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z", "total"]);
    let log = room.rulebox(&["audit", "list", "--tenant", "acme"]).ok();
    let actions: Vec<_> = log.lines().map(|line| line.split("  ").nth(3).unwrap()).collect();
    let expected = ["tenant.create", "key.create", "key.revoke", "tenant.suspend", "tenant.resume", "tenant.limits"];
    assert_eq!(actions, expected);
    assert!(log.lines().all(|line| line.contains("  command line  ")), "{log}");
}

#[test]
fn modules_are_permitted_to_a_tenant_and_forbidden_again() {
    let room = Room::new();
    room.rulebox(&["tenant", "create", "acme", "--limit", "rules=3"]).ok();
    let limits = |limit: &str| room.rulebox(&["tenant", "limits", "acme", "--limit", "rules=3", "--limit", limit]);
    assert!(limits("modules=true").ok().trim_end().ends_with("active  rules=3  modules=true"));
    assert!(limits("modules=false").ok().trim_end().ends_with("modules=false"));
    for wrong in ["modules=1", "modules=yes", "modules=null", "modules"] {
        assert!(limits(wrong).refused(2).contains("modules=true"), "{wrong}");
    }
}

#[test]
fn who_only_looks_makes_no_store() {
    let room = Room::new();
    for arguments in [
        &["tenant", "list"][..],
        &["tenant", "show", "acme"],
        &["key", "list", "--platform"],
        &["audit", "list", "--platform"],
        &["audit", "verify"],
    ] {
        let refused = room.rulebox(arguments).refused(2);
        assert!(refused.contains("there is no store in") && refused.contains("RULEBOX_DATA_DIR"), "{refused}");
    }
    assert!(!room.path("rulebox-data").exists());
}

#[test]
fn bad_arguments_are_told_as_such() {
    let room = Room::new();
    room.rulebox(&["tenant", "create", "there"]).ok();
    for (arguments, said) in [
        (&["tenant", "create", "Acme"][..], "the name of a tenant is"),
        (&["tenant", "create", "acme", "--limit", "rules"], "it is NAME=NUMBER"),
        (&["tenant", "create", "acme", "--limit", "rulez=3"], "requests_per_second"),
        (&["tenant", "create", "acme", "--limit", "rules=3", "--limit", "rules=4"], "is there twice"),
        (&["tenant", "show", "nobody"], "there is no such tenant"),
        (&["tenant", "usage", "nobody"], "there is no such tenant"),
        (&["tenant", "usage", "acme", "--by", "week"], "possible values: hour, day"),
        (&["tenant", "usage", "acme", "--from", "yesterday"], "--from yesterday: it is a time like"),
        (&["tenant", "usage", "acme", "--from", "2026-01-01T00:00:00Z", "--to", "2026-03-01T00:00:00Z"], "or by day"),
        (&["key", "create", "--role", "engine"], "--tenant"),
        (&["key", "create", "--tenant", "a", "--platform", "--role", "engine"], "cannot be used with"),
        (&["key", "create", "--platform"], "--role"),
        (&["key", "create", "--platform", "--role", "engine"], "a key of the platform"),
        (&["key", "create", "--platform", "--role", "root"], "it is one of author"),
        (&["key", "create", "--platform", "--role", "admin", "--expires", "soon"], "it is a time like"),
        (&["key", "create", "--platform", "--role", "admin", "--expires", "2020-01-01T00:00:00Z"], "in the past"),
        (&["key", "revoke", "--platform", "x"], "is not the id of a key"),
        (&["audit", "verify", "--expect", "x"], "CHAIN:SEQ:SEAL"),
    ] {
        let refused = room.rulebox(arguments).refused(2);
        assert!(refused.contains(said), "{arguments:?}: {refused}");
    }
}

/// Three entries of a tenant's log, and what `verify` says of them.
fn room_with_a_log() -> (Room, String) {
    let room = Room::new();
    room.rulebox(&["tenant", "create", "acme"]).ok();
    room.rulebox(&["tenant", "limits", "acme", "--limit", "rules=3"]).ok();
    room.rulebox(&["tenant", "limits", "acme", "--limit", "rules=4"]).ok();
    let whole = room.rulebox(&["audit", "verify"]).ok();
    assert_eq!(whole.lines().count(), 2, "{whole}");
    assert!(whole.lines().all(|line| line.contains("  whole  3 entries  ")), "{whole}");
    let acme = whole.lines().find(|line| !line.starts_with("platform")).unwrap();
    (room, acme.rsplit("  ").next().unwrap().to_owned())
}

/// What somebody does who can write to the file: nothing stops him but the triggers, and those he drops.
fn tamper(room: &Room, sql: &str) {
    let options = SqliteConnectOptions::new().filename(room.path("rulebox-data/rulebox.db"));
    let script = format!("drop trigger if exists audit_is_immutable; drop trigger if exists audit_is_kept; {sql}");
    let work = async {
        let mut db = options.connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

#[test]
fn an_entry_that_was_changed_removed_or_swapped_is_found() {
    const TENANT: &str = "chain <> zeroblob(16)";
    for (sql, said) in [
        (format!("update audit set detail = '{{}}' where {TENANT} and seq = 2;"), "entry 2 was changed"),
        (format!("update audit set at = at - 1 where {TENANT} and seq = 1;"), "entry 1 was changed"),
        (format!("update audit set actor = 'somebody else' where {TENANT} and seq = 3;"), "entry 3 was changed"),
        (format!("delete from audit where {TENANT} and seq = 2;"), "entry 2 is missing: the next is 3"),
        (format!("delete from audit where {TENANT} and seq = 3;"), "the log ends at entry 2, and should end at 3"),
        (format!("delete from audit where {TENANT};"), "the log ends at entry 0"),
        (format!("delete from audit_heads where {TENANT};"), "the log has no head"),
        (format!("delete from audit where {TENANT}; delete from audit_heads where {TENANT};"), "the log has no head"),
        ("delete from audit_heads where not chain <> zeroblob(16);".to_owned(), "the log has no head"),
        (
            format!(
                "insert into audit select chain, seq + 1, at, actor_id, actor, action, object, detail, request_id, \
                 seal from audit where {TENANT} and seq = 3;"
            ),
            "entry 4 was changed",
        ),
        (format!("update audit_heads set seal = zeroblob(33) where {TENANT};"), "is not the one that the head has"),
        (
            format!(
                "update audit set seq = 9 where {TENANT} and seq = 2; update audit set seq = 2 where {TENANT} and \
                 seq = 3; update audit set seq = 3 where {TENANT} and seq = 9;"
            ),
            "entry 2 was changed",
        ),
        (
            format!(
                "delete from audit where {TENANT} and seq = 1; update audit_heads set removed_seq = 1, removed_seal = \
                 zeroblob(33) where {TENANT};"
            ),
            "the entries up to 1 were not removed by the service",
        ),
    ] {
        let (room, _) = room_with_a_log();
        tamper(&room, &sql);
        let said_there = room.rulebox(&["audit", "verify"]);
        assert_eq!(said_there.code, Some(1), "{sql}: {said_there:?}");
        let broken: Vec<_> = said_there.out.lines().filter(|line| line.contains("BROKEN")).collect();
        assert!(broken.len() == 1 && broken[0].contains(said), "{sql}: {said_there:?}");
    }
}

#[test]
fn a_tail_that_was_cut_with_its_head_is_found_by_what_was_written_down() {
    let (room, head) = room_with_a_log();
    room.rulebox(&["audit", "verify", "--expect", &head]).ok();
    tamper(
        &room,
        "update audit_heads set seq = 2, seal = (select seal from audit a where a.chain = audit_heads.chain and seq = \
         2) where chain <> zeroblob(16); delete from audit where chain <> zeroblob(16) and seq = 3;",
    );
    room.rulebox(&["audit", "verify"]).ok();
    let said = room.rulebox(&["audit", "verify", "--expect", &head]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("entry 3 is not there as it was written down"), "{said:?}");
}

#[test]
fn a_backup_is_written_down() {
    let room = Room::new();
    assert!(room.rulebox(&["backup", "record"]).refused(2).contains("there is no store"));
    room.rulebox(&["tenant", "create", "acme"]).ok();
    assert!(room.rulebox(&["backup", "record"]).ok().starts_with("backed up at 20"));
    assert!(room.rulebox(&["backup", "record", "--restored"]).ok().starts_with("restored on trial at 20"));
    assert!(room.rulebox(&["backup", "record", "--restore-failed"]).ok().starts_with("restore on trial failed at 20"));
    room.rulebox(&["backup", "record", "--restored", "--restore-failed"]).refused(2);
    let listed = room.rulebox(&["audit", "list", "--platform"]).ok();
    for action in ["backup.record", "backup.restored", "backup.failed"] {
        assert_eq!(listed.matches(action).count(), 1, "{listed}");
    }
    assert!(room.rulebox(&["audit", "verify"]).ok().contains("whole  4 entries  platform"));
}

#[test]
fn secrets_may_be_in_files() {
    let room = Room::new();
    let secret = "a secret of the room, of 32 bytes or more";
    room.write("secret", format!("{secret}\n"));
    let file = room.path("secret");
    let run = |settings: &[(&str, &str)]| {
        let mut command = room.command(&["tenant", "list"]);
        said(&command.envs(settings.iter().copied()).output().unwrap())
    };
    let by_file = [("RULEBOX_MASTER_SECRET_FILE", file.to_str().unwrap())];
    said(&room.command(&["tenant", "create", "of-the-first"]).envs(by_file).output().unwrap()).ok();
    run(&by_file).ok();
    run(&[("RULEBOX_MASTER_SECRET", secret)]).ok();
    let other = run(&[("RULEBOX_MASTER_SECRET", "another secret of 32 bytes or more, really")]).refused(2);
    assert!(other.contains("is not the one") && !other.contains("another secret"), "{other}");
    let both = [("RULEBOX_MASTER_SECRET_FILE", file.to_str().unwrap()), ("RULEBOX_MASTER_SECRET", secret)];
    let refused = run(&both).refused(2);
    assert!(refused.contains("set one of them") && !refused.contains(secret), "{refused}");
    let missing = run(&[("RULEBOX_MASTER_SECRET_FILE", "nowhere")]).refused(2);
    assert!(missing.contains("RULEBOX_MASTER_SECRET_FILE: cannot read nowhere"), "{missing}");
    // The next secret is taken beside the one before, and alone from then on.
    let next = "the next secret, which is as long as that";
    let rotated = [("RULEBOX_MASTER_SECRET", next), ("RULEBOX_PREVIOUS_MASTER_SECRET", secret)];
    run(&rotated).ok();
    run(&[("RULEBOX_MASTER_SECRET", next)]).ok();
    run(&[("RULEBOX_MASTER_SECRET", secret)]).refused(2);
    // What was sealed with those before holds for as long as they are given, each on a line.
    let create = |name: &str, secret: &str, before: &str| {
        let settings = [("RULEBOX_MASTER_SECRET", secret), ("RULEBOX_PREVIOUS_MASTER_SECRET", before)];
        said(&room.command(&["tenant", "create", name]).envs(settings).output().unwrap()).ok();
    };
    let last = "the last secret of all, of 32 bytes or more";
    create("of-the-second", next, secret);
    create("of-the-third", last, next);
    let two = format!("{next}\n{secret}\n");
    for (before, missing) in
        [(two.as_str(), None), (next, Some("entry 1 was sealed with a master secret that is not given"))]
    {
        let settings = [("RULEBOX_MASTER_SECRET", last), ("RULEBOX_PREVIOUS_MASTER_SECRET", before)];
        let verified = said(&room.command(&["audit", "verify"]).envs(settings).output().unwrap());
        assert_eq!(verified.code, Some(i32::from(missing.is_some())), "{verified:?}");
        assert!(missing.is_none_or(|missing| verified.out.contains(missing)), "{verified:?}");
    }
}
