//! Work of which each tenant has so much at a time: its further work waits for it, and not the others'.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ServiceError;
use super::shares::{Share, Shares};
use crate::domain::caller::TenantId;

/// How many of a tenant may wait for each that goes on.
const WAITING: usize = 8;

/// Turns, by tenant. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Turns {
    at_a_time: usize,
    /// Of those that go on and those that wait.
    shares: Shares,
    tenants: Arc<Mutex<HashMap<TenantId, Weak<Semaphore>>>>,
}

/// What a tenant has while its work goes on.
#[derive(Debug)]
pub struct Turn {
    _share: Share,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Each tenant may have so much of this at a time.
    pub fn new(what: &'static str, at_a_time: usize) -> Self {
        let shares = Shares::new(what, at_a_time.saturating_mul(1 + WAITING));
        Self { at_a_time: at_a_time.min(Semaphore::MAX_PERMITS), shares, tenants: Arc::default() }
    }

    /// Waits for a tenant's turn.
    ///
    /// # Errors
    /// [`ServiceError::TooManyOpen`] if too many of the tenant's wait already.
    pub async fn take(&self, tenant: TenantId) -> Result<Turn, ServiceError> {
        let share = self.shares.take(tenant)?;
        let turns = {
            let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(turns) = tenants.get(&tenant).and_then(Weak::upgrade) {
                turns
            } else {
                tenants.retain(|_, turns| turns.strong_count() > 0);
                let turns = Arc::new(Semaphore::new(self.at_a_time));
                tenants.insert(tenant, Arc::downgrade(&turns));
                turns
            }
        };
        // It is never closed.
        Ok(Turn { _share: share, _permit: turns.acquire_owned().await.ok() })
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_tenants_work_waits_for_its_own_and_for_nobody_elses() {
        let [one, other] = [1, 2].map(|n| TenantId::from_store(Uuid::from_u128(n)));
        let turns = Turns::new("modules", 1);
        let first = turns.take(one).await.unwrap();
        let mut second = pin!(turns.take(one));
        let mut context = Context::from_waker(Waker::noop());
        assert!(second.as_mut().poll(&mut context).is_pending());
        let others = turns.take(other).await.unwrap();
        drop(first);
        assert!(matches!(second.as_mut().poll(&mut context), Poll::Ready(Ok(_))));
        drop(others);
    }

    #[tokio::test]
    async fn not_all_of_a_tenants_work_waits() {
        let tenant = TenantId::from_store(Uuid::from_u128(1));
        let turns = Turns::new("modules", 1);
        let _first = turns.take(tenant).await.unwrap();
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(turns.take(tenant))).collect();
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.iter_mut().all(|turn| turn.as_mut().poll(&mut context).is_pending()));
        assert!(matches!(turns.take(tenant).await, Err(ServiceError::TooManyOpen { what: "modules", limit: 9 })));
    }
}
