//! Modules that are stopped for a tenant, under whatever name or version.

use rulebox_sandbox::Digest;

use super::at::At;
use super::caller::ActorId;
use super::rule::RuleName;

/// A module that is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// Of the module.
    pub digest: Digest,
    /// The rule by which it was stopped.
    pub rule: RuleName,
    /// The version by which it was stopped.
    pub version: u32,
    /// Why, for people.
    pub reason: String,
    /// When.
    pub at: At,
    /// Who.
    pub by: ActorId,
}
