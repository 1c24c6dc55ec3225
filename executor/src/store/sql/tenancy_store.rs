//! [`TenantStore`]: one transaction an operation.

use std::time::Duration;

use async_trait::async_trait;
use rulebox_sandbox::Digest;

use super::dialect::Store;
use super::{audit, keys, quarantines, requests, usage};
use crate::domain::audit::{Chain, Entry};
use crate::domain::caller::{KeyId, TenantId};
use crate::domain::idempotency::{Begun, Claim, IdempotentRequest};
use crate::domain::key::{KeyRecord, NewKey};
use crate::domain::quarantine::Quarantine;
use crate::domain::rule::RuleName;
use crate::domain::usage::{PeriodUsage, Reading, Span};
use crate::store::scope::Scope;
use crate::store::{Change, StoreError, TenantStore};

#[async_trait]
impl TenantStore for Store {
    async fn create_key(
        &self,
        owner: Chain,
        key: &NewKey,
        detail: &str,
        change: &Change,
    ) -> Result<KeyRecord, StoreError> {
        let mut tx = self.write(Scope::of_change(owner, change)).await?;
        let done = tx.limit().hold(keys::create(tx.db(), owner, key, detail, change)).await;
        tx.end(done).await
    }

    async fn key(&self, owner: Chain, id: KeyId) -> Result<KeyRecord, StoreError> {
        let mut tx = self.read(Scope::of(owner)).await?;
        let done = tx.limit().hold(keys::find(tx.db(), owner, id)).await;
        tx.end(done).await
    }

    async fn list_keys(&self, owner: Chain, after: Option<KeyId>, limit: u32) -> Result<Vec<KeyRecord>, StoreError> {
        let mut tx = self.read(Scope::of(owner)).await?;
        let done = tx.limit().hold(keys::list(tx.db(), owner, after, limit)).await;
        tx.end(done).await
    }

    async fn revoke_key(&self, owner: Chain, id: KeyId, change: &Change) -> Result<KeyRecord, StoreError> {
        let mut tx = self.write(Scope::of(owner)).await?;
        let done = tx.limit().hold(keys::revoke(tx.db(), owner, id, change)).await;
        tx.end(done).await
    }

    async fn audit(&self, chain: Chain, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let mut tx = self.read(Scope::of(chain)).await?;
        let done = tx.limit().hold(audit::list(tx.db(), chain, after, limit)).await;
        tx.end(done).await
    }

    async fn quarantine(
        &self,
        tenant: TenantId,
        name: &RuleName,
        version: u32,
        reason: &str,
        change: &Change,
    ) -> Result<Quarantine, StoreError> {
        let mut tx = self.write(Scope::Platform).await?;
        let done = tx.limit().hold(quarantines::add(tx.db(), tenant, name, version, reason, change)).await;
        tx.end(done).await
    }

    async fn release(
        &self,
        tenant: TenantId,
        name: &RuleName,
        version: u32,
        change: &Change,
    ) -> Result<Quarantine, StoreError> {
        let mut tx = self.write(Scope::Platform).await?;
        let done = tx.limit().hold(quarantines::remove(tx.db(), tenant, name, version, change)).await;
        tx.end(done).await
    }

    async fn quarantined(&self, tenant: TenantId) -> Result<Vec<Digest>, StoreError> {
        let mut tx = self.read(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(quarantines::list(tx.db(), tenant)).await;
        tx.end(done).await
    }

    async fn usage(&self, tenant: TenantId, span: &Span, readings: &[Reading]) -> Result<Vec<PeriodUsage>, StoreError> {
        let mut tx = self.read(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(usage::sums(tx.db(), tenant, span, readings)).await;
        tx.end(done).await
    }

    async fn begin_request(
        &self,
        owner: Chain,
        request: IdempotentRequest,
        lease: Duration,
    ) -> Result<Begun, StoreError> {
        let mut tx = self.write(Scope::of(owner)).await?;
        let done = tx.limit().hold(requests::begin(tx.db(), owner, request, lease)).await;
        tx.end(done).await
    }

    async fn abandon_request(&self, claim: Claim) -> Result<(), StoreError> {
        let mut tx = self.write(Scope::of(claim.owner)).await?;
        let done = tx.limit().hold(requests::abandon(tx.db(), claim)).await;
        tx.end(done).await
    }
}
