//! Whose turn it is: a receiver that hangs or fails has few tries at a time, and rests after some, and all receivers of a
//! tenant have a part of the tries that there are, so that those of others do not wait behind them. What every process
//! knows is its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// Tries of one receiver at a time.
pub(super) const AT_A_TIME: usize = 4;
/// Of all tries at a time, one tenant has the part by this number.
const TENANT_PART: usize = 4;
/// Receivers and tenants that are passed over when deliveries are looked for; of more, they are found and put off.
const PASSED_OVER: usize = 1_000;
/// Receivers that are known until those are forgotten that have rested.
const KNOWN: usize = 10_000;
/// Failures in a row after which it rests.
const FAILURES: u32 = 3;
/// How long it rests: so long, and twice as long each time after.
const REST: Duration = Duration::from_secs(2);
/// The longest rest.
const LONGEST: Duration = Duration::from_mins(1);
/// Until a delivery is looked at again whose receiver has its tries.
const SOON: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Receiver {
    trying: usize,
    failures: u32,
    rests_until: Option<Instant>,
}

impl Receiver {
    /// How long it rests yet, or until it may have a try again that has all of its tries.
    fn waits(&self, now: Instant) -> Option<Duration> {
        let rest = self.rests_until.and_then(|until| until.checked_duration_since(now)).filter(|rest| !rest.is_zero());
        // Behind a rest, one shows whether it is well again.
        let most = if self.failures >= FAILURES { 1 } else { AT_A_TIME };
        rest.or_else(|| (self.trying >= most).then_some(SOON))
    }
}

#[derive(Debug, Default)]
struct Known {
    receivers: HashMap<Uuid, Receiver>,
    /// Tries of each tenant.
    tenants: HashMap<Uuid, usize>,
}

/// The receivers that are tried, or failed lately.
#[derive(Clone, Debug)]
pub struct Turns {
    known: Arc<Mutex<Known>>,
    of_tenant: usize,
}

/// A try of a receiver, until it is dropped.
#[derive(Debug)]
pub struct Trying {
    turns: Turns,
    tenant: Uuid,
    receiver: Uuid,
    taken: Option<bool>,
}

impl Turns {
    /// Of so many tries at a time.
    pub fn new(at_a_time: usize) -> Self {
        Self { known: Arc::default(), of_tenant: (at_a_time / TENANT_PART).max(1) }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a try of a receiver of a tenant's.
    ///
    /// # Errors
    /// How long to wait before it may be asked for again.
    pub fn begin(&self, tenant: Uuid, receiver: Uuid) -> Result<Trying, Duration> {
        let now = Instant::now();
        let mut known = self.lock();
        let Known { receivers, tenants } = &mut *known;
        if tenants.get(&tenant).is_some_and(|trying| *trying >= self.of_tenant) {
            return Err(SOON);
        }
        if receivers.len() >= KNOWN {
            receivers.retain(|_, one| one.trying > 0 || one.waits(now).is_some());
        }
        let one = receivers.entry(receiver).or_default();
        if let Some(wait) = one.waits(now) {
            return Err(wait);
        }
        one.trying += 1;
        *tenants.entry(tenant).or_default() += 1;
        drop(known);
        Ok(Trying { turns: self.clone(), tenant, receiver, taken: None })
    }

    /// Receivers and tenants that could not have a try now, and receivers that are tried: several tries begin together.
    pub fn busy(&self) -> Vec<Uuid> {
        let now = Instant::now();
        let known = self.lock();
        let tenants = known.tenants.iter().filter(|(_, trying)| **trying >= self.of_tenant).map(|(id, _)| *id);
        let receivers =
            known.receivers.iter().filter(|(_, one)| one.trying > 0 || one.waits(now).is_some()).map(|(id, _)| *id);
        tenants.chain(receivers).take(PASSED_OVER).collect()
    }
}

impl Trying {
    /// How it ended. One that is dropped before says nothing of its receiver.
    pub fn end(mut self, taken: bool) {
        self.taken = Some(taken);
    }
}

impl Drop for Trying {
    fn drop(&mut self) {
        let mut all = self.turns.lock();
        let Known { receivers, tenants } = &mut *all;
        if let Some(trying) = tenants.get_mut(&self.tenant) {
            *trying = trying.saturating_sub(1);
            if *trying == 0 {
                tenants.remove(&self.tenant);
            }
        }
        let Some(known) = receivers.get_mut(&self.receiver) else { return };
        known.trying = known.trying.saturating_sub(1);
        match self.taken {
            Some(true) => (known.failures, known.rests_until) = (0, None),
            Some(false) => {
                known.failures = known.failures.saturating_add(1);
                if let Some(beyond) = known.failures.checked_sub(FAILURES) {
                    let rest = REST.saturating_mul(1 << beyond.min(10)).min(LONGEST);
                    known.rests_until = Instant::now().checked_add(rest);
                }
            }
            None => {}
        }
        // Those that are well are not kept.
        if known.trying == 0 && known.failures == 0 {
            receivers.remove(&self.receiver);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: Uuid = Uuid::from_u128(1);

    #[test]
    fn a_receiver_has_few_tries_at_a_time_and_others_have_theirs() {
        let turns = Turns::new(100);
        let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
        let mut trying: Vec<_> = (0..AT_A_TIME).map(|_| turns.begin(TENANT, one).unwrap()).collect();
        assert_eq!(turns.begin(TENANT, one).unwrap_err(), SOON);
        assert_eq!(turns.busy(), [one]);
        turns.begin(TENANT, other).unwrap().end(true);
        trying.pop().unwrap().end(true);
        assert!(turns.begin(TENANT, one).is_ok());
        drop(trying);
        assert!(turns.busy().is_empty());
        let known = turns.lock();
        assert!(known.receivers.is_empty() && known.tenants.is_empty(), "those that are well are forgotten");
    }

    #[test]
    fn the_receivers_of_a_tenant_have_a_part_of_all_tries() {
        let turns = Turns::new(8);
        let trying: Vec<_> = (0..2).map(|_| turns.begin(TENANT, Uuid::now_v7()).unwrap()).collect();
        assert_eq!(turns.begin(TENANT, Uuid::now_v7()).unwrap_err(), SOON);
        assert!(turns.busy().contains(&TENANT));
        assert!(turns.begin(Uuid::from_u128(2), Uuid::now_v7()).is_ok());
        drop(trying);
        assert!(turns.begin(TENANT, Uuid::now_v7()).is_ok());
        // However few there are.
        assert!(Turns::new(1).begin(TENANT, Uuid::now_v7()).is_ok());
    }

    #[test]
    fn one_that_fails_rests_longer_and_longer_until_it_is_well() {
        let turns = Turns::new(100);
        let one = Uuid::now_v7();
        for _ in 0..FAILURES {
            turns.begin(TENANT, one).unwrap().end(false);
        }
        let rest = turns.begin(TENANT, one).unwrap_err();
        assert!(rest > SOON && rest <= REST, "{rest:?}");
        assert_eq!(turns.busy(), [one]);
        // Its rest is over.
        let over = || turns.lock().receivers.get_mut(&one).unwrap().rests_until = None;
        over();
        let trying = turns.begin(TENANT, one).unwrap();
        assert_eq!(turns.begin(TENANT, one).unwrap_err(), SOON, "one shows whether it is well");
        trying.end(false);
        assert!(turns.begin(TENANT, one).unwrap_err() > REST);
        over();
        turns.begin(TENANT, one).unwrap().end(true);
        assert!(turns.begin(TENANT, one).is_ok());
    }

    #[test]
    fn those_that_failed_once_and_are_not_tried_again_are_forgotten() {
        let turns = Turns::new(100);
        for _ in 0..2 * KNOWN {
            turns.begin(TENANT, Uuid::now_v7()).unwrap().end(false);
        }
        assert!(turns.lock().receivers.len() <= KNOWN);
    }
}
