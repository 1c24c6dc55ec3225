//! Who was asked for something, and whether another one may be.

use std::sync::Arc;
use std::time::Duration;

use rulebox_sandbox::RunError;

use super::exchange::Lost;
use super::module::RemoteModule;
use super::peer::{Held, Link, Peer};
use super::places::Batching;
use super::{Away, Shared};
use crate::execution::fair::Owner;

/// Executors that may be lost while they run it. More, and it may be the run that they are lost by.
const LOSSES: u32 = 2;
/// Executors that may have no room.
const FULL: u32 = 3;
/// Until a connection that broke is known to be gone.
const GONE: Duration = Duration::from_millis(10);
/// Times that an executor may lack the module, or turn out to be gone.
const OTHERS: u32 = 8;

/// Who was asked for some bars, or to take a module, and how it went.
#[derive(Default)]
pub(super) struct Tried {
    peers: Vec<Arc<Peer>>,
    /// They were given the module, on these connections.
    given: Vec<Arc<Link>>,
    /// Connections that it broke on. What is sent on one before it is known to be gone is lost by that, not by the run.
    broken: Vec<Arc<Link>>,
    /// Has just been given the module.
    next: Option<(Held, Batching)>,
    /// Times that an executor may have been lost by it.
    losses: u32,
    /// Executors that had no room.
    full: u32,
    /// Times that nothing was begun.
    others: u32,
    /// Who said what another one is asked about too.
    doubted: Option<Held>,
    /// What that one said of a run.
    said: Option<RunError>,
}

impl Tried {
    /// Notes that a run was lost, and gives the executor the module if that is what it lacked.
    pub(super) async fn after(
        &mut self,
        module: &RemoteModule,
        owner: Owner,
        held: Option<Held>,
        mut lost: Lost,
    ) -> Result<(), RunError> {
        if let Some(mut held) = held {
            if matches!(lost, Lost::NeedsModule) && self.given.iter().any(|link| Arc::ptr_eq(link, &held.link)) {
                lost = Lost::Forgot;
            }
            if matches!(lost, Lost::NeedsModule) && self.others < OTHERS {
                match self.give(module, &mut held, owner).await {
                    Ok(Ok(())) => {
                        self.others += 1;
                        self.given.push(Arc::clone(&held.link));
                        let place = module.shared.places.on(owner, &held.peer);
                        let place = tokio::time::timeout(module.shared.options.connect_time, place).await;
                        self.next = place.ok().and_then(Result::ok).map(|place| (held, place));
                        return Ok(());
                    }
                    // It was taken before, or it would not be run.
                    Ok(Err(refused)) => {
                        if self.doubts(&module.shared, held) {
                            self.said = Some(refused);
                            return Ok(());
                        }
                        return Err(refused);
                    }
                    Err(error) => lost = error,
                }
            }
            if matches!(lost, Lost::Broke(_)) {
                if self.broken.iter().any(|link| Arc::ptr_eq(link, &held.link)) {
                    lost = Lost::HadBroken;
                    tokio::time::sleep(GONE).await;
                } else {
                    self.broken.push(Arc::clone(&held.link));
                }
            }
            module.shared.lost(&held, &lost, owner, module.digest);
            self.peers.push(Arc::clone(&held.peer));
            drop(held);
            // One on trial may be given the next.
            module.shared.places.hand_out();
        }
        self.note(lost)
    }

    /// Hands the module over; not for as long as it may take if another executor may have it.
    async fn give(&self, module: &RemoteModule, held: &mut Held, owner: Owner) -> Result<Result<(), RunError>, Lost> {
        let patience = module.shared.options.patience;
        let is_first = self.peers.is_empty() && module.shared.is_another_up(&[Arc::clone(&held.peer)]);
        let within = if is_first { patience.silence.min(patience.load) } else { patience.load };
        match module.put(held, owner, within).await {
            Ok(taken) => Ok(taken.map_err(|refused| RunError::Engine(refused.into()))),
            Err(Lost::Slow) if is_first => Err(Lost::Waits),
            Err(lost) => Err(lost),
        }
    }

    /// Whether another one may be tried.
    fn note(&mut self, lost: Lost) -> Result<(), RunError> {
        match lost {
            Lost::Full => self.full += 1,
            _ if lost.counts() => self.losses += 1,
            _ => self.others += 1,
        }
        match lost {
            lost if self.losses >= LOSSES => Err(RunError::Away(Away::Lost(self.losses, lost).into())),
            _ if self.full >= FULL => Err(RunError::Busy),
            lost if self.others >= OTHERS => Err(RunError::Away(Away::Lost(self.losses, lost).into())),
            _ => Ok(()),
        }
    }

    /// Whether another one is asked about what this one has said: once, if there is one.
    pub(super) fn doubts(&mut self, shared: &Shared, held: Held) -> bool {
        self.peers.push(Arc::clone(&held.peer));
        let doubts = self.doubted.is_none() && shared.is_another_up(&self.peers);
        if doubts {
            self.doubted = Some(held);
        }
        doubts
    }

    /// Keeps what the one that is doubted has said.
    pub(super) fn said(&mut self, error: RunError) {
        self.said = Some(error);
    }

    /// What one has said of the run that another one was to be asked about.
    pub(super) const fn doubted(&mut self) -> Option<RunError> {
        self.said.take()
    }

    /// It is done: who said that it cannot be was wrong.
    pub(super) fn done(self) {
        if let Some(held) = self.doubted {
            held.lost(&Lost::Contradicted);
        }
    }

    /// The one that has just been given the module, and a place there.
    pub(super) const fn next(&mut self) -> Option<(Held, Batching)> {
        self.next.take()
    }

    /// Those that were tried.
    pub(super) fn peers(&self) -> &[Arc<Peer>] {
        &self.peers
    }
}
