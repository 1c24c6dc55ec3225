//! From rows to domain types. Numbers are 64 bits wide in both databases; what does not fit is a row that somebody
//! else wrote.

use rulebox_dsl::manifest::Manifest;
use rulebox_sandbox::Digest;
use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::at::At;
use crate::domain::caller::TenantId;
use crate::domain::rule::{Rule, RuleName, Runnable, Version};
use crate::store::{StoreError, Unavailable};

/// A row of `rules`.
#[derive(FromRow)]
pub(super) struct RuleRow {
    id: i64,
    tenant_id: Uuid,
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

impl RuleRow {
    pub(super) fn found(self, tenant: TenantId) -> Result<FoundRule, StoreError> {
        own(tenant, self.tenant_id, "rules")?;
        let rule = Rule {
            name: name(&self.name)?,
            created_at: At(self.created_at),
            archived_at: self.archived_at.map(At),
            latest_version: number(self.latest_version, "rules.latest_version")?,
            active_version: self.active_version.map(|n| number(n, "rules.active_version")).transpose()?,
            revision: number(self.revision, "rules.revision")?,
        };
        Ok(FoundRule { id: self.id, rule })
    }
}

/// A row of `versions`, without source and module.
#[derive(FromRow)]
pub(super) struct VersionRow {
    tenant_id: Uuid,
    number: i64,
    digest: Vec<u8>,
    created_at: i64,
    manifest: String,
}

impl VersionRow {
    pub(super) fn version(self, tenant: TenantId, rule: &RuleName) -> Result<Version, StoreError> {
        own(tenant, self.tenant_id, "versions")?;
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
    tenant_id: Uuid,
    name: String,
    number: i64,
    digest: Vec<u8>,
}

impl RunnableRow {
    pub(super) fn runnable(self, tenant: TenantId) -> Result<Runnable, StoreError> {
        own(tenant, self.tenant_id, "versions")?;
        Ok(Runnable {
            rule: name(&self.name)?,
            version: number(self.number, "versions.number")?,
            digest: digest(&self.digest)?,
        })
    }
}

/// Refuses a row that is another tenant's. Every statement asks for one tenant's rows, and in `PostgreSQL` its own rules
/// say so again: this is for the day on which both are wrong.
pub(super) fn own(asked: TenantId, found: Uuid, table: &'static str) -> Result<(), StoreError> {
    if found == asked.uuid() { Ok(()) } else { Err(StoreError::CrossTenant { table, asked }) }
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

/// The JSON of a column.
pub(super) fn value(json: &str, column: &str) -> Result<serde_json::Value, Unavailable> {
    serde_json::from_str(json).map_err(|e| Unavailable::Row(format!("{column}: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_another_tenant_is_refused() {
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let row = |tenant_id| RunnableRow { tenant_id, name: "rule".to_owned(), number: 1, digest: vec![7; 32] };
        assert!(row(a).runnable(TenantId::from_store(a)).is_ok());
        for stranger in [b, Uuid::nil()] {
            let found = row(stranger).runnable(TenantId::from_store(a));
            assert!(matches!(found, Err(StoreError::CrossTenant { table: "versions", asked }) if asked.uuid() == a));
        }
    }
}
