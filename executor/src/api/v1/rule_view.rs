//! Rules and versions as answers show them.

use rulebox_dsl::manifest::Manifest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::rule::{Rule, Version};

/// A rule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rule)]
pub struct RuleView {
    /// Its name.
    pub name: String,
    /// The highest version.
    pub latest_version: u32,
    /// The version that runs if none is named.
    pub active_version: Option<u32>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; then the rule takes no new versions, and runs only by version.
    pub archived_at: Option<String>,
}

impl From<Rule> for RuleView {
    fn from(rule: Rule) -> Self {
        Self {
            name: rule.name.as_str().to_owned(),
            latest_version: rule.latest_version,
            active_version: rule.active_version,
            created_at: rule.created_at.to_string(),
            archived_at: rule.archived_at.map(|at| at.to_string()),
        }
    }
}

/// A version; nothing of it ever changes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Version)]
pub struct VersionView {
    /// The rule.
    pub rule: String,
    /// From 1 up by one.
    pub version: u32,
    /// SHA-256 of the module, `sha256:...`.
    pub digest: String,
    /// RFC 3339.
    pub created_at: String,
    /// What the module takes, gives and costs; the same JSON is in its custom section `rulebox.manifest`.
    #[schema(value_type = Object)]
    pub manifest: Manifest,
}

impl From<Version> for VersionView {
    fn from(version: Version) -> Self {
        Self {
            rule: version.rule.as_str().to_owned(),
            version: version.number,
            digest: version.digest.to_string(),
            created_at: version.created_at.to_string(),
            manifest: version.manifest,
        }
    }
}

/// A version that was stored just now.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadedVersion {
    /// The version.
    #[serde(flatten)]
    pub version: VersionView,
    /// What the author should look at.
    pub warnings: Vec<crate::api::problem::Diagnostic>,
}

impl From<crate::service::rules::Uploaded> for UploadedVersion {
    fn from(uploaded: crate::service::rules::Uploaded) -> Self {
        Self { version: uploaded.version.into(), warnings: uploaded.warnings.into_iter().map(Into::into).collect() }
    }
}

/// The text of a rule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes the body for the OpenAPI document; `body::RuleText` reads it")]
pub struct RuleSource {
    /// Name of the rule; without one, the name in the text. Only where a rule is made.
    #[schema(pattern = "^[a-z_][a-z0-9_-]{0,63}$")]
    pub name: Option<String>,
    /// The text, edition 1 of the rule language.
    #[schema(example = "rule daily_loss(equity, day_start) = equity < 95% * day_start")]
    pub source: String,
}
