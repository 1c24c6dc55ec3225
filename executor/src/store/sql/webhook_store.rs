//! [`WebhookStore`]: one transaction an operation.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::dialect::Store;
use super::webhooks;
use crate::domain::caller::TenantId;
use crate::domain::outbox::Delivery;
use crate::domain::webhook::{NewWebhook, Webhook, WebhookChange};
use crate::store::scope::Scope;
use crate::store::{Change, StoreError, WebhookStore};

#[async_trait]
impl WebhookStore for Store {
    async fn create_webhook(
        &self,
        tenant: TenantId,
        webhook: &NewWebhook,
        most: u64,
        change: &Change,
    ) -> Result<Webhook, StoreError> {
        let mut tx = self.write(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(webhooks::create(tx.db(), tenant, webhook, most, change)).await;
        tx.end(done).await
    }

    async fn webhook(&self, tenant: TenantId, id: Uuid) -> Result<Webhook, StoreError> {
        let mut tx = self.read(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(webhooks::find(tx.db(), tenant, id)).await;
        tx.end(done).await
    }

    async fn webhooks(&self, tenant: TenantId, after: Option<Uuid>, limit: u32) -> Result<Vec<Webhook>, StoreError> {
        let mut tx = self.read(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(webhooks::list(tx.db(), tenant, after, limit)).await;
        tx.end(done).await
    }

    async fn change_webhook(
        &self,
        tenant: TenantId,
        id: Uuid,
        asked: &WebhookChange,
        change: &Change,
    ) -> Result<Webhook, StoreError> {
        let mut tx = self.write(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(webhooks::change(tx.db(), tenant, id, asked, change)).await;
        tx.end(done).await
    }

    async fn rotate_webhook(
        &self,
        tenant: TenantId,
        id: Uuid,
        secret: &[u8],
        keep: Duration,
        change: &Change,
    ) -> Result<Webhook, StoreError> {
        let mut tx = self.write(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(webhooks::rotate(tx.db(), tenant, id, secret, keep, change)).await;
        tx.end(done).await
    }

    async fn delete_webhook(&self, tenant: TenantId, id: Uuid, change: &Change) -> Result<(), StoreError> {
        let mut tx = self.write(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(webhooks::delete(tx.db(), tenant, id, change)).await;
        tx.end(done).await
    }

    async fn test_webhook(&self, tenant: TenantId, id: Uuid, change: &Change) -> Result<Delivery, StoreError> {
        let mut tx = self.write(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(webhooks::test(tx.db(), tenant, id, change)).await;
        tx.end(done).await
    }
}
