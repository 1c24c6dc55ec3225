//! `GET /v1/tenants`

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;

use super::tenant_view::{TenantList, TenantView};
use crate::api::cursor::{List, PageQuery};
use crate::api::params::QueryArgs;
use crate::api::problem::Problem;
use crate::api::tenant::Platform;
use crate::auth::permission::TenantsManage;
use crate::domain::audit::Chain;
use crate::domain::tenant::{Tenant, TenantName};
use crate::service::Service;

/// Lists the tenants.
#[utoipa::path(
    get, path = "/v1/tenants", tag = "tenants", operation_id = "list_tenants",
    params(PageQuery),
    responses(
        (status = 200, description = "A page", body = TenantList),
    )
)]
pub async fn handle(
    _: Platform<TenantsManage>,
    State(service): State<Service>,
    QueryArgs(query): QueryArgs<PageQuery>,
) -> Result<impl IntoResponse, Problem> {
    let list = List { service: &service, address: "/v1/tenants", chain: Chain(None), query: &query };
    let (after, limit) = list.start()?;
    let after = after.map(|name| TenantName::new(&name)).transpose().map_err(|error| Problem::internal(&error))?;
    let (tenants, more) = service.tenants(after.as_ref(), limit).await?;
    let (next, link) = list.next(tenants.last().map(|tenant| tenant.name.as_str().to_owned()), more);
    let view = |tenant: &Tenant| {
        let in_force = service.in_force(&tenant.limits);
        TenantView::new(tenant, &in_force)
    };
    Ok((link, Json(TenantList { tenants: tenants.iter().map(view).collect(), next })))
}
