//! Transactions, begun and ended by hand.
//!
//! `SQLite` ends some transactions by itself (a full disk, an input or output error). The library's own guard then
//! believes for ever that one is open, and the pool would hand that connection out again. Here a connection whose
//! transaction did not end as it should is closed instead.

use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection, SqlitePool};

use crate::store::StoreError;

/// A transaction. Dropped before its end (a caller who went away), it is taken back with its connection.
pub(super) struct Transaction {
    connection: PoolConnection<Sqlite>,
    ended: bool,
}

impl Transaction {
    pub(super) async fn begin(pool: &SqlitePool, statement: &'static str) -> Result<Self, StoreError> {
        let mut tx = Self { connection: pool.acquire().await?, ended: false };
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
