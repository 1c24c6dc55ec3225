//! What is to be told elsewhere.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Change, StoreError};
use crate::domain::at::At;
use crate::domain::caller::TenantId;
use crate::domain::outbox::{Delivery, DeliveryKind, Leased};

/// What is taken at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taking {
    /// At most so many deliveries.
    pub limit: u32,
    /// At most so many to one endpoint; of alerts, which have none, of all together.
    pub each: u32,
    /// None to these endpoints, and none of these tenants.
    pub except: Vec<Uuid>,
}

/// What is to be told elsewhere. Rows come with what they tell of (see [`super::ReviewStore`]); here they are taken,
/// tried and ended. A lease that is over is somebody else's: what its holder says of it after that changes nothing.
#[async_trait]
pub trait OutboxStore: Send + Sync + 'static {
    /// Takes deliveries of a kind that are due and that nobody tries, the oldest first.
    ///
    /// # Errors
    /// If the store fails.
    async fn lease_deliveries(
        &self,
        kind: DeliveryKind,
        taking: &Taking,
        lease: Duration,
    ) -> Result<Vec<Leased>, StoreError>;

    /// It was taken. Says whether the lease still held.
    ///
    /// # Errors
    /// If the store fails.
    async fn delivered(&self, id: Uuid, token: Uuid) -> Result<bool, StoreError>;

    /// It was taken, and is to be told again at that time: an alert, for as long as it lasts. Says whether the lease
    /// still held.
    ///
    /// # Errors
    /// If the store fails.
    async fn deliver_again(&self, id: Uuid, token: Uuid, due: At) -> Result<bool, StoreError>;

    /// It was not tried, and is to be looked at again at that time. Says whether the lease still held.
    ///
    /// # Errors
    /// If the store fails.
    async fn postpone_delivery(&self, id: Uuid, token: Uuid, due: At) -> Result<bool, StoreError>;

    /// It was not taken, for this reason, and is tried again at `next`; never, if there is none. Says whether the lease
    /// still held.
    ///
    /// # Errors
    /// If the store fails.
    async fn not_delivered(&self, id: Uuid, token: Uuid, error: &str, next: Option<At>) -> Result<bool, StoreError>;

    /// Deliveries to an endpoint of a tenant's from the newest on, those behind `after`, at most `limit`.
    ///
    /// # Errors
    /// If the store fails.
    async fn deliveries(
        &self,
        tenant: TenantId,
        endpoint: Uuid,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Has a delivery tried again now, whatever became of it before; its tries are counted anew.
    ///
    /// # Errors
    /// [`StoreError::NoDelivery`], [`StoreError::WebhookBacklog`].
    async fn replay_delivery(
        &self,
        tenant: TenantId,
        endpoint: Uuid,
        id: Uuid,
        change: &Change,
    ) -> Result<Delivery, StoreError>;

    /// How many wait to be taken: webhooks, and alerts beside them if they are asked for.
    ///
    /// # Errors
    /// If the store fails.
    async fn outbox_backlog(&self, alerts: bool) -> Result<u64, StoreError>;
}
