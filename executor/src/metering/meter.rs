//! The counters of this process.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::iter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::domain::at::At;
use crate::domain::caller::TenantId;
use crate::domain::usage::{Period, Reading, Usage};
use crate::invalidation::Generations;
use crate::store::{PlatformStore, StoreError};

/// Tenants share them: few enough to be looked through, and enough that threads seldom meet at one.
const SHARDS: usize = 64;
/// Readings of one transaction: a store with one writer must not keep others waiting.
const READINGS: usize = 200;

/// A counter. Its id is its own, so that one that begins anew after it was forgotten (the clock was set back over the
/// hour) adds to what the other has written, and does not replace it.
#[derive(Debug)]
struct Counter {
    id: Uuid,
    used: Usage,
    /// What the store is known to have.
    kept: Usage,
}

type Counters = HashMap<(TenantId, At), Counter>;

/// What tenants used, by the hour, as far as this process has seen it.
pub struct Meter {
    shards: Vec<Mutex<Counters>>,
    /// Tells the time by which hours begin and end, the same on all replicas.
    generations: Arc<Generations>,
    hasher: RandomState,
}

impl Meter {
    /// Nothing has been used.
    pub fn new(generations: Arc<Generations>) -> Self {
        let shards = iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Self { shards, generations, hasher: RandomState::new() }
    }

    fn shard(&self, tenant: TenantId) -> Option<MutexGuard<'_, Counters>> {
        let at = usize::try_from(self.hasher.hash_one(tenant) % SHARDS as u64).unwrap_or(0);
        Some(self.shards.get(at)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts what a tenant has used now.
    pub fn count(&self, tenant: TenantId, used: Usage) {
        self.count_at(self.generations.now(), tenant, used);
    }

    /// Counts what a tenant used at a time.
    pub(super) fn count_at(&self, at: At, tenant: TenantId, used: Usage) {
        let Some(mut counters) = self.shard(tenant) else { return };
        // A clock before 1970 is wrong; what was used was used.
        let hour = Period::Hour.start(at.max(At(0)));
        let new = || Counter { id: Uuid::now_v7(), used: Usage::NONE, kept: Usage::NONE };
        let counter = counters.entry((tenant, hour)).or_insert_with(new);
        counter.used = counter.used.plus(used);
    }

    /// Readings of the counters that the store does not have as they are: those of a tenant, or of all.
    pub fn readings(&self, whose: Option<TenantId>) -> Vec<Reading> {
        let mut readings = Vec::new();
        let mut read = |counters: &Counters| {
            let news = counters.iter().filter(|((tenant, _), counter)| {
                whose.is_none_or(|whose| whose == *tenant) && counter.used != counter.kept
            });
            readings.extend(news.map(|(&(tenant, hour), counter)| Reading {
                tenant,
                hour,
                counter: counter.id,
                used: counter.used,
            }));
        };
        match whose {
            Some(tenant) => {
                if let Some(counters) = self.shard(tenant) {
                    read(&counters);
                }
            }
            None => self.each_shard(|counters| read(counters)),
        }
        readings
    }

    fn each_shard(&self, mut with: impl FnMut(&mut Counters)) {
        for shard in &self.shards {
            with(&mut shard.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// The store has these readings.
    pub(super) fn kept(&self, readings: &[Reading]) {
        for reading in readings {
            let Some(mut counters) = self.shard(reading.tenant) else { continue };
            let Some(counter) = counters.get_mut(&(reading.tenant, reading.hour)) else { continue };
            if counter.id == reading.counter {
                counter.kept = counter.kept.later(reading.used);
            }
        }
    }

    /// Forgets the counters of other hours than this one that the store has. So there are about as many as tenants that
    /// were seen within an hour.
    pub(super) fn forget(&self, now: At) {
        let hour = Period::Hour.start(now);
        self.each_shard(|counters| {
            counters.retain(|(_, of), counter| *of == hour || counter.used != counter.kept);
            if counters.len().saturating_mul(4) < counters.capacity() {
                counters.shrink_to_fit();
            }
        });
    }

    /// Writes what the store does not have to it. It may be cut off, and done twice at a time.
    ///
    /// # Errors
    /// If the store fails; what was not written stays to be written.
    pub async fn flush(&self, store: &dyn PlatformStore) -> Result<(), StoreError> {
        for readings in self.readings(None).chunks(READINGS) {
            store.keep_usage(readings).await?;
            self.kept(readings);
        }
        self.forget(self.generations.now());
        Ok(())
    }

    /// Counters that are in memory.
    #[cfg(test)]
    pub(super) fn counters(&self) -> usize {
        let mut counters = 0;
        self.each_shard(|shard| counters += shard.len());
        counters
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}
