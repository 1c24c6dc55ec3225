//! Requests that may be sent again.

use std::future::Future;
use std::time::Duration;

use super::{Service, ServiceError};
use crate::domain::audit::Chain;
use crate::domain::idempotency::{Begun, Claim, IdempotentRequest, Made};

/// How long a try may take until another one may take its place.
const LEASE: Duration = Duration::from_mins(1);

impl Service {
    /// Does `work` once for a request, however often it is sent: a later one is given what the first one made, by
    /// `again`. A request without a key is done each time.
    ///
    /// # Errors
    /// [`ServiceError::InFlight`], [`ServiceError::KeyReused`]; those of the two.
    pub(super) async fn once<T>(
        &self,
        owner: Chain,
        request: Option<IdempotentRequest>,
        work: impl AsyncFnOnce(Option<Claim>) -> Result<T, ServiceError>,
        again: impl AsyncFnOnce(Made) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let Some(request) = request else { return work(None).await };
        let claim = match self.store.begin_request(owner, request, LEASE).await? {
            Begun::Claimed(claim) => claim,
            Begun::Done(made) => return again(made).await,
            Begun::InFlight => return Err(ServiceError::InFlight),
            Begun::Differs => return Err(ServiceError::KeyReused),
        };
        let guard = Abandoned { service: self.clone(), claim: Some(claim) };
        let done = work(Some(claim)).await;
        if done.is_ok() {
            guard.keep();
        } else {
            guard.now().await;
        }
        done
    }
}

/// Forgets a request that made nothing, also if its client goes away.
struct Abandoned {
    service: Service,
    claim: Option<Claim>,
}

impl Abandoned {
    fn keep(mut self) {
        self.claim = None;
    }

    async fn now(mut self) {
        if let Some(claim) = self.claim.take() {
            forget(&self.service, claim).await;
        }
    }
}

/// If it cannot be forgotten, its lease ends it.
fn forget(service: &Service, claim: Claim) -> impl Future<Output = ()> + Send + 'static {
    let store = service.store.clone();
    async move {
        if let Err(error) = store.abandon_request(claim).await {
            tracing::debug!(%error, "a request that made nothing is not forgotten before its lease ends");
        }
    }
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            self.service.tasks.spawn(forget(&self.service, claim));
        }
    }
}
