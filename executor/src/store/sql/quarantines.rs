//! Modules that are stopped for a tenant.

use rulebox_sandbox::Digest;
use sqlx::FromRow;
use uuid::Uuid;

use super::row::{digest, name as rule_name, number};
use super::{Connection, audit, dialect, query, query_as, query_scalar, rules, versions};
use crate::domain::at::At;
use crate::domain::audit::{Action, Chain};
use crate::domain::caller::{ActorId, TenantId};
use crate::domain::quarantine::Quarantine;
use crate::domain::rule::RuleName;
use crate::store::{Change, StoreError, Unavailable};

#[derive(FromRow)]
struct QuarantineRow {
    digest: Vec<u8>,
    rule: String,
    version: i64,
    reason: String,
    at: i64,
    by: Uuid,
}

impl TryFrom<QuarantineRow> for Quarantine {
    type Error = Unavailable;

    fn try_from(row: QuarantineRow) -> Result<Self, Unavailable> {
        Ok(Self {
            digest: digest(&row.digest)?,
            rule: rule_name(&row.rule)?,
            version: number(row.version, "quarantines.version")?,
            reason: row.reason,
            at: At(row.at),
            by: ActorId(row.by),
        })
    }
}

async fn find(db: &mut Connection, tenant: TenantId, module: Digest) -> Result<Option<Quarantine>, StoreError> {
    let row: Option<QuarantineRow> =
        query_as("select digest, rule, version, reason, at, by from quarantines where tenant_id = $1 and digest = $2")
            .bind(tenant.uuid())
            .bind(module.0.as_slice())
            .fetch_optional(db)
            .await?;
    Ok(row.map(Quarantine::try_from).transpose()?)
}

fn detail(quarantine: &Quarantine) -> serde_json::Value {
    serde_json::json!({
        "version": quarantine.version, "digest": quarantine.digest.to_string(), "reason": quarantine.reason,
    })
}

pub(super) async fn add(
    db: &mut Connection,
    tenant: TenantId,
    name: &RuleName,
    version: u32,
    reason: &str,
    change: &Change,
) -> Result<Quarantine, StoreError> {
    let chain = Chain(Some(tenant));
    audit::lock(db, chain).await?;
    let module = versions::find(db, tenant, name, version).await?.digest;
    if let Some(there) = find(db, tenant, module).await? {
        return Ok(there);
    }
    let made = Quarantine {
        digest: module,
        rule: name.clone(),
        version,
        reason: reason.to_owned(),
        at: dialect::now(db).await?,
        by: change.actor.id,
    };
    query(
        "insert into quarantines (tenant_id, digest, rule, version, reason, at, by) values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(tenant.uuid())
    .bind(module.0.as_slice())
    .bind(name.as_str())
    .bind(i64::from(version))
    .bind(reason)
    .bind(made.at.0)
    .bind(made.by.0)
    .execute(&mut *db)
    .await?;
    audit::write(db, chain, &rules::entry(Action::RuleQuarantine, name, detail(&made)), change).await?;
    Ok(made)
}

pub(super) async fn remove(
    db: &mut Connection,
    tenant: TenantId,
    name: &RuleName,
    version: u32,
    change: &Change,
) -> Result<Quarantine, StoreError> {
    let chain = Chain(Some(tenant));
    audit::lock(db, chain).await?;
    let module = versions::find(db, tenant, name, version).await?.digest;
    let there = find(db, tenant, module).await?;
    let there = there.ok_or_else(|| StoreError::NotQuarantined(name.clone(), version))?;
    query("delete from quarantines where tenant_id = $1 and digest = $2")
        .bind(tenant.uuid())
        .bind(module.0.as_slice())
        .execute(&mut *db)
        .await?;
    audit::write(db, chain, &rules::entry(Action::RuleRelease, name, detail(&there)), change).await?;
    Ok(there)
}

pub(super) async fn list(db: &mut Connection, tenant: TenantId) -> Result<Vec<Digest>, StoreError> {
    let digests: Vec<Vec<u8>> = query_scalar("select digest from quarantines where tenant_id = $1 order by digest")
        .bind(tenant.uuid())
        .fetch_all(db)
        .await?;
    digests.iter().map(|bytes| Ok(digest(bytes)?)).collect()
}
