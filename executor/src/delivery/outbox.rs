//! What waits in the outbox for webhooks: taken by a lease, tried, and tried again later, or given up.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use uuid::Uuid;

use super::NotTaken;
use super::signature::SigningSecret;
use super::turns::{self, Turns};
use super::webhook::{Message, Poster};
use crate::auth::vault::{Vault, VaultError};
use crate::domain::at::At;
use crate::domain::audit::Sealer;
use crate::domain::caller::{Actor, TenantId};
use crate::domain::outbox::{Delivery, DeliveryKind, Leased};
use crate::domain::webhook::{Webhook, WebhookChange};
use crate::store::{Change, Store, StoreError, Taking};
use crate::telemetry::chain;
use crate::telemetry::metrics::Metrics;

/// Until the second try.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Until the proxy is asked for again.
const NO_WAY_OUT_PAUSE: Duration = Duration::from_secs(5);
/// Between two tries, at most.
const LONGEST_PAUSE: Duration = Duration::from_hours(2);

/// Sends what waits for webhooks.
#[derive(Clone, Debug)]
pub struct Deliverer {
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
    sealer: Arc<dyn Sealer>,
    poster: Poster,
    tries: u32,
    lease: Duration,
    metrics: Metrics,
    turns: Turns,
}

/// What a deliverer is made of.
#[derive(Debug)]
pub struct Parts {
    /// Where it waits.
    pub store: Arc<dyn Store>,
    /// Opens the secrets that sign.
    pub vault: Arc<Vault>,
    /// For the audit log.
    pub sealer: Arc<dyn Sealer>,
    /// For webhooks.
    pub poster: Poster,
    /// Failed tries after which a webhook is given up.
    pub tries: u32,
    /// Webhooks that are tried at a time.
    pub at_a_time: usize,
    /// How long a delivery is nobody else's: longer than a try takes.
    pub lease: Duration,
    /// The metrics.
    pub metrics: Metrics,
}

/// How a try ended.
enum End {
    Taken,
    /// Not tried: its receiver has had its turn.
    Later(At),
    Failed {
        why: String,
        /// None: it is given up.
        next: Option<At>,
    },
}

impl Deliverer {
    /// Of these parts.
    pub fn new(parts: Parts) -> Self {
        let Parts { store, vault, sealer, poster, tries, at_a_time, lease, metrics } = parts;
        Self { store, vault, sealer, poster, tries, lease, metrics, turns: Turns::new(at_a_time) }
    }

    /// Takes deliveries that are due, at most so many; none of webhooks that could not be tried now, and none of those
    /// that are passed over.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn take(&self, limit: u32, over: &[Uuid]) -> Result<Vec<Leased>, StoreError> {
        let each = u32::try_from(turns::AT_A_TIME).unwrap_or(u32::MAX);
        let mut except = self.turns.busy();
        except.extend(over);
        self.store.lease_deliveries(DeliveryKind::Webhook, &Taking { limit, each, except }, self.lease).await
    }

    /// Tries a delivery once, and says in the store how that ended. If the store fails, the lease ends, and it is tried
    /// again: receivers know it by its id.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn deliver(&self, leased: &Leased) -> Result<(), StoreError> {
        let Leased { delivery, token } = leased;
        let end = self.post(delivery).await?;
        let result = match &end {
            End::Taken => Some("delivered"),
            End::Failed { next: Some(_), .. } => Some("failed"),
            End::Failed { next: None, .. } => Some("dead"),
            End::Later(_) => None,
        };
        if let Some(result) = result {
            self.metrics.webhook_deliveries.with_label_values(&[result]).inc();
        }
        let held = match end {
            End::Taken => self.store.delivered(delivery.id, *token).await?,
            End::Later(due) => self.store.postpone_delivery(delivery.id, *token, due).await?,
            End::Failed { why, next } => self.store.not_delivered(delivery.id, *token, &why, next).await?,
        };
        if !held {
            tracing::debug!(delivery = %delivery.id, "it was over, or somebody else's, when the try ended");
        }
        Ok(())
    }

    async fn post(&self, delivery: &Delivery) -> Result<End, StoreError> {
        let given_up = |why: &str| Ok(End::Failed { why: why.to_owned(), next: None });
        let Some((tenant, endpoint)) = delivery.tenant.zip(delivery.endpoint) else {
            return given_up("of no webhook");
        };
        let webhook = match self.store.webhook(tenant, endpoint).await {
            Ok(webhook) => webhook,
            Err(StoreError::NoWebhook) => return given_up("the webhook was removed"),
            Err(error) => return Err(error),
        };
        if webhook.disabled_at.is_some() {
            return given_up("the webhook is disabled");
        }
        let now = self.store.now().await?;
        let secrets = match secrets(&self.vault, &webhook, now) {
            Ok(secrets) => secrets,
            Err(error) => {
                tracing::error!(webhook = %webhook.id, %error, "a delivery cannot be signed");
                return Ok(self.later(delivery, "it cannot be signed now", now));
            }
        };
        let trying = match self.turns.begin(tenant.uuid(), endpoint) {
            Ok(trying) => trying,
            Err(pause) => return Ok(End::Later(now.plus(pause))),
        };
        let id = delivery.id.to_string();
        let message = Message { id: &id, timestamp: now.0.div_euclid(1_000), body: &delivery.payload };
        let posted = self.poster.post(&webhook.url, &secrets, &message).await;
        if let Err(why) = &posted {
            tracing::debug!(delivery = %delivery.id, error = chain(why), "not delivered");
        }
        if matches!(posted, Err(NotTaken::NoWayOut(_))) {
            return Ok(End::Later(now.plus(NO_WAY_OUT_PAUSE)));
        }
        trying.end(posted.is_ok());
        Ok(match posted {
            Ok(()) => End::Taken,
            Err(why) if why.is_final() => {
                self.disable(&webhook).await?;
                End::Failed { why: why.to_string(), next: None }
            }
            Err(why) => self.later(delivery, &why.to_string(), now),
        })
    }

    /// Its receiver is gone for ever, as it says itself: nothing is sent there until its tenant wants that again.
    async fn disable(&self, webhook: &Webhook) -> Result<(), StoreError> {
        let now = match self.store.webhook(webhook.tenant, webhook.id).await {
            Err(StoreError::NoWebhook) => return Ok(()),
            now => now?,
        };
        // What another address said is nothing of this one.
        if now.disabled_at.is_some() || now.url != webhook.url {
            return Ok(());
        }
        let (actor, sealer) = (Actor::service(), Arc::clone(&self.sealer));
        let change = Change { actor, request_id: String::new(), sealer, claim: None };
        let asked = WebhookChange { disabled: Some(true), ..WebhookChange::default() };
        match self.store.change_webhook(webhook.tenant, webhook.id, &asked, &change).await {
            Err(StoreError::NoWebhook) => Ok(()),
            changed => changed.map(drop),
        }
    }

    fn later(&self, delivery: &Delivery, why: &str, now: At) -> End {
        let last = delivery.tries.saturating_add(1) >= self.tries;
        let next = (!last).then(|| now.plus(pause(delivery.tries, LONGEST_PAUSE)));
        End::Failed { why: why.to_owned(), next }
    }
}

/// What a secret of a webhook is closed for.
pub fn owner(tenant: TenantId, webhook: Uuid) -> [u8; 32] {
    let mut owner = [0; 32];
    let ids = tenant.uuid().into_bytes().into_iter().chain(webhook.into_bytes());
    owner.iter_mut().zip(ids).for_each(|(to, from)| *to = from);
    owner
}

/// The secrets that sign for a webhook now, the newest first.
fn secrets(vault: &Vault, webhook: &Webhook, now: At) -> Result<Vec<SigningSecret>, VaultError> {
    let owner = owner(webhook.tenant, webhook.id);
    let previous = webhook.previous.as_ref().filter(|(_, until)| now < *until);
    let closed = std::iter::once(&webhook.secret).chain(previous.map(|(closed, _)| closed));
    closed.map(|closed| Ok(SigningSecret::of(vault.open(&owner, closed)?))).collect()
}

/// How long to wait after so many tries that failed and one more: twice as long each time, and not all at once.
pub(super) fn pause(tries: u32, most: Duration) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1_u32.checked_shl(tries.min(20)).unwrap_or(u32::MAX));
    doubled.min(most).mul_f64(rand::rng().random_range(0.75..1.25))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_differ() {
        for (tries, seconds) in [(0, 5.0), (1, 10.0), (4, 80.0), (11, 7_200.0), (u32::MAX, 7_200.0)] {
            for _ in 0..100 {
                let paused = pause(tries, LONGEST_PAUSE).as_secs_f64();
                assert!((seconds * 0.75..=seconds * 1.25).contains(&paused), "{tries}: {paused}");
            }
        }
        let some: std::collections::BTreeSet<_> = (0..100).map(|_| pause(0, Duration::from_secs(30))).collect();
        assert!(some.len() > 50);
    }
}
