//! What modules did, and who looked at it.

use async_trait::async_trait;
use rulebox_sandbox::{Digest, Severity};
use uuid::Uuid;

use super::{Change, StoreError};
use crate::domain::at::At;
use crate::domain::audit::Chain;
use crate::domain::caller::TenantId;
use crate::domain::quarantine::{Stopped, StoppedPlace, Thresholds};
use crate::domain::review::{Filter, KeptViolation, Position, Review, SecurityEvent, Totals};
use crate::domain::rule::RuleName;
use crate::domain::violation::NewViolation;

/// How often a violation happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrences {
    /// Since it was last recorded.
    pub times: u64,
    /// The violation that these are repeats of, if that is known.
    pub of: Option<Uuid>,
}

impl Occurrences {
    /// Once, and not known to be a repeat.
    pub const ONE: Self = Self { times: 1, of: None };
}

/// What became of a violation that was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The record.
    pub id: Uuid,
    /// How bad it is: an upload that is refused is as bad as it can be once a day.
    pub severity: Severity,
    /// When the first happened.
    pub at: At,
    /// Whether this was the first.
    pub opened: bool,
    /// How many count towards the quarantine of its module, with this; 0 if it does not count.
    pub counted: u64,
    /// Whether it stopped its module.
    pub quarantined: bool,
}

/// What modules did, and who looked at it. Where an owner is asked for, the platform's [`Chain`] reads the violations
/// of all tenants, and writes those that are of none.
#[async_trait]
pub trait ReviewStore: Send + Sync + 'static {
    /// Records a violation. A repeat within a minute of one (rule, version, kind, digest, subject) adds to the count of
    /// the first, on whichever replica that was, unless a reviewer is done with it. What others are to hear of it is
    /// written with it; so is the quarantine of its module, if it was one too many.
    ///
    /// # Errors
    /// If the store fails.
    async fn record_violation(
        &self,
        owner: Chain,
        violation: &NewViolation,
        occurrences: Occurrences,
        thresholds: &Thresholds,
        change: &Change,
    ) -> Result<Recorded, StoreError>;

    /// A violation.
    ///
    /// # Errors
    /// [`StoreError::NoViolation`].
    async fn violation(&self, owner: Chain, id: Uuid) -> Result<KeptViolation, StoreError>;

    /// Violations from the newest on, those behind `after` (when it began, and its id), at most `limit`.
    ///
    /// # Errors
    /// If the store fails.
    async fn violations(
        &self,
        owner: Chain,
        filter: &Filter,
        after: Option<(At, Uuid)>,
        limit: u32,
    ) -> Result<Vec<KeptViolation>, StoreError>;

    /// Notes that a violation was looked at; once more changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NoViolation`]; [`StoreError::Resolved`] if that is over.
    async fn review(&self, id: Uuid, review: &Review, change: &Change) -> Result<KeptViolation, StoreError>;

    /// Events of the feed behind a place, at most `limit`. Whoever goes on behind the last one misses none and hears
    /// none twice, however many write at the same time.
    ///
    /// # Errors
    /// If the store fails.
    async fn feed(&self, owner: Chain, after: Position, limit: u32) -> Result<Vec<SecurityEvent>, StoreError>;

    /// Where the feed ends now.
    ///
    /// # Errors
    /// If the store fails.
    async fn feed_end(&self, owner: Chain) -> Result<Position, StoreError>;

    /// Modules that are stopped, the latest first, those behind `after`, at most `limit`; of one tenant, if one is named.
    ///
    /// # Errors
    /// If the store fails.
    async fn stopped(
        &self,
        owner: Chain,
        tenant: Option<TenantId>,
        after: Option<StoppedPlace>,
        limit: u32,
    ) -> Result<Vec<Stopped>, StoreError>;

    /// What gauges show.
    ///
    /// # Errors
    /// If the store fails.
    async fn review_totals(&self) -> Result<Totals, StoreError>;

    /// A version of a tenant's that has this module: the newest.
    ///
    /// # Errors
    /// If the store fails.
    async fn version_of(&self, tenant: TenantId, digest: Digest) -> Result<Option<(RuleName, u32)>, StoreError>;

    /// Writes into the tenant's audit log and the platform's that somebody of the platform reads the text of a version.
    ///
    /// # Errors
    /// [`StoreError::NoRule`], [`StoreError::NoVersion`].
    async fn break_glass(
        &self,
        tenant: TenantId,
        name: &RuleName,
        version: u32,
        reason: &str,
        change: &Change,
    ) -> Result<(), StoreError>;
}
