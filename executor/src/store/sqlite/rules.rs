//! Rules and activations.

use sqlx::SqliteConnection;

use super::row::{FoundRule, RuleRow};
use super::versions;
use crate::domain::at::At;
use crate::domain::caller::{KeyId, TenantId};
use crate::domain::rule::{NewVersion, Rule, RuleName, Version};
use crate::store::StoreError;

pub(super) async fn find_maybe(
    db: &mut SqliteConnection,
    tenant: TenantId,
    name: &RuleName,
) -> Result<Option<FoundRule>, StoreError> {
    let row: Option<RuleRow> = sqlx::query_as(
        "select id, name, created_at, archived_at, latest_version, active_version
         from rules where tenant_id = $1 and name = $2",
    )
    .bind(tenant.uuid())
    .bind(name.as_str())
    .fetch_optional(db)
    .await?;
    Ok(row.map(FoundRule::try_from).transpose()?)
}

pub(super) async fn find(
    db: &mut SqliteConnection,
    tenant: TenantId,
    name: &RuleName,
) -> Result<FoundRule, StoreError> {
    find_maybe(db, tenant, name).await?.ok_or_else(|| StoreError::NoRule(name.clone()))
}

pub(super) async fn create(
    db: &mut SqliteConnection,
    tenant: TenantId,
    name: &RuleName,
    version: &NewVersion,
    by: KeyId,
) -> Result<Version, StoreError> {
    if let Some(found) = find_maybe(db, tenant, name).await? {
        return Err(StoreError::NameTaken { name: name.clone(), archived: found.rule.archived_at.is_some() });
    }
    let now = At::now();
    let id = sqlx::query("insert into rules (tenant_id, name, created_at, latest_version) values ($1, $2, $3, 1)")
        .bind(tenant.uuid())
        .bind(name.as_str())
        .bind(now.0)
        .execute(&mut *db)
        .await?
        .last_insert_rowid();
    versions::insert(db, tenant, id, 1, version, by, now).await?;
    set_active(db, tenant, id, 1, by, now).await?;
    versions::find(db, tenant, name, 1).await
}

pub(super) async fn list(
    db: &mut SqliteConnection,
    tenant: TenantId,
    after: Option<&RuleName>,
    limit: u32,
    archived: bool,
) -> Result<Vec<Rule>, StoreError> {
    let rows: Vec<RuleRow> = sqlx::query_as(
        "select id, name, created_at, archived_at, latest_version, active_version
         from rules where tenant_id = $1 and name > $2 and (archived_at is null or $3)
         order by name limit $4",
    )
    .bind(tenant.uuid())
    .bind(after.map_or("", RuleName::as_str))
    .bind(archived)
    .bind(limit)
    .fetch_all(db)
    .await?;
    let rules: Result<Vec<_>, _> = rows.into_iter().map(|row| Ok(FoundRule::try_from(row)?.rule)).collect();
    rules
}

pub(super) async fn archive(db: &mut SqliteConnection, tenant: TenantId, name: &RuleName) -> Result<Rule, StoreError> {
    sqlx::query(
        "update rules set archived_at = $3, active_version = null
         where tenant_id = $1 and name = $2 and archived_at is null",
    )
    .bind(tenant.uuid())
    .bind(name.as_str())
    .bind(At::now().0)
    .execute(&mut *db)
    .await?;
    Ok(find(db, tenant, name).await?.rule)
}

pub(super) async fn activate(
    db: &mut SqliteConnection,
    tenant: TenantId,
    name: &RuleName,
    version: u32,
    by: KeyId,
) -> Result<Rule, StoreError> {
    let FoundRule { id, rule } = find(db, tenant, name).await?;
    if rule.archived_at.is_some() {
        return Err(StoreError::Archived(name.clone()));
    }
    if version == 0 || version > rule.latest_version {
        return Err(StoreError::NoVersion(name.clone(), version));
    }
    set_active(db, tenant, id, version, by, At::now()).await?;
    Ok(Rule { active_version: Some(version), ..rule })
}

async fn set_active(
    db: &mut SqliteConnection,
    tenant: TenantId,
    rule: i64,
    version: u32,
    by: KeyId,
    at: At,
) -> Result<(), StoreError> {
    sqlx::query("update rules set active_version = $3 where tenant_id = $1 and id = $2")
        .bind(tenant.uuid())
        .bind(rule)
        .bind(version)
        .execute(&mut *db)
        .await?;
    sqlx::query("insert into activations (tenant_id, rule_id, version, at, by) values ($1, $2, $3, $4, $5)")
        .bind(tenant.uuid())
        .bind(rule)
        .bind(version)
        .bind(at.0)
        .bind(by.0)
        .execute(db)
        .await?;
    Ok(())
}
