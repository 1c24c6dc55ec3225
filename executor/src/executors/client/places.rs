//! Places for batches on the executors that there are. Of those of each executor a tenant has half at most, and the
//! last quarter is for tenants who have none there; who waits for one waits in turn.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::peer::Peer;
use super::queue::{Full, Queue};
use crate::execution::fair::Owner;
use crate::execution::shares::Share;

/// Executors, and those who wait for a place on one.
#[derive(Debug, Default)]
pub(super) struct Places {
    peers: RwLock<Vec<Arc<Peer>>>,
    queue: Queue<Needs, Batching>,
    /// Whose turn it is, of those that have as little to do.
    turn: AtomicUsize,
}

/// Which place will do.
#[derive(Debug)]
enum Needs {
    /// On any executor; on one of these only if there is no other.
    Any(Vec<Arc<Peer>>),
    /// On the one that holds the run.
    On(Arc<Peer>),
}

/// A place for a batch, while it is run.
#[derive(Debug)]
pub(super) struct Batching {
    peer: Arc<Peer>,
    share: Option<Share>,
    of: Arc<Places>,
}

impl Batching {
    /// Where it is.
    pub(super) const fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }
}

impl Drop for Batching {
    fn drop(&mut self) {
        // There before anybody looks for it.
        drop(self.share.take());
        self.of.hand_out();
    }
}

impl Places {
    /// All executors that are known.
    pub(super) fn peers(&self) -> Vec<Arc<Peer>> {
        self.peers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes which executors are known.
    pub(super) fn change(&self, change: impl FnOnce(&mut Vec<Arc<Peer>>)) {
        change(&mut self.peers.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits for a place on an executor that is connected.
    pub(super) async fn any(self: &Arc<Self>, owner: Owner, not: &[Arc<Peer>]) -> Result<Batching, Full> {
        let receiver = self.queue.enter(owner, Needs::Any(not.to_vec()), false)?;
        self.hand_out();
        receiver.await.map_err(|_| Full)
    }

    /// Waits for a place for the next batch of a run that this executor holds.
    pub(super) async fn on(self: &Arc<Self>, owner: Owner, peer: &Arc<Peer>) -> Result<Batching, Full> {
        let receiver = self.queue.enter(owner, Needs::On(Arc::clone(peer)), true)?;
        self.hand_out();
        receiver.await.map_err(|_| Full)
    }

    /// Gives the places that there are to those who are next. To be called when there may be some.
    pub(super) fn hand_out(self: &Arc<Self>) {
        // A place that nobody takes any more is dropped here, which hands it on: not under the lock.
        while let Some((sender, place)) = self.queue.next(|owner, needs| self.give(owner, needs)) {
            drop(sender.send(place));
        }
    }

    fn give(self: &Arc<Self>, owner: Owner, needs: &Needs) -> Option<Batching> {
        let (peer, share) = match needs {
            // If it has been lost, who asks will notice.
            Needs::On(peer) => (Arc::clone(peer), peer.shares.take(owner)?),
            Needs::Any(not) => self.least_busy(owner, not).or_else(|| self.least_busy(owner, &[]))?,
        };
        Some(Batching { peer, share: Some(share), of: Arc::clone(self) })
    }

    /// The one that has least to do, of those that are connected, have a place for him, and are not among `not`.
    fn least_busy(&self, owner: Owner, not: &[Arc<Peer>]) -> Option<(Arc<Peer>, Share)> {
        let peers = self.peers();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..peers.len()).filter_map(|n| peers.get(first.wrapping_add(n) % peers.len()));
        let free = in_turn.filter(|peer| peer.is_open() && not.iter().all(|other| !Arc::ptr_eq(other, peer)));
        // Of those that have as little, the one whose turn it is.
        let mut free: Vec<_> = free.map(|peer| (peer.runs(), peer)).collect();
        free.sort_by_key(|(runs, _)| *runs);
        free.into_iter().find_map(|(_, peer)| Some((Arc::clone(peer), peer.shares.take(owner)?)))
    }
}
