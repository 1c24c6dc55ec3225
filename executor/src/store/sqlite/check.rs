//! Whether the store can be used now.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::SqliteStore;
use super::open::for_owner;
use super::transaction::Transaction;
use crate::domain::at::At;
use crate::store::{StoreError, Unavailable};

/// The longest that readiness waits for a lock; and again so long for the disk.
const PATIENCE: Duration = Duration::from_secs(1);
/// Room that a disk must have before it no longer counts as full: a few of the largest rules.
const ROOM: usize = 1 << 20;

impl SqliteStore {
    /// Writes and commits one row, beside the queue of those who write, and with little patience.
    pub(super) async fn check_now(&self) -> Result<(), StoreError> {
        let deadline = Instant::now() + self.busy.min(PATIENCE);
        timeout_at(deadline + PATIENCE, self.check_by(deadline)).await.unwrap_or(Err(Unavailable::Busy.into()))
    }

    async fn check_by(&self, deadline: Instant) -> Result<(), StoreError> {
        // One at a time: who asks often gets the answer of the one before.
        let _turn = timeout_at(deadline, self.checking.lock()).await.map_err(|_| Unavailable::Busy)?;
        if self.condition.is_damaged() {
            return Err(Unavailable::Damaged(told("a request has met damage")).into());
        }
        if self.condition.is_full() {
            let directory = self.directory.clone();
            let room = tokio::task::spawn_blocking(move || try_room(&directory)).await;
            room.map_err(std::io::Error::other).flatten().map_err(|e| Unavailable::Full(sqlx::Error::Io(e)))?;
        } else if self.condition.committed_within(PATIENCE) {
            return Ok(());
        }
        self.heartbeat(deadline).await?;
        self.condition.has_room();
        Ok(())
    }

    /// Writes and commits one row. The writer's lock alone would not do: on a read-only file `SQLite` gives that.
    pub(super) async fn heartbeat(&self, deadline: Instant) -> Result<(), StoreError> {
        let mut tx = Transaction::write(&self.pool, &self.condition, None, deadline).await?;
        let written = sqlx::query(
            "insert into service (id, heartbeat_at) values (1, $1)
             on conflict (id) do update set heartbeat_at = excluded.heartbeat_at",
        )
        .bind(At::now().0)
        .execute(tx.db())
        .await;
        tx.end(written.map(|_| ()).map_err(StoreError::from)).await
    }
}

fn told(text: &str) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::other(text.to_owned()))
}

/// Tries whether the disk takes a file. A row of the database may find room in what its log has left.
fn try_room(directory: &Path) -> std::io::Result<()> {
    let path = directory.join("rulebox.room");
    let written = for_owner().truncate(true).open(&path).and_then(|file: File| {
        (&file).write_all(&vec![0xa5; ROOM])?;
        file.sync_all()
    });
    let removed = std::fs::remove_file(&path);
    written.and(removed)
}
