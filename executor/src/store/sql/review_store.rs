//! [`ReviewStore`]: one transaction an operation.

use async_trait::async_trait;
use rulebox_sandbox::Digest;
use uuid::Uuid;

use super::dialect::Store;
use super::{events, quarantines, review, violations};
use crate::domain::at::At;
use crate::domain::audit::Chain;
use crate::domain::caller::TenantId;
use crate::domain::quarantine::{Stopped, StoppedPlace, Thresholds};
use crate::domain::review::{Filter, KeptViolation, Position, Review, SecurityEvent, Totals};
use crate::domain::rule::RuleName;
use crate::domain::violation::NewViolation;
use crate::store::scope::Scope;
use crate::store::{Change, Occurrences, Recorded, ReviewStore, StoreError};

#[async_trait]
impl ReviewStore for Store {
    async fn record_violation(
        &self,
        owner: Chain,
        violation: &NewViolation,
        occurrences: Occurrences,
        thresholds: &Thresholds,
        change: &Change,
    ) -> Result<Recorded, StoreError> {
        let mut tx = self.write(Scope::of(owner)).await?;
        let limit = tx.limit();
        let done = limit.hold(violations::record(tx.db(), owner, violation, occurrences, thresholds, change)).await;
        tx.end(done).await
    }

    async fn violation(&self, owner: Chain, id: Uuid) -> Result<KeptViolation, StoreError> {
        let mut tx = self.read(Scope::of(owner)).await?;
        let done = tx.limit().hold(review::find(tx.db(), owner, id)).await;
        tx.end(done).await
    }

    async fn violations(
        &self,
        owner: Chain,
        filter: &Filter,
        after: Option<(At, Uuid)>,
        limit: u32,
    ) -> Result<Vec<KeptViolation>, StoreError> {
        let mut tx = self.read(Scope::of(owner)).await?;
        let done = tx.limit().hold(review::list(tx.db(), owner, filter, after, limit)).await;
        tx.end(done).await
    }

    async fn review(&self, id: Uuid, review: &Review, change: &Change) -> Result<KeptViolation, StoreError> {
        let mut tx = self.write(Scope::Platform).await?;
        let done = tx.limit().hold(review::review(tx.db(), id, review, change)).await;
        tx.end(done).await
    }

    async fn feed(&self, owner: Chain, after: Position, limit: u32) -> Result<Vec<SecurityEvent>, StoreError> {
        let mut tx = self.read(Scope::of(owner)).await?;
        let done = tx.limit().hold(events::after(tx.db(), owner, after, limit)).await;
        tx.end(done).await
    }

    async fn feed_end(&self, owner: Chain) -> Result<Position, StoreError> {
        let mut tx = self.read(Scope::of(owner)).await?;
        let done = tx.limit().hold(events::end(tx.db())).await;
        tx.end(done).await
    }

    async fn stopped(
        &self,
        owner: Chain,
        tenant: Option<TenantId>,
        after: Option<StoppedPlace>,
        limit: u32,
    ) -> Result<Vec<Stopped>, StoreError> {
        let mut tx = self.read(Scope::of(owner)).await?;
        let done = tx.limit().hold(quarantines::page(tx.db(), owner, tenant, after, limit)).await;
        tx.end(done).await
    }

    async fn review_totals(&self) -> Result<Totals, StoreError> {
        let mut tx = self.read(Scope::Platform).await?;
        let done = tx.limit().hold(review::totals(tx.db())).await;
        tx.end(done).await
    }

    async fn version_of(&self, tenant: TenantId, digest: Digest) -> Result<Option<(RuleName, u32)>, StoreError> {
        let mut tx = self.read(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(review::version_of(tx.db(), tenant, digest)).await;
        tx.end(done).await
    }

    async fn break_glass(
        &self,
        tenant: TenantId,
        name: &RuleName,
        version: u32,
        reason: &str,
        change: &Change,
    ) -> Result<(), StoreError> {
        let mut tx = self.write(Scope::Platform).await?;
        let done = tx.limit().hold(review::break_glass(tx.db(), tenant, name, version, reason, change)).await;
        tx.end(done).await
    }
}
