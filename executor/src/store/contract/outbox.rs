//! What is to be told elsewhere: written with what it tells of, taken by one at a time, tried again, given up.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use uuid::Uuid;

use super::{FEW, change, name, violation};
use crate::domain::at::At;
use crate::domain::audit::Chain;
use crate::domain::caller::TenantId;
use crate::domain::outbox::{DeliveryKind, DeliveryState, Leased};
use crate::domain::review::Review;
use crate::domain::violation::Kind;
use crate::store::{Occurrences, Store, StoreError, Taking};

/// Everything that is due.
pub(super) const ALL: Taking = Taking { limit: 1_000, each: 1_000, except: Vec::new() };
const LEASE: Duration = Duration::from_mins(1);
/// Long ago, and apart from what else is recorded here.
const THEN: i64 = 800_000_000_000;

/// Runs this part of the contract.
pub(super) async fn all(store: &dyn Store, a: TenantId, b: TenantId) {
    an_alert_is_told_until_it_is_resolved(store, a).await;
    each_delivery_is_taken_by_one(store, a, b).await;
    a_new_alert_comes_before_those_that_are_told_again(store, a).await;
    a_lease_that_is_over_is_somebody_elses(store, a).await;
    assert_eq!(store.deliveries(a, Uuid::now_v7(), None, 10).await.unwrap(), []);
    let none = store.replay_delivery(a, Uuid::now_v7(), Uuid::now_v7(), &change()).await;
    assert!(matches!(none, Err(StoreError::NoDelivery)), "{none:?}");
}

async fn open(store: &dyn Store, tenant: TenantId, kind: Kind, rule: &str) -> Uuid {
    let one = violation(kind, rule, 1, THEN);
    let owner = Chain(Some(tenant));
    store.record_violation(owner, &one, Occurrences::ONE, &FEW, &change()).await.unwrap().id
}

async fn lease(store: &dyn Store, kind: DeliveryKind) -> Vec<Leased> {
    store.lease_deliveries(kind, &ALL, LEASE).await.unwrap()
}

/// Takes what others of the contract have left.
async fn empty(store: &dyn Store) {
    loop {
        let left = lease(store, DeliveryKind::Alert).await;
        if left.is_empty() {
            break;
        }
        for Leased { delivery, token } in left {
            assert!(store.delivered(delivery.id, token).await.unwrap());
        }
    }
    assert_eq!(store.outbox_backlog(true).await.unwrap(), 0);
}

async fn an_alert_is_told_until_it_is_resolved(store: &dyn Store, a: TenantId) {
    empty(store).await;
    open(store, a, Kind::OutputLimit, "quiet").await;
    open(store, a, Kind::Trap, "quiet").await;
    assert_eq!(store.outbox_backlog(true).await.unwrap(), 0, "low and medium are no alerts");
    let id = open(store, a, Kind::AbiBreach, "loud").await;
    open(store, a, Kind::AbiBreach, "loud").await;
    assert_eq!(store.outbox_backlog(true).await.unwrap(), 1, "a repeat is no other");
    let [Leased { delivery, token }] = lease(store, DeliveryKind::Alert).await.try_into().unwrap();
    let told = (delivery.violation, delivery.tenant, delivery.endpoint, delivery.topic.as_str(), delivery.tries);
    assert_eq!(told, (Some(id), Some(a), None, "violation.opened", 0));
    assert!(delivery.payload.contains(&id.to_string()));
    assert_eq!(lease(store, DeliveryKind::Alert).await, [], "somebody has it");
    let soon = At(store.now().await.unwrap().0);
    assert!(store.deliver_again(delivery.id, token, soon).await.unwrap());
    let [again] = lease(store, DeliveryKind::Alert).await.try_into().unwrap();
    assert_eq!(again.delivery.id, delivery.id);
    // It is resolved while somebody tells it.
    store.review(id, &Review::Resolve { note: "done".to_owned() }, &change()).await.unwrap();
    assert!(!store.deliver_again(delivery.id, again.token, soon).await.unwrap(), "it is over");
    let [over] = lease(store, DeliveryKind::Alert).await.try_into().unwrap();
    assert_eq!((over.delivery.topic.as_str(), over.delivery.violation), ("violation.resolved", Some(id)));
    assert!(store.delivered(over.delivery.id, over.token).await.unwrap());
    assert!(!store.delivered(over.delivery.id, over.token).await.unwrap(), "once");
    assert_eq!(store.outbox_backlog(true).await.unwrap(), 0);
}

async fn each_delivery_is_taken_by_one(store: &dyn Store, a: TenantId, b: TenantId) {
    for n in 0..10 {
        open(store, if n % 2 == 0 { a } else { b }, Kind::AbiBreach, &format!("alert-{n}")).await;
    }
    let three = Taking { limit: 3, ..ALL };
    let taken = join_all((0..6).map(|_| store.lease_deliveries(DeliveryKind::Alert, &three, LEASE))).await;
    let mut all: Vec<_> = taken.into_iter().flat_map(Result::unwrap).collect();
    // Who waited for another may have gone without.
    all.extend(lease(store, DeliveryKind::Alert).await);
    let ids: BTreeSet<_> = all.iter().map(|leased| leased.delivery.id).collect();
    assert_eq!((all.len(), ids.len()), (10, 10));
    for Leased { delivery, token } in all {
        assert!(store.delivered(delivery.id, token).await.unwrap());
    }
}

async fn a_new_alert_comes_before_those_that_are_told_again(store: &dyn Store, a: TenantId) {
    for n in 0..3 {
        open(store, a, Kind::AbiBreach, &format!("told-{n}")).await;
    }
    for Leased { delivery, token } in lease(store, DeliveryKind::Alert).await {
        let due = At(delivery.created_at.0 + 1);
        assert!(store.deliver_again(delivery.id, token, due).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    let new = open(store, a, Kind::AbiBreach, "new").await;
    let one = Taking { limit: 1, ..ALL };
    let [first] = store.lease_deliveries(DeliveryKind::Alert, &one, LEASE).await.unwrap().try_into().unwrap();
    assert_eq!(first.delivery.violation, Some(new));
    assert!(store.delivered(first.delivery.id, first.token).await.unwrap());
    empty(store).await;
}

async fn a_lease_that_is_over_is_somebody_elses(store: &dyn Store, a: TenantId) {
    open(store, a, Kind::AbiBreach, "leased").await;
    let short = Duration::from_millis(1);
    let [first] = store.lease_deliveries(DeliveryKind::Alert, &ALL, short).await.unwrap().try_into().unwrap();
    let began = Instant::now();
    let second = loop {
        if let Some(second) = lease(store, DeliveryKind::Alert).await.pop() {
            break second;
        }
        assert!(began.elapsed() < Duration::from_secs(20));
    };
    let id = first.delivery.id;
    assert_eq!(second.delivery.id, id);
    assert!(!store.delivered(id, first.token).await.unwrap());
    assert!(!store.not_delivered(id, first.token, "late", None).await.unwrap());
    let now = store.now().await.unwrap();
    // It was not its turn: nothing is counted.
    assert!(!store.postpone_delivery(id, first.token, now).await.unwrap());
    assert!(store.postpone_delivery(id, second.token, now).await.unwrap());
    let [second] = lease(store, DeliveryKind::Alert).await.try_into().unwrap();
    assert_eq!((second.delivery.id, second.delivery.tries), (id, 0));
    let later = At(now.0 + 3_600_000);
    assert!(store.not_delivered(id, second.token, "503", Some(later)).await.unwrap());
    assert_eq!(lease(store, DeliveryKind::Alert).await, [], "it is not due");
    assert_eq!(store.outbox_backlog(true).await.unwrap(), 1);
    assert_eq!(store.outbox_backlog(false).await.unwrap(), 0, "nobody is told of alerts");
}

/// Four wait for the first endpoint, two for each of the others. What is taken here is due again at once.
async fn few_of_each_and_none_that_are_passed_over(store: &dyn Store, a: TenantId, [all, traps, high]: [Uuid; 3]) {
    let take = async |limit, each, except: &[Uuid]| {
        let taking = Taking { limit, each, except: except.to_vec() };
        let taken = store.lease_deliveries(DeliveryKind::Webhook, &taking, LEASE).await.unwrap();
        for Leased { delivery, token } in &taken {
            assert!(store.postpone_delivery(delivery.id, *token, delivery.due_at).await.unwrap());
        }
        let to = |endpoint| taken.iter().filter(|leased| leased.delivery.endpoint == Some(endpoint)).count();
        [to(all), to(traps), to(high)]
    };
    assert_eq!(take(1_000, 3, &[]).await, [3, 2, 2]);
    assert_eq!(take(1_000, 1, &[]).await, [1, 1, 1]);
    assert_eq!(take(1_000, 9, &[all]).await, [0, 2, 2]);
    assert_eq!(take(1_000, 9, &[all, high, Uuid::now_v7()]).await, [0, 2, 0]);
    assert_eq!(take(2, 9, &[all]).await.iter().sum::<usize>(), 2);
    assert_eq!(take(1_000, 9, &[a.uuid()]).await, [0, 0, 0]);
}

/// Webhooks of a tenant that were made by hand: one that wants everything, one that wants traps, one that wants what is
/// high, one that is disabled; and one of another tenant's that wants everything.
pub(crate) async fn webhooks_are_told_what_they_want(store: &dyn Store, a: TenantId, hooks: [Uuid; 5]) {
    let [all, traps, high, disabled, stranger] = hooks;
    super::violations::rule(store, a, "hooked").await;
    open(store, a, Kind::OutputLimit, "hooked").await;
    open(store, a, Kind::Trap, "hooked").await;
    open(store, a, Kind::Trap, "hooked").await;
    open(store, a, Kind::AbiBreach, "hooked").await;
    store.quarantine(a, &name("hooked"), 1, "by hand", &change()).await.unwrap();
    let told = async |endpoint| {
        let mut told = store.deliveries(a, endpoint, None, 100).await.unwrap();
        told.reverse();
        told.into_iter().map(|delivery| {
            let body: serde_json::Value = serde_json::from_str(&delivery.payload).unwrap();
            assert_eq!(body["type"], delivery.topic);
            body["data"]["kind"].as_str().map_or(delivery.topic, str::to_owned)
        })
    };
    let of = async |endpoint| told(endpoint).await.collect::<Vec<_>>();
    assert_eq!(of(all).await, ["output_limit", "trap", "abi_breach", "rule.quarantined"]);
    assert_eq!(of(traps).await, ["trap", "rule.quarantined"]);
    assert_eq!(of(high).await, ["abi_breach", "rule.quarantined"]);
    assert_eq!(of(disabled).await.len() + of(stranger).await.len(), 0);
    few_of_each_and_none_that_are_passed_over(store, a, [all, traps, high]).await;
    let leased = lease(store, DeliveryKind::Webhook).await;
    assert_eq!(leased.len(), 8);
    assert!(leased.iter().all(|leased| leased.delivery.tenant == Some(a)));
    let one = &leased[0];
    let id = one.delivery.id;
    assert!(store.not_delivered(id, one.token, "refused", None).await.unwrap());
    let endpoint = one.delivery.endpoint.unwrap();
    let dead =
        async || store.deliveries(a, endpoint, None, 100).await.unwrap().into_iter().find(|d| d.id == id).unwrap();
    let given_up = dead().await;
    assert_eq!(
        (given_up.state, given_up.tries, given_up.last_error.as_deref()),
        (DeliveryState::Dead, 1, Some("refused"))
    );
    assert!(given_up.done_at.is_some());
    let replayed = store.replay_delivery(a, endpoint, id, &change()).await.unwrap();
    assert_eq!((replayed.state, replayed.tries, replayed.done_at), (DeliveryState::Pending, 0, None));
    for (tenant, endpoint, id) in [(a, Uuid::now_v7(), id), (a, endpoint, Uuid::now_v7())] {
        let none = store.replay_delivery(tenant, endpoint, id, &change()).await;
        assert!(matches!(none, Err(StoreError::NoDelivery)), "{none:?}");
    }
    let [again] = lease(store, DeliveryKind::Webhook).await.try_into().unwrap();
    assert_eq!((again.delivery.id, again.delivery.payload), (id, given_up.payload));
    assert!(store.delivered(id, again.token).await.unwrap());
    assert_eq!(dead().await.state, DeliveryState::Delivered);
    let page = store.deliveries(a, all, None, 3).await.unwrap();
    let rest = store.deliveries(a, all, page.last().map(|d| d.id), 3).await.unwrap();
    assert_eq!((page.len(), rest.len()), (3, 1));
}
