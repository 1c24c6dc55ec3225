//! As whom a transaction runs.

use super::Change;
use crate::domain::audit::Chain;
use crate::domain::caller::TenantId;

/// As whom a transaction runs. `PostgreSQL` shows it no more than that; `SQLite` has one user, and leaves it to the
/// statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// For a tenant: its rows alone.
    Tenant(TenantId),
    /// Before a tenant is known: no tenant's rows.
    Nobody,
    /// What must cross tenants.
    Platform,
}

impl Scope {
    /// For what belongs to a tenant or to the platform.
    pub(super) fn of(chain: Chain) -> Self {
        chain.0.map_or(Self::Platform, Self::Tenant)
    }

    /// For a change of what belongs to one of them, by a caller who may be the platform's in both cases.
    pub(super) fn of_change(chain: Chain, change: &Change) -> Self {
        match change.claim {
            Some(claim) => Self::of(if claim.owner.0.is_none() { Chain(None) } else { chain }),
            None => Self::of(chain),
        }
    }
}
