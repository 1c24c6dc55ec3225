//! Modules that are stopped for a tenant.

use rulebox_sandbox::{Digest, Severity};
use sqlx::FromRow;
use uuid::Uuid;

use super::row::{digest, name as rule_name, number, own};
use super::{Connection, audit, dialect, events, query, query_as, query_scalar, rules, tenants, versions};
use crate::domain::at::At;
use crate::domain::audit::{Action, Chain};
use crate::domain::caller::{ActorId, TenantId};
use crate::domain::quarantine::{Quarantine, Stopped, StoppedPlace};
use crate::domain::review::Topic;
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

#[derive(FromRow)]
struct StoppedRow {
    tenant_id: Uuid,
    tenant_name: String,
    #[sqlx(flatten)]
    quarantine: QuarantineRow,
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
    audit::lock(db, Chain(Some(tenant))).await?;
    let made = Quarantine {
        digest: versions::find(db, tenant, name, version).await?.digest,
        rule: name.clone(),
        version,
        reason: reason.to_owned(),
        at: dialect::now(db).await?,
        by: change.actor.id,
    };
    Ok(put(db, tenant, &made, change).await?.unwrap_or(made))
}

/// Stops a module. Gives the quarantine that it is in already, if it is.
pub(super) async fn put(
    db: &mut Connection,
    tenant: TenantId,
    made: &Quarantine,
    change: &Change,
) -> Result<Option<Quarantine>, StoreError> {
    let chain = Chain(Some(tenant));
    audit::lock(db, chain).await?;
    if let Some(there) = find(db, tenant, made.digest).await? {
        return Ok(Some(there));
    }
    query(
        "insert into quarantines (tenant_id, digest, rule, version, reason, at, by) values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(tenant.uuid())
    .bind(made.digest.0.as_slice())
    .bind(made.rule.as_str())
    .bind(i64::from(made.version))
    .bind(&made.reason)
    .bind(made.at.0)
    .bind(made.by.0)
    .execute(&mut *db)
    .await?;
    audit::write(db, chain, &rules::entry(Action::RuleQuarantine, &made.rule, detail(made)), change).await?;
    tell(db, tenant, made, Topic::Quarantined).await?;
    Ok(None)
}

async fn tell(db: &mut Connection, tenant: TenantId, quarantine: &Quarantine, topic: Topic) -> Result<(), StoreError> {
    let name = tenants::find(db, tenant).await?.name;
    let about = events::About { owner: Chain(Some(tenant)), violation: None, severity: Severity::High };
    events::write(db, &about, topic, &quarantine.told(name.as_str())).await
}

pub(super) async fn remove(
    db: &mut Connection,
    tenant: TenantId,
    name: &RuleName,
    version: u32,
    change: &Change,
) -> Result<Quarantine, StoreError> {
    let chain = Chain(Some(tenant));
    let module = versions::find(db, tenant, name, version).await?.digest;
    // What it did until now has been looked at: it is counted anew. Before the log is locked, as who records one does.
    query("update violations set counts = false where tenant_id = $1 and digest = $2 and counts")
        .bind(tenant.uuid())
        .bind(module.0.as_slice())
        .execute(&mut *db)
        .await?;
    audit::lock(db, chain).await?;
    let there = find(db, tenant, module).await?;
    let there = there.ok_or_else(|| StoreError::NotQuarantined(name.clone(), version))?;
    query("delete from quarantines where tenant_id = $1 and digest = $2")
        .bind(tenant.uuid())
        .bind(module.0.as_slice())
        .execute(&mut *db)
        .await?;
    audit::write(db, chain, &rules::entry(Action::RuleRelease, name, detail(&there)), change).await?;
    tell(db, tenant, &there, Topic::Released).await?;
    Ok(there)
}

pub(super) async fn list(db: &mut Connection, tenant: TenantId) -> Result<Vec<Digest>, StoreError> {
    let digests: Vec<Vec<u8>> = query_scalar("select digest from quarantines where tenant_id = $1 order by digest")
        .bind(tenant.uuid())
        .fetch_all(db)
        .await?;
    digests.iter().map(|bytes| Ok(digest(bytes)?)).collect()
}

pub(super) async fn page(
    db: &mut Connection,
    owner: Chain,
    tenant: Option<TenantId>,
    after: Option<StoppedPlace>,
    limit: u32,
) -> Result<Vec<Stopped>, StoreError> {
    let (at, of, module) =
        after.map_or((At(i64::MAX), Uuid::max(), [u8::MAX; 32]), |(at, of, module)| (at, of, module.0));
    let rows: Vec<StoppedRow> = query_as(
        "select q.tenant_id, t.name as tenant_name, q.digest, q.rule, q.version, q.reason, q.at, q.by
         from quarantines q join tenants t on t.id = q.tenant_id
         where (cast($1 as uuid) is null or q.tenant_id = $1) and (q.at, q.tenant_id, q.digest) < ($2, $3, $4)
         order by q.at desc, q.tenant_id desc, q.digest desc limit $5",
    )
    .bind(owner.0.or(tenant).map(TenantId::uuid))
    .bind(at.0)
    .bind(of)
    .bind(module.as_slice())
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    let stopped = |row: StoppedRow| {
        if let Some(tenant) = owner.0 {
            own(tenant, row.tenant_id, "quarantines")?;
        }
        let quarantine = row.quarantine.try_into()?;
        Ok(Stopped { tenant: TenantId::from_store(row.tenant_id), tenant_name: row.tenant_name, quarantine })
    };
    rows.into_iter().map(stopped).collect()
}
