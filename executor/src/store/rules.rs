//! Rules.

use async_trait::async_trait;

use super::{Change, StoreError};
use crate::domain::caller::TenantId;
use crate::domain::rule::{Most, NewVersion, Rule, RuleName, Runnable, Storage, StoredModule, Version};

/// Which rules to run.
#[derive(Clone, Debug)]
pub enum Selection {
    /// These, in this order: the version, or else the active one.
    Named(Vec<(RuleName, Option<u32>)>),
    /// Every rule that is active and not archived, by name; at most this many and one more, so that a caller can tell
    /// that there are more.
    Active(usize),
}

/// What a rule must be like for a change to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Whatever it is like.
    None,
    /// At one of these revisions.
    Revisions(Vec<u64>),
}

/// The rules of a tenant.
#[async_trait]
pub trait RuleStore: Send + Sync + 'static {
    /// Makes a rule and its version 1, and activates it, within what the tenant may have.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`], [`StoreError::RulesLimit`], [`StoreError::StorageLimit`], [`StoreError::ClaimLost`].
    async fn create_rule(
        &self,
        tenant: TenantId,
        name: &RuleName,
        version: &NewVersion,
        most: &Most,
        change: &Change,
    ) -> Result<Version, StoreError>;

    /// Makes the next version of a rule, within what the tenant may have. The active version stays.
    ///
    /// # Errors
    /// [`StoreError::NoRule`], [`StoreError::Archived`], [`StoreError::Stale`], [`StoreError::StorageLimit`],
    /// [`StoreError::ClaimLost`].
    async fn add_version(
        &self,
        tenant: TenantId,
        name: &RuleName,
        version: &NewVersion,
        precondition: &Precondition,
        most: &Most,
        change: &Change,
    ) -> Result<Version, StoreError>;

    /// How much of the tenant's versions is kept.
    ///
    /// # Errors
    /// If the store fails.
    async fn stored(&self, tenant: TenantId) -> Result<Storage, StoreError>;

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
    /// [`StoreError::NoRule`], [`StoreError::Stale`].
    async fn archive_rule(
        &self,
        tenant: TenantId,
        name: &RuleName,
        precondition: &Precondition,
        change: &Change,
    ) -> Result<Rule, StoreError>;

    /// Makes a version the active one.
    ///
    /// # Errors
    /// [`StoreError::NoRule`], [`StoreError::NoVersion`], [`StoreError::Archived`], [`StoreError::Stale`].
    async fn activate(
        &self,
        tenant: TenantId,
        name: &RuleName,
        version: u32,
        precondition: &Precondition,
        change: &Change,
    ) -> Result<Rule, StoreError>;

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
}
