//! [`PlatformStore`]: one transaction an operation.

use std::time::Duration;

use async_trait::async_trait;

use super::dialect::{self, Store};
use super::{audit, keys, retention, service, tenants, usage};
use crate::domain::at::At;
use crate::domain::audit::{Chain, Head, Seal};
use crate::domain::caller::TenantId;
use crate::domain::key::{KeyRecord, NewKey};
use crate::domain::tenant::{Tenant, TenantLimits, TenantName};
use crate::domain::usage::Reading;
use crate::store::scope::Scope;
use crate::store::{BackupEvent, Backups, Change, Old, OpenConnections, PlatformStore, Removed, StoreError};

#[async_trait]
impl PlatformStore for Store {
    async fn has_tenant(&self) -> Result<bool, StoreError> {
        let mut tx = self.read(Scope::Platform).await?;
        let done = tx.limit().hold(tenants::any(tx.db())).await;
        tx.end(done).await
    }

    async fn secret_check(&self) -> Result<Option<[u8; 32]>, StoreError> {
        let mut tx = self.read(Scope::Nobody).await?;
        let done = tx.limit().hold(service::secret_check(tx.db())).await;
        tx.end(done).await
    }

    async fn keep_secret_check(&self, old: Option<&[u8; 32]>, new: &[u8; 32]) -> Result<bool, StoreError> {
        let mut tx = self.write(Scope::Nobody).await?;
        let done = tx.limit().hold(service::keep_secret_check(tx.db(), old, new)).await;
        tx.end(done).await
    }

    async fn backups(&self) -> Result<Backups, StoreError> {
        let mut tx = self.read(Scope::Nobody).await?;
        let done = tx.limit().hold(service::backups(tx.db())).await;
        tx.end(done).await
    }

    async fn record_backup(&self, event: BackupEvent, change: &Change) -> Result<At, StoreError> {
        let mut tx = self.write(Scope::Platform).await?;
        let done = tx.limit().hold(service::record_backup(tx.db(), event, change)).await;
        tx.end(done).await
    }

    async fn create_first_tenant(&self, name: &TenantName, key: &NewKey, change: &Change) -> Result<bool, StoreError> {
        let mut tx = self.write(Scope::Platform).await?;
        let done = tx.limit().hold(tenants::create_first(tx.db(), name, key, change)).await;
        tx.end(done).await
    }

    async fn create_tenant(
        &self,
        name: &TenantName,
        limits: &TenantLimits,
        change: &Change,
    ) -> Result<Tenant, StoreError> {
        let mut tx = self.write(Scope::Platform).await?;
        let done = tx.limit().hold(tenants::create(tx.db(), name, limits, change)).await;
        tx.end(done).await
    }

    async fn tenant(&self, id: TenantId) -> Result<Tenant, StoreError> {
        let mut tx = self.read(Scope::Tenant(id)).await?;
        let done = tx.limit().hold(tenants::find(tx.db(), id)).await;
        tx.end(done).await
    }

    async fn tenant_named(&self, name: &TenantName) -> Result<Tenant, StoreError> {
        let mut tx = self.read(Scope::Platform).await?;
        let done = tx.limit().hold(tenants::find_named(tx.db(), name)).await;
        tx.end(done).await
    }

    async fn tenants(&self, after: Option<&TenantName>, limit: u32) -> Result<Vec<Tenant>, StoreError> {
        let mut tx = self.read(Scope::Platform).await?;
        let done = tx.limit().hold(tenants::list(tx.db(), after, limit)).await;
        tx.end(done).await
    }

    async fn set_limits(&self, id: TenantId, limits: &TenantLimits, change: &Change) -> Result<Tenant, StoreError> {
        let mut tx = self.write(Scope::Platform).await?;
        let done = tx.limit().hold(tenants::set_limits(tx.db(), id, limits, change)).await;
        tx.end(done).await
    }

    async fn set_suspended(&self, id: TenantId, suspended: bool, change: &Change) -> Result<Tenant, StoreError> {
        let mut tx = self.write(Scope::Platform).await?;
        let done = tx.limit().hold(tenants::set_suspended(tx.db(), id, suspended, change)).await;
        tx.end(done).await
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<KeyRecord>, StoreError> {
        let mut tx = self.read(Scope::Nobody).await?;
        let done = tx.limit().hold(keys::by_prefix(tx.db(), prefix)).await;
        tx.end(done).await
    }

    async fn now(&self) -> Result<At, StoreError> {
        let mut tx = self.read(Scope::Platform).await?;
        let done = tx.limit().hold(dialect::now(tx.db())).await;
        tx.end(done).await
    }

    async fn changed_since(&self, number: i64) -> Result<(Vec<(Chain, i64)>, At), StoreError> {
        let mut tx = self.read(Scope::Platform).await?;
        let done = tx.limit().hold(audit::changed_since(tx.db(), number)).await;
        tx.end(done).await
    }

    async fn audit_heads(&self, after: Option<Chain>, limit: u32) -> Result<Vec<Head>, StoreError> {
        let mut tx = self.read(Scope::Platform).await?;
        let done = tx.limit().hold(audit::heads(tx.db(), after, limit)).await;
        tx.end(done).await
    }

    async fn audit_before(&self, chain: Chain, time: At) -> Result<Option<(u64, Seal)>, StoreError> {
        let mut tx = self.read(Scope::Platform).await?;
        let done = tx.limit().hold(audit::before(tx.db(), chain, time)).await;
        tx.end(done).await
    }

    async fn remove_audit(&self, chain: Chain, seq: u64, seal: &Seal, proof: &Seal) -> Result<u64, StoreError> {
        let mut tx = self.write(Scope::Platform).await?;
        let done = tx.limit().hold(audit::remove(tx.db(), chain, seq, seal, proof)).await;
        tx.end(done).await
    }

    async fn keep_usage(&self, readings: &[Reading]) -> Result<(), StoreError> {
        let mut tx = self.write(Scope::Platform).await?;
        let done = tx.limit().hold(usage::keep(tx.db(), readings)).await;
        tx.end(done).await
    }

    async fn remove_old(&self, old: &Old) -> Result<Removed, StoreError> {
        let mut tx = self.write(Scope::Platform).await?;
        let done = tx.limit().hold(retention::remove(tx.db(), old)).await;
        tx.end(done).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.check_now().await
    }

    async fn close(&self) {
        self.close_now().await;
    }

    fn connections(&self) -> OpenConnections {
        self.connections_now()
    }

    fn patience(&self) -> Duration {
        self.busy()
    }
}
