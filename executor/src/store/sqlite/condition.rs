//! What requests have met, for readiness: a write of one row may succeed where that of a rule does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::store::{StoreError, Unavailable};

/// What requests have met since the start.
#[derive(Debug, Default)]
pub(super) struct Condition {
    full: AtomicBool,
    damaged: AtomicBool,
    committed: Mutex<Option<Instant>>,
}

impl Condition {
    /// An operation failed so.
    pub(super) fn met(&self, error: &StoreError) {
        match error {
            StoreError::Unavailable(Unavailable::Full(_)) => self.full.store(true, Ordering::Relaxed),
            StoreError::Unavailable(Unavailable::Damaged(_)) => self.damaged.store(true, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Something was written and committed.
    pub(super) fn committed(&self) {
        *self.committed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether something was written and committed so shortly ago.
    pub(super) fn committed_within(&self, time: Duration) -> bool {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() < time)
    }

    /// Whether there was no room, and nothing has shown since that there is.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// There is room again.
    pub(super) fn has_room(&self) {
        self.full.store(false, Ordering::Relaxed);
    }

    /// Whether damage was met. It does not heal.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }
}
