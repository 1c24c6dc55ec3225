//! The contract, and what is this store's own: its file, and what may be wrong with it.

use std::path::Path;

use rulebox_sandbox::Severity;

use super::*;
use crate::domain::caller::{RequestMarks, Role};
use crate::store::contract;

fn options(directory: &Path) -> OpenOptions {
    OpenOptions {
        directory: directory.to_path_buf(),
        connections: 1,
        busy: std::time::Duration::from_millis(50),
        survives_power_loss: true,
    }
}

async fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(&options(directory)).await.unwrap()
}

async fn refused(directory: &Path) -> OpenError {
    SqliteStore::open(&options(directory)).await.unwrap_err()
}

async fn first_tenant(store: &SqliteStore) -> TenantId {
    let key = NewKey { prefix: "rbx_live_00000000".to_owned(), hash: [1; 32], roles: Role::ALL.to_vec() };
    assert!(store.create_first_tenant("first", &key).await.unwrap());
    let kept = store.keys("rbx_live_00000000").await.unwrap();
    assert_eq!((kept.len(), kept[0].hash, kept[0].roles.as_slice()), (1, [1; 32], Role::ALL.as_slice()));
    kept[0].tenant
}

async fn second_tenant(store: &SqliteStore) -> TenantId {
    let id = Uuid::now_v7();
    let insert = sqlx::query("insert into tenants (id, name, created_at) values ($1, 'second', 0)").bind(id);
    insert.execute(&store.pool).await.unwrap();
    TenantId::from_store(id)
}

fn name(text: &str) -> RuleName {
    RuleName::new(text).unwrap()
}

#[tokio::test]
async fn the_contract_holds() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let (a, b) = (first_tenant(&store).await, second_tenant(&store).await);
    contract::all(&store, a, b).await;
}

#[tokio::test]
async fn versions_and_activations_cannot_be_changed_even_by_hand() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let tenant = first_tenant(&store).await;
    store.create_rule(tenant, &name("kept"), &contract::version(1), KeyId(Uuid::nil())).await.unwrap();
    for statement in [
        "update versions set source = ''",
        "update versions set number = 2",
        "delete from versions",
        "update activations set version = 2",
        "delete from activations",
        "delete from rules",
    ] {
        assert!(sqlx::query(statement).execute(&store.pool).await.is_err(), "{statement}");
    }
    assert_eq!(store.source(tenant, &name("kept"), 1).await.unwrap(), contract::version(1).source);
}

#[tokio::test]
async fn a_violation_that_repeats_is_one_row_with_a_count() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let tenant = first_tenant(&store).await;
    let marks = RequestMarks { request_id: "request".to_owned(), trace_id: "trace".to_owned() };
    let mut violation = NewViolation::at_upload("memory_limit", Severity::High, marks, KeyId(Uuid::nil()));
    violation.fuel_used = u64::MAX;
    let id = store.record_violation(tenant, &violation).await.unwrap();
    violation.marks.request_id = "another".to_owned();
    assert_eq!(store.record_violation(tenant, &violation).await.unwrap(), id);
    let rows: Vec<(Uuid, Uuid, String, String, i64, String, i64)> =
        sqlx::query_as("select id, tenant_id, kind, severity, fuel_used, request_id, count from violations")
            .fetch_all(&store.pool)
            .await
            .unwrap();
    let (kind, severity) = ("memory_limit".to_owned(), "high".to_owned());
    assert_eq!(rows, [(id, tenant.uuid(), kind, severity, i64::MAX, "request".to_owned(), 2)]);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let tenant = first_tenant(&store).await;
    store.create_rule(tenant, &name("kept"), &contract::version(1), KeyId(Uuid::nil())).await.unwrap();
    for number in 2..=20 {
        store.add_version(tenant, &name("kept"), &contract::version(number), KeyId(Uuid::nil())).await.unwrap();
        // The files as they are now, without a word of goodbye: what a killed process leaves.
        let left = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, left.path().join(path.file_name().unwrap())).unwrap();
        }
        let again = open(left.path()).await;
        assert_eq!(again.rule(tenant, &name("kept")).await.unwrap().latest_version, number);
        assert_eq!(again.source(tenant, &name("kept"), number).await.unwrap(), contract::version(number).source);
    }
}

#[tokio::test]
async fn a_second_process_on_the_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path()).await;
    let error = refused(directory.path()).await;
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("RULEBOX_DATA_DIR"));
    drop(first);
    open(directory.path()).await;
}

#[tokio::test]
async fn a_locked_file_is_told_from_a_broken_one() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).await.close().await;
    let path = directory.path().join(SqliteStore::FILE);
    let other = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&path)
        .locking_mode(sqlx::sqlite::SqliteLockingMode::Exclusive);
    let mut other = sqlx::ConnectOptions::connect(&other).await.unwrap();
    sqlx::query("begin exclusive").execute(&mut other).await.unwrap();
    let error = refused(directory.path()).await;
    assert!(matches!(error, OpenError::Store { source: Unavailable::Locked(_), .. }), "{error}");
    sqlx::Connection::close(other).await.unwrap();
    open(directory.path()).await.close().await;

    std::fs::write(
        &path,
        "this is no database, and longer than a header of one hundred bytes would be, so it is read".repeat(20),
    )
    .unwrap();
    let error = refused(directory.path()).await;
    assert!(matches!(error, OpenError::Store { source: Unavailable::Damaged(_), .. }), "{error}");
}

#[tokio::test]
async fn a_read_only_file_is_refused_at_start_and_left_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).await.close().await;
    let path = directory.path().join(SqliteStore::FILE);
    // Tests may run as root, who may write to anything: the header's write version says "read only" to everybody.
    // https://sqlite.org/fileformat.html, offset 18
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[18] = 3;
    std::fs::write(&path, &bytes).unwrap();
    let error = refused(directory.path()).await;
    assert!(matches!(error, OpenError::Store { source: Unavailable::ReadOnly(_), .. }), "{error:?}");
    assert!(error.to_string().contains("writable"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_nothing_is_half_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let tenant = first_tenant(&store).await;
    let pages: i64 = sqlx::query_scalar("pragma page_count").fetch_one(&store.pool).await.unwrap();
    let limit = sqlx::AssertSqlSafe(format!("pragma max_page_count = {}", pages + 1));
    sqlx::query(limit).execute(&store.pool).await.unwrap();
    let large = NewVersion { module: vec![0; 1 << 20], ..contract::version(1) };
    let full = store.create_rule(tenant, &name("large"), &large, KeyId(Uuid::nil())).await;
    assert!(matches!(full, Err(StoreError::Unavailable(Unavailable::Full(_)))), "{full:?}");
    assert!(matches!(store.rule(tenant, &name("large")).await, Err(StoreError::NoRule(_))));
    sqlx::query("pragma max_page_count = 1000000").execute(&store.pool).await.unwrap();
    store.create_rule(tenant, &name("large"), &large, KeyId(Uuid::nil())).await.unwrap();
}

#[tokio::test]
async fn tables_of_a_later_version_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    sqlx::query("update _sqlx_migrations set checksum = x'00'").execute(&store.pool).await.unwrap();
    store.close().await;
    drop(store);
    let error = refused(directory.path()).await;
    assert!(matches!(error, OpenError::Migration { .. }), "{error}");
}

#[tokio::test]
async fn a_directory_that_is_a_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(refused(&file).await, OpenError::Directory { .. }));
}
