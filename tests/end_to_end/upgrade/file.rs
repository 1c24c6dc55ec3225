//! Over a file.

use rulebox_tests::Server;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::replicas::body;

const EXPAND_FILE: &str = "
    alter table rules add column later_color text;
    alter table versions add column later_weight integer not null default 7;
    create table later_hues (hue text not null primary key) strict;
    create index later_rules_by_color on rules (later_color);";

/// A step, as a later version's start takes it.
fn take(directory: &Path, number: usize, step: &str) {
    run(directory, &format!("begin; {step}; {} commit;", row(number, step, "current_timestamp")));
}

fn run(directory: &Path, sql: &str) -> String {
    let mut sqlite = Command::new("sqlite3");
    sqlite.arg("-bail").arg(directory.join("rulebox.db")).arg(sql);
    tools::run(&mut sqlite).trim_end().to_owned()
}

/// A file that today's version has made, with a rule in it, and its key.
fn made() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path());
    let key = server.key.clone().unwrap();
    body(server.post(&key, "/v1/rules", &json!({"name": "old", "source": rulebox_tests::rule(1)})), 201);
    server.signal("TERM");
    assert!(server.wait().0.success());
    (directory, key)
}

#[test]
fn a_file_that_a_later_version_added_to_is_served() {
    let (directory, key) = made();
    let path = directory.path();
    take(path, latest() + 1, EXPAND_FILE);
    run(path, "update rules set later_color = 'red'; insert into later_hues values ('red')");
    let (code, said) = migrate(&settings_of(path), &["--dry-run"]);
    assert_eq!(code, Some(0));
    insta::assert_snapshot!("later_file", without_numbers(&said));
    assert_eq!(migrate(&settings_of(path), &[]).0, Some(0));
    for n in 2..4 {
        let mut server = Server::start(path);
        let version = json!({"source": rulebox_tests::rule(n)});
        body(server.post(&key, "/v1/rules/old/versions", &version), 201);
        body(server.post(&key, "/v1/rules/old/evaluate", &json!({"inputs": {"equity": 1, "drawdown": 0}})), 200);
        server.signal("TERM");
        let (status, log) = server.wait();
        assert!(status.success() && log.contains("it does not know these steps"), "{log}");
    }
    let kept = "select later_color, (select hue from later_hues), (select count(*) from versions where later_weight = 7) from rules";
    assert_eq!(run(path, kept), "red|red|3");
}

#[test]
fn a_file_that_a_later_version_took_something_from_is_refused() {
    let (directory, _) = made();
    let path = directory.path();
    take(path, latest() + 1, EXPAND_FILE);
    take(path, latest() + 2, &contract(latest() + 1));
    let all = ".dump";
    let before = run(path, all);
    let refused = Server::try_start(path, &[]).unwrap_err();
    assert_eq!(refused.status.code(), Some(2));
    let said = without_numbers(&refused.stderr);
    assert!(said.contains("know migration NEXT, and this version knows none after LATEST"), "{said}");
    for arguments in [&[][..], &["--dry-run"]] {
        let (code, said) = migrate(&settings_of(path), arguments);
        assert!(code == Some(2) && without_numbers(&said).contains("know migration NEXT"), "{code:?} {said}");
    }
    assert_eq!(run(path, all), before);
}
