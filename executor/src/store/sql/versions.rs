//! Versions: made once, never changed.

use uuid::Uuid;

use super::row::{self, FoundRule, RunnableRow, VersionRow, signed};
use super::{Connection, audit, dialect, query, query_as, requests, rules, stored};
use crate::domain::at::At;
use crate::domain::audit::{Action, Chain};
use crate::domain::caller::{ActorId, TenantId};
use crate::domain::idempotency::Made;
use crate::domain::rule::{Most, NewVersion, RuleName, Runnable, StoredModule, Version};
use crate::store::{Change, Precondition, Selection, StoreError};

pub(super) async fn add(
    db: &mut Connection,
    tenant: TenantId,
    name: &RuleName,
    version: &NewVersion,
    precondition: &Precondition,
    most: &Most,
    change: &Change,
) -> Result<Version, StoreError> {
    let FoundRule { id, rule } = rules::find_to_change(db, tenant, name, precondition).await?;
    if rule.archived_at.is_some() {
        return Err(StoreError::Archived(name.clone()));
    }
    // In the order of all who change rules, so that no two wait for each other.
    audit::lock(db, Chain(Some(tenant))).await?;
    stored::add(db, tenant, version, &most.storage).await?;
    let number = rule.latest_version + 1;
    let now = dialect::now(db).await?;
    insert(db, tenant, id, number, version, change.actor.id, now).await?;
    query("update rules set latest_version = $3, revision = revision + 1 where tenant_id = $1 and id = $2")
        .bind(tenant.uuid())
        .bind(id)
        .bind(i64::from(number))
        .execute(&mut *db)
        .await?;
    let made = find(db, tenant, name, number).await?;
    let sealed = serde_json::json!({"version": number, "digest": made.digest.to_string()});
    audit::write(db, Chain(Some(tenant)), &rules::entry(Action::RuleVersion, name, sealed), change).await?;
    let outcome =
        Made { subject: name.as_str().to_owned(), number: Some(number), detail: rules::NOTHING_MORE.to_owned() };
    requests::end(db, &outcome, change).await?;
    Ok(made)
}

pub(super) async fn insert(
    db: &mut Connection,
    tenant: TenantId,
    rule: i64,
    number: u32,
    version: &NewVersion,
    by: ActorId,
    at: At,
) -> Result<(), StoreError> {
    query(
        "insert into versions (tenant_id, rule_id, number, digest, created_at, created_by, manifest, source, module)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(tenant.uuid())
    .bind(rule)
    .bind(i64::from(number))
    .bind(version.digest.0.as_slice())
    .bind(at.0)
    .bind(by.0)
    .bind(row::json(&version.manifest, "versions.manifest")?)
    .bind(version.source.as_deref())
    .bind(version.module.as_slice())
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn find(
    db: &mut Connection,
    tenant: TenantId,
    name: &RuleName,
    number: u32,
) -> Result<Version, StoreError> {
    let rule = rules::find(db, tenant, name).await?.id;
    let row: Option<VersionRow> = query_as(
        "select tenant_id, number, digest, created_at, manifest
         from versions where tenant_id = $1 and rule_id = $2 and number = $3",
    )
    .bind(tenant.uuid())
    .bind(rule)
    .bind(i64::from(number))
    .fetch_optional(db)
    .await?;
    let row = row.ok_or_else(|| StoreError::NoVersion(name.clone(), number))?;
    row.version(tenant, name)
}

pub(super) async fn list(
    db: &mut Connection,
    tenant: TenantId,
    name: &RuleName,
    after: u32,
    limit: u32,
) -> Result<Vec<Version>, StoreError> {
    let rule = rules::find(db, tenant, name).await?.id;
    let rows: Vec<VersionRow> = query_as(
        "select tenant_id, number, digest, created_at, manifest
         from versions where tenant_id = $1 and rule_id = $2 and number > $3 order by number limit $4",
    )
    .bind(tenant.uuid())
    .bind(rule)
    .bind(i64::from(after))
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| row.version(tenant, name)).collect()
}

pub(super) async fn source(
    db: &mut Connection,
    tenant: TenantId,
    name: &RuleName,
    number: u32,
) -> Result<Option<String>, StoreError> {
    let rule = rules::find(db, tenant, name).await?.id;
    let source: Option<(Uuid, Option<String>)> =
        query_as("select tenant_id, source from versions where tenant_id = $1 and rule_id = $2 and number = $3")
            .bind(tenant.uuid())
            .bind(rule)
            .bind(i64::from(number))
            .fetch_optional(db)
            .await?;
    let (owner, source) = source.ok_or_else(|| StoreError::NoVersion(name.clone(), number))?;
    row::own(tenant, owner, "versions")?;
    Ok(source)
}

pub(super) async fn module(
    db: &mut Connection,
    tenant: TenantId,
    name: &RuleName,
    number: u32,
) -> Result<StoredModule, StoreError> {
    let rule = rules::find(db, tenant, name).await?.id;
    let found: Option<(Uuid, Vec<u8>, String)> = query_as(
        "select tenant_id, module, manifest from versions where tenant_id = $1 and rule_id = $2 and number = $3",
    )
    .bind(tenant.uuid())
    .bind(rule)
    .bind(i64::from(number))
    .fetch_optional(db)
    .await?;
    let (owner, bytes, manifest) = found.ok_or_else(|| StoreError::NoVersion(name.clone(), number))?;
    row::own(tenant, owner, "versions")?;
    Ok(StoredModule { bytes, manifest: row::manifest(&manifest)? })
}

pub(super) async fn runnable(
    db: &mut Connection,
    tenant: TenantId,
    selection: &Selection,
) -> Result<Vec<Runnable>, StoreError> {
    match selection {
        Selection::Active(limit) => {
            let rows: Vec<RunnableRow> = query_as(
                "select v.tenant_id, r.name, v.number, v.digest from rules r
                 join versions v on v.tenant_id = r.tenant_id and v.rule_id = r.id and v.number = r.active_version
                 where r.tenant_id = $1 and r.archived_at is null order by r.name limit $2",
            )
            .bind(tenant.uuid())
            .bind(signed(*limit as u64).saturating_add(1))
            .fetch_all(db)
            .await?;
            rows.into_iter().map(|row| row.runnable(tenant)).collect()
        }
        Selection::Named(names) => {
            let mut found = Vec::with_capacity(names.len());
            for (name, version) in names {
                found.push(runnable_one(db, tenant, name, *version).await?);
            }
            Ok(found)
        }
    }
}

async fn runnable_one(
    db: &mut Connection,
    tenant: TenantId,
    name: &RuleName,
    version: Option<u32>,
) -> Result<Runnable, StoreError> {
    let row: Option<RunnableRow> = query_as(
        "select v.tenant_id, r.name, v.number, v.digest from rules r
         join versions v on v.tenant_id = r.tenant_id and v.rule_id = r.id
         where r.tenant_id = $1 and r.name = $2 and v.number = coalesce($3, r.active_version)",
    )
    .bind(tenant.uuid())
    .bind(name.as_str())
    .bind(version.map(i64::from))
    .fetch_optional(&mut *db)
    .await?;
    if let Some(row) = row {
        return row.runnable(tenant);
    }
    let rule = rules::find(db, tenant, name).await?.rule;
    Err(match version {
        Some(number) => StoreError::NoVersion(name.clone(), number),
        None if rule.archived_at.is_some() => StoreError::Archived(name.clone()),
        None => StoreError::NotActive(name.clone()),
    })
}
