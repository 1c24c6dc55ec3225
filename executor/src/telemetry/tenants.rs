//! The tenants that metrics name: so many, in the order in which they came, and one for all others.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::caller::TenantId;

/// Tenants that a process names. Each makes some dozen series.
pub const NAMED: usize = 200;
/// The label of the others.
pub const OTHER: &str = "_other";

/// Which tenants are named. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tenants(Arc<RwLock<HashSet<TenantId>>>);

impl Tenants {
    /// The label of a tenant.
    pub fn label(&self, tenant: TenantId) -> String {
        if self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&tenant) {
            return tenant.to_string();
        }
        let mut named = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if named.len() < NAMED || named.contains(&tenant) {
            named.insert(tenant);
            return tenant.to_string();
        }
        OTHER.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn so_many_are_named_and_stay_so() {
        let tenants = Tenants::default();
        let tenant = |n: usize| TenantId::from_store(Uuid::from_u128(n as u128));
        let first: Vec<_> = (0..NAMED).map(|n| tenants.label(tenant(n))).collect();
        assert_eq!(tenants.label(tenant(NAMED)), OTHER);
        assert_eq!(tenants.label(tenant(0)), first[0]);
        assert!(first.iter().all(|label| label != OTHER));
    }
}
