//! Modules that are stopped for a tenant, under whatever name or version.

use std::time::Duration;

use rulebox_sandbox::Digest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::at::At;
use super::caller::{ActorId, TenantId};
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

impl Quarantine {
    /// As those are told who listen.
    pub fn told(&self, tenant: &str) -> Value {
        json!({
            "tenant": tenant,
            "rule": self.rule.as_str(),
            "version": self.version,
            "digest": self.digest.to_string(),
            "reason": self.reason,
            "at": self.at,
        })
    }
}

/// A module that is stopped, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// For whom it is stopped.
    pub tenant: TenantId,
    /// The name of that tenant.
    pub tenant_name: String,
    /// What is stopped.
    pub quarantine: Quarantine,
}

/// Where a list of stopped modules goes on: when the last one was stopped, for whom, and which it is.
pub type StoppedPlace = (At, Uuid, Digest);

/// When a module is stopped by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// So many violations of kinds that count,
    pub violations: u64,
    /// or so many executors that died while they ran it,
    pub deaths: u64,
    /// within this time.
    pub within: Duration,
}

impl Thresholds {
    /// What is older does not count: a violation counts as a whole if it was last repeated since.
    pub fn since(&self, now: At) -> At {
        now.minus(self.within)
    }
}
