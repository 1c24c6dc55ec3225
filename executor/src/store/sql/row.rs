//! From rows to domain types. Numbers are 64 bits wide in both databases; what does not fit is a row that somebody
//! else wrote.

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
    latest_version: i64,
    active_version: Option<i64>,
    revision: i64,
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
            latest_version: number(row.latest_version, "rules.latest_version")?,
            active_version: row.active_version.map(|n| number(n, "rules.active_version")).transpose()?,
            revision: number(row.revision, "rules.revision")?,
        };
        Ok(Self { id: row.id, rule })
    }
}

/// A row of `versions`, without source and module.
#[derive(FromRow)]
pub(super) struct VersionRow {
    number: i64,
    digest: Vec<u8>,
    created_at: i64,
    manifest: String,
}

impl VersionRow {
    pub(super) fn version(self, rule: &RuleName) -> Result<Version, Unavailable> {
        Ok(Version {
            rule: rule.clone(),
            number: number(self.number, "versions.number")?,
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
    number: i64,
    digest: Vec<u8>,
}

impl TryFrom<RunnableRow> for Runnable {
    type Error = Unavailable;

    fn try_from(row: RunnableRow) -> Result<Self, Unavailable> {
        Ok(Self {
            rule: name(&row.name)?,
            version: number(row.number, "versions.number")?,
            digest: digest(&row.digest)?,
        })
    }
}

pub(super) fn name(text: &str) -> Result<RuleName, Unavailable> {
    RuleName::new(text).map_err(|e| Unavailable::Row(format!("rules.name: {e}")))
}

/// A number of the column, in the type that it is here.
pub(super) fn number<T: TryFrom<i64>>(value: i64, column: &str) -> Result<T, Unavailable> {
    T::try_from(value).map_err(|_| Unavailable::Row(format!("{column} is {value}")))
}

/// The databases have no unsigned numbers: what does not fit is as good as the largest.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Bytes of the column, as many as there must be.
pub(super) fn bytes<const N: usize>(value: &[u8], column: &str) -> Result<[u8; N], Unavailable> {
    value.try_into().map_err(|_| Unavailable::Row(format!("{column} is not {N} bytes")))
}

pub(super) fn digest(value: &[u8]) -> Result<Digest, Unavailable> {
    Ok(Digest(bytes(value, "digest")?))
}

pub(super) fn manifest(json: &str) -> Result<Manifest, Unavailable> {
    serde_json::from_str(json).map_err(|e| Unavailable::Row(format!("versions.manifest: {e}")))
}

pub(super) fn json<T: serde::Serialize>(value: &T, column: &str) -> Result<String, Unavailable> {
    serde_json::to_string(value).map_err(|e| Unavailable::Row(format!("{column}: {e}")))
}
