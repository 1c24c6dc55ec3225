//! Webhooks: made, changed, given other secrets, tried and removed, by their tenant alone.

use std::time::Duration;

use rulebox_sandbox::Severity;
use uuid::Uuid;

use super::{FEW, change, violation};
use crate::domain::audit::Chain;
use crate::domain::caller::TenantId;
use crate::domain::outbox::{DeliveryKind, DeliveryState, MOST_WAITING};
use crate::domain::violation::Kind;
use crate::domain::webhook::{NewWebhook, TEST_TOPIC, WebhookChange};
use crate::store::{Occurrences, Store, StoreError, Taking};

const MOST: u64 = 3;
const HOUR: Duration = Duration::from_hours(1);

/// Runs this part of the contract.
pub(super) async fn all(store: &dyn Store, a: TenantId, b: TenantId) {
    a_webhook_is_made_changed_and_removed(store, a, b).await;
    no_more_waits_for_a_webhook_than_may(store, a).await;
    there_are_no_more_than_there_may_be(store, b).await;
}

fn new() -> NewWebhook {
    NewWebhook {
        id: Uuid::now_v7(),
        url: "https://example.com/hook?token=x".to_owned(),
        description: "on call".to_owned(),
        kinds: vec![Kind::Trap, Kind::AbiBreach],
        severity: Severity::Medium,
        secret: vec![1, 2, 3],
    }
}

async fn a_webhook_is_made_changed_and_removed(store: &dyn Store, a: TenantId, b: TenantId) {
    let new = new();
    let made = store.create_webhook(a, &new, MOST, &change()).await.unwrap();
    assert_eq!((made.id, made.tenant, &made.url, &made.description), (new.id, a, &new.url, &new.description));
    assert_eq!((made.kinds.join(" "), made.severity), ("trap abi_breach".to_owned(), Severity::Medium));
    assert_eq!((&made.secret, &made.previous, made.disabled_at), (&new.secret, &None, None));
    assert_eq!(store.webhook(a, new.id).await.unwrap(), made);
    assert_eq!(store.webhooks(a, None, 9).await.unwrap(), std::slice::from_ref(&made));
    assert_eq!(store.webhooks(a, Some(new.id), 9).await.unwrap(), []);
    assert_eq!(store.webhooks(b, None, 9).await.unwrap(), []);
    // Nobody else's.
    let asked = WebhookChange { disabled: Some(true), ..WebhookChange::default() };
    for missing in [
        store.webhook(b, new.id).await.map(drop),
        store.change_webhook(b, new.id, &asked, &change()).await.map(drop),
        store.rotate_webhook(b, new.id, &[9], HOUR, &change()).await.map(drop),
        store.test_webhook(b, new.id, &change()).await.map(drop),
        store.delete_webhook(b, new.id, &change()).await,
    ] {
        assert!(matches!(missing, Err(StoreError::NoWebhook)), "{missing:?}");
    }
    let disabled = store.change_webhook(a, new.id, &asked, &change()).await.unwrap();
    assert!(disabled.disabled_at.is_some());
    assert_eq!(store.change_webhook(a, new.id, &asked, &change()).await.unwrap(), disabled, "since the first time");
    let asked = WebhookChange {
        url: Some("https://example.org".to_owned()),
        description: Some(String::new()),
        kinds: Some(Vec::new()),
        severity: Some(Severity::Critical),
        disabled: Some(false),
    };
    let changed = store.change_webhook(a, new.id, &asked, &change()).await.unwrap();
    assert_eq!((changed.url.as_str(), changed.description.as_str()), ("https://example.org", ""));
    assert_eq!((changed.kinds.len(), changed.severity, changed.disabled_at), (0, Severity::Critical, None));
    assert_eq!((&changed.secret, changed.created_at), (&made.secret, made.created_at));
    let now = store.now().await.unwrap();
    let rotated = store.rotate_webhook(a, new.id, &[4, 5], HOUR, &change()).await.unwrap();
    let (before, until) = rotated.previous.clone().unwrap();
    assert_eq!((rotated.secret.as_slice(), before.as_slice()), ([4, 5].as_slice(), [1, 2, 3].as_slice()));
    assert!(until.0 >= now.0 + 3_600_000 && until.0 < now.0 + 7_200_000);
    let again = store.rotate_webhook(a, new.id, &[6], HOUR, &change()).await.unwrap();
    assert_eq!(again.previous.unwrap().0, [4, 5], "two at most");
    let tried = store.test_webhook(a, new.id, &change()).await.unwrap();
    assert_eq!((tried.topic.as_str(), tried.endpoint, tried.state), (TEST_TOPIC, Some(new.id), DeliveryState::Pending));
    assert_eq!(store.deliveries(a, new.id, None, 9).await.unwrap(), [tried]);
    store.delete_webhook(a, new.id, &change()).await.unwrap();
    assert_eq!(store.webhooks(a, None, 9).await.unwrap(), []);
    let leased = store.lease_deliveries(DeliveryKind::Webhook, &super::outbox::ALL, HOUR).await.unwrap();
    assert!(leased.iter().all(|leased| leased.delivery.endpoint != Some(new.id)), "nobody waits for it any more");
    let log = store.audit(Chain(Some(a)), 0, 10_000).await.unwrap();
    let entries: Vec<_> = log.iter().filter(|entry| entry.object == new.id.to_string()).collect();
    let actions: Vec<_> = entries.iter().map(|entry| entry.action.trim_start_matches("webhook.")).collect();
    assert_eq!(actions, ["create", "change", "change", "change", "rotate", "rotate", "test", "delete"]);
    assert!(entries.iter().all(|entry| !entry.detail.contains("token")), "the address may be a secret");
}

async fn no_more_waits_for_a_webhook_than_may(store: &dyn Store, a: TenantId) {
    let new = new();
    store.create_webhook(a, &new, MOST, &change()).await.unwrap();
    let other = NewWebhook { id: Uuid::now_v7(), ..new.clone() };
    store.create_webhook(a, &other, MOST, &change()).await.unwrap();
    let first = store.test_webhook(a, new.id, &change()).await.unwrap();
    for _ in 1..MOST_WAITING {
        store.test_webhook(a, new.id, &change()).await.unwrap();
    }
    let full =
        |refused: &Result<_, StoreError>| matches!(refused, Err(StoreError::WebhookBacklog { limit: MOST_WAITING }));
    let refused = store.test_webhook(a, new.id, &change()).await;
    assert!(full(&refused), "{refused:?}");
    // What happens beyond that is given up at once, for this webhook alone, and is there to be replayed.
    let one = violation(Kind::AbiBreach, "beyond", 1, 700_000_000_000);
    store.record_violation(Chain(Some(a)), &one, Occurrences::ONE, &FEW, &change()).await.unwrap();
    let latest = async |endpoint| store.deliveries(a, endpoint, None, 1).await.unwrap().pop().unwrap();
    let (dead, waits) = (latest(new.id).await, latest(other.id).await);
    assert_eq!((dead.state, waits.state), (DeliveryState::Dead, DeliveryState::Pending));
    assert_eq!((dead.violation, dead.payload), (waits.violation, waits.payload));
    assert!(dead.last_error.unwrap().contains("replay"));
    let refused = store.replay_delivery(a, new.id, dead.id, &change()).await;
    assert!(full(&refused), "{refused:?}");
    let all = Taking { limit: 1, ..super::outbox::ALL };
    let taken = loop {
        let taken = store.lease_deliveries(DeliveryKind::Webhook, &all, HOUR).await.unwrap().pop().unwrap();
        assert!(store.delivered(taken.delivery.id, taken.token).await.unwrap());
        if taken.delivery.endpoint == Some(new.id) {
            break taken;
        }
    };
    assert_eq!(taken.delivery.id, first.id);
    let again = store.replay_delivery(a, new.id, dead.id, &change()).await.unwrap();
    assert_eq!((again.state, again.tries), (DeliveryState::Pending, 0));
    for id in [new.id, other.id] {
        store.delete_webhook(a, id, &change()).await.unwrap();
    }
}

async fn there_are_no_more_than_there_may_be(store: &dyn Store, tenant: TenantId) {
    for _ in 0..MOST {
        store.create_webhook(tenant, &new(), MOST, &change()).await.unwrap();
    }
    let refused = store.create_webhook(tenant, &new(), MOST, &change()).await;
    assert!(matches!(refused, Err(StoreError::WebhooksLimit { limit: MOST })), "{refused:?}");
    let all = store.webhooks(tenant, None, 100).await.unwrap();
    assert_eq!(all.len() as u64, MOST);
    for webhook in all {
        store.delete_webhook(tenant, webhook.id, &change()).await.unwrap();
    }
}
