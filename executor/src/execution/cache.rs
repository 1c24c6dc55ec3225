//! What is kept of what was loaded, within a number of entries and of bytes, so that no owner throws out everybody
//! else's: whoever has most makes room, with what he has not used for the longest time.
//!
//! Caches of libraries weigh entries, and know nothing of whose they are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moka::sync::Cache as Once;

use super::fair::Owner;

/// What identifies an entry: the SHA-256 of its bytes.
type Key = [u8; 32];

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Entries.
    pub entries: usize,
    /// Bytes of them.
    pub bytes: usize,
}

/// A cache. Cheap to clone.
#[derive(Clone)]
pub struct Cache<V> {
    bounds: Bounds,
    state: Arc<Mutex<State<V>>>,
    /// Keeps nothing: has those who want the same at the same time wait for the one who makes it.
    making: Once<Key, V>,
}

struct State<V> {
    entries: HashMap<Key, Entry<V>>,
    held: HashMap<Owner, Held>,
    bytes: usize,
    /// Counts uses.
    uses: u64,
}

struct Entry<V> {
    value: V,
    bytes: usize,
    /// Whoever used it last.
    owner: Owner,
    used: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Held {
    entries: usize,
    bytes: usize,
}

impl<V: Clone + Send + Sync + 'static> Cache<V> {
    /// Keeps so much.
    pub fn new(bounds: Bounds) -> Self {
        let state = State { entries: HashMap::new(), held: HashMap::new(), bytes: 0, uses: 0 };
        Self { bounds, state: Arc::new(Mutex::new(state)), making: Once::new(0) }
    }

    /// What is there, which is now this owner's.
    pub fn get(&self, owner: Owner, key: &Key) -> Option<V> {
        self.state().find(owner, key)
    }

    /// What is there, or else is made now, once for all who want it at the same time; with its bytes.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get_or_make<E: Send + Sync + 'static>(
        &self,
        owner: Owner,
        key: Key,
        make: impl FnOnce() -> Result<(V, usize), E>,
    ) -> Result<V, Arc<E>> {
        self.making.try_get_with(key, || {
            if let Some(value) = self.get(owner, &key) {
                return Ok(value);
            }
            let (value, bytes) = make()?;
            self.insert(owner, key, value.clone(), bytes);
            Ok(value)
        })
    }

    fn insert(&self, owner: Owner, key: Key, value: V, bytes: usize) {
        let mut gone = Vec::new();
        {
            let mut state = self.state();
            gone.extend(state.remove(&key));
            state.insert(owner, key, value, bytes);
            while let Some(key) = state.excess(self.bounds, owner) {
                gone.extend(state.remove(&key));
            }
        }
        // To free a module takes its time, and is not done under the lock.
        drop(gone);
    }

    fn state(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> std::fmt::Debug for Cache<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

impl<V: Clone> State<V> {
    fn find(&mut self, owner: Owner, key: &Key) -> Option<V> {
        self.uses += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used = self.uses;
        let (before, bytes, value) = (std::mem::replace(&mut entry.owner, owner), entry.bytes, entry.value.clone());
        if before != owner {
            self.give_back(before, bytes);
            self.hold(owner, bytes);
        }
        Some(value)
    }

    fn insert(&mut self, owner: Owner, key: Key, value: V, bytes: usize) {
        self.uses += 1;
        self.entries.insert(key, Entry { value, bytes, owner, used: self.uses });
        self.bytes = self.bytes.saturating_add(bytes);
        self.hold(owner, bytes);
    }

    fn remove(&mut self, key: &Key) -> Option<V> {
        let Entry { value, bytes, owner, .. } = self.entries.remove(key)?;
        self.bytes = self.bytes.saturating_sub(bytes);
        self.give_back(owner, bytes);
        Some(value)
    }

    /// What has to go, if there is too much. Among those who have equally much it is of whoever brought the last.
    fn excess(&self, bounds: Bounds, last: Owner) -> Option<Key> {
        let by_entries = self.entries.len() > bounds.entries;
        if !by_entries && self.bytes <= bounds.bytes {
            return None;
        }
        let amount = |held: &Held| if by_entries { held.entries } else { held.bytes };
        let (most, _) = self.held.iter().max_by_key(|(owner, held)| (amount(held), **owner == last))?;
        let theirs = self.entries.iter().filter(|(_, entry)| entry.owner == *most);
        theirs.min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key)
    }

    fn hold(&mut self, owner: Owner, bytes: usize) {
        let held = self.held.entry(owner).or_default();
        held.entries += 1;
        held.bytes = held.bytes.saturating_add(bytes);
    }

    fn give_back(&mut self, owner: Owner, bytes: usize) {
        let Some(held) = self.held.get_mut(&owner) else { return };
        held.entries = held.entries.saturating_sub(1);
        held.bytes = held.bytes.saturating_sub(bytes);
        if held.entries == 0 {
            self.held.remove(&owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use uuid::Uuid;

    use super::*;

    const ONE: Owner = Owner(Uuid::from_u128(1));
    const OTHER: Owner = Owner(Uuid::from_u128(2));

    fn key(n: usize) -> Key {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&n.to_le_bytes());
        key
    }

    fn put(cache: &Cache<usize>, owner: Owner, n: usize, bytes: usize) {
        assert_eq!(cache.get_or_make(owner, key(n), || Ok::<_, ()>((n, bytes))).unwrap(), n);
    }

    fn kept(cache: &Cache<usize>, of: impl IntoIterator<Item = usize>) -> Vec<usize> {
        of.into_iter().filter(|n| cache.state().entries.contains_key(&key(*n))).collect()
    }

    #[test]
    fn it_is_bounded_in_entries_and_bytes_and_forgets_what_was_not_used() {
        let cache = Cache::new(Bounds { entries: 3, bytes: 100 });
        (0..3).for_each(|n| put(&cache, ONE, n, 10));
        assert_eq!(cache.get(ONE, &key(0)), Some(0));
        put(&cache, ONE, 3, 10);
        assert_eq!(kept(&cache, 0..4), [0, 2, 3]);
        put(&cache, ONE, 4, 85);
        assert_eq!(kept(&cache, 0..5), [3, 4]);
        put(&cache, ONE, 5, 101);
        assert!(kept(&cache, 0..6).is_empty(), "what never fits is not kept");
        let state = cache.state();
        assert!(state.bytes == 0 && state.held.is_empty());
    }

    #[test]
    fn one_who_loads_without_end_throws_out_his_own() {
        for bytes in [1, 100] {
            let cache = Cache::new(Bounds { entries: 20, bytes: 2_000 });
            (0..9).for_each(|n| put(&cache, OTHER, n, bytes));
            (100..2_000).for_each(|n| put(&cache, ONE, n, bytes));
            assert_eq!(kept(&cache, 0..9).len(), 9);
            assert_eq!(kept(&cache, 100..2_000).len(), 11);
        }
        // Many small ones against a few large ones: the entries are his, and so is the one that goes.
        let cache = Cache::new(Bounds { entries: 20, bytes: 2_000 });
        put(&cache, OTHER, 0, 1_000);
        (100..2_000).for_each(|n| put(&cache, ONE, n, 1));
        assert_eq!(kept(&cache, [0]), [0]);
    }

    #[test]
    fn an_entry_is_whose_it_was_last() {
        let cache = Cache::new(Bounds { entries: 3, bytes: 100 });
        (0..2).for_each(|n| put(&cache, ONE, n, 1));
        assert_eq!(cache.get(OTHER, &key(0)), Some(0));
        (2..9).for_each(|n| put(&cache, ONE, n, 1));
        assert_eq!(kept(&cache, 0..9), [0, 7, 8]);
    }

    #[test]
    fn what_many_want_at_a_time_is_made_once_and_errors_are_not_kept() {
        let cache: Cache<usize> = Cache::new(Bounds { entries: 3, bytes: 100 });
        let (count, start) = (AtomicUsize::new(0), Barrier::new(4));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    let make = || {
                        count.fetch_add(1, Ordering::Relaxed);
                        Ok::<_, ()>((7, 1))
                    };
                    assert_eq!(cache.get_or_make(ONE, key(7), make).unwrap(), 7);
                });
            }
        });
        assert_eq!(count.into_inner(), 1);
        assert!(cache.get_or_make(ONE, key(8), || Err("no")).is_err());
        put(&cache, ONE, 8, 1);
    }
}
