//! What a tenant has beside rules: its keys, its audit log, its modules in quarantine, what it used, its requests in
//! flight.

use std::time::Duration;

use async_trait::async_trait;
use rulebox_sandbox::Digest;

use super::{Change, StoreError};
use crate::domain::audit::{Chain, Entry};
use crate::domain::caller::{KeyId, TenantId};
use crate::domain::idempotency::{Begun, Claim, IdempotentRequest};
use crate::domain::key::{KeyRecord, NewKey};
use crate::domain::quarantine::Quarantine;
use crate::domain::rule::RuleName;
use crate::domain::usage::{PeriodUsage, Reading, Span};

/// What a tenant has beside rules.
#[async_trait]
pub trait TenantStore: Send + Sync + 'static {
    /// Keeps a key. `detail` is what a repeated request is told.
    ///
    /// # Errors
    /// [`StoreError::NoTenant`], [`StoreError::ClaimLost`].
    async fn create_key(
        &self,
        owner: Chain,
        key: &NewKey,
        detail: &str,
        change: &Change,
    ) -> Result<KeyRecord, StoreError>;

    /// A key of the tenant, or of the platform.
    ///
    /// # Errors
    /// [`StoreError::NoKey`].
    async fn key(&self, owner: Chain, id: KeyId) -> Result<KeyRecord, StoreError>;

    /// Keys by their time, those after `after`, at most `limit`.
    ///
    /// # Errors
    /// If the store fails.
    async fn list_keys(&self, owner: Chain, after: Option<KeyId>, limit: u32) -> Result<Vec<KeyRecord>, StoreError>;

    /// Revokes a key; once more changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NoKey`].
    async fn revoke_key(&self, owner: Chain, id: KeyId, change: &Change) -> Result<KeyRecord, StoreError>;

    /// Entries of the audit log from the oldest on, those after `after`, at most `limit`.
    ///
    /// # Errors
    /// If the store fails.
    async fn audit(&self, chain: Chain, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError>;

    /// Stops the module of a version for this tenant; once more changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NoRule`], [`StoreError::NoVersion`].
    async fn quarantine(
        &self,
        tenant: TenantId,
        name: &RuleName,
        version: u32,
        reason: &str,
        change: &Change,
    ) -> Result<Quarantine, StoreError>;

    /// Lets a stopped module go.
    ///
    /// # Errors
    /// [`StoreError::NoRule`], [`StoreError::NoVersion`], [`StoreError::NotQuarantined`].
    async fn release(
        &self,
        tenant: TenantId,
        name: &RuleName,
        version: u32,
        change: &Change,
    ) -> Result<Quarantine, StoreError>;

    /// The modules that are stopped for this tenant.
    ///
    /// # Errors
    /// If the store fails.
    async fn quarantined(&self, tenant: TenantId) -> Result<Vec<Digest>, StoreError>;

    /// What the tenant used: sums that are to be added up by period. The readings are of counters that may not have been
    /// kept as they are now: of each, the later of this reading and the one that was kept counts.
    ///
    /// # Errors
    /// If the store fails.
    async fn usage(&self, tenant: TenantId, span: &Span, readings: &[Reading]) -> Result<Vec<PeriodUsage>, StoreError>;

    /// Begins a request that may be sent again. A try that is not over after `lease` may be taken over.
    ///
    /// # Errors
    /// If the store fails.
    async fn begin_request(
        &self,
        owner: Chain,
        request: IdempotentRequest,
        lease: Duration,
    ) -> Result<Begun, StoreError>;

    /// Forgets a request that made nothing, so that it may be sent again at once.
    ///
    /// # Errors
    /// If the store fails.
    async fn abandon_request(&self, claim: Claim) -> Result<(), StoreError>;
}
