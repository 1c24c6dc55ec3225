//! Where tenants want to be told.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Change, StoreError};
use crate::domain::caller::TenantId;
use crate::domain::outbox::Delivery;
use crate::domain::webhook::{NewWebhook, Webhook, WebhookChange};

/// Where tenants want to be told. What they are told of is written by [`super::ReviewStore`], and sent by way of
/// [`super::OutboxStore`].
#[async_trait]
pub trait WebhookStore: Send + Sync + 'static {
    /// Keeps a webhook, unless the tenant has `most` of them.
    ///
    /// # Errors
    /// [`StoreError::WebhooksLimit`], [`StoreError::ClaimLost`].
    async fn create_webhook(
        &self,
        tenant: TenantId,
        webhook: &NewWebhook,
        most: u64,
        change: &Change,
    ) -> Result<Webhook, StoreError>;

    /// A webhook of the tenant's.
    ///
    /// # Errors
    /// [`StoreError::NoWebhook`].
    async fn webhook(&self, tenant: TenantId, id: Uuid) -> Result<Webhook, StoreError>;

    /// Webhooks by their time, those after `after`, at most `limit`.
    ///
    /// # Errors
    /// If the store fails.
    async fn webhooks(&self, tenant: TenantId, after: Option<Uuid>, limit: u32) -> Result<Vec<Webhook>, StoreError>;

    /// Changes a webhook. What waits for it is sent as the webhook is then.
    ///
    /// # Errors
    /// [`StoreError::NoWebhook`].
    async fn change_webhook(
        &self,
        tenant: TenantId,
        id: Uuid,
        asked: &WebhookChange,
        change: &Change,
    ) -> Result<Webhook, StoreError>;

    /// Gives a webhook another secret, sealed; the one before signs as well for `keep`.
    ///
    /// # Errors
    /// [`StoreError::NoWebhook`], [`StoreError::ClaimLost`].
    async fn rotate_webhook(
        &self,
        tenant: TenantId,
        id: Uuid,
        secret: &[u8],
        keep: Duration,
        change: &Change,
    ) -> Result<Webhook, StoreError>;

    /// Removes a webhook, and gives up what waits for it.
    ///
    /// # Errors
    /// [`StoreError::NoWebhook`].
    async fn delete_webhook(&self, tenant: TenantId, id: Uuid, change: &Change) -> Result<(), StoreError>;

    /// Has an event sent that tells of nothing.
    ///
    /// # Errors
    /// [`StoreError::NoWebhook`], [`StoreError::WebhookBacklog`].
    async fn test_webhook(&self, tenant: TenantId, id: Uuid, change: &Change) -> Result<Delivery, StoreError>;
}
