//! [`OutboxStore`]: one transaction an operation.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::dialect::Store;
use super::outbox;
use crate::domain::at::At;
use crate::domain::caller::TenantId;
use crate::domain::outbox::{Delivery, DeliveryKind, Leased};
use crate::store::scope::Scope;
use crate::store::{Change, OutboxStore, StoreError, Taking};

#[async_trait]
impl OutboxStore for Store {
    async fn lease_deliveries(
        &self,
        kind: DeliveryKind,
        taking: &Taking,
        lease: Duration,
    ) -> Result<Vec<Leased>, StoreError> {
        let mut tx = self.write(Scope::Platform).await?;
        let done = tx.limit().hold(outbox::lease(tx.db(), kind, taking, lease)).await;
        tx.end(done).await
    }

    async fn delivered(&self, id: Uuid, token: Uuid) -> Result<bool, StoreError> {
        let mut tx = self.write(Scope::Platform).await?;
        let done = tx.limit().hold(outbox::delivered(tx.db(), id, token)).await;
        tx.end(done).await
    }

    async fn deliver_again(&self, id: Uuid, token: Uuid, due: At) -> Result<bool, StoreError> {
        let mut tx = self.write(Scope::Platform).await?;
        let done = tx.limit().hold(outbox::deliver_again(tx.db(), id, token, due)).await;
        tx.end(done).await
    }

    async fn postpone_delivery(&self, id: Uuid, token: Uuid, due: At) -> Result<bool, StoreError> {
        let mut tx = self.write(Scope::Platform).await?;
        let done = tx.limit().hold(outbox::postpone(tx.db(), id, token, due)).await;
        tx.end(done).await
    }

    async fn not_delivered(&self, id: Uuid, token: Uuid, error: &str, next: Option<At>) -> Result<bool, StoreError> {
        let mut tx = self.write(Scope::Platform).await?;
        let done = tx.limit().hold(outbox::not_delivered(tx.db(), id, token, error, next)).await;
        tx.end(done).await
    }

    async fn deliveries(
        &self,
        tenant: TenantId,
        endpoint: Uuid,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut tx = self.read(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(outbox::list(tx.db(), tenant, endpoint, after, limit)).await;
        tx.end(done).await
    }

    async fn replay_delivery(
        &self,
        tenant: TenantId,
        endpoint: Uuid,
        id: Uuid,
        change: &Change,
    ) -> Result<Delivery, StoreError> {
        let mut tx = self.write(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(outbox::replay(tx.db(), tenant, endpoint, id, change)).await;
        tx.end(done).await
    }

    async fn outbox_backlog(&self, alerts: bool) -> Result<u64, StoreError> {
        let mut tx = self.read(Scope::Platform).await?;
        let done = tx.limit().hold(outbox::backlog(tx.db(), alerts)).await;
        tx.end(done).await
    }
}
