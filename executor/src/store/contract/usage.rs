//! What tenants used.

use uuid::Uuid;

use crate::domain::at::At;
use crate::domain::caller::TenantId;
use crate::domain::usage::{Period, PeriodUsage, Reading, Span, Usage};
use crate::store::{Old, Store};

const HOUR: i64 = 3_600_000;
/// Midnight of a day long ago, so that nothing else of the contract is near.
const DAY: i64 = 10_000 * 24 * HOUR;

/// Runs this part of the contract.
pub(super) async fn all(store: &dyn Store, a: TenantId, b: TenantId) {
    readings_are_kept_once_whatever_their_order(store, a).await;
    usage_is_summed_by_hour_and_by_day(store, a, b).await;
    what_is_not_kept_yet_is_added(store, a, b).await;
    sums_that_do_not_fit_are_as_large_as_can_be(store, b).await;
    old_usage_is_removed(store, a).await;
}

fn reading(tenant: TenantId, hour: i64, counter: Uuid, n: u64) -> Reading {
    Reading { tenant, hour: At(DAY + hour * HOUR), counter, used: used(n) }
}

fn used(n: u64) -> Usage {
    Usage { requests: n, refused: 2 * n, evaluations: 3 * n, bars: 4 * n, fuel: 5 * n }
}

async fn periods(store: &dyn Store, tenant: TenantId, period: Period, from: i64, to: i64) -> Vec<(i64, Usage)> {
    let span = Span::new(period, Some(At(DAY + from * HOUR)), Some(At(DAY + to * HOUR)), At::now()).unwrap();
    let periods = store.usage(tenant, &span, &[]).await.unwrap();
    periods.into_iter().map(|PeriodUsage { from, used }| ((from.0 - DAY) / HOUR, used)).collect()
}

async fn readings_are_kept_once_whatever_their_order(store: &dyn Store, a: TenantId) {
    let counter = Uuid::now_v7();
    store.keep_usage(&[]).await.unwrap();
    for (n, kept) in [(3, 3), (3, 3), (5, 5), (4, 5), (0, 5), (5, 5)] {
        store.keep_usage(&[reading(a, 0, counter, n)]).await.unwrap();
        assert_eq!(periods(store, a, Period::Hour, 0, 1).await, [(0, used(kept))], "after {n}");
    }
    // One count that grows is a later reading, whichever it is.
    let mut grown = used(5);
    for grow in [
        |used: &mut Usage| used.fuel += 1,
        |used: &mut Usage| used.bars += 1,
        |used: &mut Usage| used.evaluations += 1,
        |used: &mut Usage| used.refused += 1,
        |used: &mut Usage| used.requests += 1,
    ] {
        let before = grown;
        grow(&mut grown);
        let reading = |used| Reading { used, ..reading(a, 0, counter, 0) };
        store.keep_usage(&[reading(grown)]).await.unwrap();
        store.keep_usage(&[reading(before)]).await.unwrap();
        assert_eq!(periods(store, a, Period::Hour, 0, 1).await, [(0, grown)]);
    }
}

async fn usage_is_summed_by_hour_and_by_day(store: &dyn Store, a: TenantId, b: TenantId) {
    let [one, other] = [Uuid::now_v7(), Uuid::now_v7()];
    let readings = [
        reading(a, 24, one, 1),
        reading(a, 24, other, 10),
        reading(a, 25, one, 100),
        reading(a, 47, other, 1_000),
        reading(a, 48, one, 10_000),
        reading(b, 24, one, 100_000),
    ];
    store.keep_usage(&readings).await.unwrap();
    let by_hour = periods(store, a, Period::Hour, 24, 48).await;
    assert_eq!(by_hour, [(24, used(11)), (25, used(100)), (47, used(1_000))]);
    assert_eq!(periods(store, a, Period::Hour, 25, 47).await, [(25, used(100))], "the end is not in it");
    assert_eq!(periods(store, a, Period::Day, 24, 72).await, [(24, used(1_111)), (48, used(10_000))]);
    assert_eq!(periods(store, b, Period::Day, 24, 72).await, [(24, used(100_000))], "a counter is of one tenant");
    assert_eq!(periods(store, b, Period::Hour, 25, 72).await, []);
}

async fn what_is_not_kept_yet_is_added(store: &dyn Store, a: TenantId, b: TenantId) {
    let counters = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    let [one, two, three] = counters;
    store.keep_usage(&[reading(a, 300, one, 5), reading(a, 300, two, 50), reading(b, 300, one, 500)]).await.unwrap();
    let span = |to| Span::new(Period::Hour, Some(At(DAY + 300 * HOUR)), Some(At(DAY + to * HOUR)), At::now()).unwrap();
    let sums = async |to, readings: &[Reading]| {
        let span = span(to);
        let sums = span.sums(&store.usage(a, &span, readings).await.unwrap());
        sums.into_iter().map(|period| period.used).collect::<Vec<_>>()
    };
    assert_eq!(sums(301, &[]).await, [used(55)]);
    assert_eq!(sums(301, &[reading(a, 300, one, 7)]).await, [used(57)], "a later reading counts");
    assert_eq!(sums(301, &[reading(a, 300, one, 4)]).await, [used(55)], "an earlier one does not");
    assert_eq!(sums(301, &[reading(a, 300, three, 9)]).await, [used(64)], "nor is one missing that is new");
    let several =
        [reading(a, 300, one, 6), reading(a, 301, one, 1), reading(a, 302, two, 2), reading(b, 300, three, 9)];
    assert_eq!(sums(302, &several).await, [used(56), used(1)], "those of these hours, of this tenant");
}

async fn sums_that_do_not_fit_are_as_large_as_can_be(store: &dyn Store, b: TenantId) {
    let most = u64::MAX >> 1;
    let full = Usage { requests: most, refused: most, evaluations: most, bars: most, fuel: u64::MAX };
    let reading = |full| Reading { used: full, ..reading(b, 100, Uuid::now_v7(), 0) };
    store.keep_usage(&[reading(full)]).await.unwrap();
    assert_eq!(periods(store, b, Period::Hour, 100, 101).await, [(100, Usage { fuel: most, ..full })]);
    store.keep_usage(&[reading(full)]).await.unwrap();
    let twice = u64::MAX - 1;
    let doubled = Usage { requests: twice, refused: twice, evaluations: twice, bars: twice, fuel: twice };
    assert_eq!(periods(store, b, Period::Hour, 100, 101).await, [(100, doubled)]);
    store.keep_usage(&[reading(full)]).await.unwrap();
    let most = u64::MAX;
    let full = Usage { requests: most, refused: most, evaluations: most, bars: most, fuel: most };
    assert_eq!(periods(store, b, Period::Day, 96, 120).await, [(96, full)]);
}

async fn old_usage_is_removed(store: &dyn Store, a: TenantId) {
    let many = (0..1_500).map(|_| reading(a, 200, Uuid::now_v7(), 1)).collect::<Vec<_>>();
    store.keep_usage(&many).await.unwrap();
    store.keep_usage(&[reading(a, 201, Uuid::now_v7(), 1)]).await.unwrap();
    let old = |hour| Old {
        violations: At(0),
        requests: At(0),
        keys: At(0),
        usage: At(DAY + hour * HOUR),
        events: At(0),
        outbox: At(0),
        windows: At(0),
    };
    assert_eq!(store.remove_old(&old(0)).await.unwrap().usage, 0);
    assert_eq!(periods(store, a, Period::Hour, 200, 202).await, [(200, used(1_500)), (201, used(1))]);
    let mut removed = 0;
    loop {
        let now = store.remove_old(&old(201)).await.unwrap();
        assert!(now.usage <= 1_000, "others would wait");
        removed += now.usage;
        if !now.any() {
            break;
        }
    }
    assert!(removed >= 1_500, "{removed}");
    let left = periods(store, a, Period::Hour, 0, 480).await;
    assert_eq!(left, [(201, used(1)), (300, used(55))]);
}
