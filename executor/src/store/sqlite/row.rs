//! From rows to domain types.

use rulebox_dsl::manifest::Manifest;
use rulebox_sandbox::Digest;
use sqlx::FromRow;

use crate::domain::at::At;
use crate::domain::rule::{Rule, RuleName, Runnable, Version};
use crate::store::Unavailable;

/// A row of `rules`.
#[derive(FromRow)]
pub(super) struct RuleRow {
    id: i64,
    name: String,
    created_at: i64,
    archived_at: Option<i64>,
    latest_version: u32,
    active_version: Option<u32>,
}

/// A rule and its key in the tables.
pub(super) struct FoundRule {
    pub(super) id: i64,
    pub(super) rule: Rule,
}

impl TryFrom<RuleRow> for FoundRule {
    type Error = Unavailable;

    fn try_from(row: RuleRow) -> Result<Self, Unavailable> {
        let rule = Rule {
            name: name(&row.name)?,
            created_at: At(row.created_at),
            archived_at: row.archived_at.map(At),
            latest_version: row.latest_version,
            active_version: row.active_version,
        };
        Ok(Self { id: row.id, rule })
    }
}

/// A row of `versions`, without source and module.
#[derive(FromRow)]
pub(super) struct VersionRow {
    number: u32,
    digest: Vec<u8>,
    created_at: i64,
    manifest: String,
}

impl VersionRow {
    pub(super) fn version(self, rule: &RuleName) -> Result<Version, Unavailable> {
        Ok(Version {
            rule: rule.clone(),
            number: self.number,
            digest: digest(&self.digest)?,
            created_at: At(self.created_at),
            manifest: manifest(&self.manifest)?,
        })
    }
}

/// What `runnable` reads.
#[derive(FromRow)]
pub(super) struct RunnableRow {
    name: String,
    number: u32,
    digest: Vec<u8>,
}

impl TryFrom<RunnableRow> for Runnable {
    type Error = Unavailable;

    fn try_from(row: RunnableRow) -> Result<Self, Unavailable> {
        Ok(Self { rule: name(&row.name)?, version: row.number, digest: digest(&row.digest)? })
    }
}

pub(super) fn name(text: &str) -> Result<RuleName, Unavailable> {
    RuleName::new(text).map_err(|e| Unavailable::Row(format!("rules.name: {e}")))
}

pub(super) fn digest(bytes: &[u8]) -> Result<Digest, Unavailable> {
    let bytes = bytes.try_into().map_err(|_| Unavailable::Row("versions.digest is not 32 bytes".to_owned()))?;
    Ok(Digest(bytes))
}

pub(super) fn manifest(json: &str) -> Result<Manifest, Unavailable> {
    serde_json::from_str(json).map_err(|e| Unavailable::Row(format!("versions.manifest: {e}")))
}

pub(super) fn manifest_json(manifest: &Manifest) -> Result<String, Unavailable> {
    serde_json::to_string(manifest).map_err(|e| Unavailable::Row(format!("versions.manifest: {e}")))
}
