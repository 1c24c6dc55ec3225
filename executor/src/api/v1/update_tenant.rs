//! `PATCH /v1/tenants/{tenant}`

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::tenant_view::{LimitsOfTenant, TenantView};
use crate::api::body;
use crate::api::context::Marks;
use crate::api::params::{NoQuery, QueryArgs, TenantPath};
use crate::api::problem::Problem;
use crate::api::tenant::Platform;
use crate::auth::permission::TenantsManage;
use crate::service::Service;

/// What shall be otherwise.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantChange {
    /// All limits of the tenant: those that are not there are the defaults again.
    #[serde(default)]
    pub limits: Option<LimitsOfTenant>,
    /// Whether its callers are refused.
    #[serde(default)]
    pub suspended: Option<bool>,
}

/// Gives a tenant other limits, refuses its callers from now on, or lets them in again. It holds on every replica
/// within a second.
#[utoipa::path(
    patch, path = "/v1/tenants/{tenant}", tag = "tenants", operation_id = "update_tenant",
    params(TenantPath),
    request_body = TenantChange,
    responses(
        (status = 200, description = "The tenant", body = TenantView),
        (status = 404, description = "`tenant_not_found`"),
    )
)]
pub async fn handle(
    platform: Platform<TenantsManage>,
    State(service): State<Service>,
    TenantPath(name): TenantPath,
    _: QueryArgs<NoQuery>,
    marks: Marks,
    body::Json(change): body::Json<TenantChange>,
) -> Result<Json<TenantView>, Problem> {
    let operator = platform.operator(marks);
    let mut tenant = service.tenant_named(&name).await?;
    if let Some(limits) = change.limits {
        tenant = service.set_limits(&operator, tenant.id, &limits.into()).await?;
    }
    if let Some(suspended) = change.suspended {
        tenant = service.set_suspended(&operator, tenant.id, suspended).await?;
    }
    let in_force = service.in_force(&tenant.limits);
    Ok(Json(TenantView::new(&tenant, &in_force)))
}
