//! Removing what is older than it shall be kept.

use super::{Connection, query};
use crate::store::{Old, Removed, StoreError};

/// Some at a time: a transaction that removes everything would make others wait.
pub(super) async fn remove(db: &mut Connection, old: &Old) -> Result<Removed, StoreError> {
    let violations =
        query("delete from violations where id in (select id from violations where last_at < $1 limit 1000)")
            .bind(old.violations.0)
            .execute(&mut *db)
            .await?;
    let requests = query(
        "delete from requests where (owner, key) in
         (select owner, key from requests where begun_at < $1 limit 1000)",
    )
    .bind(old.requests.0)
    .execute(&mut *db)
    .await?;
    let keys = query(
        "delete from api_keys where id in
         (select id from api_keys where coalesce(revoked_at, expires_at) < $1 or expires_at < $1 limit 1000)",
    )
    .bind(old.keys.0)
    .execute(&mut *db)
    .await?;
    let usage = query(
        "delete from usage where (tenant_id, hour, counter) in
         (select tenant_id, hour, counter from usage where hour < $1 limit 1000)",
    )
    .bind(old.usage.0)
    .execute(db)
    .await?;
    Ok(Removed {
        violations: violations.rows_affected(),
        requests: requests.rows_affected(),
        keys: keys.rows_affected(),
        usage: usage.rows_affected(),
    })
}
