//! Tenants and their limits.

use sqlx::FromRow;
use uuid::Uuid;

use super::row::json;
use super::{Connection, audit, dialect, keys, query, query_as, query_scalar, requests};
use crate::domain::at::At;
use crate::domain::audit::{Action, Chain, NewEntry};
use crate::domain::caller::TenantId;
use crate::domain::idempotency::Made;
use crate::domain::key::NewKey;
use crate::domain::tenant::{Tenant, TenantLimits, TenantName};
use crate::store::{Change, StoreError, Unavailable};

#[derive(FromRow)]
struct TenantRow {
    id: Uuid,
    name: String,
    created_at: i64,
    suspended_at: Option<i64>,
    limits: String,
}

impl TryFrom<TenantRow> for Tenant {
    type Error = Unavailable;

    fn try_from(row: TenantRow) -> Result<Self, Unavailable> {
        Ok(Self {
            id: TenantId::from_store(row.id),
            name: TenantName::new(&row.name).map_err(|e| Unavailable::Row(format!("tenants.name: {e}")))?,
            created_at: At(row.created_at),
            suspended_at: row.suspended_at.map(At),
            limits: serde_json::from_str(&row.limits).map_err(|e| Unavailable::Row(format!("tenants.limits: {e}")))?,
        })
    }
}

pub(super) async fn any(db: &mut Connection) -> Result<bool, StoreError> {
    Ok(query_scalar("select exists (select 1 from tenants)").fetch_one(db).await?)
}

pub(super) async fn create_first(
    db: &mut Connection,
    name: &TenantName,
    key: &NewKey,
    change: &Change,
) -> Result<bool, StoreError> {
    // Two processes may start over a new store at the same time.
    audit::lock(db, Chain(None)).await?;
    if any(db).await? {
        return Ok(false);
    }
    let tenant = create(db, name, &TenantLimits::default(), change).await?;
    keys::create(db, Chain(Some(tenant.id)), key, "{}", change).await?;
    Ok(true)
}

pub(super) async fn create(
    db: &mut Connection,
    name: &TenantName,
    limits: &TenantLimits,
    change: &Change,
) -> Result<Tenant, StoreError> {
    audit::lock(db, Chain(None)).await?;
    if find_named_maybe(db, name).await?.is_some() {
        return Err(StoreError::TenantTaken(name.clone()));
    }
    let (id, now) = (Uuid::now_v7(), dialect::now(db).await?);
    query("insert into tenants (id, name, created_at, limits) values ($1, $2, $3, $4)")
        .bind(id)
        .bind(name.as_str())
        .bind(now.0)
        .bind(json(limits, "tenants.limits")?)
        .execute(&mut *db)
        .await?;
    let tenant = find(db, TenantId::from_store(id)).await?;
    record(db, Action::TenantCreate, &tenant, serde_json::json!({"id": id, "limits": limits}), change).await?;
    let outcome = Made { subject: id.to_string(), number: None, detail: "{}".to_owned() };
    requests::end(db, &outcome, change).await?;
    Ok(tenant)
}

/// Both in the platform's log and in the tenant's own: the second also tells replicas to look at the tenant anew.
async fn record(
    db: &mut Connection,
    action: Action,
    tenant: &Tenant,
    detail: serde_json::Value,
    change: &Change,
) -> Result<(), StoreError> {
    let entry = NewEntry { action, object: tenant.name.as_str().to_owned(), detail };
    audit::write(db, Chain(None), &entry, change).await?;
    audit::write(db, Chain(Some(tenant.id)), &entry, change).await
}

pub(super) async fn find(db: &mut Connection, id: TenantId) -> Result<Tenant, StoreError> {
    let row: Option<TenantRow> =
        query_as("select id, name, created_at, suspended_at, limits from tenants where id = $1")
            .bind(id.uuid())
            .fetch_optional(db)
            .await?;
    Ok(row.ok_or(StoreError::NoTenant)?.try_into()?)
}

async fn find_named_maybe(db: &mut Connection, name: &TenantName) -> Result<Option<Tenant>, StoreError> {
    let row: Option<TenantRow> =
        query_as("select id, name, created_at, suspended_at, limits from tenants where name = $1")
            .bind(name.as_str())
            .fetch_optional(db)
            .await?;
    Ok(row.map(Tenant::try_from).transpose()?)
}

pub(super) async fn find_named(db: &mut Connection, name: &TenantName) -> Result<Tenant, StoreError> {
    find_named_maybe(db, name).await?.ok_or(StoreError::NoTenant)
}

pub(super) async fn list(
    db: &mut Connection,
    after: Option<&TenantName>,
    limit: u32,
) -> Result<Vec<Tenant>, StoreError> {
    let rows: Vec<TenantRow> = query_as(
        "select id, name, created_at, suspended_at, limits from tenants where name > $1 order by name limit $2",
    )
    .bind(after.map_or("", TenantName::as_str))
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Ok(row.try_into()?)).collect()
}

pub(super) async fn set_limits(
    db: &mut Connection,
    id: TenantId,
    limits: &TenantLimits,
    change: &Change,
) -> Result<Tenant, StoreError> {
    audit::lock(db, Chain(None)).await?;
    let before = find(db, id).await?;
    query("update tenants set limits = $2 where id = $1")
        .bind(id.uuid())
        .bind(json(limits, "tenants.limits")?)
        .execute(&mut *db)
        .await?;
    let detail = serde_json::json!({"before": before.limits, "limits": limits});
    record(db, Action::TenantLimits, &before, detail, change).await?;
    find(db, id).await
}

pub(super) async fn set_suspended(
    db: &mut Connection,
    id: TenantId,
    suspended: bool,
    change: &Change,
) -> Result<Tenant, StoreError> {
    audit::lock(db, Chain(None)).await?;
    let before = find(db, id).await?;
    if before.suspended_at.is_some() == suspended {
        return Ok(before);
    }
    let now = dialect::now(db).await?;
    query("update tenants set suspended_at = $2 where id = $1")
        .bind(id.uuid())
        .bind(suspended.then_some(now.0))
        .execute(&mut *db)
        .await?;
    let action = if suspended { Action::TenantSuspend } else { Action::TenantResume };
    record(db, action, &before, serde_json::json!({}), change).await?;
    find(db, id).await
}
