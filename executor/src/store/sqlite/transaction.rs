//! Transactions, begun and ended by hand.
//!
//! `SQLite` ends some transactions by itself (a full disk, an input or output error). The library's own guard then
//! believes for ever that one is open, and the pool would hand that connection out again. Here a connection whose
//! transaction did not end as it should is closed instead.

use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout_at};

use super::condition::Condition;
use crate::store::limit::Limit;
use crate::store::{StoreError, Unavailable};

/// A transaction. Dropped before its end (a caller who went away), it is taken back with its connection.
pub(super) struct Transaction {
    connection: PoolConnection<Sqlite>,
    condition: Arc<Condition>,
    writes: bool,
    ended: bool,
    /// Held by the one that writes, until its connection is on its way back.
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Transaction {
    /// Begins to read: everything as it is now.
    pub(super) async fn read(
        pool: &SqlitePool,
        condition: &Arc<Condition>,
        deadline: Instant,
    ) -> Result<Self, StoreError> {
        let begun = Self::begin(pool, condition, false, None, deadline).await;
        begun.inspect_err(|error| condition.met(error))
    }

    /// Begins to write, once `queue` is free: writers of this process wait there, in order; the database's own lock,
    /// which is asked for again and again, is left for other processes. All waiting together ends at the deadline, so
    /// that a lock which is never let go costs each writer the same, and not the last one the sum.
    pub(super) async fn write(
        pool: &SqlitePool,
        condition: &Arc<Condition>,
        queue: Option<&Arc<Mutex<()>>>,
        deadline: Instant,
    ) -> Result<Self, StoreError> {
        let turn = match queue {
            Some(queue) => {
                Some(timeout_at(deadline, Arc::clone(queue).lock_owned()).await.map_err(|_| Unavailable::Busy)?)
            }
            None => None,
        };
        let begun = Self::begin(pool, condition, true, turn, deadline).await;
        begun.inspect_err(|error| condition.met(error))
    }

    async fn begin(
        pool: &SqlitePool,
        condition: &Arc<Condition>,
        writes: bool,
        turn: Option<OwnedMutexGuard<()>>,
        deadline: Instant,
    ) -> Result<Self, StoreError> {
        let connection = timeout_at(deadline, pool.acquire()).await.map_err(|_| Unavailable::Busy)??;
        let mut tx = Self { connection, condition: Arc::clone(condition), writes, ended: false, _turn: turn };
        let rest = deadline.saturating_duration_since(Instant::now()).as_millis();
        let kind = if writes { "immediate" } else { "deferred" };
        let begin = sqlx::AssertSqlSafe(format!("pragma busy_timeout = {rest}; begin {kind}"));
        sqlx::raw_sql(begin).execute(tx.db()).await?;
        Ok(tx)
    }

    /// The connection.
    pub(super) fn db(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Until when it may go on.
    #[expect(clippy::unused_self, reason = "the other store's depends on when it began")]
    pub(super) const fn limit(&self) -> Limit {
        Limit::NONE
    }

    /// Keeps what was done if the result is one, and takes it back if it is an error.
    pub(super) async fn end<T>(mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result {
            self.condition.met(error);
            self.undo().await;
            return result;
        }
        let committed = sqlx::query("commit").execute(self.db()).await.map_err(StoreError::from);
        committed.inspect_err(|error| self.condition.met(error))?;
        self.ended = true;
        if self.writes {
            self.condition.committed();
        }
        result
    }

    /// Takes back what was done.
    async fn undo(mut self) {
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
