//! Files that a later version has migrated.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};

use super::*;
use crate::store::Misfit;
use crate::store::migrations::latest;
use crate::store::migrations::tests::with_steps;
use crate::store::sqlite::migrate::MIGRATOR;

/// The file, by hand: nobody uses it.
async fn by_hand(directory: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(directory.join(SqliteStore::FILE)).connect().await.unwrap()
}

async fn run(directory: &Path, sql: &str) {
    let mut db = by_hand(directory).await;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

/// What a later version makes of the file.
async fn later(directory: &Path, steps: &[&str]) {
    let migrator = with_steps("sqlite", &MIGRATOR, steps).await;
    let mut db = by_hand(directory).await;
    migrator.run_direct(None, &mut db, false).await.unwrap();
    // The log goes into the file.
    db.close().await.unwrap();
}

async fn made() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).await.close().await;
    directory
}

async fn misfit(directory: &Path) -> Misfit {
    let told = SqliteStore::standing(directory).await.unwrap_err();
    match (told, refused(directory).await) {
        (OpenError::Misfit { source: told, .. }, OpenError::Misfit { source, .. }) if told == source => source,
        other => panic!("{other:?}"),
    }
}

/// Every table gets columns, as a later version may add them; and there are a table and an index more.
async fn wider(directory: &Path) -> String {
    let tables = "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' and name not like '\\_%' escape '\\'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut by_hand(directory).await).await.unwrap();
    assert!(tables.len() > 10, "{tables:?}");
    let columns = tables.iter().map(|table| {
        format!("alter table {table} add column later_nothing text; alter table {table} add column later_number integer not null default 7;")
    });
    let columns: String = columns.collect();
    format!(
        "{columns} create table later (id integer primary key); create index rules_by_later on rules (later_number);"
    )
}

#[tokio::test]
async fn a_file_that_a_later_version_has_widened_serves_this_one() {
    let directory = made().await;
    later(directory.path(), &[&wider(directory.path()).await]).await;
    let standing = SqliteStore::standing(directory.path()).await.unwrap();
    assert_eq!(standing.missing, []);
    assert_eq!(standing.later.iter().map(|step| step.number).collect::<Vec<_>>(), [latest(&MIGRATOR) + 1]);
    let patient = OpenOptions { busy: Duration::from_secs(20), ..options(directory.path()) };
    let store = SqliteStore::open(&patient).await.unwrap();
    let (a, b) = (first_tenant(&store).await, second_tenant(&store).await);
    contract::all(&store, a, b).await;
    let (all, with_default): (i64, i64) =
        sqlx::query_as("select count(*), count(*) filter (where later_number = 7) from rules")
            .fetch_one(&store.pool)
            .await
            .unwrap();
    assert!(all > 0 && all == with_default, "{all} {with_default}");
    store.close().await;
}

#[tokio::test]
async fn a_file_that_a_later_version_has_narrowed_is_refused_and_left_as_it_was() {
    let directory = made().await;
    let (latest, oldest) = (latest(&MIGRATOR), latest(&MIGRATOR) + 1);
    later(directory.path(), &[&format!("drop table usage; update compatibility set oldest_program = {oldest}")]).await;
    let file = || std::fs::read(directory.path().join(SqliteStore::FILE)).unwrap();
    let before = file();
    assert_eq!(misfit(directory.path()).await, Misfit::Outgrown { oldest, latest });
    assert!(before == file());
}

#[tokio::test]
async fn what_the_file_says_of_programs_is_believed_only_when_it_is_whole() {
    let directory = made().await;
    let path = directory.path();
    let (latest, next) = (latest(&MIGRATOR), latest(&MIGRATOR) + 1);
    later(path, &["create table later (id integer primary key)"]).await;
    for refused in [
        "delete from compatibility",
        "insert into compatibility (id, oldest_program) values (2, 7)",
        "update compatibility set oldest_program = 6",
    ] {
        assert!(sqlx::query(refused).execute(&mut by_hand(path).await).await.is_err(), "{refused}");
    }
    run(path, "drop trigger compatibility_is_kept; delete from compatibility").await;
    assert_eq!(misfit(path).await, Misfit::Newer(next), "no row");
    run(path, "insert into compatibility (id, oldest_program) values (1, 9999)").await;
    assert_eq!(misfit(path).await, Misfit::Outgrown { oldest: 9999, latest });
    run(path, "delete from compatibility; insert into compatibility (id, oldest_program) values (1, 7)").await;
    open(path).await.close().await;
    run(path, "update _sqlx_migrations set success = 0 where version = 3").await;
    assert_eq!(misfit(path).await, Misfit::Unfinished(3));
    run(
        path,
        "update _sqlx_migrations set success = 1; update _sqlx_migrations set checksum = x'00' where version = 2",
    )
    .await;
    assert_eq!(misfit(path).await, Misfit::Changed(2));
}
