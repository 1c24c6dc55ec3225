//! Looking at violations: lists, what reviewers do, the feed, gauges, and the text of a rule where it must be seen.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rulebox_sandbox::{Digest, Severity};
use uuid::Uuid;

use super::{FEW, MOST, change, name, version, violation};
use crate::domain::at::At;
use crate::domain::audit::Chain;
use crate::domain::caller::TenantId;
use crate::domain::review::{Filter, Position, Review, Status};
use crate::domain::violation::Kind;
use crate::store::{Occurrences, Old, Store, StoreError};

/// Long ago, and apart from what else is recorded here.
const THEN: i64 = 900_000_000_000;
const MINUTE: i64 = 60_000;

/// Runs this part of the contract.
pub(super) async fn all(store: &dyn Store, a: TenantId, b: TenantId) {
    lists_are_filtered_and_come_in_pages(store, a, b).await;
    a_reviewer_sees_and_resolves_once(store, a, b).await;
    the_feed_tells_all_in_order_and_once(store, a, b).await;
    who_reads_the_feed_while_many_write_misses_none(store, a, b).await;
    totals_are_of_what_nobody_has_looked_at(store, a).await;
    the_text_of_a_rule_is_read_under_a_reason(store, a).await;
    a_module_is_found_by_its_digest(store, a, b).await;
    what_is_old_is_removed(store, a).await;
}

async fn open(store: &dyn Store, tenant: TenantId, kind: Kind, rule: &str, at: i64) -> Uuid {
    let one = violation(kind, rule, 1, at);
    let owner = Chain(Some(tenant));
    store.record_violation(owner, &one, Occurrences::ONE, &FEW, &change()).await.unwrap().id
}

async fn lists_are_filtered_and_come_in_pages(store: &dyn Store, a: TenantId, b: TenantId) {
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(open(store, a, Kind::OutputLimit, "listed", THEN + n * MINUTE).await);
    }
    // Two at the same time are told apart by their ids.
    let twin = open(store, a, Kind::DeadlineExceeded, "listed", THEN + 4 * MINUTE).await;
    let of_b = open(store, b, Kind::OutputLimit, "listed", THEN + 2 * MINUTE).await;
    let listed = |filter: Filter| Filter { rule: Some(name("listed")), ..filter };
    let found = async |owner, filter: Filter| {
        let page = store.violations(owner, &listed(filter), None, 100).await.unwrap();
        page.into_iter().map(|violation| violation.id).collect::<Vec<_>>()
    };
    let (own, all) = (Chain(Some(a)), Chain(None));
    let every = found(own, Filter::default()).await;
    assert_eq!(every.len(), 6);
    assert!(every[..2].contains(&twin) && every[..2].contains(&ids[4]), "the newest first");
    assert_eq!(every[2..], [ids[3], ids[2], ids[1], ids[0]]);
    assert_eq!(found(all, Filter::default()).await.len(), 7);
    assert_eq!(found(all, Filter { tenant: Some(b), ..Filter::default() }).await, [of_b]);
    assert_eq!(
        found(own, Filter { tenant: Some(b), ..Filter::default() }).await.len(),
        6,
        "its own, whatever is asked"
    );
    let kind = Filter { kind: Some(Kind::DeadlineExceeded), ..Filter::default() };
    assert_eq!(found(own, kind).await, [twin]);
    let severity = Filter { severity: Some(Severity::Medium), ..Filter::default() };
    assert_eq!(found(own, severity).await, [twin]);
    let span = Filter { from: Some(At(THEN + MINUTE)), to: Some(At(THEN + 3 * MINUTE)), ..Filter::default() };
    assert_eq!(found(own, span).await, [ids[2], ids[1]], "from then on, and until before");
    store.review(ids[1], &Review::Acknowledge, &change()).await.unwrap();
    let status = |status| Filter { status: Some(status), ..Filter::default() };
    assert_eq!(found(own, status(Status::Acknowledged)).await, [ids[1]]);
    assert!(found(own, status(Status::Resolved)).await.is_empty());
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = store.violations(own, &listed(Filter::default()), after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.at, last.id));
        paged.extend(page.iter().map(|violation| violation.id));
    }
    assert_eq!(paged, every);
    assert!(matches!(store.violation(own, of_b).await, Err(StoreError::NoViolation)));
    assert_eq!(store.violation(all, of_b).await.unwrap().tenant_name.as_deref(), Some("second"));
}

async fn a_reviewer_sees_and_resolves_once(store: &dyn Store, a: TenantId, b: TenantId) {
    let id = open(store, a, Kind::OutputLimit, "reviewed", THEN).await;
    let resolve = |note: &str| Review::Resolve { note: note.to_owned() };
    let (first, second) = (change(), change());
    let seen = store.review(id, &Review::Acknowledge, &first).await.unwrap();
    assert_eq!((seen.status, seen.changed_by.as_deref()), (Status::Acknowledged, Some(&*first.actor.name)));
    let again = store.review(id, &Review::Acknowledge, &second).await.unwrap();
    assert_eq!(again, seen, "once more changes nothing");
    let done = store.review(id, &resolve("looked at"), &first).await.unwrap();
    assert_eq!((done.status, done.note.as_deref()), (Status::Resolved, Some("looked at")));
    assert_eq!(store.review(id, &resolve("another note"), &second).await.unwrap(), done);
    assert!(matches!(store.review(id, &Review::Acknowledge, &second).await, Err(StoreError::Resolved)));
    let missing = store.review(Uuid::now_v7(), &Review::Acknowledge, &first).await;
    assert!(matches!(missing, Err(StoreError::NoViolation)), "{missing:?}");
    // Of two at the same time, one does it.
    let raced = open(store, b, Kind::OutputLimit, "reviewed", THEN).await;
    let notes = ["one", "two", "three", "four"].map(resolve);
    let by = change();
    let all = join_all(notes.iter().map(|review| store.review(raced, review, &by))).await;
    let kept = store.violation(Chain(None), raced).await.unwrap().note;
    assert!(all.iter().all(|done| done.as_ref().unwrap().note == kept), "{all:?}");
    for (tenant, id, entries) in [(a, id, 2), (b, raced, 1)] {
        let log = store.audit(Chain(Some(tenant)), 0, 10_000).await.unwrap();
        assert_eq!(log.iter().filter(|entry| entry.object == id.to_string()).count(), entries);
    }
}

/// Reads the feed from a place on until nothing comes, a few at a time.
async fn read(store: &dyn Store, owner: Chain, mut after: Position) -> Vec<(Position, String, serde_json::Value)> {
    let mut told = Vec::new();
    loop {
        let events = store.feed(owner, after, 3).await.unwrap();
        let Some(last) = events.last() else { return told };
        assert!(events.iter().map(|event| event.position).is_sorted_by(|a, b| a < b) && events[0].position > after);
        after = last.position;
        let body = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        told.extend(events.iter().map(|event| (event.position, event.topic.clone(), body(&event.body))));
    }
}

/// As many events as there must be: a transaction of somebody else's on the same server holds them back for a moment.
async fn read_all(
    store: &dyn Store,
    owner: Chain,
    after: Position,
    n: usize,
) -> Vec<(Position, String, serde_json::Value)> {
    let began = Instant::now();
    loop {
        let told = read(store, owner, after).await;
        if told.len() >= n || began.elapsed() > Duration::from_secs(20) {
            return told;
        }
        tokio::task::yield_now().await;
    }
}

async fn the_feed_tells_all_in_order_and_once(store: &dyn Store, a: TenantId, b: TenantId) {
    let (own, all) = (Chain(Some(a)), Chain(None));
    let start = store.feed_end(all).await.unwrap();
    let rule = name("fed");
    let digest = Digest::of(b"fed");
    let new = crate::domain::rule::NewVersion { digest, ..version(1) };
    store.create_rule(a, &rule, &new, &MOST, &change()).await.unwrap();
    let id = open(store, a, Kind::Trap, "fed", THEN).await;
    open(store, a, Kind::Trap, "fed", THEN + 1).await;
    open(store, b, Kind::Trap, "fed", THEN).await;
    store.review(id, &Review::Acknowledge, &change()).await.unwrap();
    store.review(id, &Review::Acknowledge, &change()).await.unwrap();
    let note = "words of an investigation".to_owned();
    store.review(id, &Review::Resolve { note }, &change()).await.unwrap();
    store.quarantine(a, &rule, 1, "by hand", &change()).await.unwrap();
    store.quarantine(a, &rule, 1, "by hand", &change()).await.unwrap();
    store.release(a, &rule, 1, &change()).await.unwrap();
    let expected = [
        "violation.opened",
        "violation.repeated",
        "violation.acknowledged",
        "violation.resolved",
        "rule.quarantined",
        "rule.released",
    ];
    let told = read_all(store, own, start, expected.len()).await;
    assert_eq!(told.iter().map(|(_, topic, _)| topic.as_str()).collect::<Vec<_>>(), expected);
    for (_, topic, body) in &told {
        assert_eq!(body["type"], *topic);
        assert!(body["timestamp"].is_string() && body["data"]["tenant"].is_string(), "{body:#}");
        assert!(!body.to_string().contains("investigation"), "{body:#}");
    }
    assert_eq!((&told[1].2["data"]["count"], &told[1].2["data"]["id"]), (&2.into(), &id.to_string().into()));
    assert_eq!(told[4].2["data"]["reason"], "by hand");
    assert_eq!(read_all(store, all, start, expected.len() + 1).await.len(), expected.len() + 1, "and b's");
    for (n, (position, ..)) in told.iter().enumerate() {
        assert_eq!(read(store, own, *position).await, told[n + 1..], "who goes on there");
    }
    let ahead = Position { turn: i64::MAX, seq: i64::MAX };
    if start.turn > 0 {
        assert_eq!(read(store, own, ahead).await, [], "a place that is not there yet");
    }
}

/// Writers at a time.
const WRITERS: usize = 20;
/// Violations of each.
const EACH: usize = 15;

async fn who_reads_the_feed_while_many_write_misses_none(store: &dyn Store, a: TenantId, b: TenantId) {
    let start = store.feed_end(Chain(None)).await.unwrap();
    let over = AtomicUsize::new(0);
    let write = async |writer: usize| {
        let tenant = if writer.is_multiple_of(2) { a } else { b };
        let mut ids = Vec::new();
        for n in 0..EACH {
            let rule = format!("writer-{writer}-{n}");
            ids.push(open(store, tenant, Kind::OutputLimit, &rule, THEN).await);
        }
        over.fetch_add(1, Ordering::SeqCst);
        ids
    };
    // Reads a few at a time, and each time goes on as one who was cut off: from the last place that it knows.
    let reading = async |owner: Chain| {
        let (mut after, mut told) = (start, Vec::new());
        let began = Instant::now();
        loop {
            let all_written = over.load(Ordering::SeqCst) == WRITERS;
            let events = store.feed(owner, after, 7).await.unwrap();
            if let Some(last) = events.last() {
                after = last.position;
            }
            let is_last = all_written && events.is_empty();
            told.extend(events);
            let enough = told.len() >= WRITERS * EACH / if owner.0.is_some() { 2 } else { 1 };
            if is_last && (enough || began.elapsed() > Duration::from_secs(30)) {
                return told;
            }
            tokio::task::yield_now().await;
        }
    };
    let writing = join_all((0..WRITERS).map(write));
    let (written, all, of_a) = futures_util::join!(writing, reading(Chain(None)), reading(Chain(Some(a))));
    let told = |events: &[crate::domain::review::SecurityEvent]| {
        let ids: Vec<String> = events
            .iter()
            .map(|event| serde_json::from_str::<serde_json::Value>(&event.body).unwrap()["data"]["id"].to_string())
            .collect();
        let distinct: BTreeSet<_> = ids.iter().cloned().collect();
        assert_eq!(distinct.len(), ids.len(), "none twice");
        distinct
    };
    let expected = |of: &dyn Fn(usize) -> bool| -> BTreeSet<String> {
        let ids = written.iter().enumerate().filter(|(writer, _)| of(*writer)).flat_map(|(_, ids)| ids);
        ids.map(|id| format!("\"{id}\"")).collect()
    };
    assert_eq!(told(&all), expected(&|_| true));
    assert_eq!(told(&of_a), expected(&|writer| writer.is_multiple_of(2)));
}

async fn totals_are_of_what_nobody_has_looked_at(store: &dyn Store, a: TenantId) {
    let open_of = async |severity: &str| {
        let totals = store.review_totals().await.unwrap();
        totals.open.iter().find(|(name, _)| name == severity).map_or(0, |(_, n)| *n)
    };
    let before = open_of("critical").await;
    let id = open(store, a, Kind::StateForged, "totals", THEN).await;
    open(store, a, Kind::StateForged, "totals", THEN).await;
    assert_eq!(open_of("critical").await, before + 1);
    store.review(id, &Review::Acknowledge, &change()).await.unwrap();
    assert_eq!(open_of("critical").await, before);
    let quarantined = async || {
        let totals = store.review_totals().await.unwrap();
        totals.quarantined.iter().find(|(tenant, _)| *tenant == a).map_or(0, |(_, n)| *n)
    };
    assert_eq!(quarantined().await, store.quarantined(a).await.unwrap().len() as u64);
    assert!(quarantined().await > 0, "the contract has stopped some");
}

async fn the_text_of_a_rule_is_read_under_a_reason(store: &dyn Store, a: TenantId) {
    let rule = name("begins");
    let by = change();
    store.break_glass(a, &rule, 1, "an incident", &by).await.unwrap();
    for chain in [Chain(Some(a)), Chain(None)] {
        let log = store.audit(chain, 0, 10_000).await.unwrap();
        let entry = log.iter().find(|entry| entry.action == "rule.break_glass").unwrap();
        assert_eq!((entry.object.as_str(), entry.actor.id), ("begins", by.actor.id));
        assert!(entry.detail.contains("an incident") && !entry.detail.contains("equity"), "{}", entry.detail);
    }
    let none = store.break_glass(a, &rule, 99, "an incident", &by).await;
    assert!(matches!(none, Err(StoreError::NoVersion(..))), "{none:?}");
    assert!(matches!(store.break_glass(a, &name("no"), 1, "x", &by).await, Err(StoreError::NoRule(_))));
}

async fn a_module_is_found_by_its_digest(store: &dyn Store, a: TenantId, b: TenantId) {
    let digest = Digest::of(b"found by digest");
    let new = crate::domain::rule::NewVersion { digest, ..version(1) };
    store.create_rule(a, &name("by-digest"), &new, &MOST, &change()).await.unwrap();
    assert_eq!(store.version_of(a, digest).await.unwrap(), Some((name("by-digest"), 1)));
    assert_eq!(store.version_of(b, digest).await.unwrap(), None);
}

async fn what_is_old_is_removed(store: &dyn Store, a: TenantId) {
    let old = violation(Kind::OutputLimit, "ancient", 1, 1_000);
    let owner = Chain(Some(a));
    let id = store.record_violation(owner, &old, Occurrences::ONE, &FEW, &change()).await.unwrap().id;
    let none = Old {
        violations: At(0),
        requests: At(0),
        keys: At(0),
        usage: At(0),
        events: At(0),
        outbox: At(0),
        windows: At(0),
    };
    assert!(!store.remove_old(&none).await.unwrap().any());
    let removed = store.remove_old(&Old { violations: At(2_000), windows: At(2_000), ..none }).await.unwrap();
    assert_eq!((removed.violations, removed.windows, removed.events), (1, 1, 0));
    assert!(matches!(store.violation(owner, id).await, Err(StoreError::NoViolation)));
    let loud = violation(Kind::AbiBreach, "lasting", 1, 1_000_000_000_000);
    let loud = store.record_violation(owner, &loud, Occurrences::ONE, &FEW, &change()).await.unwrap().id;
    let mut events = 0;
    loop {
        let removed = store.remove_old(&Old { events: At(i64::MAX), outbox: At(i64::MAX), ..none }).await.unwrap();
        events += removed.events;
        if !removed.any() {
            break;
        }
    }
    assert!(events > 300, "{events} events");
    assert_eq!(read(store, Chain(None), Position::default()).await, []);
    assert_eq!(store.outbox_backlog(false).await.unwrap(), 0);
    // An alert lasts until somebody has resolved its violation, however long that takes.
    assert!(store.outbox_backlog(true).await.unwrap() > 0);
    store.review(loud, &Review::Resolve { note: "late".to_owned() }, &change()).await.unwrap();
    let before = store.outbox_backlog(true).await.unwrap();
    let removed = store.remove_old(&Old { outbox: At(i64::MAX), ..none }).await.unwrap();
    assert_eq!(removed.outbox, 2, "what it was, and that it is over");
    assert_eq!(store.outbox_backlog(true).await.unwrap(), before - 1);
}
