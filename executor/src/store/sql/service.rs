//! What the service keeps of itself: one row.

use super::row::bytes;
use super::{Connection, audit, dialect, query, query_as, query_scalar};
use crate::domain::at::At;
use crate::domain::audit::{Action, Chain, NewEntry};
use crate::store::{BackupEvent, Backups, Change, StoreError};

pub(super) async fn secret_check(db: &mut Connection) -> Result<Option<[u8; 32]>, StoreError> {
    let kept: Option<Option<Vec<u8>>> =
        query_scalar("select secret_check from service where id = 1").fetch_optional(db).await?;
    Ok(kept.flatten().map(|kept| bytes(&kept, "service.secret_check")).transpose()?)
}

pub(super) async fn keep_secret_check(
    db: &mut Connection,
    old: Option<&[u8; 32]>,
    new: &[u8; 32],
) -> Result<bool, StoreError> {
    let kept = query("update service set secret_check = $1 where id = 1 and secret_check is not distinct from $2")
        .bind(new.as_slice())
        .bind(old.map(<[u8; 32]>::as_slice))
        .execute(db)
        .await?;
    Ok(kept.rows_affected() == 1)
}

pub(super) async fn backups(db: &mut Connection) -> Result<Backups, StoreError> {
    let select = "select backup_at, restore_tested_at, restore_failed_at from service where id = 1";
    let row: Option<(Option<i64>, Option<i64>, Option<i64>)> = query_as(select).fetch_optional(db).await?;
    let (made, restored, failed) = row.unwrap_or_default();
    Ok(Backups { made: made.map(At), restored: restored.map(At), failed: failed.map(At) })
}

pub(super) async fn record_backup(db: &mut Connection, event: BackupEvent, change: &Change) -> Result<At, StoreError> {
    let (update, action) = match event {
        BackupEvent::Made => ("update service set backup_at = $1 where id = 1", Action::BackupRecord),
        BackupEvent::Restored => ("update service set restore_tested_at = $1 where id = 1", Action::BackupRestored),
        BackupEvent::Failed => ("update service set restore_failed_at = $1 where id = 1", Action::BackupFailed),
    };
    let now = dialect::now(db).await?;
    query(update).bind(now.0).execute(&mut *db).await?;
    let entry = NewEntry { action, object: String::new(), detail: serde_json::json!({}) };
    audit::write(db, Chain(None), &entry, change).await?;
    Ok(now)
}
