//! What each tenant holds of places that there are so many of: no tenant takes those of all the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ServiceError;
use crate::domain::caller::TenantId;

/// Places of one kind, by tenant. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shares {
    what: &'static str,
    most: usize,
    held: Arc<Mutex<HashMap<TenantId, usize>>>,
}

/// One that a tenant holds, until it is dropped.
#[derive(Debug)]
pub struct Share {
    of: Shares,
    tenant: TenantId,
}

impl Shares {
    /// Each tenant may hold so many.
    pub fn new(what: &'static str, most: usize) -> Self {
        Self { what, most, held: Arc::default() }
    }

    /// One more for a tenant.
    ///
    /// # Errors
    /// [`ServiceError::TooManyOpen`].
    pub fn take(&self, tenant: TenantId) -> Result<Share, ServiceError> {
        let mut held = self.held();
        let count = held.get(&tenant).copied().unwrap_or_default();
        if count >= self.most {
            return Err(ServiceError::TooManyOpen { what: self.what, limit: self.most });
        }
        held.insert(tenant, count + 1);
        Ok(Share { of: self.clone(), tenant })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.of.held();
        match held.get_mut(&self.tenant) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(held.remove(&self.tenant)),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_tenant_holds_its_share_and_leaves_the_others_theirs() {
        let [one, other] = [1, 2].map(|n| TenantId::from_store(Uuid::from_u128(n)));
        let shares = Shares::new("streams", 2);
        let (first, _second) = (shares.take(one).unwrap(), shares.take(one).unwrap());
        assert!(matches!(shares.take(one), Err(ServiceError::TooManyOpen { limit: 2, .. })));
        let others = shares.take(other).unwrap();
        drop((first, others));
        assert_eq!(shares.held().len(), 1, "who holds none is forgotten");
        let _again = shares.take(one).unwrap();
        assert!(shares.take(one).is_err());
    }
}
