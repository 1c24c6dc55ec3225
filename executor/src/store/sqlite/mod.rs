//! The embedded store: one `SQLite` file, for one process.
//!
//! Write-ahead log, so that readers and the one writer do not wait for each other; writers take their lock at the
//! start of the transaction, so that none fails half-way because another was first.

mod check;
mod condition;
mod keys;
mod open;
mod row;
mod rules;
#[cfg(test)]
mod tests;
mod transaction;
mod versions;
mod violations;

pub use open::{OpenError, OpenOptions};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqlitePool;
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use super::{KeyRecord, NewKey, PlatformStore, RuleStore, Selection, StoreError, Unavailable};
use crate::domain::caller::{KeyId, TenantId};
use crate::domain::rule::{NewVersion, Rule, RuleName, Runnable, StoredModule, Version};
use crate::domain::violation::NewViolation;
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
    async fn read(&self) -> Result<Transaction, StoreError> {
        Transaction::read(&self.pool, &self.condition, Instant::now() + self.busy).await
    }

    async fn write(&self) -> Result<Transaction, StoreError> {
        Transaction::write(&self.pool, &self.condition, Some(&self.writer), Instant::now() + self.busy).await
    }

    /// Waits for running transactions and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Sorts an error of the database by its result code.
fn classify(error: sqlx::Error) -> Unavailable {
    if matches!(error, sqlx::Error::PoolTimedOut) {
        return Unavailable::Busy;
    }
    // https://sqlite.org/rescode.html: the low byte is the primary code.
    let code =
        error.as_database_error().and_then(sqlx::error::DatabaseError::code).and_then(|code| code.parse::<u32>().ok());
    match code.map(|code| code & 0xff) {
        Some(5 | 6) => Unavailable::Locked(error),
        Some(8) => Unavailable::ReadOnly(error),
        Some(13) => Unavailable::Full(error),
        Some(11 | 26) => Unavailable::Damaged(error),
        _ => Unavailable::Other(error),
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(classify(error))
    }
}

#[async_trait]
impl RuleStore for SqliteStore {
    async fn create_rule(
        &self,
        tenant: TenantId,
        name: &RuleName,
        version: &NewVersion,
        by: KeyId,
    ) -> Result<Version, StoreError> {
        let mut tx = self.write().await?;
        let made = rules::create(tx.db(), tenant, name, version, by).await;
        tx.end(made).await
    }

    async fn add_version(
        &self,
        tenant: TenantId,
        name: &RuleName,
        version: &NewVersion,
        by: KeyId,
    ) -> Result<Version, StoreError> {
        let mut tx = self.write().await?;
        let made = versions::add(tx.db(), tenant, name, version, by).await;
        tx.end(made).await
    }

    async fn rule(&self, tenant: TenantId, name: &RuleName) -> Result<Rule, StoreError> {
        let mut tx = self.read().await?;
        let found = rules::find(tx.db(), tenant, name).await;
        tx.end(found.map(|found| found.rule)).await
    }

    async fn rules(
        &self,
        tenant: TenantId,
        after: Option<&RuleName>,
        limit: u32,
        archived: bool,
    ) -> Result<Vec<Rule>, StoreError> {
        let mut tx = self.read().await?;
        let found = rules::list(tx.db(), tenant, after, limit, archived).await;
        tx.end(found).await
    }

    async fn archive_rule(&self, tenant: TenantId, name: &RuleName) -> Result<Rule, StoreError> {
        let mut tx = self.write().await?;
        let rule = rules::archive(tx.db(), tenant, name).await;
        tx.end(rule).await
    }

    async fn activate(&self, tenant: TenantId, name: &RuleName, version: u32, by: KeyId) -> Result<Rule, StoreError> {
        let mut tx = self.write().await?;
        let rule = rules::activate(tx.db(), tenant, name, version, by).await;
        tx.end(rule).await
    }

    async fn version(&self, tenant: TenantId, name: &RuleName, number: u32) -> Result<Version, StoreError> {
        let mut tx = self.read().await?;
        let found = versions::find(tx.db(), tenant, name, number).await;
        tx.end(found).await
    }

    async fn versions(
        &self,
        tenant: TenantId,
        name: &RuleName,
        after: u32,
        limit: u32,
    ) -> Result<Vec<Version>, StoreError> {
        let mut tx = self.read().await?;
        let found = versions::list(tx.db(), tenant, name, after, limit).await;
        tx.end(found).await
    }

    async fn source(&self, tenant: TenantId, name: &RuleName, number: u32) -> Result<Option<String>, StoreError> {
        let mut tx = self.read().await?;
        let found = versions::source(tx.db(), tenant, name, number).await;
        tx.end(found).await
    }

    async fn module(&self, tenant: TenantId, name: &RuleName, number: u32) -> Result<StoredModule, StoreError> {
        let mut tx = self.read().await?;
        let found = versions::module(tx.db(), tenant, name, number).await;
        tx.end(found).await
    }

    async fn runnable(&self, tenant: TenantId, selection: &Selection) -> Result<Vec<Runnable>, StoreError> {
        let mut tx = self.read().await?;
        let found = versions::runnable(tx.db(), tenant, selection).await;
        tx.end(found).await
    }

    async fn record_violation(&self, tenant: TenantId, violation: &NewViolation) -> Result<Uuid, StoreError> {
        let mut tx = self.write().await?;
        let id = violations::record(tx.db(), tenant, violation).await;
        tx.end(id).await
    }
}

#[async_trait]
impl PlatformStore for SqliteStore {
    async fn has_tenant(&self) -> Result<bool, StoreError> {
        let mut tx = self.read().await?;
        let found = keys::has_tenant(tx.db()).await;
        tx.end(found).await
    }

    async fn secret_check(&self) -> Result<Option<[u8; 32]>, StoreError> {
        let mut tx = self.read().await?;
        let found = keys::secret_check(tx.db()).await;
        tx.end(found).await
    }

    async fn keep_secret_check(&self, check: &[u8; 32]) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let kept = keys::keep_secret_check(tx.db(), check).await;
        tx.end(kept).await
    }

    async fn create_first_tenant(&self, name: &str, key: &NewKey) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let made = keys::create_first_tenant(tx.db(), name, key).await;
        tx.end(made).await
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<KeyRecord>, StoreError> {
        let mut tx = self.read().await?;
        let found = keys::by_prefix(tx.db(), prefix).await;
        tx.end(found).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.check_now().await
    }
}
