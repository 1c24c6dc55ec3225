//! The buckets of this process: all that there are without Redis, and with it what decides while it is away.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::gcra::{Bucket, Rate, double, whole};
use super::{Decision, Policy, Source};
use crate::domain::caller::TenantId;

/// Whose, and of what.
pub(super) type Key = (TenantId, Policy);

/// Buckets are looked through for empty ones when there are twice as many as were left the last time, and at least so
/// many.
const SWEEP: usize = 1_024;

/// A bucket, and how much of its level was taken here and may be given back.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    bucket: Bucket,
    /// At most the level.
    reserved: f64,
    rate_per_second: u64,
}

impl Kept {
    fn leak(&mut self, now: u64, rate: Rate) {
        self.bucket.leak(now, rate);
        self.reserved = self.reserved.min(self.bucket.level);
        self.rate_per_second = rate.per_second;
    }
}

#[derive(Debug, Default)]
struct Map {
    buckets: HashMap<Key, Kept>,
    sweep_at: usize,
}

/// Buckets by tenant and policy.
#[derive(Debug)]
pub(super) struct Buckets {
    origin: Instant,
    map: Mutex<Map>,
}

impl Buckets {
    pub fn new() -> Self {
        Self { origin: Instant::now(), map: Mutex::new(Map { buckets: HashMap::new(), sweep_at: SWEEP }) }
    }

    /// Takes from a bucket.
    pub fn take(&self, key: Key, cost: u64, rate: Rate, source: Source) -> Decision {
        self.with(key, rate, |kept, now| {
            let decision = kept.bucket.take(now, cost, rate, source);
            if decision.allowed {
                kept.reserved += double(cost);
            }
            decision
        })
    }

    /// Gives back what was taken here, as far as it was; the rest.
    pub fn give_back(&self, key: Key, cost: u64, rate: Rate) -> u64 {
        self.with(key, rate, |kept, now| {
            let here = cost.min(whole(kept.reserved));
            kept.reserved -= double(here);
            kept.bucket.give_back(now, here, rate);
            cost - here
        })
    }

    /// Sets how full a bucket is, as somebody else knows it.
    pub fn mirror(&self, key: Key, level: f64, rate: Rate) {
        self.with(key, rate, |kept, _| {
            kept.bucket.level = level.max(0.0);
            kept.reserved = kept.reserved.min(kept.bucket.level);
        });
    }

    fn with<T>(&self, key: Key, rate: Rate, use_it: impl FnOnce(&mut Kept, u64) -> T) -> T {
        let now = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut map = self.lock();
        if map.buckets.len() >= map.sweep_at {
            map.buckets.retain(|_, kept| {
                kept.bucket.leak(now, Rate { per_second: kept.rate_per_second, burst: u64::MAX });
                kept.bucket.level > 0.0
            });
            map.sweep_at = SWEEP.max(2 * map.buckets.len());
        }
        let kept = map.buckets.entry(key).or_default();
        kept.leak(now, rate);
        use_it(kept, now)
    }

    fn lock(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn key(n: u128) -> Key {
        (TenantId::from_store(Uuid::from_u128(n)), Policy::Fuel)
    }

    #[test]
    fn only_what_was_taken_here_is_given_back_here() {
        let buckets = Buckets::new();
        let rate = Rate { per_second: 1, burst: 100 };
        buckets.mirror(key(1), 60.0, rate);
        assert_eq!(buckets.give_back(key(1), 50, rate), 50, "taken elsewhere");
        assert!(buckets.take(key(1), 30, rate, Source::Local).allowed);
        assert_eq!(buckets.give_back(key(1), 50, rate), 20);
        assert_eq!(buckets.give_back(key(1), 50, rate), 50, "and once only");
        assert_eq!(buckets.take(key(1), 50, rate, Source::Local).remaining, 40, "what was seen elsewhere counts");
    }

    #[test]
    fn tenants_and_policies_have_buckets_of_their_own() {
        let buckets = Buckets::new();
        let rate = Rate { per_second: 1, burst: 1 };
        assert!(buckets.take(key(1), 1, rate, Source::Shared).allowed);
        assert!(!buckets.take(key(1), 1, rate, Source::Shared).allowed);
        assert!(buckets.take(key(2), 1, rate, Source::Shared).allowed);
        assert!(buckets.take((key(1).0, Policy::Requests), 1, rate, Source::Shared).allowed);
    }

    #[test]
    fn buckets_that_have_run_empty_are_forgotten() {
        let buckets = Buckets::new();
        let (slow, fast) = (Rate { per_second: 1, burst: 1_000_000 }, Rate { per_second: 1 << 40, burst: 1 });
        buckets.take(key(0), 1_000_000, slow, Source::Shared);
        for n in 1..10_000 {
            buckets.take(key(n), 1, fast, Source::Shared);
        }
        let map = buckets.lock();
        assert!(map.buckets.len() <= SWEEP + 1 && map.buckets.contains_key(&key(0)), "{}", map.buckets.len());
    }
}
