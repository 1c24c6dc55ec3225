//! A circuit breaker: after some failures in a row nobody asks Redis any more but one, now and then, until it answers.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whether Redis is asked.
#[derive(Debug)]
pub(super) struct Breaker {
    failures: u32,
    rest: Duration,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Everybody asks; so many have failed in a row.
    Closed { failed: u32 },
    /// Nobody asks.
    Open { since: Instant },
    /// One asks.
    HalfOpen,
}

/// What a change of state is worth saying of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// Nobody asks any more.
    Open,
    /// Everybody asks again.
    Closed,
}

impl Breaker {
    /// Opens after `failures` in a row, and lets one try after every `rest`.
    pub fn new(failures: u32, rest: Duration) -> Self {
        Self { failures: failures.max(1), rest, state: Mutex::new(State::Closed { failed: 0 }) }
    }

    /// Whether everybody may ask.
    pub fn is_closed(&self) -> bool {
        matches!(*self.lock(), State::Closed { .. })
    }

    /// Whether one that tries may ask now. It has to tell the result, also if it gives up.
    pub fn may_try(&self, now: Instant) -> bool {
        let mut state = self.lock();
        match *state {
            State::Closed { .. } => true,
            State::Open { since } if now.saturating_duration_since(since) >= self.rest => {
                *state = State::HalfOpen;
                true
            }
            State::Open { .. } | State::HalfOpen => false,
        }
    }

    /// Redis answered.
    pub fn succeeded(&self) -> Option<Turned> {
        let mut state = self.lock();
        let before = std::mem::replace(&mut *state, State::Closed { failed: 0 });
        (!matches!(before, State::Closed { .. })).then_some(Turned::Closed)
    }

    /// Redis did not answer.
    pub fn failed(&self, now: Instant) -> Option<Turned> {
        let mut state = self.lock();
        match *state {
            State::Closed { failed } if failed + 1 < self.failures => {
                *state = State::Closed { failed: failed + 1 };
                None
            }
            State::Closed { .. } => {
                *state = State::Open { since: now };
                Some(Turned::Open)
            }
            // Of those who asked before it opened; they are no reason to wait longer.
            State::Open { .. } => None,
            State::HalfOpen => {
                *state = State::Open { since: now };
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_millis(500);

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_try_at_a_time() {
        let (breaker, start) = (Breaker::new(3, REST), Instant::now());
        assert!(breaker.failed(start).is_none() && breaker.failed(start).is_none());
        assert_eq!(breaker.succeeded(), None, "the row is broken");
        assert!(breaker.failed(start).is_none() && breaker.failed(start).is_none() && breaker.is_closed());
        assert_eq!(breaker.failed(start), Some(Turned::Open));
        assert_eq!(breaker.failed(start), None, "it is open already");

        assert!(!breaker.is_closed() && !breaker.may_try(start + REST / 2));
        assert!(breaker.may_try(start + REST));
        assert!(!breaker.may_try(start + REST * 2), "one is trying");
        assert_eq!(breaker.failed(start + REST), None);
        assert!(!breaker.may_try(start + REST), "and it rests again");
        assert!(breaker.may_try(start + REST * 2) && !breaker.is_closed());
        assert_eq!(breaker.succeeded(), Some(Turned::Closed));
        assert!(breaker.is_closed() && breaker.may_try(start));
        assert!(breaker.failed(start).is_none(), "it counts from the start");
    }
}
