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
