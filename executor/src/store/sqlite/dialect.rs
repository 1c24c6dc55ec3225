//! What of `SQLite` differs where the SQL is shared.

use sqlx::SqliteConnection;

use crate::domain::at::At;
use crate::domain::audit::Chain;
use crate::domain::caller::TenantId;
use crate::domain::rule::RuleName;
use crate::store::StoreError;

pub(super) type Db = sqlx::Sqlite;
pub(super) type Connection = SqliteConnection;
pub(super) type Store = super::SqliteStore;

/// Connections are this process's own: statements stay prepared.
pub(super) const PERSISTENT: bool = true;

/// Keys by their prefix, but for those of suspended tenants.
pub(super) const KEYS_BY_PREFIX: &str =
    "select k.id, k.tenant_id, k.name, k.prefix, k.hash, k.roles, k.created_at, k.created_by, k.expires_at, k.revoked_at
     from api_keys k left join tenants t on t.id = k.tenant_id
     where k.prefix = $1 and t.suspended_at is null limit 16";

/// Takes deliveries: due, of nobody, the oldest first, few of each endpoint, none that are passed over. Said again behind
/// the list: of two who found the same rows, the second waits, and finds them taken.
pub(super) const LEASE: &str = "update outbox set lease_until = $3, lease_token = $4
     where id in (
         select id from (
             select id, due_at, row_number() over (partition by endpoint_id order by due_at, id) as turn from (
                 select id, due_at, endpoint_id from outbox
                 where kind = 'webhook' and state = 'pending' and due_at <= $2 and (lease_until is null or lease_until <= $2)
                   and (endpoint_id is null or hex(endpoint_id) not in (select value from json_each($6)))
                   and (tenant_id is null or hex(tenant_id) not in (select value from json_each($6)))
                 order by due_at, id limit $7
             ) as due
         ) as queued
         where turn <= $5 order by due_at, id limit $1
     ) and state = 'pending' and (lease_until is null or lease_until <= $2)
     returning id, tenant_id, endpoint_id, violation_id, topic, payload, created_at, due_at, tries, state, last_error,
         done_at";

/// The feed behind a place: there is one writer at a time, so numbers are in the order of commits. A place of another
/// kind of store is none of this one: then nothing is missed.
pub(super) const FEED: &str = "select 0 as turn, seq, at, topic, body from security_events
     where ($1 is null or tenant_id = $1) and seq > (case when $2 = 0 then $3 else 0 end) order by seq limit $4";

/// Where the feed ends, also if all that there was is too old and gone.
pub(super) const FEED_END: &str =
    "select 0, coalesce((select seq from sqlite_sequence where name = 'security_events'), 0)";

/// Whoever writes has the file for himself.
#[expect(clippy::unused_async, reason = "the other dialect asks the database")]
pub(super) async fn lock_rule(_: &mut Connection, _: TenantId, _: &RuleName) -> Result<(), StoreError> {
    Ok(())
}

/// Whoever writes has the file for himself.
#[expect(clippy::unused_async, reason = "the other dialect asks the database")]
pub(super) async fn lock_chain(_: &mut Connection, _: Chain) -> Result<(), StoreError> {
    Ok(())
}

/// A number that is larger than every one before it.
pub(super) async fn next_change(db: &mut Connection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("select coalesce(max(change), 0) + 1 from audit_heads").fetch_one(db).await?)
}

/// Now: there is one machine, and its clock.
#[expect(clippy::unused_async, reason = "the other dialect asks the database")]
pub(super) async fn now(_: &mut Connection) -> Result<At, StoreError> {
    Ok(At::now())
}
