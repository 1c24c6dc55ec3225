//! What alerts watch beside requests.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::harness::{DRAWDOWN, Server, config};

const BROKEN: &str = "rulebox_audit_chains_broken";
const BACKUP: &str = "rulebox_backup_last_success_timestamp_seconds";
const RESTORED: &str = "rulebox_restore_test_last_success_timestamp_seconds";
const FAILED: &str = "rulebox_restore_test_last_failure_timestamp_seconds";

/// What somebody does who can write to the file.
async fn write(directory: &Path, sql: &'static str) {
    let mut db = SqliteConnectOptions::new().filename(directory.join("rulebox.db")).connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

async fn becomes(server: &Server, metric: &str, value: f64) {
    let began = Instant::now();
    while server.metric(metric).await != Some(value) {
        assert!(began.elapsed() < Duration::from_secs(30), "{metric} is {:?}", server.metric(metric).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_audit_log_that_was_changed_is_seen_at_the_start_and_so_is_the_last_backup() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    becomes(&server, BACKUP, 0.0).await;
    assert_eq!((server.metric(RESTORED).await, server.metric(FAILED).await), (Some(0.0), Some(0.0)));
    assert_eq!(server.metric(BROKEN).await, Some(0.0));
    let (directory, key) = server.stop().await;
    write(
        directory.path(),
        "update service set backup_at = 1234567, restore_tested_at = 2345678, restore_failed_at = 3456789; drop trigger audit_is_immutable; \
         update audit set actor = 'somebody else' where action = 'rule.create'",
    )
    .await;
    let settings = config(directory.path());
    let server = Server::over(directory, settings, Some(key)).await;
    becomes(&server, BROKEN, 1.0).await;
    becomes(&server, BACKUP, 1234.0).await;
    becomes(&server, RESTORED, 2345.0).await;
    becomes(&server, FAILED, 3456.0).await;
}
