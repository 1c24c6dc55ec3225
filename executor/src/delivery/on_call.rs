//! What waits in the outbox for whoever is on call: taken by a lease, pushed together, and pushed again for as long as it
//! lasts. An alert is never given up.

use std::sync::Arc;
use std::time::Duration;

use super::NotTaken;
use super::alertmanager::{Alertmanagers, Event};
use super::outbox::pause;
use crate::domain::at::At;
use crate::domain::audit::Chain;
use crate::domain::outbox::{Delivery, DeliveryKind, Leased};
use crate::domain::review::Topic;
use crate::store::{Store, StoreError, Taking};
use crate::telemetry::metrics::Metrics;

/// Alerts in one push, at most: what Prometheus sends at once.
pub const TOGETHER: u32 = 64;
/// Between two tries, at most: somebody is on call.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Tells whoever is on call.
#[derive(Clone, Debug)]
pub struct OnCall {
    store: Arc<dyn Store>,
    alertmanagers: Alertmanagers,
    lease: Duration,
    metrics: Metrics,
}

impl OnCall {
    /// Tells by these; a lease is longer than a push to all of them takes.
    pub const fn new(store: Arc<dyn Store>, alertmanagers: Alertmanagers, lease: Duration, metrics: Metrics) -> Self {
        Self { store, alertmanagers, lease, metrics }
    }

    /// Whether there is somebody to tell. Else alerts wait for a replica that has an Alertmanager.
    pub fn is_reachable(&self) -> bool {
        !self.alertmanagers.is_empty()
    }

    /// Takes alerts that are due, [`TOGETHER`] at most.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn take(&self) -> Result<Vec<Leased>, StoreError> {
        let taking = Taking { limit: TOGETHER, each: TOGETHER, except: Vec::new() };
        self.store.lease_deliveries(DeliveryKind::Alert, &taking, self.lease).await
    }

    /// Pushes alerts, and says in the store how that ended. If the store fails, the lease ends, and they are pushed
    /// again: Alertmanager knows them by their labels.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn tell(&self, taken: Vec<Leased>) -> Result<(), StoreError> {
        let mut told = Vec::with_capacity(taken.len());
        for leased in taken {
            if self.is_gone(&leased.delivery).await? {
                self.store.delivered(leased.delivery.id, leased.token).await?;
            } else {
                told.push(leased);
            }
        }
        let now = self.store.now().await?;
        match self.push(&told, now).await {
            // What one of them has that is not taken must hold up no other.
            Err(NotTaken::Answered(400 | 413)) if told.len() > 1 => {
                for one in &told {
                    let pushed = self.push(std::slice::from_ref(one), now).await;
                    self.ended(one, &pushed, now).await?;
                }
            }
            pushed => {
                for one in &told {
                    self.ended(one, &pushed, now).await?;
                }
            }
        }
        Ok(())
    }

    async fn push(&self, alerts: &[Leased], now: At) -> Result<(), NotTaken> {
        if alerts.is_empty() {
            return Ok(());
        }
        let events = alerts.iter().map(|one| Event { payload: &one.delivery.payload, over: is_over(&one.delivery) });
        self.alertmanagers.push(&events.collect::<Vec<_>>(), now).await
    }

    async fn ended(
        &self,
        Leased { delivery, token }: &Leased,
        pushed: &Result<(), NotTaken>,
        now: At,
    ) -> Result<(), StoreError> {
        let held = match pushed {
            Ok(()) if is_over(delivery) => self.store.delivered(delivery.id, *token).await?,
            Ok(()) => {
                let again = now.plus(self.alertmanagers.resend());
                self.store.deliver_again(delivery.id, *token, again).await?
            }
            Err(why) => {
                let next = now.plus(pause(delivery.tries, LONGEST_PAUSE));
                self.store.not_delivered(delivery.id, *token, &why.to_string(), Some(next)).await?
            }
        };
        if !held {
            tracing::debug!(delivery = %delivery.id, "it was over, or somebody else's, when the push ended");
        }
        Ok(())
    }

    /// Whether the violation is too old to be kept: nobody could resolve it any more.
    async fn is_gone(&self, delivery: &Delivery) -> Result<bool, StoreError> {
        let Some(id) = delivery.violation.filter(|_| !is_over(delivery)) else { return Ok(false) };
        match self.store.violation(Chain(None), id).await {
            Ok(_) => Ok(false),
            Err(StoreError::NoViolation) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Sets the gauge of what waits: for somebody who can be told.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn measure(&self) -> Result<(), StoreError> {
        let waiting = self.store.outbox_backlog(self.is_reachable()).await?;
        self.metrics.outbox_backlog.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        Ok(())
    }
}

fn is_over(delivery: &Delivery) -> bool {
    delivery.topic == Topic::Resolved.name()
}
