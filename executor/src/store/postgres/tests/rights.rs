//! Who may see and do what: read from the catalogue, so that a table that is added without a rule fails here.

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use uuid::Uuid;

use super::*;
use crate::domain::at::At;
use crate::domain::audit::Chain;
use crate::domain::idempotency::IdempotentRequest;
use crate::domain::usage::{Reading, Usage};
use crate::domain::violation::Kind;
use crate::store::{Occurrences, ReviewStore, RuleStore, TenantStore};

/// Tables that belong to nobody, which row-level security has nothing to say about.
const OF_NOBODY: [&str; 3] = ["_sqlx_migrations", "compatibility", "service"];

/// Everything that somebody else than an owner may do. Whoever adds a grant writes it here, with less of a hurry.
const GRANTS: &str = "\
_sqlx_migrations: rulebox_app SELECT
_sqlx_migrations: rulebox_platform SELECT
activations: rulebox_app INSERT
api_keys: rulebox_app INSERT
api_keys: rulebox_app SELECT
api_keys: rulebox_lookup SELECT
api_keys: rulebox_platform DELETE
api_keys: rulebox_platform INSERT
api_keys: rulebox_platform SELECT
api_keys.revoked_at: rulebox_app UPDATE
api_keys.revoked_at: rulebox_platform UPDATE
audit: rulebox_app INSERT
audit: rulebox_app SELECT
audit: rulebox_platform DELETE
audit: rulebox_platform INSERT
audit: rulebox_platform SELECT
audit_changes: rulebox_app USAGE
audit_changes: rulebox_platform USAGE
audit_heads: rulebox_app SELECT
audit_heads: rulebox_platform SELECT
audit_heads.at, chain, change, seal, seq: rulebox_app INSERT
audit_heads.at, chain, change, seal, seq: rulebox_platform INSERT
audit_heads.at, change, removed_proof, removed_seal, removed_seq, seal, seq: rulebox_platform UPDATE
audit_heads.at, change, seal, seq: rulebox_app UPDATE
compatibility: rulebox_app SELECT
compatibility: rulebox_platform SELECT
keys_by_prefix: rulebox_app EXECUTE
outbox: rulebox_app INSERT
outbox: rulebox_app SELECT
outbox: rulebox_platform DELETE
outbox: rulebox_platform INSERT
outbox: rulebox_platform SELECT
outbox.done_at, due_at, last_error, lease_token, lease_until, state, tries: rulebox_platform UPDATE
outbox.done_at, due_at, lease_token, lease_until, state, tries: rulebox_app UPDATE
quarantines: rulebox_app INSERT
quarantines: rulebox_app SELECT
quarantines: rulebox_platform DELETE
quarantines: rulebox_platform INSERT
quarantines: rulebox_platform SELECT
requests: rulebox_app DELETE
requests: rulebox_app INSERT
requests: rulebox_app SELECT
requests: rulebox_platform DELETE
requests: rulebox_platform INSERT
requests: rulebox_platform SELECT
requests.detail, lease_until, number, subject, token: rulebox_app UPDATE
requests.detail, lease_until, number, subject, token: rulebox_platform UPDATE
rules: rulebox_app INSERT
rules: rulebox_app SELECT
rules: rulebox_platform SELECT
rules.active_version, archived_at, latest_version, revision: rulebox_app UPDATE
security_events: rulebox_app SELECT
security_events: rulebox_platform DELETE
security_events: rulebox_platform SELECT
security_events.at, body, tenant_id, topic, violation_id: rulebox_app INSERT
security_events.at, body, tenant_id, topic, violation_id: rulebox_platform INSERT
service: rulebox_app SELECT
service.backup_at, id, restore_failed_at, restore_tested_at: rulebox_platform SELECT
service.backup_at, restore_failed_at, restore_tested_at: rulebox_platform UPDATE
service.heartbeat_at, secret_check: rulebox_app UPDATE
stored: rulebox_app INSERT
stored: rulebox_app SELECT
stored.bytes, versions: rulebox_app UPDATE
tenants: rulebox_app SELECT
tenants: rulebox_platform SELECT
tenants.created_at, id, limits, name: rulebox_platform INSERT
tenants.id, suspended_at: rulebox_lookup SELECT
tenants.limits, suspended_at: rulebox_platform UPDATE
usage: rulebox_app SELECT
usage: rulebox_platform DELETE
usage: rulebox_platform INSERT
usage: rulebox_platform SELECT
usage.bars, evaluations, fuel, refused, requests: rulebox_platform UPDATE
versions: rulebox_app INSERT
versions: rulebox_app SELECT
versions.created_at, digest, manifest, number, rule_id, tenant_id: rulebox_platform SELECT
violation_windows: rulebox_app INSERT
violation_windows: rulebox_app SELECT
violation_windows: rulebox_platform DELETE
violation_windows: rulebox_platform INSERT
violation_windows: rulebox_platform SELECT
violation_windows.at, violation_id: rulebox_app UPDATE
violation_windows.at, violation_id: rulebox_platform UPDATE
violations: rulebox_app INSERT
violations: rulebox_app SELECT
violations: rulebox_platform DELETE
violations: rulebox_platform INSERT
violations: rulebox_platform SELECT
violations.changed_at, changed_by, count, counts, last_at, note, status: rulebox_platform UPDATE
violations.count, last_at: rulebox_app UPDATE
webhooks: rulebox_app DELETE
webhooks: rulebox_app INSERT
webhooks: rulebox_app SELECT
webhooks.description, disabled_at, kinds, previous_secret, previous_until, secret, severity, url: rulebox_app UPDATE
webhooks.disabled_at, id, kinds, severity, tenant_id: rulebox_platform SELECT";

/// Of relations, of columns (several in a line), and of functions.
const ALL_GRANTS: &str = "
with given as (
    select c.relname::text as what, a.grantee, a.privilege_type
    from pg_class c, aclexplode(c.relacl) a where c.relnamespace = 'public'::regnamespace and a.grantee <> c.relowner
    union all
    select c.relname || '.' || string_agg(t.attname, ', ' order by t.attname), a.grantee, a.privilege_type
    from pg_class c join pg_attribute t on t.attrelid = c.oid, aclexplode(t.attacl) a
    where c.relnamespace = 'public'::regnamespace group by c.relname, a.grantee, a.privilege_type
    union all
    select p.proname::text, a.grantee, a.privilege_type
    from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    where p.pronamespace = 'public'::regnamespace and a.grantee <> p.proowner and p.prorettype <> 'trigger'::regtype
)
select what || ': ' || coalesce(r.rolname, 'public') || ' ' || privilege_type
from given left join pg_roles r on r.oid = grantee order by (what || ': ' || coalesce(r.rolname, 'public')) collate \"C\", 1";

#[tokio::test]
async fn nobody_may_do_more_than_is_written_here() {
    let fixture = Fixture::new().await;
    let mut given: Vec<_> = fixture.psql(ALL_GRANTS).lines().map(str::to_owned).collect();
    let mut expected: Vec<_> = GRANTS.lines().map(str::to_owned).collect();
    given.sort();
    expected.sort();
    assert_eq!(given, expected);
    let roles = "select rolname from pg_roles where rolname like 'rulebox%' and
                 (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)";
    assert_eq!(fixture.psql(roles), "");
    let groups = "select rolname from pg_roles where rolcanlogin and rolname in ('rulebox_app', 'rulebox_platform', 'rulebox_lookup')";
    assert_eq!(fixture.psql(groups), "");
    let members = "select r.rolname || ' < ' || m.rolname from pg_auth_members a join pg_roles r on r.oid = a.roleid
                   join pg_roles m on m.oid = a.member where r.rolname like 'rulebox%' order by 1";
    let expected = "rulebox_app < rulebox_service\nrulebox_lookup < rulebox_owner\nrulebox_platform < rulebox_review";
    assert_eq!(fixture.psql(members), expected);
    let owners = "select distinct pg_get_userbyid(relowner) from pg_class where relnamespace = 'public'::regnamespace";
    assert_eq!(fixture.psql(owners), "rulebox_owner");
    let schemas = "select nspname from pg_namespace, (values ('rulebox_service'), ('rulebox_review'), ('rulebox_lookup')) r (name)
                   where has_schema_privilege(name, oid, 'create')";
    assert_eq!(fixture.psql(schemas), "", "nobody but the owner makes tables");
    let temporary = "select has_database_privilege('rulebox_service', 'rulebox', 'temp')";
    assert_eq!(fixture.psql(temporary), "f");
    // One that runs as its owner must not look for names where its caller may put some.
    let functions = "select proname, prosecdef, pg_get_userbyid(proowner), proconfig[1] from pg_proc
                     where pronamespace = 'public'::regnamespace order by 1";
    let expected = "keys_by_prefix|t|rulebox_lookup|search_path=pg_catalog, pg_temp\n\
                    refuse_change|f|rulebox_owner|search_path=pg_catalog, pg_temp\n\
                    refuse_removal_of_audit|f|rulebox_owner|search_path=pg_catalog, pg_temp";
    assert_eq!(fixture.psql(functions), expected);
}

#[tokio::test]
async fn every_table_of_a_tenant_has_forced_row_level_security() {
    let fixture = Fixture::new().await;
    let tables = "select c.relname, c.relrowsecurity and c.relforcerowsecurity,
                         (select count(*) from pg_policy p where p.polrelid = c.oid and p.polname = 'app'
                          and p.polcmd = '*' and p.polpermissive and p.polqual is not null and p.polwithcheck is not null
                          and pg_get_expr(p.polqual, p.polrelid) = pg_get_expr(p.polwithcheck, p.polrelid)
                          and pg_get_expr(p.polqual, p.polrelid) ~ '^\\((tenant_id|chain|owner|id) = \\(NULLIF\\(current_setting\\(''app.tenant_id''::text, true\\), ''''::text\\)\\)::uuid\\)$')
                  from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') order by 1";
    let tables = fixture.psql(tables);
    let mut secured = 0;
    for line in tables.lines() {
        let (table, what) = line.split_once('|').unwrap();
        if OF_NOBODY.contains(&table) {
            continue;
        }
        assert_eq!(what, "t|1", "{table} shows one tenant's rows to another, or is of nobody: then say so above");
        secured += 1;
    }
    assert_eq!(secured, 16);
}

/// Something of a tenant in every table that has a tenant.
async fn fill(fixture: &Fixture, store: &PostgresStore, tenant: TenantId, n: u8) {
    let change = change();
    store.create_rule(tenant, &name("rule"), &contract::version(n.into()), &contract::MOST, &change).await.unwrap();
    let prefix = format!("rbx_live_0000000{n}");
    store.create_key(Chain(Some(tenant)), &new_key(&prefix, [n; 32]), "{}", &change).await.unwrap();
    store.quarantine(tenant, &name("rule"), 1, "because", &change).await.unwrap();
    let request = IdempotentRequest { key: [n; 32], request: [n; 32] };
    store.begin_request(Chain(Some(tenant)), request, Duration::from_mins(1)).await.unwrap();
    // A high one, which is an alert.
    let violation = contract::violation(Kind::AbiBreach, "rule", 1, 1_000);
    let owner = Chain(Some(tenant));
    store.record_violation(owner, &violation, Occurrences::ONE, &contract::FEW, &change).await.unwrap();
    webhook(fixture, tenant, Uuid::now_v7(), "", "low", None);
    let reading = Reading { tenant, hour: At(0), counter: Uuid::now_v7(), used: Usage::REQUEST };
    store.keep_usage(&[reading]).await.unwrap();
}

/// Runs one statement as the application, for a tenant or none: the rows, or the error's code.
async fn as_app(db: &mut PgConnection, tenant: Option<Uuid>, sql: &str) -> Result<u64, String> {
    let tenant = tenant.map(|id| id.to_string()).unwrap_or_default();
    let mut tx = db.begin().await.unwrap();
    let set = "select set_config('app.tenant_id', $1, true)";
    sqlx::query(set).bind(tenant).execute(&mut *tx).await.unwrap();
    let done = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut *tx).await;
    tx.rollback().await.unwrap();
    match done {
        Ok(done) => Ok(done.rows_affected()),
        Err(sqlx::Error::Database(error)) => Err(error.code().unwrap().into_owned()),
        Err(other) => panic!("{sql}: {other}"),
    }
}

#[tokio::test]
async fn with_another_tenant_or_none_every_table_shows_and_changes_nothing() {
    let fixture = Fixture::new().await;
    let store = open(&fixture.database).await;
    let (a, b) = (tenant(&store, "a").await, tenant(&store, "b").await);
    fill(&fixture, &store, a, 1).await;
    fill(&fixture, &store, b, 2).await;
    let mut db = PgConnection::connect(&fixture.database.url()).await.unwrap();
    let mut admin = PgConnection::connect(&fixture.database.url_of("postgres")).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and relforcerowsecurity
         order by 1",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    assert_eq!(tables.len(), 16);
    let (mut reads, mut changes) = (0, 0);
    for table in &tables {
        let whose = match table.as_str() {
            "tenants" => "id",
            "audit" | "audit_heads" => "chain",
            "requests" | "violation_windows" => "owner",
            _ => "tenant_id",
        };
        let columns = sqlx::query(
            "select attname::text, has_column_privilege('rulebox_app', attrelid, attnum, 'select'),
                    has_column_privilege('rulebox_app', attrelid, attnum, 'insert') and attidentity <> 'a',
                    has_column_privilege('rulebox_app', attrelid, attnum, 'update')
             from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped",
        )
        .bind(table)
        .fetch_all(&mut admin)
        .await
        .unwrap();
        let with = |right: usize| -> Vec<String> {
            columns.iter().filter(|column| column.get::<bool, _>(right)).map(|column| column.get(0)).collect()
        };
        let (read, insert, update) = (with(1), with(2), with(3));
        let rows = |id: Uuid| AssertSqlSafe(format!("select count(*) from {table} where {whose} = '{id}'"));
        for id in [a.uuid(), b.uuid()] {
            let there: i64 = sqlx::query_scalar(rows(id)).fetch_one(&mut admin).await.unwrap();
            assert!(there > 0, "{table} has nothing of a tenant: the test tries nothing");
        }
        let all = if table == "activations" { Err("42501".to_owned()) } else { Ok(()) };
        let own = as_app(&mut db, Some(a.uuid()), &format!("select from {table}")).await;
        assert_eq!(own.clone().map(|n| assert!(n > 0)), all.clone(), "{table}: its own rows are seen");
        // Those of another tenant, looked for by name; everything, where no tenant is said.
        for (tenant, filter) in [(Some(b.uuid()), format!("where {whose} = '{}'", a.uuid())), (None, String::new())] {
            if !read.is_empty() {
                assert_eq!(as_app(&mut db, tenant, &format!("select from {table} {filter}")).await, Ok(0), "{table}");
                reads += 1;
            }
            for column in &update {
                let sql = format!("update {table} set {column} = {column} {filter}");
                assert_eq!(as_app(&mut db, tenant, &sql).await, Ok(0), "{sql}");
                changes += 1;
            }
            let sql = format!("delete from {table} {filter}");
            let may = matches!(table.as_str(), "requests" | "webhooks");
            assert_eq!(as_app(&mut db, tenant, &sql).await, if may { Ok(0) } else { Err("42501".into()) }, "{sql}");
            let locks = if update.is_empty() { Err("42501".into()) } else { Ok(0) };
            let sql = format!("select from {table} {filter} for update");
            assert_eq!(as_app(&mut db, tenant, &sql).await, locks, "{sql}");
            changes += 2;
            if insert.is_empty() {
                continue;
            }
            // The very row that is there: refused before it is found to be there already.
            let row = format!("select row_to_json(t)::text from {table} t where {whose} = '{}' limit 1", a.uuid());
            let row: String = sqlx::query_scalar(AssertSqlSafe(row)).fetch_one(&mut admin).await.unwrap();
            let columns = insert.join(", ");
            let sql = format!(
                "insert into {table} ({columns}) select {columns} from json_populate_record(null::{table}, '{}')",
                row.replace('\'', "''")
            );
            assert_eq!(as_app(&mut db, tenant, &sql).await, Err("42501".to_owned()), "{sql}");
            let own = as_app(&mut db, Some(a.uuid()), &sql).await;
            assert!(matches!(own.as_ref().map_err(String::as_str), Ok(1) | Err("23505")), "{sql}: {own:?}");
            changes += 1;
        }
    }
    println!("{} tables: {reads} reads and {changes} changes tried for another tenant and for none", tables.len());
}

#[tokio::test]
async fn the_platform_reads_no_source_and_changes_no_history() {
    let fixture = Fixture::new().await;
    let store = open(&fixture.database).await;
    let a = tenant(&store, "a").await;
    fill(&fixture, &store, a, 1).await;
    let mut db = PgConnection::connect(&fixture.database.platform_url()).await.unwrap();
    for refused in [
        "select source from versions",
        "select module from versions",
        "select * from versions",
        "update versions set digest = digest",
        "insert into versions select * from versions",
        "update rules set active_version = null",
        "insert into rules (tenant_id, name, created_at, latest_version) values (gen_random_uuid(), 'x', 0, 1)",
        "update audit set detail = '{}'",
        "update violations set kind = kind",
        "update violations set tenant_id = tenant_id",
        "update violations set detail = detail",
        "insert into violations select * from violations",
        "update security_events set body = body",
        "insert into security_events (xid, topic, at, body) values ('1', 'x', 0, '{}')",
        "update outbox set payload = payload",
        "update webhooks set url = url",
        "delete from webhooks",
        "select secret_check from service",
        "delete from tenants",
        "update api_keys set hash = hash",
        "update tenants set name = 'x'",
        "update usage set tenant_id = tenant_id",
        "update usage set hour = hour",
        "truncate audit",
        "select * from keys_by_prefix('x')",
    ] {
        assert_eq!(as_app(&mut db, Some(a.uuid()), refused).await, Err("42501".to_owned()), "{refused}");
    }
    // It may remove entries, but none that retention has not marked.
    assert_eq!(as_app(&mut db, None, "delete from audit").await, Err("23001".to_owned()));
    let own = "update requests set token = token";
    assert_eq!(as_app(&mut db, None, own).await, Ok(0), "requests of tenants are theirs to change");
}

#[tokio::test]
async fn keys_are_found_before_their_tenant_is_known_and_not_otherwise() {
    let fixture = Fixture::new().await;
    let store = open(&fixture.database).await;
    let a = tenant(&store, "a").await;
    fill(&fixture, &store, a, 1).await;
    let found = store.keys("rbx_live_00000001").await.unwrap();
    assert_eq!((found.len(), found[0].tenant, found[0].hash), (1, Some(a), [1; 32]));
    store.set_suspended(a, true, &change()).await.unwrap();
    assert_eq!(store.keys("rbx_live_00000001").await.unwrap(), []);
    let mut db = PgConnection::connect(&fixture.database.url()).await.unwrap();
    assert_eq!(as_app(&mut db, None, "select from api_keys").await, Ok(0));
    assert_eq!(as_app(&mut db, None, "set role rulebox_lookup").await, Err("42501".to_owned()));
}
