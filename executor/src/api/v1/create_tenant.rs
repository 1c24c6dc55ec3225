//! `POST /v1/tenants`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::ToSchema;

use super::tenant_view::{LimitsOfTenant, TenantView};
use crate::api::body;
use crate::api::context::Marks;
use crate::api::idempotency::IdempotencyKey;
use crate::api::params::{NoQuery, QueryArgs};
use crate::api::problem::{Code, Problem};
use crate::api::tenant::Platform;
use crate::auth::permission::TenantsManage;
use crate::domain::tenant::TenantName;
use crate::service::Service;

/// A tenant that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// Its name, which no other tenant has or had.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    pub name: String,
    /// Where it differs from the defaults.
    #[serde(default)]
    pub limits: LimitsOfTenant,
}

/// Makes a tenant. It has no key yet: `POST /v1/tenants/{tenant}/keys` makes one.
#[utoipa::path(
    post, path = "/v1/tenants", tag = "tenants", operation_id = "create_tenant",
    params(IdempotencyKey),
    request_body = NewTenant,
    responses(
        (status = 201, description = "Made", body = TenantView, headers(("location" = String, description = "The tenant"))),
        (status = 409, description = "`tenant_taken` or `request_in_flight`"),
        (status = 422, description = "`invalid_name` or `idempotency_key_reused`"),
    )
)]
pub async fn handle(
    platform: Platform<TenantsManage>,
    State(service): State<Service>,
    _: QueryArgs<NoQuery>,
    key: IdempotencyKey,
    marks: Marks,
    body::Json(asked): body::Json<NewTenant>,
) -> Result<impl IntoResponse, Problem> {
    let name = TenantName::new(&asked.name);
    let name = name.map_err(|error| Problem::new(Code::INVALID_NAME, error.to_string()).at("name"))?;
    let limits = asked.limits.into();
    let request = key.of("create_tenant", &[name.as_str().as_bytes(), format!("{limits:?}").as_bytes()]);
    let tenant = service.create_tenant(&platform.operator(marks), &name, &limits, request).await?;
    let in_force = service.in_force(&tenant.limits);
    let location = format!("/v1/tenants/{}", tenant.name);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(TenantView::new(&tenant, &in_force))))
}
