//! Where rules, keys, tenants, the audit log and violations are kept.
//!
//! [`RuleStore`] and [`TenantStore`] hold what belongs to a tenant: every method takes the tenant's id, and sees
//! nothing of another's. [`ReviewStore`] has what modules did, for their tenant and for those who review all of them,
//! [`WebhookStore`] where they want to be told, and [`OutboxStore`] what is to be told. [`PlatformStore`] is the narrow rest: what happens before a
//! tenant is known, and what must cross tenants. Each method is one transaction: when it has returned, what it did survives the process.
//!
//! Both stores, `SQLite` and `PostgreSQL`, speak the same SQL. It stands once, in `sql/`, and is compiled into each of
//! them; what differs (connections, transactions, locks, errors) is in `sqlite/` and `postgres/`. To add an operation,
//! write it here with what it promises, then in `sql/`, then in the contract, which runs over both.

#[cfg(test)]
pub(crate) mod contract;
mod error;
mod limit;
mod migrations;
mod outbox;
mod platform;
pub mod postgres;
mod review;
mod rules;
mod scope;
pub mod sqlite;
mod tenancy;
mod webhooks;

use std::sync::Arc;

pub use error::{StoreError, Unavailable};
pub use migrations::{Misfit, Standing, Step};
pub use outbox::{OutboxStore, Taking};
pub use platform::{BackupEvent, Backups, Old, OpenConnections, PlatformStore, Removed};
pub use review::{Occurrences, Recorded, ReviewStore};
pub use rules::{Precondition, RuleStore, Selection};
pub use tenancy::TenantStore;
pub use webhooks::WebhookStore;

use crate::domain::audit::Sealer;
use crate::domain::caller::Actor;
use crate::domain::idempotency::Claim;

/// Who changes something, for the audit log that each change writes to.
#[derive(Clone, Debug)]
pub struct Change {
    /// Who.
    pub actor: Actor,
    /// Of the request; empty for the command line and jobs.
    pub request_id: String,
    /// Seals the entry.
    pub sealer: Arc<dyn Sealer>,
    /// The request that may be sent again, which this change ends.
    pub claim: Option<Claim>,
}

/// A store: all parts.
pub trait Store:
    RuleStore + TenantStore + ReviewStore + WebhookStore + OutboxStore + PlatformStore + std::fmt::Debug
{
}
impl<S: RuleStore + TenantStore + ReviewStore + WebhookStore + OutboxStore + PlatformStore + std::fmt::Debug> Store
    for S
{
}
