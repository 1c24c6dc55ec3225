//! Until when a transaction may go on.

use std::future::Future;
use std::io;

use tokio::time::{Instant, timeout_at};

use super::{StoreError, Unavailable};

/// Until when a transaction may go on. A server that hangs, or that a network lost, says nothing: no time of its own
/// ends that wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit(Option<Instant>);

impl Limit {
    /// None: the store is in this process.
    pub(super) const NONE: Self = Self(None);

    /// Until then.
    pub(super) const fn until(at: Instant) -> Self {
        Self(Some(at))
    }

    /// The work, if it ends in time.
    pub(super) async fn hold<T, E: Into<StoreError>>(
        self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, StoreError> {
        let Some(at) = self.0 else { return work.await.map_err(Into::into) };
        match timeout_at(at, work).await {
            Ok(done) => done.map_err(Into::into),
            Err(_) => Err(Unavailable::Away(io::Error::from(io::ErrorKind::TimedOut).into()).into()),
        }
    }
}
