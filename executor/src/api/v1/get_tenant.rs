//! `GET /v1/tenants/{tenant}`

use axum::Json;
use axum::extract::State;

use super::tenant_view::TenantView;
use crate::api::params::{NoQuery, QueryArgs, TenantPath};
use crate::api::problem::Problem;
use crate::api::tenant::Platform;
use crate::auth::permission::TenantsManage;
use crate::service::Service;

/// Shows a tenant.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}", tag = "tenants", operation_id = "get_tenant",
    params(TenantPath),
    responses(
        (status = 200, description = "The tenant", body = TenantView),
        (status = 404, description = "`tenant_not_found`"),
    )
)]
pub async fn handle(
    _: Platform<TenantsManage>,
    State(service): State<Service>,
    TenantPath(name): TenantPath,
    _: QueryArgs<NoQuery>,
) -> Result<Json<TenantView>, Problem> {
    let tenant = service.tenant_named(&name).await?;
    let in_force = service.in_force(&tenant.limits);
    Ok(Json(TenantView::new(&tenant, &in_force)))
}
