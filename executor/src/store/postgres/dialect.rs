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
