//! The contract, and what is this store's own: its file, and what may be wrong with it.

mod migrations;
mod usage;

use std::path::Path;
use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::domain::audit::Chain;
use crate::domain::caller::{Role, TenantId};
use crate::domain::rule::{NewVersion, RuleName};
use crate::domain::tenant::{TenantLimits, TenantName};
use crate::domain::violation::Kind;
use crate::store::{Occurrences, PlatformStore, Precondition, ReviewStore, RuleStore, Unavailable, contract};

fn options(directory: &Path) -> OpenOptions {
    OpenOptions {
        directory: directory.to_path_buf(),
        connections: 1,
        busy: Duration::from_millis(50),
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
    let key = contract::new_key("rbx_live_00000000", [1; 32]);
    assert!(store.create_first_tenant(&TenantName::default(), &key, &contract::change()).await.unwrap());
    let kept = store.keys("rbx_live_00000000").await.unwrap();
    assert_eq!((kept.len(), kept[0].hash, kept[0].roles.as_slice()), (1, [1; 32], Role::OF_TENANT.as_slice()));
    kept[0].tenant.unwrap()
}

async fn second_tenant(store: &SqliteStore) -> TenantId {
    let limits = TenantLimits::default();
    store.create_tenant(&TenantName::new("second").unwrap(), &limits, &contract::change()).await.unwrap().id
}

fn name(text: &str) -> RuleName {
    RuleName::new(text).unwrap()
}

#[tokio::test]
async fn the_contract_holds() {
    let directory = tempfile::tempdir().unwrap();
    // Twenty write at a time.
    let patient = OpenOptions { busy: Duration::from_secs(20), ..options(directory.path()) };
    let store = SqliteStore::open(&patient).await.unwrap();
    let (a, b) = (first_tenant(&store).await, second_tenant(&store).await);
    contract::all(&store, a, b).await;
}

#[tokio::test]
async fn versions_and_activations_cannot_be_changed_even_by_hand() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let tenant = first_tenant(&store).await;
    store
        .create_rule(tenant, &name("kept"), &contract::version(1), &contract::MOST, &contract::change())
        .await
        .unwrap();
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
    let mut violation = contract::violation(Kind::MemoryLimit, "rule", 1, 1_000);
    let owner = Chain(Some(tenant));
    let change = contract::change();
    let record = async |violation| {
        store.record_violation(owner, &violation, Occurrences::ONE, &contract::FEW, &change).await.unwrap().id
    };
    let id = record(violation.clone()).await;
    violation.marks.request_id = "another".to_owned();
    assert_eq!(record(violation).await, id);
    let rows: Vec<(Uuid, Uuid, String, String, i64, String, i64)> =
        sqlx::query_as("select id, tenant_id, kind, severity, fuel_used, request_id, count from violations")
            .fetch_all(&store.pool)
            .await
            .unwrap();
    let (kind, severity) = ("memory_limit".to_owned(), "medium".to_owned());
    assert_eq!(rows, [(id, tenant.uuid(), kind, severity, i64::MAX, "request".to_owned(), 2)]);
}

#[tokio::test]
async fn webhooks_are_told_what_they_want() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let (a, b) = (first_tenant(&store).await, second_tenant(&store).await);
    let hooks = [(); 5].map(|()| Uuid::now_v7());
    for (id, (tenant, kinds, severity, disabled)) in hooks.iter().zip([
        (a, "", "low", None),
        (a, "trap fuel_exhausted", "low", None),
        (a, "", "high", None),
        (a, "", "low", Some(1_i64)),
        (b, "", "low", None),
    ]) {
        sqlx::query(
            "insert into webhooks (id, tenant_id, url, description, kinds, severity, secret, created_at, created_by, disabled_at)
             values ($1, $2, 'https://example.com', '', $3, $4, x'00', 0, $1, $5)",
        )
        .bind(id)
        .bind(tenant.uuid())
        .bind(kinds)
        .bind(severity)
        .bind(disabled)
        .execute(&store.pool)
        .await
        .unwrap();
    }
    contract::webhooks_are_told_what_they_want(&store, a, hooks).await;
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let tenant = first_tenant(&store).await;
    store
        .create_rule(tenant, &name("kept"), &contract::version(1), &contract::MOST, &contract::change())
        .await
        .unwrap();
    for number in 2..=20 {
        store
            .add_version(
                tenant,
                &name("kept"),
                &contract::version(number),
                &Precondition::None,
                &contract::MOST,
                &contract::change(),
            )
            .await
            .unwrap();
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
    let full = store.create_rule(tenant, &name("large"), &large, &contract::MOST, &contract::change()).await;
    assert!(matches!(full, Err(StoreError::Unavailable(Unavailable::Full(_)))), "{full:?}");
    assert!(matches!(store.rule(tenant, &name("large")).await, Err(StoreError::NoRule(_))));

    // Ready again when there is room for more than the one row of readiness, and not before.
    let room = directory.path().join("rulebox.room");
    std::fs::create_dir(&room).unwrap();
    store.heartbeat(soon()).await.unwrap();
    for _ in 0..2 {
        let ready = store.check().await;
        assert!(matches!(ready, Err(StoreError::Unavailable(Unavailable::Full(_)))), "{ready:?}");
    }
    std::fs::remove_dir(&room).unwrap();
    store.check().await.unwrap();
    assert!(!room.exists());
    sqlx::query("pragma max_page_count = 1000000").execute(&store.pool).await.unwrap();
    store.create_rule(tenant, &name("large"), &large, &contract::MOST, &contract::change()).await.unwrap();
}

#[tokio::test]
async fn a_directory_that_is_a_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(refused(&file).await, OpenError::Directory { .. }));
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

#[tokio::test]
async fn a_store_that_turns_out_damaged_is_not_ready() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let tenant = first_tenant(&store).await;
    let large = NewVersion { module: vec![7; 1 << 20], ..contract::version(1) };
    store.create_rule(tenant, &name("large"), &large, &contract::MOST, &contract::change()).await.unwrap();
    store.close().await;
    drop(store);
    // The second half of the file: the pages of the module, not those of the tables' roots.
    let path = directory.path().join(SqliteStore::FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xff);
    std::fs::write(&path, &bytes).unwrap();

    let store = open(directory.path()).await;
    store.check().await.unwrap();
    let read = store.module(tenant, &name("large"), 1).await.map(|_| ());
    assert!(matches!(read, Err(StoreError::Unavailable(Unavailable::Damaged(_)))), "{read:?}");
    store.heartbeat(soon()).await.unwrap();
    let ready = store.check().await;
    assert!(matches!(ready, Err(StoreError::Unavailable(Unavailable::Damaged(_)))), "{ready:?}");
}

#[tokio::test]
async fn readiness_writes_to_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    sqlx::query("update service set heartbeat_at = 0").execute(&store.pool).await.unwrap();
    let at = async || {
        let kept: i64 = sqlx::query_scalar("select heartbeat_at from service").fetch_one(&store.pool).await.unwrap();
        kept
    };
    let began = Instant::now();
    while at().await == 0 {
        // Until then the write of the start was proof enough.
        store.check().await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    assert!(at().await >= crate::domain::at::At::now().0 - 10_000);
}

#[tokio::test]
async fn a_lock_of_another_process_costs_all_who_wait_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let busy = Duration::from_secs(1);
    let store = SqliteStore::open(&OpenOptions { busy, connections: 4, ..options(directory.path()) }).await.unwrap();
    let tenant = first_tenant(&store).await;
    let other = sqlx::sqlite::SqliteConnectOptions::new().filename(directory.path().join(SqliteStore::FILE));
    let mut other = sqlx::ConnectOptions::connect(&other).await.unwrap();
    sqlx::query("begin immediate").execute(&mut other).await.unwrap();

    let began = Instant::now();
    let names: Vec<_> = (0..8).map(|n| name(&format!("rule_{n}"))).collect();
    let new = contract::version(1);
    let change = contract::change();
    let writes = names.iter().map(|name| store.create_rule(tenant, name, &new, &contract::MOST, &change));
    for written in futures_util::future::join_all(writes).await {
        let refused = matches!(written, Err(StoreError::Unavailable(Unavailable::Locked(_) | Unavailable::Busy)));
        assert!(refused, "{written:?}");
    }
    assert!(began.elapsed() >= busy);
    // One after the other they would take 8 times as long.
    assert!(began.elapsed() < busy * 6, "{:?}", began.elapsed());

    // Readiness has noticed, does not wait for those who write, and reading goes on.
    let (ready, began) = loop {
        let began = Instant::now();
        let waiting = store.create_rule(tenant, &names[0], &new, &contract::MOST, &change);
        let (ready, _, read) = tokio::join!(store.check(), waiting, store.rules(tenant, None, 1, false));
        assert!(read.unwrap().is_empty());
        if ready.is_err() {
            break (ready, began);
        }
    };
    assert!(matches!(ready, Err(StoreError::Unavailable(Unavailable::Locked(_)))), "{ready:?}");
    assert!(began.elapsed() < busy * 6, "{:?}", began.elapsed());
    sqlx::query("rollback").execute(&mut other).await.unwrap();
    store.check().await.unwrap();
    store.create_rule(tenant, &names[0], &new, &contract::MOST, &contract::change()).await.unwrap();
}
