//! Transactions, begun and ended by hand.
//!
//! `SQLite` ends some transactions by itself (a full disk, an input or output error). The library's own guard then
//! believes for ever that one is open, and the pool would hand that connection out again. Here a connection whose
//! transaction did not end as it should is closed instead.

use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::store::StoreError;

/// A transaction. Dropped before its end (a caller who went away), it is taken back with its connection.
pub(super) struct Transaction {
    connection: PoolConnection<Sqlite>,
    ended: bool,
    /// Held by the one that writes, until its connection is on its way back.
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Transaction {
    /// Begins to read: everything as it is now.
    pub(super) async fn read(pool: &SqlitePool) -> Result<Self, StoreError> {
        Self::begin(pool, "begin", None).await
    }

    /// Begins to write, once `writer` is free. Writers of this process queue there, in order; the database's own lock,
    /// which is asked for again and again until a time-out, is left for other processes.
    pub(super) async fn write(pool: &SqlitePool, writer: &Arc<Mutex<()>>) -> Result<Self, StoreError> {
        let turn = Arc::clone(writer).lock_owned().await;
        Self::begin(pool, "begin immediate", Some(turn)).await
    }

    async fn begin(
        pool: &SqlitePool,
        statement: &'static str,
        turn: Option<OwnedMutexGuard<()>>,
    ) -> Result<Self, StoreError> {
        let mut tx = Self { connection: pool.acquire().await?, ended: false, _turn: turn };
        sqlx::query(statement).execute(tx.db()).await?;
        Ok(tx)
    }

    /// The connection.
    pub(super) fn db(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Keeps what was done if the result is one, and takes it back if it is an error.
    pub(super) async fn end<T>(mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if result.is_err() {
            self.undo().await;
            return result;
        }
        sqlx::query("commit").execute(self.db()).await?;
        self.ended = true;
        result
    }

    /// Takes back what was done.
    pub(super) async fn undo(mut self) {
        // If this fails, the connection is closed, and that takes it back as well.
        self.ended = sqlx::query("rollback").execute(self.db()).await.is_ok();
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}
