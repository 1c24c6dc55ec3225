//! Open WebSockets: so many at a time, and all told to close when the service stops.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::ServiceError;
use crate::domain::caller::TenantId;
use crate::execution::shares::{Share, Shares};

/// Those of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sockets {
    places: Arc<Semaphore>,
    shares: Shares,
    draining: CancellationToken,
    open: TaskTracker,
}

/// The place of one, for as long as it is open.
#[derive(Debug)]
pub struct SocketPlace {
    _share: Share,
    _permit: OwnedSemaphorePermit,
    _open: TaskTrackerToken,
}

impl Sockets {
    /// At most so many, and so many of one tenant.
    pub fn new(most: usize, most_of_tenant: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            shares: Shares::new(most_of_tenant),
            draining: CancellationToken::new(),
            open: TaskTracker::new(),
        }
    }

    /// A place for a tenant.
    ///
    /// # Errors
    /// [`ServiceError::TooManyOpen`], [`ServiceError::TooManySockets`].
    pub fn place(&self, tenant: TenantId) -> Result<SocketPlace, ServiceError> {
        let taken = self.shares.take(tenant.into());
        let share = taken.ok_or(ServiceError::TooManyOpen { what: "WebSockets", limit: self.shares.most() })?;
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| ServiceError::TooManySockets)?;
        Ok(SocketPlace { _share: share, _permit: permit, _open: self.open.token() })
    }

    /// Ready when sockets are to close.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
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
