//! Where rules, keys and violations are kept.
//!
//! [`RuleStore`] holds what belongs to a tenant: every method takes the tenant's id, and sees nothing of another's.
//! [`PlatformStore`] is the narrow rest: what must happen before the tenant is known. Each method is one transaction:
//! when it has returned, what it did survives the process.
//!
//! To add a store, implement both and run `contract` over it. To add an operation, write it here with what it
//! promises, then in every store, then in the contract.

#[cfg(test)]
mod contract;
pub mod sqlite;

use async_trait::async_trait;
use uuid::Uuid;

use crate::domain::at::At;
use crate::domain::caller::{KeyId, Role, TenantId};
use crate::domain::rule::{NewVersion, Rule, RuleName, Runnable, StoredModule, Version};
use crate::domain::violation::NewViolation;

/// Why an operation did not happen. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The tenant has no such rule.
    #[error("there is no rule `{0}`")]
    NoRule(RuleName),
    /// The rule has no such version.
    #[error("rule `{0}` has no version {1}")]
    NoVersion(RuleName, u32),
    /// The rule is there, but none of its versions is active.
    #[error("rule `{0}` has no active version")]
    NotActive(RuleName),
    /// The tenant has a rule of that name.
    #[error("there is a rule `{name}` already{}", if *archived { ", archived" } else { "" })]
    NameTaken {
        /// The name.
        name: RuleName,
        /// Whether it is archived.
        archived: bool,
    },
    /// The rule is archived.
    #[error("rule `{0}` is archived")]
    Archived(RuleName),
    /// The store itself failed.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The store cannot be used, now or at all.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// Another process holds its lock.
    #[error("the store is locked by another process")]
    Locked(#[source] sqlx::Error),
    /// Others of this process were before it for too long.
    #[error("the store is busy: those before did not end in time")]
    Busy,
    /// It cannot be written to.
    #[error("the store is read-only")]
    ReadOnly(#[source] sqlx::Error),
    /// There is no room for more.
    #[error("the disk of the store is full")]
    Full(#[source] sqlx::Error),
    /// It is not a store, or is damaged.
    #[error("the store is damaged, or its file is something else")]
    Damaged(#[source] sqlx::Error),
    /// A row cannot be read: another program, or a later version, wrote it.
    #[error("the store has a row that cannot be read: {0}")]
    Row(String),
    /// Anything else.
    #[error("the store failed: {0}")]
    Other(#[source] sqlx::Error),
}

impl Unavailable {
    /// A short word for metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Locked(_) => "locked",
            Self::Busy => "busy",
            Self::ReadOnly(_) => "read_only",
            Self::Full(_) => "full",
            Self::Damaged(_) => "damaged",
            Self::Row(_) => "row",
            Self::Other(_) => "other",
        }
    }
}

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its public id.
    pub id: KeyId,
    /// The tenant that it speaks for.
    pub tenant: TenantId,
    /// HMAC-SHA256 of the key.
    pub hash: [u8; 32],
    /// What it may do.
    pub roles: Vec<Role>,
    /// It is refused from then on.
    pub expires_at: Option<At>,
    /// It is refused from then on.
    pub revoked_at: Option<At>,
}

/// A key to be kept.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What lists show.
    pub prefix: String,
    /// HMAC-SHA256 of the key.
    pub hash: [u8; 32],
    /// What it may do.
    pub roles: Vec<Role>,
}

/// Which rules to run.
#[derive(Clone, Debug)]
pub enum Selection {
    /// These, in this order: the version, or else the active one.
    Named(Vec<(RuleName, Option<u32>)>),
    /// Every rule that is active and not archived, by name; at most this many and one more, so that a caller can tell
    /// that there are more.
    Active(usize),
}

/// What belongs to a tenant.
#[async_trait]
pub trait RuleStore: Send + Sync + 'static {
    /// Makes a rule and its version 1, and activates it.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`].
    async fn create_rule(
        &self,
        tenant: TenantId,
        name: &RuleName,
        version: &NewVersion,
        by: KeyId,
    ) -> Result<Version, StoreError>;

    /// Makes the next version of a rule. The active version stays.
    ///
    /// # Errors
    /// [`StoreError::NoRule`], [`StoreError::Archived`].
    async fn add_version(
        &self,
        tenant: TenantId,
        name: &RuleName,
        version: &NewVersion,
        by: KeyId,
    ) -> Result<Version, StoreError>;

    /// A rule.
    ///
    /// # Errors
    /// [`StoreError::NoRule`].
    async fn rule(&self, tenant: TenantId, name: &RuleName) -> Result<Rule, StoreError>;

    /// Rules by name, those after `after`, at most `limit`.
    ///
    /// # Errors
    /// If the store fails.
    async fn rules(
        &self,
        tenant: TenantId,
        after: Option<&RuleName>,
        limit: u32,
        archived: bool,
    ) -> Result<Vec<Rule>, StoreError>;

    /// Archives a rule; once more changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NoRule`].
    async fn archive_rule(&self, tenant: TenantId, name: &RuleName) -> Result<Rule, StoreError>;

    /// Makes a version the active one.
    ///
    /// # Errors
    /// [`StoreError::NoRule`], [`StoreError::NoVersion`], [`StoreError::Archived`].
    async fn activate(&self, tenant: TenantId, name: &RuleName, version: u32, by: KeyId) -> Result<Rule, StoreError>;

    /// A version.
    ///
    /// # Errors
    /// [`StoreError::NoRule`], [`StoreError::NoVersion`].
    async fn version(&self, tenant: TenantId, name: &RuleName, number: u32) -> Result<Version, StoreError>;

    /// Versions of a rule in ascending order, those after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::NoRule`].
    async fn versions(
        &self,
        tenant: TenantId,
        name: &RuleName,
        after: u32,
        limit: u32,
    ) -> Result<Vec<Version>, StoreError>;

    /// The text of a version; `None` for a module that was not compiled here.
    ///
    /// # Errors
    /// [`StoreError::NoRule`], [`StoreError::NoVersion`].
    async fn source(&self, tenant: TenantId, name: &RuleName, number: u32) -> Result<Option<String>, StoreError>;

    /// The module of a version.
    ///
    /// # Errors
    /// [`StoreError::NoRule`], [`StoreError::NoVersion`].
    async fn module(&self, tenant: TenantId, name: &RuleName, number: u32) -> Result<StoredModule, StoreError>;

    /// The versions to run.
    ///
    /// # Errors
    /// [`StoreError::NoRule`], [`StoreError::NoVersion`], [`StoreError::NotActive`]; [`StoreError::Archived`] for an
    /// archived rule without a version.
    async fn runnable(&self, tenant: TenantId, selection: &Selection) -> Result<Vec<Runnable>, StoreError>;

    /// Records a violation. A repeat of one (rule, version, kind) within a minute adds to the count of the first.
    ///
    /// # Errors
    /// If the store fails.
    async fn record_violation(&self, tenant: TenantId, violation: &NewViolation) -> Result<Uuid, StoreError>;
}

/// What happens before a tenant is known.
#[async_trait]
pub trait PlatformStore: Send + Sync + 'static {
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

    /// Keeps it.
    ///
    /// # Errors
    /// If the store fails.
    async fn keep_secret_check(&self, check: &[u8; 32]) -> Result<(), StoreError>;

    /// Makes the first tenant and its key, unless there is a tenant. Says whether it did.
    ///
    /// # Errors
    /// If the store fails.
    async fn create_first_tenant(&self, name: &str, key: &NewKey) -> Result<bool, StoreError>;

    /// The keys of this prefix; usually one, or none.
    ///
    /// # Errors
    /// If the store fails.
    async fn keys(&self, prefix: &str) -> Result<Vec<KeyRecord>, StoreError>;

    /// Whether the store can be read and written now, found out within a second or two by a write.
    ///
    /// # Errors
    /// If it cannot; or if an operation met a full disk and there is no room yet, or damage.
    async fn check(&self) -> Result<(), StoreError>;
}

/// A store: both halves.
pub trait Store: RuleStore + PlatformStore {}
impl<S: RuleStore + PlatformStore> Store for S {}
