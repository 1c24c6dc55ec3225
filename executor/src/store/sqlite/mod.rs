//! The embedded store: one `SQLite` file, for one process.
//!
//! Write-ahead log, so that readers and the one writer do not wait for each other; writers take their lock at the
//! start of the transaction, so that none fails half-way because another was first.

mod keys;
mod open;
mod row;
mod rules;
mod versions;
mod violations;

pub use open::{OpenError, OpenOptions};

use async_trait::async_trait;
use sqlx::{Sqlite, SqlitePool, Transaction};
use uuid::Uuid;

use super::{KeyRecord, NewKey, PlatformStore, RuleStore, Selection, StoreError, Unavailable};
use crate::domain::caller::{KeyId, TenantId};
use crate::domain::rule::{NewVersion, Rule, RuleName, Runnable, StoredModule, Version};
use crate::domain::violation::{NewViolation, RecordedViolation};

/// The embedded store.
#[derive(Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
    /// Held for as long as the store is open: a second process on the same directory is refused.
    _lock: std::fs::File,
}

impl SqliteStore {
    async fn read(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.pool.begin().await.map_err(classify)?)
    }

    async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.pool.begin_with("begin immediate").await.map_err(classify)?)
    }

    /// Waits for running transactions and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Sorts an error of the database by its result code.
fn classify(error: sqlx::Error) -> Unavailable {
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
        let made = rules::create(&mut tx, tenant, name, version, by).await?;
        tx.commit().await?;
        Ok(made)
    }

    async fn add_version(
        &self,
        tenant: TenantId,
        name: &RuleName,
        version: &NewVersion,
        by: KeyId,
    ) -> Result<Version, StoreError> {
        let mut tx = self.write().await?;
        let made = versions::add(&mut tx, tenant, name, version, by).await?;
        tx.commit().await?;
        Ok(made)
    }

    async fn rule(&self, tenant: TenantId, name: &RuleName) -> Result<Rule, StoreError> {
        Ok(rules::find(&mut *self.read().await?, tenant, name).await?.rule)
    }

    async fn rules(
        &self,
        tenant: TenantId,
        after: Option<&RuleName>,
        limit: u32,
        archived: bool,
    ) -> Result<Vec<Rule>, StoreError> {
        rules::list(&mut *self.read().await?, tenant, after, limit, archived).await
    }

    async fn archive_rule(&self, tenant: TenantId, name: &RuleName) -> Result<Rule, StoreError> {
        let mut tx = self.write().await?;
        let rule = rules::archive(&mut tx, tenant, name).await?;
        tx.commit().await?;
        Ok(rule)
    }

    async fn activate(&self, tenant: TenantId, name: &RuleName, version: u32, by: KeyId) -> Result<Rule, StoreError> {
        let mut tx = self.write().await?;
        let rule = rules::activate(&mut tx, tenant, name, version, by).await?;
        tx.commit().await?;
        Ok(rule)
    }

    async fn version(&self, tenant: TenantId, name: &RuleName, number: u32) -> Result<Version, StoreError> {
        versions::find(&mut *self.read().await?, tenant, name, number).await
    }

    async fn versions(
        &self,
        tenant: TenantId,
        name: &RuleName,
        after: u32,
        limit: u32,
    ) -> Result<Vec<Version>, StoreError> {
        versions::list(&mut *self.read().await?, tenant, name, after, limit).await
    }

    async fn source(&self, tenant: TenantId, name: &RuleName, number: u32) -> Result<Option<String>, StoreError> {
        versions::source(&mut *self.read().await?, tenant, name, number).await
    }

    async fn module(&self, tenant: TenantId, name: &RuleName, number: u32) -> Result<StoredModule, StoreError> {
        versions::module(&mut *self.read().await?, tenant, name, number).await
    }

    async fn runnable(&self, tenant: TenantId, selection: &Selection) -> Result<Vec<Runnable>, StoreError> {
        versions::runnable(&mut *self.read().await?, tenant, selection).await
    }

    async fn record_violation(&self, tenant: TenantId, violation: &NewViolation) -> Result<Uuid, StoreError> {
        let mut tx = self.write().await?;
        let id = violations::record(&mut tx, tenant, violation).await?;
        tx.commit().await?;
        Ok(id)
    }

    async fn violation(&self, tenant: TenantId, id: Uuid) -> Result<RecordedViolation, StoreError> {
        violations::find(&mut *self.read().await?, tenant, id).await
    }
}

#[async_trait]
impl PlatformStore for SqliteStore {
    async fn create_first_tenant(&self, name: &str, key: &NewKey) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let made = keys::create_first_tenant(&mut tx, name, key).await?;
        tx.commit().await?;
        Ok(made)
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<KeyRecord>, StoreError> {
        keys::by_prefix(&mut *self.read().await?, prefix).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        // Taking the writer's lock finds a file that is locked or has become read-only; nothing is written.
        self.write().await?.rollback().await?;
        Ok(())
    }
}
