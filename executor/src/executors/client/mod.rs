//! The API's side: runs modules in executors, spread over those that are there.

mod believed;
mod connect;
mod exchange;
mod module;
mod peer;
mod resolve;
mod run;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rulebox_sandbox::{ModuleLimits, RunError};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::address::Address;
use super::tls::Identity;
use crate::execution::engine::{Engine, Module, Unloaded};
use crate::execution::modules::LoadError;
use module::RemoteModule;
use peer::{Batching, Held, Peer};

/// What the API needs to know of its executors.
#[derive(Debug)]
pub struct Options {
    /// Where they are.
    pub addresses: Vec<Address>,
    /// To connect over TLS.
    pub identity: Option<Arc<Identity>>,
    /// Runs that one is given at a time.
    pub runs: usize,
    /// To connect to one, and to wait for one if there is none.
    pub connect_time: Duration,
    /// Between two looks at what a name stands for.
    pub resolve_time: Duration,
}

/// Nobody can be asked now.
#[derive(Debug, thiserror::Error)]
pub enum Away {
    /// No executor is connected.
    #[error("no executor is connected")]
    Nobody,
    /// Executors were lost while they ran it, one after the other.
    #[error("{0} executors were lost while they ran it")]
    Lost(u32, #[source] exchange::Lost),
    /// The executor that held the run was lost, and the module has no state to go on from.
    #[error("the executor that held the run was lost, and its module keeps no state to go on from")]
    NoState(#[source] exchange::Lost),
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
    peers: RwLock<Vec<Arc<Peer>>>,
    /// Somebody has come, or has room again.
    freed: Arc<Notify>,
    turn: AtomicUsize,
    runtime: Handle,
}

impl Executors {
    /// Connects to all of them, and again to those that are lost. To be called within a runtime.
    pub fn connect(options: Options) -> Self {
        let shared = Arc::new(Shared {
            options,
            peers: RwLock::default(),
            freed: Arc::default(),
            turn: AtomicUsize::new(0),
            runtime: Handle::current(),
        });
        let stop = CancellationToken::new();
        for address in shared.options.addresses.clone() {
            tokio::spawn(resolve::watch(Arc::clone(&shared), address, stop.clone()));
        }
        Self { shared, _stop: Arc::new(stop.drop_guard()) }
    }

    /// How many are connected, and how many are known.
    pub fn connected(&self) -> (usize, usize) {
        let peers = self.shared.peers();
        (peers.iter().filter(|peer| peer.is_up()).count(), peers.len())
    }

    /// Waits until one is connected, for as long as it may take to connect.
    pub async fn wait(&self) -> bool {
        self.shared.pick(&[]).await.is_ok()
    }
}

impl Shared {
    fn peers(&self) -> Vec<Arc<Peer>> {
        self.peers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The one that has least to do, of those that are connected, have room, and are not among `not`.
    fn least_busy(&self, not: &[Arc<Peer>]) -> Option<(Held, Batching)> {
        let peers = self.peers();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..peers.len()).filter_map(|n| peers.get((first.wrapping_add(n)) % peers.len()));
        let free = in_turn.filter(|peer| peer.is_up() && not.iter().all(|other| !Arc::ptr_eq(other, peer)));
        // Of those that have as little, the one whose turn it is.
        let mut free: Vec<_> = free.map(|peer| (peer.runs(), peer)).collect();
        free.sort_by_key(|(runs, _)| *runs);
        free.into_iter().find_map(|(_, peer)| peer.hold())
    }

    /// One that may be given a run. Those in `not` are taken if there is no other.
    async fn pick(&self, not: &[Arc<Peer>]) -> Result<(Held, Batching), RunError> {
        let waits = tokio::time::timeout(self.options.connect_time, async {
            loop {
                let freed = self.freed.notified();
                if let Some(held) = self.least_busy(not).or_else(|| self.least_busy(&[])) {
                    return held;
                }
                freed.await;
            }
        });
        match waits.await {
            Ok(held) => Ok(held),
            Err(_) if self.peers().iter().any(|peer| peer.is_up()) => Err(RunError::Busy),
            Err(_) => Err(RunError::Away(Away::Nobody.into())),
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
