//! A backup of tables of a later version, by the scripts of this one.

use rulebox_tests::binary;
use rulebox_tests::servers::postgres::Postgres;
use serde_json::json;

use super::*;
use crate::replicas::{Replica, body, database};

/// A script of `deploy/backup`, as a superuser of this server, with the settings of the service.
fn script(name: &str, server: &Postgres, database: &Database) -> Command {
    let mut command = Command::new(root().join("deploy/backup").join(name));
    let psql = program("psql");
    let path = format!("{}:{}", psql.parent().unwrap().display(), std::env::var("PATH").unwrap());
    command.env("PATH", path).envs(server.superuser()).envs(database.settings()).arg("--rulebox").arg(binary());
    command
}

#[test]
fn tables_of_a_later_version_are_backed_up_and_restored_by_this_one() {
    let (from, into) = (Postgres::start(), Postgres::start());
    let database = database(&from);
    let replica = Replica::start(&database);
    let key = replica.server.key.clone().unwrap();
    body(replica.server.post(&key, "/v1/rules", &json!({"name": "old", "source": rulebox_tests::rule(1)})), 201);
    for (number, step) in (latest() + 1..).zip(EXPAND) {
        take(&database, number, step);
    }
    from.psql(
        &database.name,
        "update rules set later_color = 'red'; insert into later_hues select id, 'red' from tenants",
    );
    let place = tempfile::tempdir().unwrap();
    let kept = place.path().join("kept");
    let said = tools::run(script("backup", &from, &database).arg("--to").arg(&kept));
    let backup = said.lines().find(|line| line.starts_with('/')).expect("it says where").to_owned();

    let restored = into.database();
    let mut restore = script("restore", &into, &restored);
    let said = tools::run(restore.args(["--from", &backup]));
    assert!(said.contains("proved and in place"), "{said}");
    let after = Replica::start(&restored);
    body(after.server.get(&key, "/v1/rules/old"), 200);
    body(after.server.post(&key, "/v1/rules/old/versions", &json!({"source": rulebox_tests::rule(2)})), 201);
    let kept = "select (select later_color from rules), (select hue from later_hues), (select oldest_program from compatibility)";
    assert_eq!(into.psql(&restored.name, kept), "red|red|7");
}
