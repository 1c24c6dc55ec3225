//! The generic cell rate algorithm (ITU-T I.371, annex A; ATM Forum Traffic Management 4.1, 4.4.2), in its form of a
//! continuous-state leaky bucket, which both show to be the same as the form with a theoretical arrival time:
//! `TAT = at + level / rate`.
//!
//! The level is kept and not the arrival time: a bar costs nanoseconds of a rate of fuel, which a time in microseconds
//! would round to nothing.
//!
//! `redis/limit.lua` does the same operations on the same doubles in the same order; a test holds one against the
//! other. Change both.

use std::time::Duration;

use super::{Decision, Quota, Source};

/// Doubles count to here without a gap.
const MOST: u64 = 1 << 53;

/// A quota as the formulas take it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// Units a second.
    pub per_second: u64,
    /// The height of the bucket.
    pub burst: u64,
}

impl From<Quota> for Rate {
    fn from(quota: Quota) -> Self {
        Self { per_second: quota.per_second.clamp(1, MOST), burst: quota.burst.min(MOST) }
    }
}

impl Rate {
    /// The part of one of so many.
    pub fn share(self, parts: u64) -> Self {
        let parts = parts.max(1);
        // A share of nothing would refuse what the quota allows.
        Self { per_second: (self.per_second / parts).max(1), burst: (self.burst / parts).max(self.burst.min(1)) }
    }
}

/// How full a bucket was, and when. Cost is poured in, and it leaks at the rate of its quota.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Bucket {
    /// Units; not negative.
    pub level: f64,
    /// Microseconds since an origin that all uses of a bucket share.
    pub at: u64,
}

impl Bucket {
    /// Lets leak what has leaked until now. A clock that was set back stops the leak for that one time only.
    pub fn leak(&mut self, now: u64, rate: Rate) {
        if now > self.at {
            self.level = (self.level - double(now - self.at) * double(rate.per_second) / 1e6).max(0.0);
        }
        self.at = now;
        // The quota may have been lowered: what was taken under the one before is no debt.
        self.level = self.level.min(double(rate.burst));
    }

    /// Pours `cost` in, if it does not run over.
    pub fn take(&mut self, now: u64, cost: u64, rate: Rate, source: Source) -> Decision {
        self.leak(now, rate);
        let (cost, burst, per_second) = (cost.min(MOST), double(rate.burst), double(rate.per_second));
        let over = self.level + double(cost) - burst;
        let allowed = over <= 0.0;
        if allowed {
            self.level += double(cost);
        }
        Decision {
            allowed,
            remaining: whole((burst - self.level).floor()),
            retry_after: match allowed {
                true => Duration::ZERO,
                false if cost > rate.burst => Duration::MAX,
                false => microseconds(over * 1e6 / per_second),
            },
            reset_after: microseconds(self.level * 1e6 / per_second),
            source,
        }
    }

    /// Takes `cost` out again, as far as there is any.
    pub fn give_back(&mut self, now: u64, cost: u64, rate: Rate) {
        self.leak(now, rate);
        self.level = (self.level - double(cost.min(MOST))).max(0.0);
    }
}

fn microseconds(value: f64) -> Duration {
    Duration::from_micros(whole(value.ceil()))
}

#[expect(clippy::cast_precision_loss, reason = "at most 2^53, or the double that Lua would make of it")]
pub(super) fn double(value: u64) -> f64 {
    value as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
pub(super) fn whole(value: f64) -> u64 {
    value.clamp(0.0, double(MOST)) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUOTA: Quota = Quota { per_second: 10, burst: 20 };

    #[test]
    fn a_quota_that_is_lowered_makes_no_debt() {
        let (high, low) = (Quota { per_second: 1_000, burst: 3_000 }.into(), Quota { per_second: 1, burst: 2 }.into());
        let mut bucket = Bucket::default();
        assert!(bucket.take(1, 3_000, high, Source::Local).allowed);
        let refused = bucket.take(2, 1, low, Source::Local);
        assert!(!refused.allowed && refused.retry_after <= Duration::from_secs(1), "{refused:?}");
        assert!(bucket.take(1_000_002, 1, low, Source::Local).allowed);
    }

    fn take(bucket: &mut Bucket, now: u64, cost: u64, quota: Quota) -> Decision {
        bucket.take(now, cost, quota.into(), Source::Shared)
    }

    #[test]
    fn a_burst_passes_then_the_rate() {
        let mut bucket = Bucket::default();
        for left in (0..20).rev() {
            let decision = take(&mut bucket, 5, 1, QUOTA);
            assert!(decision.allowed && decision.remaining == left, "{decision:?}");
        }
        let decision = take(&mut bucket, 5, 1, QUOTA);
        assert_eq!((decision.allowed, decision.retry_after), (false, Duration::from_millis(100)));
        assert_eq!(decision.reset_after, Duration::from_secs(2));
        assert!(!take(&mut bucket, 100_004, 1, QUOTA).allowed);
        assert!(take(&mut bucket, 100_005, 1, QUOTA).allowed, "at the very microsecond that it was told");
    }

    #[test]
    fn small_costs_of_large_rates_are_not_rounded_away() {
        let quota = Quota { per_second: 20_000_000_000, burst: 41_000 };
        let mut bucket = Bucket::default();
        let taken = (0..2_000).filter(|_| take(&mut bucket, 1_790_000_000_000_000, 41, quota).allowed).count();
        assert_eq!(taken, 1_000);
    }

    #[test]
    fn more_than_the_burst_never_passes_and_takes_nothing() {
        let mut bucket = Bucket::default();
        for cost in [21, u64::MAX] {
            let decision = take(&mut bucket, 0, cost, QUOTA);
            assert_eq!((decision.allowed, decision.retry_after, decision.remaining), (false, Duration::MAX, 20));
        }
    }

    #[test]
    fn a_clock_that_is_set_back_neither_blocks_nor_frees() {
        let mut bucket = Bucket::default();
        assert!(take(&mut bucket, 3_600_000_000, 20, QUOTA).allowed);
        assert!(!take(&mut bucket, 1_000_000, 1, QUOTA).allowed);
        assert!(take(&mut bucket, 1_100_000, 1, QUOTA).allowed, "it goes on from the new time");
    }

    #[test]
    fn quotas_at_their_ends_are_no_errors() {
        for quota in [
            Quota { per_second: 0, burst: 0 },
            Quota { per_second: 0, burst: u64::MAX },
            Quota { per_second: u64::MAX, burst: u64::MAX },
        ] {
            let mut bucket = Bucket::default();
            let decision = take(&mut bucket, u64::MAX, u64::MAX, quota);
            assert_eq!(decision.allowed, quota.burst > 0, "{quota:?} {decision:?}");
            bucket.give_back(0, u64::MAX, quota.into());
            assert!(bucket.level.abs() < f64::EPSILON);
        }
        let share = Rate::from(Quota { per_second: 2, burst: 1 }).share(5);
        assert_eq!((share.per_second, share.burst), (1, 1));
        assert_eq!(Rate::from(Quota { per_second: 1, burst: 0 }).share(5).burst, 0, "nothing stays nothing");
    }

    proptest! {
        #[test]
        fn never_more_passes_than_burst_and_rate_allow(
            per_second in 1_u64..1_000,
            burst in 1_u64..1_000,
            steps in prop::collection::vec((0_u64..500_000, 0_u64..300), 1..200),
        ) {
            let quota = Quota { per_second, burst };
            let mut bucket = Bucket::default();
            let (mut now, mut passed) = (0, 0.0);
            for (later, cost) in steps {
                now += later;
                if take(&mut bucket, now, cost, quota).allowed {
                    passed += double(cost);
                }
                let most = double(burst) + double(now) * double(per_second) / 1e6;
                prop_assert!(passed <= most * (1.0 + 1e-12), "{passed} of {most}");
            }
        }

        #[test]
        fn what_is_refused_passes_when_it_was_told_to_come_back(
            per_second in 1_u64..1_000_000,
            burst in 1_u64..1_000_000,
            level in 0.0_f64..1.0,
            cost in 0.0_f64..1.0,
        ) {
            let quota = Quota { per_second, burst };
            let mut bucket = Bucket { level: level * double(burst), at: 0 };
            let cost = whole(cost * double(burst));
            let decision = take(&mut bucket, 0, cost, quota);
            let later = u64::try_from(decision.retry_after.as_micros()).unwrap();
            // The last bit of a double may be missing at the very microsecond.
            prop_assert!(decision.allowed || take(&mut bucket, later + 1, cost, quota).allowed);
        }
    }
}
