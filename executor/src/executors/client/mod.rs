//! The API's side: runs modules in executors, spread over those that are there.

mod believed;
mod connect;
mod exchange;
mod module;
mod patience;
mod peer;
mod places;
mod queue;
mod resolve;
mod run;
#[cfg(test)]
mod tests;
mod tried;

use std::sync::Arc;
use std::time::Duration;

use rulebox_sandbox::{Digest, ModuleLimits, RunError};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::address::Address;
use super::tls::Identity;
use crate::execution::engine::{Engine, Module, Unloaded};
use crate::execution::fair::Owner;
use crate::execution::modules::LoadError;
use exchange::Lost;
use module::RemoteModule;
use peer::{Held, Peer};
use places::{Batching, Places};

pub use patience::Patience;

/// What the API needs to know of its executors.
#[derive(Debug)]
pub struct Options {
    /// Where they are.
    pub addresses: Vec<Address>,
    /// To connect over TLS.
    pub identity: Option<Arc<Identity>>,
    /// Batches that one is given at a time.
    pub runs: usize,
    /// To connect to one, and to wait for one if there is none.
    pub connect_time: Duration,
    /// Between two looks at what a name stands for.
    pub resolve_time: Duration,
    /// How long they are waited for.
    pub patience: Patience,
    /// Who is told of executors that died while they ran something.
    pub deaths: mpsc::Sender<Death>,
}

/// An executor died while it ran a module.
#[derive(Clone, Debug)]
pub struct Death {
    /// On whose behalf.
    pub owner: Owner,
    /// The module.
    pub digest: Digest,
    /// Where the executor was.
    pub place: String,
}

/// Deaths that wait to be recorded. A module that kills more than that at a time is stopped by the first of them.
const DEATHS: usize = 1_024;

/// Where deaths are told, and where they are heard of.
pub fn deaths() -> (mpsc::Sender<Death>, mpsc::Receiver<Death>) {
    mpsc::channel(DEATHS)
}

/// Nobody can be asked now.
#[derive(Debug, thiserror::Error)]
pub enum Away {
    /// No executor is connected.
    #[error("no executor is connected")]
    Nobody,
    /// Executors were lost while they ran it, one after the other.
    #[error("{0} executors were lost while they ran it")]
    Lost(u32, #[source] Lost),
    /// The executor that held the run was lost, and the module has no state to go on from.
    #[error("the executor that held the run was lost, and its module keeps no state to go on from")]
    NoState(#[source] Lost),
}

/// All executors that are known. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Executors {
    shared: Arc<Shared>,
    /// With the last clone, all connections end.
    _stop: Arc<DropGuard>,
}

/// What its tasks need too.
#[derive(Debug)]
struct Shared {
    options: Options,
    places: Arc<Places>,
    runtime: Handle,
}

impl Executors {
    /// Connects to all of them, and again to those that are lost. To be called within a runtime.
    pub fn connect(options: Options) -> Self {
        let shared = Arc::new(Shared { options, places: Arc::default(), runtime: Handle::current() });
        let stop = CancellationToken::new();
        if let Some(identity) = &shared.options.identity {
            tokio::spawn(Arc::clone(identity).watch(stop.clone()));
        }
        for address in shared.options.addresses.clone() {
            tokio::spawn(resolve::watch(Arc::clone(&shared), address, stop.clone()));
        }
        Self { shared, _stop: Arc::new(stop.drop_guard()) }
    }

    /// How many are connected, and how many are known.
    pub fn connected(&self) -> (usize, usize) {
        let peers = self.shared.places.peers();
        (peers.iter().filter(|peer| peer.is_up()).count(), peers.len())
    }

    /// Waits until one is connected, for as long as it may take to connect.
    pub async fn wait(&self) -> bool {
        self.shared.pick(Owner::NOBODY, &[]).await.is_ok()
    }
}

impl Shared {
    /// Whether there is more than one that can be asked.
    fn are_some_up(&self) -> bool {
        self.places.peers().iter().filter(|peer| peer.is_open()).nth(1).is_some()
    }

    /// Whether one that is not among these can be asked.
    fn is_another_up(&self, but: &[Arc<Peer>]) -> bool {
        let peers = self.places.peers();
        peers.iter().any(|peer| peer.is_up() && but.iter().all(|other| !Arc::ptr_eq(other, peer)))
    }

    /// Tells of an executor that was lost while it ran a module, if it died. Of one that died with many runs, each module
    /// is told of once.
    fn lost(&self, held: &Held, lost: &Lost, owner: Owner, digest: Digest) {
        held.lost(lost);
        if !lost.is_death() || !held.blame(digest) {
            return;
        }
        let death = Death { owner, digest, place: held.peer.place.to_string() };
        if self.options.deaths.try_send(death).is_err() {
            tracing::error!(%digest, executor = %held.peer.place, "the death of an executor is not recorded");
        }
    }

    /// One that may be given a run, and a place for its first batch. Those in `not` are taken if there is no other.
    async fn pick(&self, owner: Owner, not: &[Arc<Peer>]) -> Result<(Held, Batching), RunError> {
        let waits = tokio::time::timeout(self.options.connect_time, async {
            loop {
                let Ok(place) = self.places.any(owner, not).await else { return None };
                // If it has not just been lost.
                if let Some(held) = place.peer().hold() {
                    return Some((held, place));
                }
            }
        });
        match waits.await {
            Ok(Some(held)) => Ok(held),
            _ if self.places.peers().iter().any(|peer| peer.is_up()) => Err(RunError::Busy),
            _ => Err(RunError::Away(Away::Nobody.into())),
        }
    }
}

impl Engine for Executors {
    fn load(&self, unloaded: Unloaded<'_>) -> Result<Arc<dyn Module>, LoadError> {
        // The gate first: what it refuses need not go anywhere. An executor says the same of it.
        ModuleLimits::default().check(unloaded.bytes).map_err(LoadError::Refused)?;
        let module = RemoteModule::new(Arc::clone(&self.shared), unloaded);
        self.shared.runtime.block_on(module.load())?;
        Ok(Arc::new(module))
    }

    fn executors(&self) -> Option<(usize, usize)> {
        Some(self.connected())
    }
}
