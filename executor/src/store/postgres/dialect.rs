//! What of `PostgreSQL` differs where the SQL is shared.

use sqlx::PgConnection;

use crate::domain::at::At;
use crate::domain::audit::Chain;
use crate::domain::caller::TenantId;
use crate::domain::rule::RuleName;
use crate::store::StoreError;

pub(super) type Db = sqlx::Postgres;
pub(super) type Connection = PgConnection;
pub(super) type Store = super::PostgresStore;

/// Behind a pooler the next transaction may have another server, which does not know what was prepared, or knows
/// another statement by that name.
pub(super) const PERSISTENT: bool = false;

/// Keys by their prefix, but for those of suspended tenants. The service sees no key before it knows whose it is.
pub(super) const KEYS_BY_PREFIX: &str =
    "select id, tenant_id, name, prefix, hash, roles, created_at, created_by, expires_at, revoked_at
     from keys_by_prefix($1)";

/// Takes deliveries: due, of nobody, the oldest first, few of each endpoint, none that are passed over. Said again behind
/// the list: of two who found the same rows, the second waits, and finds them taken.
pub(super) const LEASE: &str = "update outbox set lease_until = $3, lease_token = $4
     where id in (
         select id from (
             select id, due_at, row_number() over (partition by endpoint_id order by due_at, id) as turn from (
                 select id, due_at, endpoint_id from outbox
                 where kind = 'webhook' and state = 'pending' and due_at <= $2 and (lease_until is null or lease_until <= $2)
                   and (endpoint_id is null or endpoint_id not in (select cast(value as uuid) from json_array_elements_text(cast($6 as json)) as value))
                   and (tenant_id is null or tenant_id not in (select cast(value as uuid) from json_array_elements_text(cast($6 as json)) as value))
                 order by due_at, id limit $7
             ) as due
         ) as queued
         where turn <= $5 order by due_at, id limit $1
     ) and state = 'pending' and (lease_until is null or lease_until <= $2)
     returning id, tenant_id, endpoint_id, violation_id, topic, payload, created_at, due_at, tries, state, last_error,
         done_at";

/// The feed behind a place. Transactions that begin later have larger numbers, but may commit before: a row is taken when
/// every transaction before its own is over.
pub(super) const FEED: &str =
    "select cast(cast(xid as text) as bigint) as turn, seq, at, topic, body from security_events
     where (cast($1 as uuid) is null or tenant_id = $1)
       and (xid, seq) > (cast(cast(cast($2 as bigint) as text) as xid8), $3)
       and xid < pg_snapshot_xmin(pg_current_snapshot())
     order by xid, seq limit $4";

/// Where the feed ends: in front of the first transaction that may not be over.
pub(super) const FEED_END: &str =
    "select cast(cast(pg_snapshot_xmin(pg_current_snapshot()) as text) as bigint), cast(0 as bigint)";

/// Nobody else changes the rule until the transaction is over. Not `for update`: a new version refers to its rule, and
/// need not wait for one that does not change the rule's key.
pub(super) async fn lock_rule(db: &mut Connection, tenant: TenantId, name: &RuleName) -> Result<(), StoreError> {
    sqlx::query("select from rules where tenant_id = $1 and name = $2 for no key update")
        .persistent(PERSISTENT)
        .bind(tenant.uuid())
        .bind(name.as_str())
        .execute(db)
        .await?;
    Ok(())
}

/// Nobody else writes to the chain until the transaction is over.
pub(super) async fn lock_chain(db: &mut Connection, chain: Chain) -> Result<(), StoreError> {
    sqlx::query("select from audit_heads where chain = $1 for no key update")
        .persistent(PERSISTENT)
        .bind(chain.uuid())
        .execute(db)
        .await?;
    Ok(())
}

/// A number that is larger than every one before it.
pub(super) async fn next_change(db: &mut Connection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("select nextval('audit_changes')").persistent(PERSISTENT).fetch_one(db).await?)
}

/// Now, by the clock that all replicas share: their own may differ, and be set back.
pub(super) async fn now(db: &mut Connection) -> Result<At, StoreError> {
    let now = sqlx::query_scalar("select (extract(epoch from clock_timestamp()) * 1000)::bigint");
    Ok(At(now.persistent(PERSISTENT).fetch_one(db).await?))
}
