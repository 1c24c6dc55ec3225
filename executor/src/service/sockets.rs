//! Open WebSockets and event streams: so many at a time, and all told to close when the service stops.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::ServiceError;
use crate::execution::fair::Owner;
use crate::execution::shares::{Share, Shares};

/// Those of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sockets {
    places: Arc<Semaphore>,
    shares: Shares,
    feeds: Shares,
    draining: CancellationToken,
    open: TaskTracker,
}

/// Event streams of one tenant, or of all reviewers. Each holds a connection, and asks the store from time to time.
const FEEDS_OF_ONE: usize = 16;

/// The place of one, for as long as it is open.
#[derive(Debug)]
pub struct SocketPlace {
    _share: Share,
    _permit: Option<OwnedSemaphorePermit>,
    _open: TaskTrackerToken,
}

impl Sockets {
    /// At most so many WebSockets, and so many of one tenant; a quarter of these connections for event streams.
    pub fn new(most: usize, most_of_tenant: usize, connections: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            shares: Shares::new(most_of_tenant),
            feeds: Shares::within((connections / 4).max(1), FEEDS_OF_ONE),
            draining: CancellationToken::new(),
            open: TaskTracker::new(),
        }
    }

    /// A place for a tenant, or for the platform.
    ///
    /// # Errors
    /// [`ServiceError::TooManyOpen`], [`ServiceError::TooManySockets`].
    pub fn place(&self, owner: Owner) -> Result<SocketPlace, ServiceError> {
        let taken = self.shares.take(owner);
        let share = taken.ok_or(ServiceError::TooManyOpen { what: "WebSockets", limit: self.shares.most() })?;
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| ServiceError::TooManySockets)?;
        Ok(SocketPlace { _share: share, _permit: Some(permit), _open: self.open.token() })
    }

    /// A place for an event stream of a tenant, or of the platform. It holds a connection for as long as it is open: all
    /// of them together leave room for requests.
    ///
    /// # Errors
    /// [`ServiceError::TooManyOpen`].
    pub fn feed(&self, owner: Owner) -> Result<SocketPlace, ServiceError> {
        let taken = self.feeds.take(owner);
        let share = taken.ok_or(ServiceError::TooManyOpen { what: "event streams", limit: self.feeds.most() })?;
        Ok(SocketPlace { _share: share, _permit: None, _open: self.open.token() })
    }

    /// Ready when sockets are to close.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Whether they are to close.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Tells all to close.
    pub fn drain(&self) {
        self.draining.cancel();
        self.open.close();
    }

    /// Ready when they are told to close and none is open.
    pub async fn ended(&self) {
        self.open.wait().await;
    }
}
