//! Over `PostgreSQL`.

use std::time::{Duration, Instant};

use rulebox_tests::output;
use rulebox_tests::servers::postgres::Postgres;
use rulebox_tests::servers::redis::Redis;
use serde_json::json;

use super::*;
use crate::hostile;
use crate::replicas::{Replica, body, database};

/// What is refused by a start: exit code 2, and what it says.
fn refused(database: &Database, arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let settings = database.settings();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let refused = rulebox_tests::Server::try_start_with(directory.path(), arguments, &settings).unwrap_err();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    refused.stderr
}

#[test]
fn a_start_over_tables_of_a_later_version_that_only_added_does_everything() {
    let (server, redis) = (Postgres::start(), Redis::start());
    let database = database(&server);
    let url = redis.url();
    let settings = [("RULEBOX_REDIS__URL", url.as_str()), ("RULEBOX_TENANT__MODULES", "true")];
    let before = Replica::start_with(&database, &settings);
    let key = before.server.key.clone().unwrap();
    body(before.server.post(&key, "/v1/rules", &json!({"name": "old", "source": rulebox_tests::rule(1)})), 201);
    let session = body(before.server.post(&key, "/v1/sessions", &json!({"rules": ["old"]})), 201);
    let session = session["id"].as_str().unwrap().to_owned();
    let bar = |seq: u64| json!({"seq": seq, "inputs": {"equity": 1, "drawdown": 0}});
    body(before.server.post(&key, &format!("/v1/sessions/{session}/bars"), &bar(0)), 200);

    for (number, step) in (latest() + 1..).zip(EXPAND) {
        take(&database, number, step);
    }
    let later = "update rules set later_color = 'red' where name = 'old';
                 insert into later_hues select id, 'red' from tenants";
    server.psql(&database.name, later);
    let steps = server.psql(&database.name, "select * from _sqlx_migrations order by version");

    // It may migrate, which changes nothing.
    let (code, said) = migrate(&database.settings(), &["--dry-run"]);
    assert_eq!(code, Some(0));
    insta::assert_snapshot!("later_tables", without_numbers(&said));
    assert_eq!(migrate(&database.settings(), &[]), (code, said));

    let directory = tempfile::tempdir().unwrap();
    let all = database.settings();
    let all: Vec<_> = all.iter().map(|(name, value)| (*name, value.as_str())).chain(settings).collect();
    let mut after = rulebox_tests::Server::try_start_with(directory.path(), &["--migrate"], &all).unwrap();
    assert!(after.key.is_none());
    body(after.get(&key, "/v1/rules/old"), 200);
    body(after.post(&key, "/v1/rules/old/versions", &json!({"source": rulebox_tests::rule(2)})), 201);
    body(after.post(&key, "/v1/rules/old/evaluate", &json!({"inputs": {"equity": 1, "drawdown": 0}})), 200);
    body(after.post(&key, "/v1/rules", &json!({"name": "new", "source": rulebox_tests::rule(3)})), 201);
    body(after.post(&key, &format!("/v1/sessions/{session}/bars"), &bar(1)), 200);
    body(after.post(&key, "/v1/keys", &json!({"name": "new", "roles": ["engine"]})), 201);
    hostile::upload(&after, &key, "hostile", hostile::TRAP);
    let stopped = body(after.post(&key, "/v1/rules/hostile/evaluate", &json!({"inputs": {}})), 422);
    let violation = format!("/v1/violations/{}", stopped["violation_id"].as_str().unwrap());
    body(after.get(&key, &violation), 200);
    body(after.get(&key, "/v1/audit"), 200);
    // The pod of the version before is still there, and so are the commands.
    body(before.server.get(&key, "/v1/rules/new"), 200);
    for command in [&["backup", "record"][..], &["audit", "verify"], &["tenant", "list"]] {
        let (status, said) = output(command, &database.settings());
        assert!(status.success(), "{command:?}: {said}");
    }
    assert_ne!(server.psql(&database.name, "select backup_at from service"), "");

    // What the later version wrote is as it was, and what it will read of this one's rows has its defaults.
    let kept = "select (select later_color from rules where name = 'old'), (select count(*) from later_hues),
                       (select count(*) from versions where later_weight = 7),
                       (select count(*) from violations where later_note = 'none')";
    assert_eq!(server.psql(&database.name, kept), "red|1|4|1");
    assert_eq!(server.psql(&database.name, "select * from _sqlx_migrations order by version"), steps);
    after.signal("TERM");
    let (status, log) = after.wait();
    assert!(status.success());
    let line = log.lines().find(|line| line.contains("it does not know these steps")).expect("it says so");
    for number in latest() + 1..=latest() + EXPAND.len() {
        assert!(line.contains(&format!("{number:04} later")), "{line}");
    }
}

#[test]
fn a_start_over_tables_of_a_later_version_that_took_something_away_is_refused() {
    let server = Postgres::start();
    let database = database(&server);
    let running = Replica::start(&database);
    let key = running.server.key.clone().unwrap();
    body(running.server.post(&key, "/v1/rules", &json!({"name": "old", "source": rulebox_tests::rule(1)})), 201);
    take(&database, latest() + 1, EXPAND[0]);
    take(&database, latest() + 2, &contract(latest() + 1));
    let steps = server.psql(&database.name, "select * from _sqlx_migrations order by version");
    for arguments in [&[][..], &["--migrate"]] {
        let said = without_numbers(&refused(&database, arguments));
        assert!(said.contains("know migration NEXT, and this version knows none after LATEST"), "{said}");
        assert!(said.contains("run the version that made it, or a later one"), "{said}");
    }
    for arguments in [&[][..], &["--dry-run"]] {
        let (code, said) = migrate(&database.settings(), arguments);
        assert!(code == Some(2) && without_numbers(&said).contains("know migration NEXT"), "{code:?} {said}");
    }
    assert_eq!(server.psql(&database.name, "select * from _sqlx_migrations order by version"), steps);

    // What runs says that it cannot be used, lives, and still does what it can.
    let probe = |path: &str| {
        let answer = running.server.client().get(format!("{}{path}", running.server.health)).send().unwrap();
        (answer.status().as_u16(), answer.text().unwrap())
    };
    let began = Instant::now();
    let said = loop {
        let (status, said) = probe("/readyz?verbose");
        if status == 503 {
            break without_numbers(&said);
        }
        assert!(began.elapsed() < Duration::from_secs(10), "it is still ready: {said}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(said.contains("[-] store: the tables were changed since this process started"), "{said}");
    assert!(said.contains("know migration NEXT, and it knows none after LATEST"), "{said}");
    assert_eq!(probe("/livez").0, 200);
    body(running.server.get(&key, "/v1/keys"), 200);
    // What is gone is an error of the store, told as one, and not a wrong answer.
    body(running.server.get(&key, "/v1/rules/old"), 503);
}
