//! Recording violations: what is one, how it is counted, and when it stops its module.

use std::time::Duration;

use futures_util::future::join_all;
use rulebox_sandbox::{Digest, Severity};
use uuid::Uuid;

use super::{MOST, change, name, version};
use crate::domain::at::At;
use crate::domain::audit::Chain;
use crate::domain::caller::{RequestMarks, TenantId};
use crate::domain::quarantine::Thresholds;
use crate::domain::review::{Filter, Review, Status};
use crate::domain::violation::{Kind, NewViolation};
use crate::store::{Occurrences, Recorded, Store};

/// As the settings are.
pub(crate) const FEW: Thresholds = Thresholds { violations: 5, deaths: 2, within: Duration::from_mins(10) };
const MINUTE: i64 = 60_000;
/// Long ago, so that nothing else of the contract is near.
const THEN: i64 = 1_000_000_000_000;

/// Runs this part of the contract.
pub(super) async fn all(store: &dyn Store, a: TenantId, b: TenantId) {
    repeats_within_a_minute_are_one(store, a, b).await;
    who_comes_at_the_same_time_makes_one_row(store, a).await;
    a_repeat_of_what_is_resolved_is_another(store, a).await;
    the_first_refusal_of_a_day_is_high(store, a, b).await;
    the_fifth_stops_the_module(store, a, b).await;
    of_those_that_come_at_the_same_time_one_stops_it(store, a).await;
    some_kinds_stop_at_once_and_some_never(store, a).await;
    what_was_let_go_is_counted_anew(store, a).await;
    what_is_of_no_tenant_is_of_the_platform(store, a).await;
}

/// A violation that names a rule, its version and its module.
pub(crate) fn violation(kind: Kind, rule: &str, number: u32, at: i64) -> NewViolation {
    let marks = RequestMarks { request_id: "request".to_owned(), trace_id: "trace".to_owned() };
    NewViolation {
        rule: Some(name(rule)),
        version: Some(number),
        digest: Some(Digest::of(rule.as_bytes())),
        at: At(at),
        fuel_used: u64::MAX,
        ..NewViolation::new(kind, false, marks, Some(change().actor.id))
    }
}

async fn record(store: &dyn Store, tenant: TenantId, violation: &NewViolation) -> Recorded {
    times(store, tenant, violation, 1, None).await
}

async fn times(
    store: &dyn Store,
    tenant: TenantId,
    violation: &NewViolation,
    times: u64,
    of: Option<Uuid>,
) -> Recorded {
    let owner = Chain(Some(tenant));
    store.record_violation(owner, violation, Occurrences { times, of }, &FEW, &change()).await.unwrap()
}

async fn count(store: &dyn Store, tenant: TenantId, id: Uuid) -> u64 {
    store.violation(Chain(Some(tenant)), id).await.unwrap().count
}

async fn repeats_within_a_minute_are_one(store: &dyn Store, a: TenantId, b: TenantId) {
    let at = |kind, number, at| violation(kind, "repeated", number, THEN + at);
    let first = record(store, a, &at(Kind::OutputLimit, 1, 0)).await;
    assert!(first.opened && first.at == At(THEN) && first.severity == Severity::Low && first.counted == 0);
    let again = record(store, a, &at(Kind::OutputLimit, 1, MINUTE - 1)).await;
    assert_eq!((again.id, again.opened, again.at), (first.id, false, At(THEN)));
    let late = times(store, a, &at(Kind::OutputLimit, 1, 500), 9_998, Some(first.id)).await;
    assert_eq!(late.id, first.id);
    let kept = store.violation(Chain(Some(a)), first.id).await.unwrap();
    assert_eq!((kept.count, kept.at, kept.last_at), (10_000, At(THEN), At(THEN + MINUTE - 1)));
    let evidence = (kept.rule.as_deref(), kept.version, kept.digest, kept.fuel_used, kept.status);
    assert_eq!(evidence, (Some("repeated"), Some(1), Some(Digest::of(b"repeated")), i64::MAX as u64, Status::Open));
    assert_eq!((kept.request_id.as_str(), kept.trace_id.as_str(), kept.tenant), ("request", "trace", Some(a)));
    let mut ids = vec![first.id];
    for other in [
        record(store, a, &at(Kind::OutputLimit, 1, MINUTE)).await,
        record(store, a, &at(Kind::DeadlineExceeded, 1, 0)).await,
        record(store, a, &at(Kind::OutputLimit, 2, 0)).await,
        record(store, b, &at(Kind::OutputLimit, 1, 0)).await,
    ] {
        assert!(other.opened);
        ids.push(other.id);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5);
    // A clock that was set back opens none in the future.
    let back = record(store, a, &at(Kind::OutputLimit, 1, -MINUTE)).await;
    assert!(back.opened && back.at == At(THEN - MINUTE));
}

async fn who_comes_at_the_same_time_makes_one_row(store: &dyn Store, a: TenantId) {
    let one = violation(Kind::OutputLimit, "raced", 1, THEN);
    let all = join_all((0..20).map(|_| record(store, a, &one))).await;
    assert_eq!(all.iter().filter(|recorded| recorded.opened).count(), 1);
    assert!(all.iter().all(|recorded| recorded.id == all[0].id), "{all:?}");
    // What two replicas have counted meanwhile.
    join_all((1..=10).map(|n| times(store, a, &one, n, Some(all[0].id)))).await;
    assert_eq!(count(store, a, all[0].id).await, 20 + 55);
    let filter = Filter { rule: Some(name("raced")), ..Filter::default() };
    assert_eq!(store.violations(Chain(Some(a)), &filter, None, 10).await.unwrap().len(), 1);
}

async fn a_repeat_of_what_is_resolved_is_another(store: &dyn Store, a: TenantId) {
    let one = violation(Kind::OutputLimit, "resolved", 1, THEN);
    let first = record(store, a, &one).await;
    store.review(first.id, &Review::Acknowledge, &change()).await.unwrap();
    assert_eq!(record(store, a, &one).await.id, first.id, "somebody has seen it, and it goes on");
    store.review(first.id, &Review::Resolve { note: "done".to_owned() }, &change()).await.unwrap();
    // One replica knows it as open; the other asks.
    let known = times(store, a, &one, 3, Some(first.id)).await;
    let asked = record(store, a, &one).await;
    assert!(known.opened && known.id != first.id && asked.id == known.id && !asked.opened);
    assert_eq!((count(store, a, first.id).await, count(store, a, known.id).await), (2, 4));
}

async fn the_first_refusal_of_a_day_is_high(store: &dyn Store, a: TenantId, b: TenantId) {
    let refused =
        |kind, digest: &str, at| NewViolation { rule: None, version: None, ..violation(kind, digest, 0, THEN + at) };
    let severity = async |tenant, violation| record(store, tenant, &violation).await.severity;
    let day = 24 * 60 * MINUTE;
    assert_eq!(severity(a, refused(Kind::ImportForbidden, "m1", 0)).await, Severity::High);
    assert_eq!(severity(a, refused(Kind::ImportForbidden, "m1", 1)).await, Severity::High, "the same record");
    assert_eq!(severity(a, refused(Kind::ImportForbidden, "m2", 2)).await, Severity::Low);
    assert_eq!(severity(a, refused(Kind::ImportForbidden, "m1", day - 1)).await, Severity::Low);
    assert_eq!(severity(a, refused(Kind::ModuleInvalid, "m1", 3)).await, Severity::High, "another kind");
    assert_eq!(severity(b, refused(Kind::ImportForbidden, "m1", 3)).await, Severity::High, "another tenant");
    assert_eq!(severity(a, refused(Kind::ImportForbidden, "m3", day)).await, Severity::High, "another day");
    let slip = NewViolation { severity: Severity::Low, ..refused(Kind::ModuleTooLarge, "m1", 0) };
    assert_eq!(severity(a, slip).await, Severity::Low);
    assert_eq!(severity(a, refused(Kind::ModuleTooLarge, "m2", 0)).await, Severity::High, "a slip is not the first");
    let mut race = Vec::new();
    for n in 0..8 {
        race.push(refused(Kind::CompileKilled, &format!("race{n}"), 0));
    }
    let all = join_all(race.iter().map(|one| record(store, a, one))).await;
    assert_eq!(all.iter().filter(|recorded| recorded.severity == Severity::High).count(), 1, "{all:?}");
}

/// Makes a rule whose module is the one that [`violation`] names.
pub(super) async fn rule(store: &dyn Store, tenant: TenantId, rule: &str) -> Digest {
    let digest = Digest::of(rule.as_bytes());
    let new = crate::domain::rule::NewVersion { digest, ..version(1) };
    store.create_rule(tenant, &name(rule), &new, &MOST, &change()).await.unwrap();
    digest
}

async fn the_fifth_stops_the_module(store: &dyn Store, a: TenantId, b: TenantId) {
    let digest = rule(store, a, "stops").await;
    let at = |kind, at| violation(kind, "stops", 1, THEN + at);
    // One is too old by then, and those of load do not count; nor does what another tenant's did.
    let old = record(store, a, &at(Kind::Trap, -11 * MINUTE)).await;
    assert_eq!((old.counted, old.quarantined), (1, false));
    for n in 0..9 {
        let load = record(store, a, &at(Kind::DeadlineExceeded, n * MINUTE)).await;
        assert_eq!((load.counted, load.quarantined), (0, false));
        record(store, b, &at(Kind::Trap, 0)).await;
    }
    for (kind, at_ms, counted) in
        [(Kind::Trap, 0, 1), (Kind::FuelExhausted, 1, 2), (Kind::Trap, 2, 3), (Kind::Trap, 3, 4)]
    {
        let recorded = record(store, a, &at(kind, at_ms)).await;
        assert_eq!((recorded.counted, recorded.quarantined), (counted, false));
    }
    // The same module under another name.
    let fifth = NewViolation { rule: Some(name("other-name")), ..at(Kind::MemoryLimit, 9 * MINUTE) };
    let fifth = record(store, a, &fifth).await;
    assert_eq!((fifth.counted, fifth.quarantined), (5, true));
    assert!(store.quarantined(a).await.unwrap().contains(&digest));
    assert_eq!(store.quarantined(b).await.unwrap().iter().filter(|stopped| **stopped == digest).count(), 1, "it had 9");
    let sixth = record(store, a, &at(Kind::Trap, 9 * MINUTE)).await;
    assert_eq!((sixth.counted, sixth.quarantined), (6, false), "it is stopped already");
    let log = store.audit(Chain(Some(a)), 0, 10_000).await.unwrap();
    let stopped = log.iter().filter(|entry| entry.action == "rule.quarantine" && entry.object == "other-name");
    assert_eq!(stopped.count(), 1);
    let by_hand = store.release(a, &name("stops"), 1, &change()).await.unwrap();
    assert!(by_hand.reason.contains("5 violations") && by_hand.reason.contains("memory_limit"), "{}", by_hand.reason);
}

async fn of_those_that_come_at_the_same_time_one_stops_it(store: &dyn Store, a: TenantId) {
    let digest = rule(store, a, "raced-stop").await;
    let kinds = [Kind::Trap, Kind::FuelExhausted, Kind::MemoryLimit, Kind::StackOverflow, Kind::AbiBreach];
    let each: Vec<_> = kinds.iter().map(|kind| violation(*kind, "raced-stop", 1, THEN)).collect();
    let all = join_all(each.iter().map(|one| record(store, a, one))).await;
    let mut counted: Vec<_> = all.iter().map(|recorded| recorded.counted).collect();
    counted.sort_unstable();
    assert_eq!(counted, [1, 2, 3, 4, 5], "none was counted beside another");
    assert_eq!(all.iter().filter(|recorded| recorded.quarantined).count(), 1);
    assert!(store.quarantined(a).await.unwrap().contains(&digest));
}

async fn some_kinds_stop_at_once_and_some_never(store: &dyn Store, a: TenantId) {
    rule(store, a, "at-once").await;
    assert!(record(store, a, &violation(Kind::DifferentialMismatch, "at-once", 1, THEN)).await.quarantined);
    rule(store, a, "deadly").await;
    let death = |at| violation(Kind::ExecutorDied, "deadly", 1, THEN + at);
    assert!(!record(store, a, &death(0)).await.quarantined);
    assert!(!record(store, a, &death(11 * MINUTE)).await.quarantined, "the first is too long ago");
    assert!(record(store, a, &death(12 * MINUTE)).await.quarantined);
    for kind in Kind::ALL.iter().filter(|kind| !kind.counts()) {
        let many = times(store, a, &violation(*kind, "harmless", 1, THEN), 1_000, None).await;
        assert_eq!((many.counted, many.quarantined), (0, false), "{}", kind.name());
    }
    // Stopped while it was tried, before it had a version.
    let tried = NewViolation { version: None, ..violation(Kind::Trap, "tried", 1, THEN) };
    assert!(!times(store, a, &tried, 1_000, None).await.quarantined);
}

async fn what_was_let_go_is_counted_anew(store: &dyn Store, a: TenantId) {
    let digest = rule(store, a, "let-go").await;
    let trap = |at| violation(Kind::Trap, "let-go", 1, THEN + at);
    let first = times(store, a, &trap(0), 5, None).await;
    assert!(first.quarantined);
    store.release(a, &name("let-go"), 1, &change()).await.unwrap();
    let again = record(store, a, &trap(1)).await;
    assert!(again.opened && again.id != first.id, "what was looked at is not added to");
    assert_eq!((again.counted, again.quarantined), (1, false));
    let known = times(store, a, &trap(2), 3, Some(first.id)).await;
    assert_eq!((known.id, known.counted), (again.id, 4));
    assert!(!store.quarantined(a).await.unwrap().contains(&digest));
    assert!(record(store, a, &trap(3)).await.quarantined);
}

async fn what_is_of_no_tenant_is_of_the_platform(store: &dyn Store, a: TenantId) {
    let abuse = |subject: &str| NewViolation {
        rule: None,
        version: None,
        digest: None,
        subject: subject.to_owned(),
        detail: serde_json::json!({ "address": subject }),
        ..violation(Kind::AuthAbuse, "x", 0, THEN)
    };
    let record = async |subject: &str| {
        let (platform, one) = (Chain(None), abuse(subject));
        store.record_violation(platform, &one, Occurrences::ONE, &FEW, &change()).await.unwrap()
    };
    let (first, again, other) = (record("192.0.2.1").await, record("192.0.2.1").await, record("192.0.2.2").await);
    assert!(again.id == first.id && other.id != first.id);
    let kept = store.violation(Chain(None), first.id).await.unwrap();
    assert_eq!((kept.tenant, kept.count, &kept.detail["address"]), (None, 2, &serde_json::json!("192.0.2.1")));
    assert!(store.violation(Chain(Some(a)), first.id).await.is_err(), "no tenant's");
    let resolved = store.review(first.id, &Review::Resolve { note: "a test".to_owned() }, &change()).await.unwrap();
    assert_eq!(resolved.status, Status::Resolved);
    let log = store.audit(Chain(None), 0, 10_000).await.unwrap();
    assert!(log.iter().any(|entry| entry.action == "violation.resolve" && entry.object == first.id.to_string()));
}
