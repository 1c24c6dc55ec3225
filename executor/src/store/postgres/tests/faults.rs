//! What holds up a transaction, and who goes away in the middle of one.

use sqlx::{Connection, PgConnection};

use super::*;
use crate::store::{Precondition, RuleStore, StoreError, Unavailable};

/// A tenant with a rule, and somebody who holds the tenant's audit chain: a version is made, and then waits for it.
async fn held(fixture: &Fixture) -> (TenantId, PgConnection) {
    let store = open(&fixture.database).await;
    let tenant = tenant(&store, "held").await;
    store.create_rule(tenant, &name("held"), &contract::version(1), &contract::MOST, &change()).await.unwrap();
    store.close().await;
    let mut db = PgConnection::connect(&fixture.database.url_of("postgres")).await.unwrap();
    sqlx::raw_sql("begin; select from audit_heads for update").execute(&mut db).await.unwrap();
    (tenant, db)
}

#[tokio::test]
async fn a_lock_that_is_not_had_is_told_from_a_statement_that_takes_too_long() {
    let fixture = Fixture::new().await;
    let (tenant, mut db) = held(&fixture).await;
    let (short, long) = (Duration::from_millis(300), Duration::from_secs(20));
    for (acquire, statement, locked) in [(short, long, true), (long, short, false)] {
        let store =
            PostgresStore::open(&OpenOptions { acquire, statement, ..options(&fixture.database) }).await.unwrap();
        let new = contract::version(2);
        let refused =
            store.add_version(tenant, &name("held"), &new, &Precondition::None, &contract::MOST, &change()).await;
        let right = match &refused {
            Err(StoreError::Unavailable(Unavailable::Locked(_))) => locked,
            Err(StoreError::Unavailable(Unavailable::Slow(_))) => !locked,
            _ => false,
        };
        assert!(right, "{refused:?}");
        assert_eq!(store.rule(tenant, &name("held")).await.unwrap().latest_version, 1);
        store.close().await;
    }
    sqlx::raw_sql("rollback").execute(&mut db).await.unwrap();
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_neither_a_lock_nor_half_a_change() {
    let fixture = Fixture::new().await;
    let (tenant, mut db) = held(&fixture).await;
    let pooler = PgBouncer::start(&fixture.server, 4);
    for database in [fixture.database.clone(), fixture.database.by_port(pooler.port())] {
        let store = open(&database).await;
        let (rule, new) = (name("held"), contract::version(2));
        let before = store.rule(tenant, &rule).await.unwrap().latest_version;
        let change = change();
        let adding = store.add_version(tenant, &rule, &new, &Precondition::None, &contract::MOST, &change);
        assert!(tokio::time::timeout(Duration::from_millis(500), adding).await.is_err());
        sqlx::raw_sql("rollback").execute(&mut db).await.unwrap();
        let made = store.add_version(tenant, &rule, &new, &Precondition::None, &contract::MOST, &change).await.unwrap();
        assert_eq!(made.number, before + 1, "the version of the one who went away is not there");
        store.close().await;
        sqlx::raw_sql("begin; select from audit_heads for update").execute(&mut db).await.unwrap();
    }
    sqlx::raw_sql("rollback").execute(&mut db).await.unwrap();
    let open = "select count(*) from pg_stat_activity where state like 'idle in transaction%'";
    assert_eq!(fixture.psql(open), "0");
}

#[tokio::test]
async fn a_server_that_hangs_holds_nobody_for_ever() {
    let fixture = Fixture::new().await;
    let (tenant, mut db) = held(&fixture).await;
    let short = Duration::from_secs(2);
    let quick = OpenOptions { acquire: short, statement: short, ..options(&fixture.database) };
    let store = PostgresStore::open(&quick).await.unwrap();
    let (rule, new, change) = (name("held"), contract::version(2), change());
    let waiting = "select coalesce(max(pid), 0) from pg_stat_activity where wait_event_type = 'Lock'";
    let hang = async {
        let pid = loop {
            match fixture.psql(waiting).parse().unwrap() {
                0 => tokio::task::yield_now().await,
                pid => break pid,
            }
        };
        // None of its own times wakes it any more.
        rulebox_tests::signal(pid, "STOP");
        pid
    };
    let adding = store.add_version(tenant, &rule, &new, &Precondition::None, &contract::MOST, &change);
    let (refused, pid) = tokio::time::timeout(PATIENCE, async { tokio::join!(adding, hang) }).await.unwrap();
    rulebox_tests::signal(pid, "CONT");
    assert!(matches!(refused, Err(StoreError::Unavailable(Unavailable::Away(_)))), "{refused:?}");
    sqlx::raw_sql("rollback").execute(&mut db).await.unwrap();
    assert_eq!(store.rule(tenant, &rule).await.unwrap().latest_version, 1);
    store.close().await;
}
