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
    .execute(&mut *db)
    .await?;
    let events =
        query("delete from security_events where seq in (select seq from security_events where at < $1 limit 1000)")
            .bind(old.events.0)
            .execute(&mut *db)
            .await?;
    let done = query("delete from outbox where id in (select id from outbox where done_at < $1 limit 1000)")
        .bind(old.outbox.0)
        .execute(&mut *db)
        .await?;
    // What nobody could be told of for so long. An alert lasts as long as somebody can resolve its violation.
    let waiting = query(
        "delete from outbox where id in
         (select id from outbox where state = 'pending' and created_at < $1 and due_at < $1
            and (kind = 'webhook' or topic = 'violation.resolved' or violation_id is null
                 or not exists (select 1 from violations v where v.id = outbox.violation_id))
          limit 1000)",
    )
    .bind(old.outbox.0)
    .execute(&mut *db)
    .await?;
    let windows = query(
        "delete from violation_windows where (owner, key) in
         (select owner, key from violation_windows where at < $1 limit 1000)",
    )
    .bind(old.windows.0)
    .execute(db)
    .await?;
    Ok(Removed {
        violations: violations.rows_affected(),
        requests: requests.rows_affected(),
        keys: keys.rows_affected(),
        usage: usage.rows_affected(),
        events: events.rows_affected(),
        outbox: done.rows_affected().saturating_add(waiting.rows_affected()),
        windows: windows.rows_affected(),
    })
}
