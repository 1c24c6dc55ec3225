//! The contract, directly and through `PgBouncer`; and what is this store's own.

mod faults;
mod migrations;
mod opening;
mod pooler;
mod rights;

use std::sync::Arc;
use std::time::Duration;

use rulebox_tests::servers::pgbouncer::PgBouncer;
use rulebox_tests::servers::postgres::{Database, Postgres};
use secrecy::SecretString;

use super::*;
use crate::domain::caller::{KeyId, Role};
use crate::domain::key::NewKey;
use crate::domain::rule::RuleName;
use crate::domain::tenant::{TenantLimits, TenantName};
use crate::store::contract::{self, change};
use crate::store::{PlatformStore, Store};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server, and a database with tables in it.
struct Fixture {
    server: Postgres,
    database: Database,
}

impl Fixture {
    async fn new() -> Self {
        let server = Postgres::start();
        let database = server.database();
        migrate(&SecretString::from(database.migrate_url()), PATIENCE).await.unwrap();
        Self { server, database }
    }

    /// Runs SQL as the superuser.
    fn psql(&self, sql: &str) -> String {
        self.server.psql(&self.database.name, sql)
    }
}

fn options(database: &Database) -> OpenOptions {
    OpenOptions {
        url: database.url().into(),
        platform_url: database.platform_url().into(),
        connections: 8,
        platform_connections: 2,
        acquire: Duration::from_secs(5),
        statement: Duration::from_secs(5),
        patience: PATIENCE,
    }
}

async fn open(database: &Database) -> PostgresStore {
    PostgresStore::open(&options(database)).await.unwrap()
}

fn new_key(prefix: &str, hash: [u8; 32]) -> NewKey {
    NewKey {
        id: KeyId(uuid::Uuid::now_v7()),
        name: "key".to_owned(),
        prefix: prefix.to_owned(),
        hash,
        roles: Role::OF_TENANT.to_vec(),
        expires_at: None,
    }
}

fn name(text: &str) -> RuleName {
    RuleName::new(text).unwrap()
}

async fn tenant(store: &PostgresStore, name: &str) -> TenantId {
    let name = TenantName::new(name).unwrap();
    store.create_tenant(&name, &TenantLimits::default(), &change()).await.unwrap().id
}

/// Makes a webhook by hand.
fn webhook(fixture: &Fixture, tenant: TenantId, id: uuid::Uuid, kinds: &str, severity: &str, disabled: Option<i64>) {
    let disabled = disabled.map_or("null".to_owned(), |at| at.to_string());
    fixture.psql(&format!(
        "insert into webhooks (id, tenant_id, url, description, kinds, severity, secret, created_at, created_by, disabled_at)
         values ('{id}', '{tenant}', 'https://example.com', '', '{kinds}', '{severity}', '', 0, '{id}', {disabled})"
    ));
}

#[tokio::test]
async fn webhooks_are_told_what_they_want() {
    let fixture = Fixture::new().await;
    let store = open(&fixture.database).await;
    let (a, b) = (tenant(&store, "a").await, tenant(&store, "b").await);
    let hooks = [(); 5].map(|()| uuid::Uuid::now_v7());
    for (id, (tenant, kinds, severity, disabled)) in hooks.iter().zip([
        (a, "", "low", None),
        (a, "trap fuel_exhausted", "low", None),
        (a, "", "high", None),
        (a, "", "low", Some(1)),
        (b, "", "low", None),
    ]) {
        webhook(&fixture, tenant, *id, kinds, severity, disabled);
    }
    contract::webhooks_are_told_what_they_want(&store, a, hooks).await;
}

async fn the_contract_holds_over(database: &Database) {
    let store: Arc<dyn Store> = Arc::new(open(database).await);
    let name = TenantName::new("first").unwrap();
    assert!(store.create_first_tenant(&name, &new_key("rbx_live_00000000", [1; 32]), &change()).await.unwrap());
    let a = store.tenant_named(&name).await.unwrap().id;
    let second = TenantName::new("second").unwrap();
    let b = store.create_tenant(&second, &TenantLimits::default(), &change()).await.unwrap().id;
    contract::all(&*store, a, b).await;
    store.close().await;
}

#[tokio::test]
async fn the_contract_holds() {
    let fixture = Fixture::new().await;
    the_contract_holds_over(&fixture.database).await;
}

#[tokio::test]
async fn the_contract_holds_through_a_pooler() {
    let fixture = Fixture::new().await;
    let pooler = PgBouncer::start(&fixture.server, 4);
    the_contract_holds_over(&fixture.database.by_port(pooler.port())).await;
}

#[tokio::test]
async fn versions_activations_and_audit_cannot_be_changed_even_by_a_superuser_without_meaning_it() {
    let fixture = Fixture::new().await;
    let store = open(&fixture.database).await;
    let tenant = tenant(&store, "first").await;
    let new = contract::version(1);
    crate::store::RuleStore::create_rule(&store, tenant, &name("kept"), &new, &contract::MOST, &change())
        .await
        .unwrap();
    for table in ["versions", "activations", "audit"] {
        let column = if table == "versions" { "created_at" } else { "at" };
        for statement in [
            format!("update {table} set {column} = 0"),
            format!("delete from {table}"),
            format!("truncate {table} cascade"),
        ] {
            // The exception is caught, so that `psql` succeeds and says what it was.
            let caught = format!(
                "do $$ begin {statement}; raise exception 'it was done'; exception when restrict_violation then null; end $$"
            );
            fixture.psql(&caught);
        }
    }
    let rows = fixture.psql("select (select count(*) from versions), (select count(*) from activations)");
    assert_eq!(rows, "1|1");
}
