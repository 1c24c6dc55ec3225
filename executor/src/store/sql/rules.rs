//! Rules and activations.

use super::row::{FoundRule, RuleRow, signed};
use super::{Connection, audit, dialect, query, query_as, query_scalar, requests, stored, versions};
use crate::domain::at::At;
use crate::domain::audit::{Action, Chain, NewEntry};
use crate::domain::caller::{ActorId, TenantId};
use crate::domain::idempotency::Made;
use crate::domain::rule::{Most, NewVersion, Rule, RuleName, Version};
use crate::store::{Change, Precondition, StoreError};

/// What a repeated request is told beside the version.
pub(super) const NOTHING_MORE: &str = "{}";

pub(super) async fn find_maybe(
    db: &mut Connection,
    tenant: TenantId,
    name: &RuleName,
) -> Result<Option<FoundRule>, StoreError> {
    let row: Option<RuleRow> = query_as(
        "select id, tenant_id, name, created_at, archived_at, latest_version, active_version, revision
         from rules where tenant_id = $1 and name = $2",
    )
    .bind(tenant.uuid())
    .bind(name.as_str())
    .fetch_optional(db)
    .await?;
    row.map(|row| row.found(tenant)).transpose()
}

pub(super) async fn find(db: &mut Connection, tenant: TenantId, name: &RuleName) -> Result<FoundRule, StoreError> {
    find_maybe(db, tenant, name).await?.ok_or_else(|| StoreError::NoRule(name.clone()))
}

pub(super) async fn get(db: &mut Connection, tenant: TenantId, name: &RuleName) -> Result<Rule, StoreError> {
    Ok(find(db, tenant, name).await?.rule)
}

/// The rule, which nobody else changes until the transaction is over.
pub(super) async fn find_to_change(
    db: &mut Connection,
    tenant: TenantId,
    name: &RuleName,
    precondition: &Precondition,
) -> Result<FoundRule, StoreError> {
    dialect::lock_rule(db, tenant, name).await?;
    let found = find(db, tenant, name).await?;
    match precondition {
        Precondition::Revisions(seen) if !seen.contains(&found.rule.revision) => {
            Err(StoreError::Stale { name: name.clone(), revision: found.rule.revision })
        }
        _ => Ok(found),
    }
}

pub(super) async fn create(
    db: &mut Connection,
    tenant: TenantId,
    name: &RuleName,
    version: &NewVersion,
    most: &Most,
    change: &Change,
) -> Result<Version, StoreError> {
    // One at a time for a tenant, so that two do not both find the last free place. The audit log would make the
    // second wait in any case.
    audit::lock(db, Chain(Some(tenant))).await?;
    if let Some(found) = find_maybe(db, tenant, name).await? {
        return Err(StoreError::NameTaken { name: name.clone(), archived: found.rule.archived_at.is_some() });
    }
    let count: i64 = query_scalar("select count(*) from rules where tenant_id = $1 and archived_at is null")
        .bind(tenant.uuid())
        .fetch_one(&mut *db)
        .await?;
    if count >= signed(most.rules) {
        return Err(StoreError::RulesLimit { limit: most.rules });
    }
    stored::add(db, tenant, version, &most.storage).await?;
    let now = dialect::now(db).await?;
    let id: i64 = query_scalar(
        "insert into rules (tenant_id, name, created_at, latest_version) values ($1, $2, $3, 1) returning id",
    )
    .bind(tenant.uuid())
    .bind(name.as_str())
    .bind(now.0)
    .fetch_one(&mut *db)
    .await?;
    versions::insert(db, tenant, id, 1, version, change.actor.id, now).await?;
    set_active(db, tenant, id, 1, change.actor.id, now).await?;
    let made = versions::find(db, tenant, name, 1).await?;
    let entry = entry(Action::RuleCreate, name, serde_json::json!({"version": 1, "digest": made.digest.to_string()}));
    audit::write(db, Chain(Some(tenant)), &entry, change).await?;
    let outcome = Made { subject: name.as_str().to_owned(), number: Some(1), detail: NOTHING_MORE.to_owned() };
    requests::end(db, &outcome, change).await?;
    Ok(made)
}

pub(super) fn entry(action: Action, name: &RuleName, detail: serde_json::Value) -> NewEntry {
    NewEntry { action, object: name.as_str().to_owned(), detail }
}

pub(super) async fn list(
    db: &mut Connection,
    tenant: TenantId,
    after: Option<&RuleName>,
    limit: u32,
    archived: bool,
) -> Result<Vec<Rule>, StoreError> {
    let rows: Vec<RuleRow> = query_as(
        "select id, tenant_id, name, created_at, archived_at, latest_version, active_version, revision
         from rules where tenant_id = $1 and name > $2 and (archived_at is null or $3)
         order by name limit $4",
    )
    .bind(tenant.uuid())
    .bind(after.map_or("", RuleName::as_str))
    .bind(archived)
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    let rules: Result<Vec<_>, _> = rows.into_iter().map(|row| Ok(row.found(tenant)?.rule)).collect();
    rules
}

pub(super) async fn archive(
    db: &mut Connection,
    tenant: TenantId,
    name: &RuleName,
    precondition: &Precondition,
    change: &Change,
) -> Result<Rule, StoreError> {
    let FoundRule { id, rule } = find_to_change(db, tenant, name, precondition).await?;
    if rule.archived_at.is_some() {
        return Ok(rule);
    }
    let now = dialect::now(db).await?;
    query(
        "update rules set archived_at = $3, active_version = null, revision = revision + 1
         where tenant_id = $1 and id = $2",
    )
    .bind(tenant.uuid())
    .bind(id)
    .bind(now.0)
    .execute(&mut *db)
    .await?;
    let detail = serde_json::json!({"active_version": rule.active_version});
    audit::write(db, Chain(Some(tenant)), &entry(Action::RuleArchive, name, detail), change).await?;
    Ok(find(db, tenant, name).await?.rule)
}

pub(super) async fn activate(
    db: &mut Connection,
    tenant: TenantId,
    name: &RuleName,
    version: u32,
    precondition: &Precondition,
    change: &Change,
) -> Result<Rule, StoreError> {
    let FoundRule { id, rule } = find_to_change(db, tenant, name, precondition).await?;
    if rule.archived_at.is_some() {
        return Err(StoreError::Archived(name.clone()));
    }
    if version == 0 || version > rule.latest_version {
        return Err(StoreError::NoVersion(name.clone(), version));
    }
    query("update rules set revision = revision + 1 where tenant_id = $1 and id = $2")
        .bind(tenant.uuid())
        .bind(id)
        .execute(&mut *db)
        .await?;
    let now = dialect::now(db).await?;
    set_active(db, tenant, id, version, change.actor.id, now).await?;
    let detail = serde_json::json!({"version": version, "before": rule.active_version});
    audit::write(db, Chain(Some(tenant)), &entry(Action::RuleActivate, name, detail), change).await?;
    Ok(find(db, tenant, name).await?.rule)
}

async fn set_active(
    db: &mut Connection,
    tenant: TenantId,
    rule: i64,
    version: u32,
    by: ActorId,
    at: At,
) -> Result<(), StoreError> {
    query("update rules set active_version = $3 where tenant_id = $1 and id = $2")
        .bind(tenant.uuid())
        .bind(rule)
        .bind(i64::from(version))
        .execute(&mut *db)
        .await?;
    query("insert into activations (tenant_id, rule_id, version, at, by) values ($1, $2, $3, $4, $5)")
        .bind(tenant.uuid())
        .bind(rule)
        .bind(i64::from(version))
        .bind(at.0)
        .bind(by.0)
        .execute(db)
        .await?;
    Ok(())
}
