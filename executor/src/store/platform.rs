//! What happens before a tenant is known, and what must cross tenants.

use std::time::Duration;

use async_trait::async_trait;

use super::{Change, StoreError};
use crate::domain::at::At;
use crate::domain::audit::{Chain, Head, Seal};
use crate::domain::caller::TenantId;
use crate::domain::key::{KeyRecord, NewKey};
use crate::domain::tenant::{Tenant, TenantLimits, TenantName};
use crate::domain::usage::Reading;

/// What is too old to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Old {
    /// Violations that last happened before.
    pub violations: At,
    /// Requests with an `Idempotency-Key` that were begun before.
    pub requests: At,
    /// Keys that expired or were revoked before.
    pub keys: At,
    /// What was used in hours that began before.
    pub usage: At,
    /// Events of the security feed from before.
    pub events: At,
    /// Deliveries that were taken or given up before, and those that nobody could be told of since before.
    pub outbox: At,
    /// Windows in which something is a repeat that were opened before.
    pub windows: At,
}

/// How much a retention removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Violations.
    pub violations: u64,
    /// Requests that might have been sent again.
    pub requests: u64,
    /// Keys that were over.
    pub keys: u64,
    /// Counters of usage.
    pub usage: u64,
    /// Events of the security feed.
    pub events: u64,
    /// Deliveries.
    pub outbox: u64,
    /// Windows in which something would have been a repeat.
    pub windows: u64,
}

/// What whoever makes backups, and tries them, writes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupEvent {
    /// A backup has succeeded.
    Made,
    /// A backup was restored on trial, and held.
    Restored,
    /// A backup could not be restored on trial, or was not what it should be.
    Failed,
}

/// When each of them was last written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backups {
    /// That a backup had succeeded.
    pub made: Option<At>,
    /// That one was restored on trial, and held.
    pub restored: Option<At>,
    /// That one could not be, or did not.
    pub failed: Option<At>,
}

/// Connections to the database that are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenConnections {
    /// That nobody uses now.
    pub idle: u32,
    /// That somebody uses.
    pub used: u32,
}

impl OpenConnections {
    /// Of a pool of `size`, of which so many are idle.
    pub(super) fn of(size: u32, idle: usize) -> Self {
        let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(size);
        Self { idle, used: size - idle }
    }

    /// Of two pools.
    pub(super) const fn plus(self, other: Self) -> Self {
        Self { idle: self.idle + other.idle, used: self.used + other.used }
    }
}

impl Removed {
    /// Whether there was something to remove.
    pub const fn any(&self) -> bool {
        let Self { violations, requests, keys, usage, events, outbox, windows } = *self;
        violations > 0 || requests > 0 || keys > 0 || usage > 0 || events > 0 || outbox > 0 || windows > 0
    }
}

/// What happens before a tenant is known, and what must cross tenants.
#[async_trait]
pub trait PlatformStore: Send + Sync + std::fmt::Debug + 'static {
    /// Whether there is a tenant.
    ///
    /// # Errors
    /// If the store fails.
    async fn has_tenant(&self) -> Result<bool, StoreError>;

    /// What tells the master secret of this store from another; `None` until it is kept.
    ///
    /// # Errors
    /// If the store fails.
    async fn secret_check(&self) -> Result<Option<[u8; 32]>, StoreError>;

    /// Keeps it, in the place of `old`. Says whether it did: not if another process was quicker.
    ///
    /// # Errors
    /// If the store fails.
    async fn keep_secret_check(&self, old: Option<&[u8; 32]>, new: &[u8; 32]) -> Result<bool, StoreError>;

    /// Makes the first tenant and its key, unless there is a tenant. Says whether it did.
    ///
    /// # Errors
    /// If the store fails.
    async fn create_first_tenant(&self, name: &TenantName, key: &NewKey, change: &Change) -> Result<bool, StoreError>;

    /// Makes a tenant. `detail` is what a repeated request is told.
    ///
    /// # Errors
    /// [`StoreError::TenantTaken`], [`StoreError::ClaimLost`].
    async fn create_tenant(
        &self,
        name: &TenantName,
        limits: &TenantLimits,
        change: &Change,
    ) -> Result<Tenant, StoreError>;

    /// A tenant.
    ///
    /// # Errors
    /// [`StoreError::NoTenant`].
    async fn tenant(&self, id: TenantId) -> Result<Tenant, StoreError>;

    /// The tenant of a name.
    ///
    /// # Errors
    /// [`StoreError::NoTenant`].
    async fn tenant_named(&self, name: &TenantName) -> Result<Tenant, StoreError>;

    /// Tenants by name, those after `after`, at most `limit`.
    ///
    /// # Errors
    /// If the store fails.
    async fn tenants(&self, after: Option<&TenantName>, limit: u32) -> Result<Vec<Tenant>, StoreError>;

    /// Gives a tenant other limits: all of them, not those that are named alone.
    ///
    /// # Errors
    /// [`StoreError::NoTenant`].
    async fn set_limits(&self, id: TenantId, limits: &TenantLimits, change: &Change) -> Result<Tenant, StoreError>;

    /// Refuses a tenant's callers from now on, or lets them in again.
    ///
    /// # Errors
    /// [`StoreError::NoTenant`].
    async fn set_suspended(&self, id: TenantId, suspended: bool, change: &Change) -> Result<Tenant, StoreError>;

    /// The keys of this prefix; usually one, or none. What belongs to a suspended tenant is not there.
    ///
    /// # Errors
    /// If the store fails.
    async fn keys(&self, prefix: &str) -> Result<Vec<KeyRecord>, StoreError>;

    /// The chains of the audit log that were written to after the change of this number (0: all), with the number of
    /// their last change, which grows. Changes that were under way may come with a smaller number than one that is
    /// known: ask again from a little further back. And what time it is there.
    ///
    /// # Errors
    /// If the store fails.
    async fn changed_since(&self, number: i64) -> Result<(Vec<(Chain, i64)>, At), StoreError>;

    /// Now, by the clock that everything in the store is stamped with: that of the database, which all replicas share.
    ///
    /// # Errors
    /// If the store fails.
    async fn now(&self) -> Result<At, StoreError>;

    /// Where the chains of the audit log end, those of keys after `after` in the tables' order, at most `limit`.
    ///
    /// # Errors
    /// If the store fails.
    async fn audit_heads(&self, after: Option<Chain>, limit: u32) -> Result<Vec<Head>, StoreError>;

    /// The last entry of a chain that is older than a time: its number and seal.
    ///
    /// # Errors
    /// If the store fails.
    async fn audit_before(&self, chain: Chain, time: At) -> Result<Option<(u64, Seal)>, StoreError>;

    /// Removes the entries of a chain up to a number, whose seal this is; `proof` says that the service did.
    ///
    /// # Errors
    /// If the store fails.
    async fn remove_audit(&self, chain: Chain, seq: u64, seal: &Seal, proof: &Seal) -> Result<u64, StoreError>;

    /// What was last written down of backups.
    ///
    /// # Errors
    /// If the store fails.
    async fn backups(&self) -> Result<Backups, StoreError>;

    /// Writes down that this has happened now, and when that is.
    ///
    /// # Errors
    /// If the store fails.
    async fn record_backup(&self, event: BackupEvent, change: &Change) -> Result<At, StoreError>;

    /// Keeps what was used, as counters read now. To keep a reading twice, or one before it after it, changes nothing.
    ///
    /// # Errors
    /// If the store fails. Then all of the readings may have been kept, or none: they may be written again.
    async fn keep_usage(&self, readings: &[Reading]) -> Result<(), StoreError>;

    /// Removes what is older than it shall be kept; some at a time, so that nobody waits for it.
    ///
    /// # Errors
    /// If the store fails.
    async fn remove_old(&self, old: &Old) -> Result<Removed, StoreError>;

    /// Whether the store can be read and written now, found out within a second or two by a write.
    ///
    /// # Errors
    /// If it cannot; or if an operation met a full disk and there is no room yet, or damage.
    async fn check(&self) -> Result<(), StoreError>;

    /// Closes it, once what is under way is over.
    async fn close(&self);

    /// How many connections are open.
    fn connections(&self) -> OpenConnections;

    /// How long an operation may wait until it begins.
    fn patience(&self) -> Duration;
}
