//! Migrations: by this version, by a later one, and by both at once.

use sqlx::Connection;

use super::opening::refusal;
use super::*;
use crate::store::migrations::latest;
use crate::store::migrations::tests::with_steps;
use crate::store::postgres::migrate::{MIGRATOR, migrate_by};
use crate::store::{Misfit, Standing, Unavailable};

/// Every table gets columns, as a later version may add them; and there are a table and an index more.
const WIDER: &str = "
do $$
declare
    name text;
begin
    for name in select relname from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> '_sqlx_migrations'
    loop
        execute format('alter table %I add column later_nothing text, add column later_number bigint not null default 7', name);
    end loop;
end
$$;
create table later (id bigint primary key);
create index rules_by_later on rules (later_number);";

#[tokio::test]
async fn a_database_without_tables_or_with_others_is_refused() {
    let server = Postgres::start();
    let database = server.database();
    let url = SecretString::from(database.migrate_url());
    assert!(matches!(refusal(&options(&database)).await, OpenError::NoTables("RULEBOX_DATABASE__URL")));
    let all = MIGRATOR.iter().count();
    assert_eq!(migrations(&url, PATIENCE).await.unwrap().missing.len(), all, "to be told changes nothing");
    assert_eq!(migrate(&url, PATIENCE).await.unwrap().missing.len(), all);
    assert_eq!(migrate(&url, PATIENCE).await.unwrap(), Standing::default());
    open(&database).await.close().await;

    let psql = |sql| server.psql(&database.name, sql);
    psql("delete from _sqlx_migrations where version = 6");
    let error = refusal(&options(&database)).await;
    assert!(matches!(error, OpenError::Pending { count: 1, .. }), "{error}");
    assert!(error.to_string().contains("0006 review") && error.to_string().contains("rulebox migrate"), "{error}");
    psql("insert into _sqlx_migrations values (6, 'other', now(), true, '\\x00', 0)");
    assert!(matches!(refusal(&options(&database)).await, OpenError::Misfit(Misfit::Changed(6))));
    let error = migrate(&url, PATIENCE).await.unwrap_err();
    assert!(matches!(error, MigrationError::Misfit(Misfit::Changed(6))), "{error}");
    psql("update _sqlx_migrations set version = 9999 where version = 6");
    assert!(matches!(
        refusal(&options(&database)).await,
        OpenError::Misfit(Misfit::Skipped { missing: 6, later: 9999 })
    ));
    let error = migrate(&url, PATIENCE).await.unwrap_err();
    assert!(matches!(error, MigrationError::Misfit(Misfit::Skipped { .. })), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_that_run_at_once_run_once() {
    let server = Postgres::start();
    let database = server.database();
    let url = SecretString::from(database.migrate_url());
    // Replicas that start meanwhile come up when the tables are there, and not before.
    let replicas = (0..4).map(|_| {
        let database = database.clone();
        tokio::spawn(async move {
            let mut refused = 0;
            loop {
                match PostgresStore::open(&options(&database)).await {
                    Ok(store) => return (store.has_tenant().await.unwrap(), refused),
                    Err(OpenError::Pending { .. } | OpenError::NoTables(_)) => refused += 1,
                    Err(other) => panic!("{other:?}"),
                }
            }
        })
    });
    let replicas: Vec<_> = replicas.collect();
    let migrations = (0..6).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { migrate(&url, PATIENCE).await.unwrap().missing.len() })
    });
    let mut taken: Vec<_> = futures_util::future::join_all(migrations).await.into_iter().map(Result::unwrap).collect();
    taken.sort_unstable();
    assert_eq!(taken, [0, 0, 0, 0, 0, MIGRATOR.iter().count()]);
    for replica in replicas {
        let (has_tenant, refused) = replica.await.unwrap();
        assert!(!has_tenant);
        println!("a replica that started during migrations was refused {refused} times, and then served");
    }
}

/// What a later version makes of these tables: a step after this version's last, and then another.
async fn later(database: &Database, steps: &[&str]) -> Result<Standing, MigrationError> {
    let migrator = with_steps("postgres", &MIGRATOR, steps).await;
    migrate_by(&migrator, &SecretString::from(database.migrate_url()), PATIENCE).await
}

#[tokio::test]
async fn tables_that_a_later_version_has_widened_serve_this_one() {
    let fixture = Fixture::new().await;
    let url = SecretString::from(fixture.database.migrate_url());
    assert_eq!(later(&fixture.database, &[WIDER]).await.unwrap().missing.len(), 1);
    let number = latest(&MIGRATOR) + 1;
    // To be told of it, and to migrate, changes nothing and is no fault.
    let before = fixture.psql("select * from _sqlx_migrations");
    for standing in [migrations(&url, PATIENCE).await.unwrap(), migrate(&url, PATIENCE).await.unwrap()] {
        assert_eq!(standing.missing, []);
        assert_eq!(standing.later.iter().map(|step| step.number).collect::<Vec<_>>(), [number]);
    }
    assert_eq!(fixture.psql("select * from _sqlx_migrations"), before);
    the_contract_holds_over(&fixture.database).await;
    let kept = fixture.psql("select count(*), count(*) filter (where later_number = 7) from rules");
    let (all, with_default) = kept.split_once('|').unwrap();
    assert!(all != "0" && all == with_default, "{kept}");
}

#[tokio::test]
async fn tables_that_a_later_version_has_narrowed_are_refused_and_make_a_running_one_unready() {
    let fixture = Fixture::new().await;
    let url = SecretString::from(fixture.database.migrate_url());
    let store = open(&fixture.database).await;
    store.check().await.unwrap();
    let (latest, oldest) = (latest(&MIGRATOR), latest(&MIGRATOR) + 2);
    let narrower = format!("drop table later; update compatibility set oldest_program = {oldest};");
    later(&fixture.database, &[WIDER, &narrower]).await.unwrap();
    let expected = Misfit::Outgrown { oldest, latest };
    let error = refusal(&options(&fixture.database)).await;
    assert!(matches!(error, OpenError::Misfit(misfit) if misfit == expected), "{error}");
    for told in [migrations(&url, PATIENCE).await, migrate(&url, PATIENCE).await] {
        assert!(matches!(told, Err(MigrationError::Misfit(misfit)) if misfit == expected), "{told:?}");
    }
    let began = Instant::now();
    loop {
        match store.check().await {
            // An answer of a second ago is still one.
            Ok(()) => assert!(began.elapsed() < Duration::from_secs(10), "it has not noticed"),
            Err(StoreError::Unavailable(Unavailable::Outgrown { oldest: found, .. })) if found == oldest => break,
            other => panic!("{other:?}"),
        }
    }
    store.close().await;
}

#[tokio::test]
async fn what_the_tables_say_of_programs_is_believed_only_when_it_is_whole() {
    let fixture = Fixture::new().await;
    let (latest, next) = (latest(&MIGRATOR), latest(&MIGRATOR) + 1);
    later(&fixture.database, &[WIDER]).await.unwrap();
    let misfit = async || match refusal(&options(&fixture.database)).await {
        OpenError::Misfit(misfit) => misfit,
        other => panic!("{other:?}"),
    };
    // By hand, by a superuser who means it.
    let by_hand = |sql: &str| fixture.psql(&format!("set session_replication_role = replica; {sql}"));
    by_hand("delete from compatibility");
    assert_eq!(misfit().await, Misfit::Newer(next), "no row");
    by_hand("alter table compatibility drop constraint compatibility_id_check");
    by_hand("insert into compatibility (id, oldest_program) values (1, 7), (2, 7)");
    assert_eq!(misfit().await, Misfit::Newer(next), "two rows");
    by_hand("delete from compatibility where id = 2");
    open(&fixture.database).await.close().await;
    // Of a version that nobody has made, with its steps or without them.
    by_hand("update compatibility set oldest_program = 9999");
    assert_eq!(misfit().await, Misfit::Outgrown { oldest: 9999, latest });
    by_hand(&format!("delete from _sqlx_migrations where version = {next}"));
    assert_eq!(misfit().await, Misfit::Outgrown { oldest: 9999, latest });
    by_hand("update compatibility set oldest_program = 7");
    open(&fixture.database).await.close().await;
    by_hand(&format!("update _sqlx_migrations set success = false where version = {latest}"));
    assert_eq!(misfit().await, Misfit::Unfinished(latest));
    let url = SecretString::from(fixture.database.migrate_url());
    let error = migrate(&url, PATIENCE).await.unwrap_err();
    assert!(matches!(error, MigrationError::Misfit(Misfit::Unfinished(_))), "{error}");
}

#[tokio::test]
async fn nobody_makes_tables_work_with_a_program_that_they_do_not_work_with() {
    let fixture = Fixture::new().await;
    later(&fixture.database, &[WIDER, "update compatibility set oldest_program = oldest_program + 1"]).await.unwrap();
    let changes = [
        "update compatibility set oldest_program = 7",
        "delete from compatibility",
        "truncate compatibility",
        "insert into compatibility (id, oldest_program) values (2, 7)",
    ];
    for (login, code) in [
        ("rulebox_service", &["42501"; 4]),
        ("rulebox_review", &["42501"; 4]),
        // A migration that is wrong, or somebody in a hurry.
        ("rulebox_owner", &["23001", "23001", "23001", "23514"]),
    ] {
        let mut db = sqlx::PgConnection::connect(&fixture.database.url_of(login)).await.unwrap();
        for (change, code) in changes.iter().zip(code) {
            let error = sqlx::raw_sql(*change).execute(&mut db).await.unwrap_err();
            assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some(*code), "{login}: {change}: {error}");
        }
        let seen: Vec<i64> =
            sqlx::query_scalar("select oldest_program from compatibility").fetch_all(&mut db).await.unwrap();
        assert_eq!(seen, [8], "{login}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_migrate_at_once_leave_the_later_ones_tables() {
    let server = Postgres::start();
    let database = server.database();
    let slow = format!("{WIDER} select pg_sleep(0.3)");
    let url = SecretString::from(database.migrate_url());
    let programs = (0..6).map(|n| {
        let (database, url, slow) = (database.clone(), url.clone(), slow.clone());
        tokio::spawn(async move {
            if n % 2 == 0 { later(&database, &[&slow]).await } else { migrate(&url, PATIENCE).await }
        })
    });
    let mut taken = 0;
    for program in programs.collect::<Vec<_>>() {
        taken += program.await.unwrap().unwrap().missing.len();
    }
    assert_eq!(taken, MIGRATOR.iter().count() + 1, "each step once");
    open(&database).await.close().await;
}
