//! Whatever happens between counting and the store: in the end, what was counted is there, and once.

use std::collections::HashMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::Meter;
use crate::domain::at::At;
use crate::domain::caller::TenantId;
use crate::domain::usage::{Period, Reading, Usage};

const HOUR: i64 = 3_600_000;

/// What happens, in any order; flushes may overlap, as that of the job and the last one do.
#[derive(Clone, Debug)]
enum Step {
    /// At a time: clocks go back as well.
    Count(i64, u8, Usage),
    /// A flush of a tenant, or of all, reads.
    Read(Option<u8>),
    /// One of the flushes writes what it has read.
    Write(prop::sample::Index, Outcome),
    /// The job forgets what it may, at a time.
    Forget(i64),
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Done,
    Failed,
    /// The commit was done, and its answer lost.
    Unknown,
    /// It was cut off, and comes through much later.
    Late,
}

/// The rows of the store, written as `keep_usage` promises.
#[derive(Default)]
struct Rows(HashMap<(TenantId, At, Uuid), Usage>);

impl Rows {
    fn keep(&mut self, readings: &[Reading]) {
        for Reading { tenant, hour, counter, used } in readings {
            let row = self.0.entry((*tenant, *hour, *counter)).or_default();
            *row = row.later(*used);
        }
    }

    fn sums(&self) -> HashMap<(TenantId, At), Usage> {
        let mut sums = HashMap::<_, Usage>::new();
        for (&(tenant, hour, _), &used) in &self.0 {
            let sum = sums.entry((tenant, hour)).or_default();
            *sum = sum.plus(used);
        }
        sums
    }
}

fn usage() -> impl Strategy<Value = Usage> {
    (0..5_u64, 0..3_u64, 0..4_u64, 0..1_000_u64, 0..1_000_000_u64)
        .prop_map(|(requests, refused, evaluations, bars, fuel)| Usage { requests, refused, evaluations, bars, fuel })
}

fn step() -> impl Strategy<Value = Step> {
    let time = 0..3 * HOUR;
    let outcome = prop_oneof![
        3 => Just(Outcome::Done),
        1 => Just(Outcome::Failed),
        1 => Just(Outcome::Unknown),
        1 => Just(Outcome::Late),
    ];
    prop_oneof![
        6 => (time.clone(), 0..3_u8, usage()).prop_map(|(at, tenant, used)| Step::Count(at, tenant, used)),
        2 => prop::option::of(0..3_u8).prop_map(Step::Read),
        3 => (any::<prop::sample::Index>(), outcome).prop_map(|(which, outcome)| Step::Write(which, outcome)),
        1 => time.prop_map(Step::Forget),
    ]
}

fn tenant(n: u8) -> TenantId {
    TenantId::from_store(Uuid::from_bytes([n + 1; 16]))
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_is_counted_twice(steps in prop::collection::vec(step(), 1..120)) {
        let (meter, mut rows) = (Meter::default(), Rows::default());
        let mut counted = HashMap::<(TenantId, At), Usage>::new();
        let (mut flushes, mut late) = (Vec::<Vec<Reading>>::new(), Vec::new());
        for step in steps {
            match step {
                Step::Count(at, n, used) => {
                    meter.count_at(At(at), tenant(n), used);
                    let sum = counted.entry((tenant(n), Period::Hour.start(At(at)))).or_default();
                    *sum = sum.plus(used);
                }
                Step::Read(whose) => flushes.push(meter.readings(whose.map(tenant))),
                Step::Write(_, _) if flushes.is_empty() => {}
                Step::Write(which, outcome) => {
                    let readings = flushes.swap_remove(which.index(flushes.len()));
                    match outcome {
                        Outcome::Done => {
                            rows.keep(&readings);
                            meter.kept(&readings);
                        }
                        Outcome::Failed => {}
                        Outcome::Unknown => rows.keep(&readings),
                        Outcome::Late => late.push(readings),
                    }
                }
                Step::Forget(now) => meter.forget(At(now)),
            }
            for (key, sum) in rows.sums() {
                let all = counted.get(&key).copied().unwrap_or_default();
                prop_assert_eq!(sum.later(all), all, "more than was counted");
            }
        }
        let last = meter.readings(None);
        rows.keep(&last);
        meter.kept(&last);
        for readings in late.iter().chain(&flushes) {
            rows.keep(readings);
        }
        counted.retain(|_, used| *used != Usage::NONE);
        let mut kept = rows.sums();
        kept.retain(|_, used| *used != Usage::NONE);
        prop_assert_eq!(kept, counted);
        prop_assert_eq!(meter.readings(None).len(), 0);
        meter.forget(At(100 * HOUR));
        prop_assert_eq!(meter.counters(), 0);
    }
}

#[test]
fn a_counter_is_forgotten_when_its_hour_is_over_and_it_is_written() {
    let meter = Meter::default();
    meter.count_at(At(0), tenant(0), Usage::REQUEST);
    meter.forget(At(HOUR));
    assert_eq!((meter.counters(), meter.readings(None).len()), (1, 1), "it is not written");
    meter.kept(&meter.readings(None));
    meter.forget(At(HOUR - 1));
    assert_eq!((meter.counters(), meter.readings(None).len()), (1, 0), "its hour is not over");
    meter.forget(At(HOUR));
    assert_eq!(meter.counters(), 0);
    // The clock went back: it is another counter, whose row stands beside that of the first.
    meter.count_at(At(0), tenant(0), Usage::REQUEST);
    assert_eq!(meter.readings(Some(tenant(0)))[0].used, Usage::REQUEST);
    assert_eq!(meter.readings(Some(tenant(1))), []);
}
