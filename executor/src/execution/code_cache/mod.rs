//! Compiled code, kept between starts (a directory) and between replicas (Redis), so that what was compiled once is
//! not compiled again.
//!
//! The place is never believed: what is read is held against a MAC before the engine sees any of it
//! ([`rulebox_sandbox::CodeSealer`]). What fails it is counted, deleted and told of, and the module is compiled as if
//! nothing had been there. Whatever else goes wrong is a miss: the cache saves time, and nothing depends on it.
//!
//! It is for a process that holds the master secret and runs modules itself (role `all`). The role `api` runs none. An
//! executor has neither files nor secrets, and compiles what it is sent.

mod directory;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use rulebox_sandbox::{BarModule, CodeSealer, Digest, Module, NotLoaded, NotSealed};
use tokio::sync::mpsc;

pub use directory::{Directory, DirectoryError};

use crate::domain::compiled_code::CodeStore;
use crate::telemetry::chain;
use crate::telemetry::metrics::Metrics;

/// Alarms that wait to be recorded. Each holds up a thread that loads a module, and there are fewer of those.
const ALARMS: usize = 1_024;
/// How long a module waits until its alarm is recorded. It is compiled anew after that, recorded or not.
const RECORDING: Duration = Duration::from_secs(5);

/// Compiled code failed its MAC: somebody changed what a cache holds.
#[derive(Debug)]
pub struct Alarm {
    /// Of the module that was asked for.
    pub digest: Digest,
    /// Where it was kept.
    pub tier: &'static str,
    /// The thread that found it goes on when this is dropped.
    _waits: SyncSender<()>,
}

/// Where alarms are raised, and where they are heard.
pub fn alarms() -> (mpsc::Sender<Alarm>, mpsc::Receiver<Alarm>) {
    mpsc::channel(ALARMS)
}

/// Compiled code in some places, the nearest first. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CodeCache {
    sealer: CodeSealer,
    stores: Arc<[Arc<dyn CodeStore>]>,
    alarms: mpsc::Sender<Alarm>,
    metrics: Metrics,
}

impl CodeCache {
    /// Over these places, the nearest first.
    pub fn new(
        sealer: CodeSealer,
        stores: Vec<Arc<dyn CodeStore>>,
        alarms: mpsc::Sender<Alarm>,
        metrics: Metrics,
    ) -> Self {
        Self { sealer, stores: stores.into(), alarms, metrics }
    }

    /// A module whose code is kept somewhere, unchanged. Reads files and may wait for Redis: not for async threads.
    pub fn load(&self, digest: Digest) -> Option<Module> {
        self.find(digest, &self.sealer.name(digest), |entry| self.sealer.load(digest, entry))
    }

    /// The same of the form for single bars of a module, which is kept by the form's own digest.
    pub fn load_bar(&self, digest: Digest, form: Digest) -> Option<BarModule> {
        self.find(digest, &self.sealer.name(form), |entry| self.sealer.load_bar(form, entry))
    }

    fn find<M>(&self, digest: Digest, name: &str, load: impl Fn(&[u8]) -> Result<M, NotLoaded>) -> Option<M> {
        for (at, store) in self.stores.iter().enumerate() {
            let Some(entry) = self.read(&**store, name) else { continue };
            match load(&entry) {
                Ok(module) => {
                    self.count(&**store, "hit");
                    // Those that were asked before did not have it.
                    for nearer in self.stores.iter().take(at) {
                        write(&**nearer, name, &entry);
                    }
                    return Some(module);
                }
                Err(NotLoaded::Unusable) => self.count(&**store, "miss"),
                Err(NotLoaded::Tampered) => {
                    self.count(&**store, "tampered");
                    self.tampered(&**store, name, digest);
                }
                Err(error @ NotLoaded::Engine(_)) => {
                    self.count(&**store, "failed");
                    tracing::warn!(%digest, tier = store.tier(), error = chain(&error), "compiled code was not loaded");
                }
            }
        }
        None
    }

    /// Keeps the code of a module that was just compiled.
    pub fn keep(&self, module: &Module) {
        self.put(module.digest(), self.sealer.seal(module));
    }

    /// The same of a form for single bars.
    pub fn keep_bar(&self, form: &BarModule) {
        self.put(form.digest(), self.sealer.seal_bar(form));
    }

    fn put(&self, digest: Digest, sealed: Result<Vec<u8>, NotSealed>) {
        let entry = match sealed {
            Ok(entry) => entry,
            Err(error) => return tracing::warn!(%digest, error = chain(&error), "compiled code is not kept"),
        };
        let name = self.sealer.name(digest);
        for store in &*self.stores {
            write(&**store, &name, &entry);
        }
    }

    /// What a place has, which may be anything.
    fn read(&self, store: &dyn CodeStore, name: &str) -> Option<Vec<u8>> {
        match store.get(name) {
            Ok(Some(entry)) if entry.len() <= store.longest() => Some(entry),
            Ok(_) => {
                self.count(store, "miss");
                None
            }
            Err(error) => {
                self.count(store, "failed");
                tracing::warn!(tier = store.tier(), error = chain(&error), "compiled code cannot be read");
                None
            }
        }
    }

    /// Deletes the entry and has it recorded, before anybody gets an answer of the module's.
    fn tampered(&self, store: &dyn CodeStore, name: &str, digest: Digest) {
        if let Err(error) = store.remove(name) {
            let error = chain(&error);
            tracing::warn!(%digest, tier = store.tier(), error, "compiled code that was changed is not deleted");
        }
        let (waits, recorded) = sync_channel(1);
        let alarm = Alarm { digest, tier: store.tier(), _waits: waits };
        if self.alarms.try_send(alarm).is_err() {
            return tracing::error!(%digest, tier = store.tier(), "compiled code was changed, and nobody records it");
        }
        // Nothing is sent: it ends when the alarm is gone.
        let _ = recorded.recv_timeout(RECORDING);
    }

    fn count(&self, store: &dyn CodeStore, result: &str) {
        self.metrics.module_cache.with_label_values(&[store.tier(), result]).inc();
    }
}

fn write(store: &dyn CodeStore, name: &str, entry: &[u8]) {
    if entry.len() > store.longest() {
        return;
    }
    if let Err(error) = store.put(name, entry) {
        tracing::warn!(tier = store.tier(), error = chain(&error), "compiled code is not kept");
    }
}
