//! The modules that are kept loaded: a bounded set, by digest, the least recently used one out first.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::module::{Digest, Module};

/// Loaded modules, shared by all threads. One thread loads a digest and the others that ask for it wait for that.
pub struct LoadedModules {
    most: usize,
    most_bytes: usize,
    state: Mutex<State>,
    /// A load has ended, well or badly.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    slots: HashMap<Digest, Slot>,
    /// Machine code of all ready modules.
    bytes: usize,
    /// Counts uses; the smallest is the least recent.
    clock: u64,
}

enum Slot {
    Loading,
    Ready { module: Module, used: u64 },
}

/// What a set of loaded modules holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadedStats {
    /// Modules.
    pub modules: usize,
    /// Bytes of their machine code.
    pub bytes: usize,
}

impl LoadedModules {
    /// A set of at most `most` modules whose machine code takes at most `most_bytes`; but always room for one.
    pub fn new(most: usize, most_bytes: usize) -> Self {
        Self { most, most_bytes, state: Mutex::default(), ended: Condvar::new() }
    }

    /// The module of this digest, if it is loaded.
    pub fn get(&self, digest: Digest) -> Option<Module> {
        self.lock().hit(digest)
    }

    /// The module of this digest; loads it if it is not there. Blocks while another thread loads the same one. If
    /// that fails, this thread tries by itself: the failure may have been the other's alone (a lost connection).
    ///
    /// # Errors
    /// What `load` returns. Nothing is kept then.
    pub fn get_or_load<E>(&self, digest: Digest, load: impl FnOnce() -> Result<Module, E>) -> Result<Module, E> {
        let mut state = self.lock();
        loop {
            if let Some(module) = state.hit(digest) {
                return Ok(module);
            }
            match state.slots.entry(digest) {
                Entry::Occupied(_) => state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner),
                Entry::Vacant(slot) => {
                    slot.insert(Slot::Loading);
                    break;
                }
            }
        }
        drop(state);
        let flight = Flight { set: self, digest };
        let module = load()?;
        self.lock().keep(digest, module.clone(), self.most, self.most_bytes);
        drop(flight);
        Ok(module)
    }

    /// Forgets a module: its rule was removed or quarantined. Runs that have it go on.
    pub fn remove(&self, digest: Digest) {
        let mut state = self.lock();
        if matches!(state.slots.get(&digest), Some(Slot::Ready { .. })) {
            state.evict(digest);
        }
    }

    /// What it holds now.
    pub fn stats(&self) -> LoadedStats {
        let state = self.lock();
        LoadedStats { modules: state.ready().count(), bytes: state.bytes }
    }

    /// No code of ours panics while it holds the lock, and a map that a panic left is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A load under way. However it ends, by an error or a panic too, those who wait go on.
struct Flight<'a> {
    set: &'a LoadedModules,
    digest: Digest,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut state = self.set.lock();
        if matches!(state.slots.get(&self.digest), Some(Slot::Loading)) {
            state.slots.remove(&self.digest);
        }
        drop(state);
        self.set.ended.notify_all();
    }
}

impl State {
    fn hit(&mut self, digest: Digest) -> Option<Module> {
        self.clock += 1;
        match self.slots.get_mut(&digest) {
            Some(Slot::Ready { module, used }) => {
                *used = self.clock;
                Some(module.clone())
            }
            _ => None,
        }
    }

    fn ready(&self) -> impl Iterator<Item = (Digest, u64)> {
        self.slots.iter().filter_map(|(digest, slot)| match slot {
            Slot::Ready { used, .. } => Some((*digest, *used)),
            Slot::Loading => None,
        })
    }

    fn keep(&mut self, digest: Digest, module: Module, most: usize, most_bytes: usize) {
        let bytes = module.machine_code_bytes();
        // INVARIANT: before this one is added, the others leave room for it. The search is linear in a set that is
        // small, and happens once for each compilation.
        while self.ready().count() > 0
            && (self.ready().count() >= most || self.bytes.saturating_add(bytes) > most_bytes)
        {
            match self.ready().min_by_key(|(_, used)| *used) {
                Some((oldest, _)) => self.evict(oldest),
                None => break,
            }
        }
        self.clock += 1;
        self.bytes += bytes;
        self.slots.insert(digest, Slot::Ready { module, used: self.clock });
    }

    fn evict(&mut self, digest: Digest) {
        if let Some(Slot::Ready { module, .. }) = self.slots.remove(&digest) {
            self.bytes = self.bytes.saturating_sub(module.machine_code_bytes());
        }
    }
}

impl fmt::Debug for LoadedModules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedModules")
            .field("most", &self.most)
            .field("most_bytes", &self.most_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;
    use crate::selftest::frame;
    use crate::{ModuleLimits, Sandbox, SandboxConfig};

    /// Modules that differ in a custom export.
    fn modules(count: usize) -> Vec<Module> {
        let sandbox = Sandbox::new(SandboxConfig { pool_size: 1, ..SandboxConfig::default() }).unwrap();
        let one = |i| frame::assemble(&format!("(global (export \"n\") i32 (i32.const {i}))")).unwrap();
        (0..count).map(|i| sandbox.load(&one(i), &ModuleLimits::default()).unwrap()).collect()
    }

    fn put(set: &LoadedModules, module: &Module) {
        set.get_or_load(module.digest(), || Ok::<_, ()>(module.clone())).unwrap();
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let all = modules(3);
        let set = LoadedModules::new(2, usize::MAX);
        put(&set, &all[0]);
        put(&set, &all[1]);
        assert!(set.get(all[0].digest()).is_some());
        put(&set, &all[2]);
        assert!(set.get(all[1].digest()).is_none());
        assert!(set.get(all[0].digest()).is_some());
        assert_eq!(set.stats().modules, 2);
    }

    #[test]
    fn bytes_bound_the_set_and_one_always_fits() {
        let all = modules(3);
        let one = all[0].machine_code_bytes();
        let set = LoadedModules::new(usize::MAX, one * 2);
        for module in &all {
            put(&set, module);
        }
        assert_eq!(set.stats(), LoadedStats { modules: 2, bytes: one * 2 });
        let small = LoadedModules::new(0, 0);
        put(&small, &all[0]);
        put(&small, &all[1]);
        assert_eq!(small.stats().modules, 1);
        small.remove(all[1].digest());
        assert_eq!(small.stats(), LoadedStats { modules: 0, bytes: 0 });
    }

    #[test]
    fn many_threads_load_a_module_once() {
        let module = modules(1).remove(0);
        let (set, loads, start) = (LoadedModules::new(4, usize::MAX), AtomicUsize::new(0), Barrier::new(8));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    let load = || {
                        loads.fetch_add(1, Ordering::SeqCst);
                        Ok::<_, ()>(module.clone())
                    };
                    assert_eq!(set.get_or_load(module.digest(), load).unwrap().digest(), module.digest());
                });
            }
        });
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_failed_load_leaves_nothing_and_nobody_waiting() {
        let module = modules(1).remove(0);
        let set = LoadedModules::new(4, usize::MAX);
        let (loading, waiting) = (Barrier::new(2), Barrier::new(2));
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                set.get_or_load(module.digest(), || {
                    loading.wait();
                    waiting.wait();
                    Err("lost")
                })
            });
            loading.wait();
            let second = scope.spawn(|| set.get_or_load(module.digest(), || Ok::<_, &str>(module.clone())));
            waiting.wait();
            assert_eq!(first.join().unwrap().unwrap_err(), "lost");
            assert!(second.join().unwrap().is_ok());
        });
        set.remove(module.digest());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            set.get_or_load(module.digest(), || -> Result<Module, ()> { panic!("in the loader") })
        }));
        assert!(panicked.is_err());
        put(&set, &module);
        assert_eq!(set.stats().modules, 1);
    }
}
