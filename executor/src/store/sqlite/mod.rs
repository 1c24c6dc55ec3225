//! The embedded store: one `SQLite` file, for one process.
//!
//! Write-ahead log, so that readers and the one writer do not wait for each other; writers take their lock at the
//! start of the transaction, so that none fails half-way because another was first.

mod check;
mod condition;
mod dialect;
mod migrate;
mod open;
#[path = "../sql/mod.rs"]
#[expect(clippy::duplicate_mod, reason = "the two stores speak one SQL, each to its own library types")]
mod sql;
#[cfg(test)]
mod tests;
mod transaction;

pub use open::{OpenError, OpenOptions};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::scope::Scope;
use super::{OpenConnections, StoreError};
use condition::Condition;
use transaction::Transaction;

/// The embedded store.
#[derive(Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
    /// The turn to write.
    writer: Arc<Mutex<()>>,
    condition: Arc<Condition>,
    /// The turn to find out whether the store can be used.
    checking: Mutex<()>,
    directory: PathBuf,
    /// How long an operation may wait until it begins.
    busy: Duration,
    /// Held for as long as the store is open: a second process on the same directory is refused.
    _lock: std::fs::File,
}

impl SqliteStore {
    async fn read(&self, _: Scope) -> Result<Transaction, StoreError> {
        Transaction::read(&self.pool, &self.condition, Instant::now() + self.busy).await
    }

    async fn write(&self, _: Scope) -> Result<Transaction, StoreError> {
        Transaction::write(&self.pool, &self.condition, Some(&self.writer), Instant::now() + self.busy).await
    }

    fn connections_now(&self) -> OpenConnections {
        OpenConnections::of(self.pool.size(), self.pool.num_idle())
    }

    /// Waits for running transactions and closes the file.
    async fn close_now(&self) {
        self.pool.close().await;
    }

    const fn busy(&self) -> Duration {
        self.busy
    }
}
