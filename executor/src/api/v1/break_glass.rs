//! `POST /v1/rules/{name}/break-glass`

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::quarantine::{TenantQuery, tenant};
use crate::api::body;
use crate::api::context::Marks;
use crate::api::params::{QueryArgs, RulePath, version_schema};
use crate::api::problem::{Code, Problem};
use crate::api::tenant::Platform;
use crate::auth::permission::BreakGlass;
use crate::service::Service;

/// Which version, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BreakGlassRequest {
    /// The version whose text is to be read.
    #[schema(schema_with = version_schema)]
    pub version: u32,
    /// For the tenant's audit log, which its administrators read.
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// The text of a version.
#[derive(Debug, Serialize, ToSchema)]
pub struct BreakGlassAnswer {
    /// As it was uploaded.
    pub source: String,
}

/// Shows a reviewer the text of a tenant's rule.
///
/// That it is read, by whom and why is in the audit logs of the tenant and of the platform before it is shown.
#[utoipa::path(
    post, path = "/v1/rules/{name}/break-glass", tag = "security", operation_id = "break_glass",
    params(RulePath, TenantQuery),
    request_body = BreakGlassRequest,
    responses(
        (status = 200, description = "The text", body = BreakGlassAnswer),
        (status = 404, description = "`tenant_not_found`, `rule_not_found` or `version_not_found`; `not_found` for a module without a text"),
        (status = 422, description = "`invalid_text`"),
    )
)]
pub async fn handle(
    platform: Platform<BreakGlass>,
    State(service): State<Service>,
    RulePath(name): RulePath,
    QueryArgs(query): QueryArgs<TenantQuery>,
    marks: Marks,
    body::Json(asked): body::Json<BreakGlassRequest>,
) -> Result<impl IntoResponse, Problem> {
    let tenant = tenant(&service, &query).await?;
    let operator = platform.operator(marks);
    let source = service.break_glass(&operator, tenant, &name, asked.version, &asked.reason).await?;
    let source = source.ok_or_else(|| Problem::new(Code::NOT_FOUND, "this version was uploaded as a module"))?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(BreakGlassAnswer { source })))
}
