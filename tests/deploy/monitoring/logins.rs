//! The logins of exporters: what they may ask, and what they may not. And what is recorded is what alerts go by.

use std::process::Command;

use rulebox_tests::output;
use rulebox_tests::servers::pgbouncer::PgBouncer;
use rulebox_tests::servers::postgres::{Postgres, program};
use rulebox_tests::tools::{run, tried};

use super::site::{MONITOR, Redis, SECRET};
use crate::read;

/// `psql` as the exporter's login.
fn psql(port: u16, database: &str, sql: &str) -> Command {
    let mut psql = Command::new(program("psql"));
    psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--dbname", database, "--command", sql]);
    psql.env("PGHOST", "127.0.0.1").env("PGPORT", port.to_string()).env("PGUSER", MONITOR).env("PGPASSWORD", SECRET);
    psql
}

#[test]
fn logins_of_exporters_read_numbers_and_nothing_else() {
    let server = Postgres::start();
    let database = server.database();
    let (migrated, said) = output(&["migrate"], &database.settings());
    assert!(migrated.success(), "{said}");
    for _ in 0..2 {
        // Run again, it changes nothing.
        let variables = [("monitor_password", SECRET)];
        server.psql_file("rulebox", "deploy/monitoring/exporters/login.sql", &variables);
    }
    assert_eq!(run(&mut psql(server.port(), "rulebox", "select count(*) > 0 from pg_stat_activity")).trim(), "t");
    let tables = server.psql("rulebox", "select format('%I.%I', schemaname, relname) from pg_stat_user_tables");
    let mut refused = 0;
    let writes =
        ["create table t (a int)", "create role r", "select pg_switch_wal()", "select pg_read_file('PG_VERSION')"];
    let reads: Vec<_> = tables.lines().map(|table| format!("select * from {table} limit 1")).collect();
    for sql in reads.iter().map(String::as_str).chain(writes) {
        let (output, said) = tried(&mut psql(server.port(), "rulebox", sql));
        let denied = ["permission denied", "read-only transaction"].iter().any(|words| said.contains(words));
        assert!(!output.status.success() && denied, "{sql}: {said}");
        refused += 1;
    }

    let pooler = PgBouncer::start_watched(&server, 5, MONITOR, SECRET);
    assert!(run(&mut psql(pooler.port(), "pgbouncer", "SHOW DATABASES")).contains("rulebox|"));
    for sql in ["PAUSE", "RELOAD", "SHUTDOWN", "KILL rulebox"] {
        let (_, said) = tried(&mut psql(pooler.port(), "pgbouncer", sql));
        assert!(said.contains("admin access needed"), "{sql}: {said}");
        refused += 1;
    }

    let redis = Redis::start(None);
    let ask = |command: &[&str]| {
        let mut cli = Command::new("redis-cli");
        cli.args(["-u", &redis.url(), "--user", MONITOR, "--no-auth-warning"]).args(command);
        run(cli.env("REDISCLI_AUTH", SECRET))
    };
    assert!(ask(&["INFO", "memory"]).contains("used_memory:"));
    for command in [
        &["GET", "rulebox:a"][..],
        &["SET", "rulebox:a", "1"],
        &["KEYS", "*"],
        &["SCAN", "0"],
        &["CONFIG", "GET", "*"],
        &["CONFIG", "SET", "maxmemory", "1"],
        &["ACL", "LIST"],
        &["CLIENT", "LIST"],
        &["SLOWLOG", "GET"],
        &["SLOWLOG", "RESET"],
        &["MONITOR"],
        &["FLUSHALL"],
        &["SHUTDOWN"],
        &["EVAL", "return 1", "0"],
        &["PUBLISH", "rulebox:changes", "a"],
    ] {
        let said = ask(command);
        assert!(said.contains("NOPERM"), "{command:?}: {said}");
        refused += 1;
    }
    println!("exporters' logins: {refused} refused, of them {} tables", reads.len());
}

#[test]
fn what_is_recorded_is_what_alerts_go_by() {
    let (recording, alerts) = (read("deploy/monitoring/recording.yaml"), read("deploy/monitoring/alerts.yaml"));
    let rules: Vec<_> = recording.split("- record: ").skip(1).collect();
    let expression = |name: &str| {
        let rule = rules.iter().find(|rule| rule.starts_with(&format!("{name}\n")));
        let rule = rule.unwrap_or_else(|| panic!("{name} is not recorded"));
        rule.split("expr: ").nth(1).unwrap().lines().next().unwrap().to_owned()
    };
    for (window, burn) in [("5m", "14.4"), ("1h", "14.4"), ("30m", "6"), ("6h", "6")] {
        let ratio = expression(&format!("service:rulebox_evaluations_slow:ratio_rate{window}"));
        assert!(alerts.contains(&format!("{ratio} > {burn} * 0.001\n")), "no alert goes by {ratio}, {burn} times");
    }
    // The rest of the objective is what the alerts multiply.
    assert_eq!(expression("service:rulebox_evaluation_objective:ratio"), "vector(0.999)");
    let failed = expression("service:http_server_requests_failed:ratio_rate5m");
    assert!(alerts.contains(&format!("expr: {failed} > 0.01\n")), "no alert goes by {failed}");
    let board = read("deploy/monitoring/dashboards/slo.json");
    for window in ["5m", "30m", "1h", "6h"] {
        assert!(
            board.contains(&format!("ratio_rate{window} / (1 - service:rulebox_evaluation_objective:ratio)")),
            "{window}"
        );
    }
    assert!(board.contains("14.4") && board.contains("\"value\": 6.0"), "no lines at 6 and 14.4");
    println!("4 windows and their burns are the same in alerts, rules and the board");
}
