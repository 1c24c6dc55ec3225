//! Tenants, keys, the audit log, quarantines, and requests that may be sent again.

use std::time::Duration;

use uuid::Uuid;

use super::{ANY, MOST, NoSecret, change, name, new_key, version};
use crate::domain::at::At;
use crate::domain::audit::{Chain, Head, Seal, Sealer};
use crate::domain::caller::{KeyId, TenantId};
use crate::domain::idempotency::{Begun, Claim, IdempotentRequest};
use crate::domain::rule::{Most, RuleName, Storage, StorageLimit};
use crate::domain::tenant::{TenantLimits, TenantName};
use crate::store::{Change, Old, Precondition, Store, StoreError};

const LEASE: Duration = Duration::from_mins(1);

/// Runs this part of the contract, after the rules'.
pub(super) async fn all(store: &dyn Store, a: TenantId, b: TenantId) {
    tenants_have_names_and_limits(store).await;
    keys_belong_to_one_owner(store, a, b).await;
    a_suspended_tenant_has_no_keys(store).await;
    a_rule_is_changed_by_whoever_has_seen_it(store, a).await;
    a_tenant_has_so_many_rules_and_no_more(store).await;
    a_tenant_keeps_so_much_and_no_more(store).await;
    modules_are_stopped_for_one_tenant(store, a, b).await;
    a_request_is_done_once(store, a, b).await;
    every_change_is_in_the_log(store, a).await;
    old_entries_are_removed_with_a_proof(store).await;
    changes_are_told(store, a, b).await;
    what_is_old_is_removed(store, a).await;
}

fn tenant_name(text: &str) -> TenantName {
    TenantName::new(text).unwrap()
}

async fn tenants_have_names_and_limits(store: &dyn Store) {
    let limits = TenantLimits { rules: Some(3), modules: Some(true), ..TenantLimits::default() };
    let made = store.create_tenant(&tenant_name("limited"), &limits, &change()).await.unwrap();
    assert_eq!((made.limits, made.suspended_at), (limits, None));
    assert_eq!(store.tenant(made.id).await.unwrap(), made);
    assert_eq!(store.tenant_named(&made.name).await.unwrap(), made);
    let again = store.create_tenant(&made.name, &limits, &change()).await;
    assert!(matches!(again, Err(StoreError::TenantTaken(_))), "{again:?}");
    let none = TenantLimits::default();
    assert_eq!(store.set_limits(made.id, &none, &change()).await.unwrap().limits, none);
    let names = async |after: Option<&str>, limit| {
        let page = store.tenants(after.map(tenant_name).as_ref(), limit).await.unwrap();
        page.iter().map(|tenant| tenant.name.as_str().to_owned()).collect::<Vec<_>>()
    };
    let all = names(None, 100).await;
    assert!(all.contains(&"limited".to_owned()) && all.is_sorted());
    assert_eq!(names(Some(&all[0]), 1).await, [all[1].clone()]);
    let nobody = TenantId::from_store(Uuid::now_v7());
    assert!(matches!(store.tenant(nobody).await, Err(StoreError::NoTenant)));
    assert!(matches!(store.set_limits(nobody, &none, &change()).await, Err(StoreError::NoTenant)));
    assert!(matches!(store.set_suspended(nobody, true, &change()).await, Err(StoreError::NoTenant)));
    let key = new_key("rbx_live_nobody", [3; 32]);
    let refused = store.create_key(Chain(Some(nobody)), &key, "{}", &change()).await;
    assert!(refused.is_err(), "{refused:?}");
}

async fn keys_belong_to_one_owner(store: &dyn Store, a: TenantId, b: TenantId) {
    let (a, b, platform) = (Chain(Some(a)), Chain(Some(b)), Chain(None));
    let new = |n: u8| new_key("rbx_live_keysofa0", [n; 32]);
    let keys = [new(20), new(21), new(22)];
    for key in &keys {
        let made = store.create_key(a, key, "{}", &change()).await.unwrap();
        assert_eq!((made.id, made.hash, made.tenant), (key.id, key.hash, a.0));
    }
    let of_platform = new_key("rbx_live_platform", [23; 32]);
    store.create_key(platform, &of_platform, "{}", &change()).await.unwrap();
    assert_eq!(store.keys("rbx_live_keysofa0").await.unwrap().len(), 3, "several keys may share a prefix");
    assert_eq!(store.keys("rbx_live_platform").await.unwrap()[0].tenant, None);
    for other in [b, platform] {
        assert!(matches!(store.key(other, keys[0].id).await, Err(StoreError::NoKey)));
        assert!(matches!(store.revoke_key(other, keys[0].id, &change()).await, Err(StoreError::NoKey)));
        assert!(store.list_keys(other, None, 100).await.unwrap().iter().all(|key| key.tenant == other.0));
    }
    assert!(matches!(store.revoke_key(a, of_platform.id, &change()).await, Err(StoreError::NoKey)));
    let page = store.list_keys(a, Some(keys[0].id), 1).await.unwrap();
    assert_eq!(page.iter().map(|key| key.id).collect::<Vec<_>>(), [keys[1].id]);
    let revoked = store.revoke_key(a, keys[1].id, &change()).await.unwrap();
    assert!(revoked.revoked_at.is_some() && !revoked.is_valid(At::now()));
    assert_eq!(store.revoke_key(a, keys[1].id, &change()).await.unwrap(), revoked, "once more changes nothing");
    let found = store.keys("rbx_live_keysofa0").await.unwrap();
    assert_eq!(found.iter().filter(|key| key.is_valid(At::now())).count(), 2);
    assert!(matches!(store.revoke_key(a, KeyId(Uuid::now_v7()), &change()).await, Err(StoreError::NoKey)));
}

async fn a_suspended_tenant_has_no_keys(store: &dyn Store) {
    let tenant = store.create_tenant(&tenant_name("suspended"), &TenantLimits::default(), &change()).await.unwrap();
    let key = new_key("rbx_live_suspend0", [30; 32]);
    store.create_key(Chain(Some(tenant.id)), &key, "{}", &change()).await.unwrap();
    let suspended = store.set_suspended(tenant.id, true, &change()).await.unwrap();
    assert!(suspended.suspended_at.is_some());
    assert_eq!(store.set_suspended(tenant.id, true, &change()).await.unwrap(), suspended, "once more changes nothing");
    assert_eq!(store.keys("rbx_live_suspend0").await.unwrap(), []);
    assert_eq!(store.set_suspended(tenant.id, false, &change()).await.unwrap().suspended_at, None);
    assert_eq!(store.keys("rbx_live_suspend0").await.unwrap().len(), 1);
}

async fn a_rule_is_changed_by_whoever_has_seen_it(store: &dyn Store, tenant: TenantId) {
    let rule = name("revised");
    store.create_rule(tenant, &rule, &version(1), &MOST, &change()).await.unwrap();
    let seen = store.rule(tenant, &rule).await.unwrap().revision;
    let at = |revision| Precondition::Revisions(vec![revision]);
    store.add_version(tenant, &rule, &version(2), &at(seen), &MOST, &change()).await.unwrap();
    let now = store.rule(tenant, &rule).await.unwrap().revision;
    assert!(now > seen);
    let stale = store.activate(tenant, &rule, 2, &at(seen), &change()).await;
    assert!(matches!(stale, Err(StoreError::Stale { revision, .. }) if revision == now), "{stale:?}");
    let stale = store.archive_rule(tenant, &rule, &at(seen), &change()).await;
    assert!(matches!(stale, Err(StoreError::Stale { .. })), "{stale:?}");
    let stale = store.add_version(tenant, &rule, &version(3), &at(seen), &MOST, &change()).await;
    assert!(matches!(stale, Err(StoreError::Stale { .. })), "{stale:?}");
    let nothing = Precondition::Revisions(Vec::new());
    assert!(matches!(store.activate(tenant, &rule, 2, &nothing, &change()).await, Err(StoreError::Stale { .. })));
    let either = Precondition::Revisions(vec![seen, now]);
    let active = store.activate(tenant, &rule, 2, &either, &change()).await.unwrap();
    assert!(active.active_version == Some(2) && active.revision > now);
    assert!(store.archive_rule(tenant, &rule, &at(active.revision), &change()).await.unwrap().archived_at.is_some());
}

async fn a_tenant_has_so_many_rules_and_no_more(store: &dyn Store) {
    let tenant = store.create_tenant(&tenant_name("few-rules"), &TenantLimits::default(), &change()).await.unwrap().id;
    for rule in ["one", "two"] {
        store.create_rule(tenant, &name(rule), &version(1), &Most { rules: 2, ..MOST }, &change()).await.unwrap();
    }
    let third = store.create_rule(tenant, &name("three"), &version(1), &Most { rules: 2, ..MOST }, &change()).await;
    assert!(matches!(third, Err(StoreError::RulesLimit { limit: 2 })), "{third:?}");
    store.archive_rule(tenant, &name("one"), ANY, &change()).await.unwrap();
    store.create_rule(tenant, &name("three"), &version(1), &Most { rules: 2, ..MOST }, &change()).await.unwrap();
}

async fn a_tenant_keeps_so_much_and_no_more(store: &dyn Store) {
    let tenant = store.create_tenant(&tenant_name("small-room"), &TenantLimits::default(), &change()).await.unwrap().id;
    let rule = name("kept");
    let most = |versions, bytes| Most { storage: Storage { versions, bytes }, ..MOST };
    assert_eq!(store.stored(tenant).await.unwrap(), Storage::default());
    let none = store.create_rule(tenant, &rule, &version(1), &most(0, 1 << 30), &change()).await;
    assert!(matches!(none, Err(StoreError::StorageLimit(StorageLimit::Versions(0)))), "{none:?}");
    assert_eq!(store.stored(tenant).await.unwrap(), Storage::default(), "what was refused is not counted");
    store.create_rule(tenant, &rule, &version(1), &most(2, 1 << 30), &change()).await.unwrap();
    let one = store.stored(tenant).await.unwrap();
    let new = version(1);
    let manifest = serde_json::to_string(&new.manifest).unwrap();
    let bytes = (new.source.unwrap().len() + new.module.len() + manifest.len()) as u64;
    assert_eq!(one, Storage { versions: 1, bytes });
    let large = store.add_version(tenant, &rule, &version(2), ANY, &most(2, 2 * bytes - 1), &change()).await;
    assert!(matches!(large, Err(StoreError::StorageLimit(StorageLimit::Bytes(_)))), "{large:?}");
    // Of those that come at the same time, one finds the last place.
    let (new, change, most) = ([version(2), version(3), version(4)], change(), most(2, 1 << 30));
    let adding = new.iter().map(|new| store.add_version(tenant, &rule, new, ANY, &most, &change));
    let added = futures_util::future::join_all(adding).await;
    assert_eq!(added.iter().filter(|added| added.is_ok()).count(), 1, "{added:?}");
    let is_refused = |added: &Result<_, _>| matches!(added, Err(StoreError::StorageLimit(StorageLimit::Versions(2))));
    assert_eq!(added.iter().filter(|added| is_refused(added)).count(), 2, "{added:?}");
    assert_eq!(store.stored(tenant).await.unwrap(), Storage { versions: 2, bytes: 2 * bytes });
}

async fn modules_are_stopped_for_one_tenant(store: &dyn Store, a: TenantId, b: TenantId) {
    let rule = name("stopped");
    store.create_rule(a, &rule, &version(40), &MOST, &change()).await.unwrap();
    store.create_rule(b, &rule, &version(40), &MOST, &change()).await.unwrap();
    let stopped = store.quarantine(a, &rule, 1, "a reason", &change()).await.unwrap();
    assert_eq!((stopped.digest, stopped.reason.as_str()), (version(40).digest, "a reason"));
    let again = store.quarantine(a, &rule, 1, "another reason", &change()).await.unwrap();
    assert_eq!(again, stopped, "once more changes nothing");
    assert_eq!(store.quarantined(a).await.unwrap(), [version(40).digest]);
    assert_eq!(store.quarantined(b).await.unwrap(), []);
    assert!(matches!(store.quarantine(a, &rule, 2, "", &change()).await, Err(StoreError::NoVersion(..))));
    assert!(matches!(store.quarantine(a, &name("no"), 1, "", &change()).await, Err(StoreError::NoRule(_))));
    assert!(matches!(store.release(b, &rule, 1, &change()).await, Err(StoreError::NotQuarantined(..))));
    who_is_stopped_is_listed(store, a, b, &rule).await;
    assert_eq!(store.release(a, &rule, 1, &change()).await.unwrap(), stopped);
    assert_eq!(store.quarantined(a).await.unwrap(), []);
    assert!(matches!(store.release(a, &rule, 1, &change()).await, Err(StoreError::NotQuarantined(..))));
}

async fn who_is_stopped_is_listed(store: &dyn Store, a: TenantId, b: TenantId, rule: &RuleName) {
    store.quarantine(b, rule, 1, "b's", &change()).await.unwrap();
    let (own, all) = (Chain(Some(a)), Chain(None));
    let of = async |owner, tenant| {
        let page = store.stopped(owner, tenant, None, 100).await.unwrap();
        page.into_iter().map(|one| (one.tenant, one.quarantine.reason)).collect::<Vec<_>>()
    };
    let (of_a, of_b) = ((a, "a reason".to_owned()), (b, "b's".to_owned()));
    assert_eq!(of(own, None).await, std::slice::from_ref(&of_a));
    assert_eq!(of(own, Some(b)).await, std::slice::from_ref(&of_a), "its own, whatever is asked");
    assert_eq!(of(all, Some(b)).await, std::slice::from_ref(&of_b));
    assert_eq!(of(all, None).await, [of_b, of_a], "the latest first");
    let (mut paged, mut after) = (Vec::new(), None);
    while let Some(one) = store.stopped(all, None, after, 1).await.unwrap().pop() {
        after = Some((one.quarantine.at, one.tenant.uuid(), one.quarantine.digest));
        paged.push((one.tenant_name, one.quarantine.digest));
    }
    let [(first, _), (second, _)] = paged.as_slice() else { panic!("{paged:?}") };
    assert!(first == "second" && second != "second", "{paged:?}");
    assert!(paged.iter().all(|(_, digest)| *digest == version(40).digest));
    store.release(b, rule, 1, &change()).await.unwrap();
}

fn claimed(begun: Begun) -> Claim {
    match begun {
        Begun::Claimed(claim) => claim,
        other => panic!("{other:?}"),
    }
}

async fn a_request_is_done_once(store: &dyn Store, a: TenantId, b: TenantId) {
    let (owner, rule) = (Chain(Some(a)), name("once"));
    let request = IdempotentRequest { key: [1; 32], request: [2; 32] };
    let begin = async |owner, request, lease| store.begin_request(owner, request, lease).await.unwrap();
    let claim = claimed(begin(owner, request, LEASE).await);
    assert_eq!(begin(owner, request, LEASE).await, Begun::InFlight);
    assert_eq!(begin(owner, IdempotentRequest { request: [3; 32], ..request }, LEASE).await, Begun::Differs);
    let of_b = claimed(begin(Chain(Some(b)), request, LEASE).await);
    let of_platform = claimed(begin(Chain(None), request, LEASE).await);
    store.abandon_request(of_b).await.unwrap();
    store.abandon_request(of_platform).await.unwrap();

    // What made nothing is forgotten, and may be sent again.
    store.abandon_request(claim).await.unwrap();
    let lost = claimed(begin(owner, request, Duration::ZERO).await);
    // Its lease is over: another try takes its place, and the first may no longer end it. So is one that ends later than
    // any that begins now: the clock was set back.
    claimed(begin(owner, request, 60 * LEASE).await);
    let claim = claimed(begin(owner, request, LEASE).await);
    let by = |claim| Change { claim: Some(claim), ..change() };
    let late = store.create_rule(a, &rule, &version(1), &MOST, &by(lost)).await;
    assert!(matches!(late, Err(StoreError::ClaimLost)), "{late:?}");
    assert!(matches!(store.rule(a, &rule).await, Err(StoreError::NoRule(_))), "nothing of it was kept");
    store.abandon_request(lost).await.unwrap();
    store.create_rule(a, &rule, &version(1), &MOST, &by(claim)).await.unwrap();
    let Begun::Done(made) = begin(owner, request, LEASE).await else { panic!("it was done") };
    assert_eq!((made.subject.as_str(), made.number, made.detail.as_str()), ("once", Some(1), "{}"));
    store.abandon_request(claim).await.unwrap();
    assert!(matches!(begin(owner, request, LEASE).await, Begun::Done(_)), "what is done is not abandoned");

    // The platform makes a key for a tenant, by a request of its own.
    let request = IdempotentRequest { key: [4; 32], request: [5; 32] };
    let claim = claimed(begin(Chain(None), request, LEASE).await);
    let key = new_key("rbx_live_once0000", [50; 32]);
    store.create_key(owner, &key, "{}", &by(claim)).await.unwrap();
    let Begun::Done(made) = begin(Chain(None), request, LEASE).await else { panic!("it was done") };
    assert_eq!(made.subject, key.id.to_string());
}

async fn every_change_is_in_the_log(store: &dyn Store, tenant: TenantId) {
    let (chain, rule) = (Chain(Some(tenant)), name("logged"));
    let head = async || {
        let heads = store.audit_heads(None, 1_000).await.unwrap();
        heads.into_iter().find(|head| head.chain == chain).unwrap()
    };
    let before = head().await.seq;
    store.create_rule(tenant, &rule, &version(1), &MOST, &change()).await.unwrap();
    store.add_version(tenant, &rule, &version(2), ANY, &MOST, &change()).await.unwrap();
    store.activate(tenant, &rule, 2, ANY, &change()).await.unwrap();
    store.archive_rule(tenant, &rule, ANY, &change()).await.unwrap();
    store.archive_rule(tenant, &rule, ANY, &change()).await.unwrap();
    let refused = store.activate(tenant, &rule, 1, ANY, &change()).await;
    assert!(refused.is_err());
    let entries = store.audit(chain, before, 100).await.unwrap();
    let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["rule.create", "rule.version", "rule.activate", "rule.archive"]);
    assert!(entries.iter().all(|entry| entry.object == "logged" && entry.request_id == "request"));
    assert_eq!(entries[2].detail, r#"{"before":1,"version":2}"#);

    // From the first entry on, each is sealed with the one before it, and the head is the last one's.
    let all = store.audit(chain, 0, 1_000).await.unwrap();
    let mut seal = Seal::NONE;
    for (at, entry) in all.iter().enumerate() {
        assert_eq!(entry.seq, at as u64 + 1);
        assert!(NoSecret.is_sealed(&entry.sealed_bytes(&seal), &entry.seal), "{entry:?}");
        seal = entry.seal;
    }
    let head = head().await;
    assert_eq!((head.seq, head.seal), (all.len() as u64, seal));
    assert!(all.is_sorted_by_key(|entry| entry.at));
}

async fn old_entries_are_removed_with_a_proof(store: &dyn Store) {
    let tenant = store.create_tenant(&tenant_name("retained"), &TenantLimits::default(), &change()).await.unwrap().id;
    let chain = Chain(Some(tenant));
    for rule in ["one", "two", "three"] {
        store.create_rule(tenant, &name(rule), &version(1), &MOST, &change()).await.unwrap();
    }
    assert_eq!(store.audit_before(chain, At(0)).await.unwrap(), None);
    let later = At(At::now().0 + 1_000);
    let (seq, seal) = store.audit_before(chain, later).await.unwrap().unwrap();
    assert_eq!(seq, 3, "the last of four stays");
    let proof = NoSecret.seal(&Head::removal_bytes(chain, seq, &seal));
    assert_eq!(store.remove_audit(chain, seq, &seal, &proof).await.unwrap(), 3);
    assert_eq!(store.remove_audit(chain, seq, &seal, &proof).await.unwrap(), 0, "another replica did it");
    assert_eq!(store.audit(chain, 0, 100).await.unwrap()[0].seq, 4);
    let heads = store.audit_heads(None, 1_000).await.unwrap();
    let head = heads.into_iter().find(|head| head.chain == chain).unwrap();
    assert_eq!((head.seq, head.removed_seq, head.removed_seal, head.removed_proof), (4, seq, seal, proof));
    assert_eq!(store.audit_before(chain, later).await.unwrap(), None, "the last one stays");
}

async fn changes_are_told(store: &dyn Store, a: TenantId, b: TenantId) {
    let number = |changes: &[(Chain, i64)]| changes.iter().map(|(_, number)| *number).max().unwrap_or(0);
    let (changed, at) = store.changed_since(0).await.unwrap();
    let before = number(&changed);
    assert!(at <= store.now().await.unwrap(), "one clock tells both");
    assert_eq!(store.changed_since(before).await.unwrap().0, []);
    store.create_rule(a, &name("told"), &version(1), &MOST, &change()).await.unwrap();
    let (told, _) = store.changed_since(before).await.unwrap();
    assert_eq!(told.iter().map(|(chain, _)| *chain).collect::<Vec<_>>(), [Chain(Some(a))]);
    let after = number(&told);
    assert!(after > before);
    store.create_key(Chain(Some(b)), &new_key("rbx_live_told0000", [60; 32]), "{}", &change()).await.unwrap();
    let (told, _) = store.changed_since(after).await.unwrap();
    assert_eq!(told.iter().map(|(chain, _)| *chain).collect::<Vec<_>>(), [Chain(Some(b))]);
}

async fn what_is_old_is_removed(store: &dyn Store, tenant: TenantId) {
    let (owner, now) = (Chain(Some(tenant)), At::now());
    let request = IdempotentRequest { key: [70; 32], request: [71; 32] };
    claimed(store.begin_request(owner, request, LEASE).await.unwrap());
    let key = new_key("rbx_live_old00000", [72; 32]);
    store.create_key(owner, &key, "{}", &change()).await.unwrap();
    store.revoke_key(owner, key.id, &change()).await.unwrap();
    let before = |at| Old { violations: at, requests: at, keys: at, usage: at, events: at, outbox: at, windows: at };
    assert!(!store.remove_old(&before(At(0))).await.unwrap().any(), "{now}");
    let valid = store.list_keys(owner, None, 100).await.unwrap().iter().filter(|key| key.is_valid(now)).count();
    let later = At(now.0 + 60_000);
    let removed = store.remove_old(&before(later)).await.unwrap();
    assert!(removed.requests >= 1 && removed.keys >= 1, "{removed:?}");
    assert!(matches!(store.key(owner, key.id).await, Err(StoreError::NoKey)));
    assert_eq!(store.list_keys(owner, None, 100).await.unwrap().len(), valid, "valid keys stay");
    claimed(store.begin_request(owner, request, LEASE).await.unwrap());
}
