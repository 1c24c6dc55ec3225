//! Which of what is remembered still holds.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, iter};

use crate::domain::at::At;
use crate::domain::audit::Chain;

/// Tenants share slots: one that changes makes others look again, which costs them a query and nothing else.
const SLOTS: usize = 1024;
/// Without word from the store for so long, nothing that is remembered holds.
const TRUST: Duration = Duration::from_secs(3);
/// No time of a store.
const UNHEARD: i64 = i64::MIN;

/// Counts the changes of tenants since the start.
pub struct Generations {
    slots: Vec<AtomicU64>,
    all: AtomicU64,
    began: Instant,
    /// Milliseconds from the start to the last word of the store; 0 before the first.
    heard_ms: AtomicU64,
    /// What time it was in the store at the start, in milliseconds; [`UNHEARD`] before its first word.
    origin_ms: AtomicI64,
    hasher: RandomState,
}

impl Generations {
    /// Nothing has changed yet, and the store has not been asked.
    pub fn new() -> Self {
        Self {
            slots: iter::repeat_with(AtomicU64::default).take(SLOTS).collect(),
            all: AtomicU64::default(),
            began: Instant::now(),
            heard_ms: AtomicU64::default(),
            origin_ms: AtomicI64::new(UNHEARD),
            hasher: RandomState::new(),
        }
    }

    fn slot(&self, chain: Chain) -> &AtomicU64 {
        let slots = self.slots.len() as u64;
        let at = usize::try_from(self.hasher.hash_one(chain) % slots.max(1)).unwrap_or(0);
        self.slots.get(at).unwrap_or(&self.all)
    }

    /// Something of a tenant has changed, or of the platform.
    pub fn changed(&self, chain: Chain) {
        // Before whatever is read from now on, and counted in both, so that a reader who does not know yet whose it is
        // can tell that something changed meanwhile.
        self.slot(chain).fetch_add(1, Ordering::SeqCst);
        self.all.fetch_add(1, Ordering::SeqCst);
    }

    /// Anything may have changed.
    pub fn everything_changed(&self) {
        for slot in &self.slots {
            slot.fetch_add(1, Ordering::SeqCst);
        }
        self.all.fetch_add(1, Ordering::SeqCst);
    }

    /// The store has told what changed, up to now, and what time it is.
    pub fn heard(&self, asked: Instant, at: At) {
        let since =
            |at: Instant| u64::try_from(at.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX);
        // What is not told may have happened since it was asked; the time was read not long before it was told.
        let (ms, told_ms) = (since(asked), since(Instant::now()));
        let origin = at.0.saturating_sub(i64::try_from(told_ms).unwrap_or(i64::MAX)).max(UNHEARD + 1);
        self.origin_ms.store(origin, Ordering::SeqCst);
        self.heard_ms.fetch_max(ms.max(1), Ordering::SeqCst);
    }

    /// What time it is in the store: as it said last, and what has passed since. So a key ends on all replicas at the
    /// same time, and a machine whose clock is set back does not let it in again. Before the first word of the store,
    /// the machine's time.
    pub fn now(&self) -> At {
        match self.origin_ms.load(Ordering::SeqCst) {
            UNHEARD => At::now(),
            origin => At(origin).plus(self.began.elapsed()),
        }
    }

    /// How many changes there were at all.
    pub(super) fn count(&self) -> u64 {
        self.all.load(Ordering::SeqCst)
    }

    /// How many changes there were of what may be this tenant's.
    pub(super) fn of(&self, chain: Chain) -> u64 {
        self.slot(chain).load(Ordering::SeqCst)
    }

    #[cfg(test)]
    pub(super) fn share_a_slot(&self, a: Chain, b: Chain) -> bool {
        std::ptr::eq(self.slot(a), self.slot(b))
    }

    /// Whether what is remembered may be trusted: the store has been heard of lately.
    pub fn is_trusted(&self) -> bool {
        let heard = self.heard_ms.load(Ordering::SeqCst);
        heard > 0 && self.began.elapsed() < Duration::from_millis(heard) + TRUST
    }
}

impl Default for Generations {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Generations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generations").field("changes", &self.count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_the_stores_and_goes_on_between_its_words() {
        let generations = Generations::new();
        let difference = |at: At| (generations.now().0 - at.0).abs();
        assert!(difference(At::now()) < 60_000, "nobody has said otherwise");
        for at in [At(At::now().0 + 86_400_000), At(7)] {
            generations.heard(Instant::now(), at);
            assert!(difference(at) < 60_000, "{} is not {at}", generations.now());
        }
        let before = generations.now();
        std::thread::sleep(Duration::from_millis(5));
        assert!(generations.now() > before);
    }
}
