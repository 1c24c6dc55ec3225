//! `POST /v1/rules/{name}/quarantine`, `POST /v1/rules/{name}/release`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::body;
use crate::api::context::Marks;
use crate::api::params::{QueryArgs, RulePath, tenant_name, version_schema};
use crate::api::problem::Problem;
use crate::api::tenant::Platform;
use crate::auth::permission;
use crate::domain::caller::TenantId;
use crate::domain::quarantine::Quarantine;
use crate::service::Service;

/// Whose rule.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TenantQuery {
    /// Name of the tenant.
    #[param(pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    pub tenant: String,
}

/// Which version, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuarantineRequest {
    /// The version whose module is stopped.
    #[schema(schema_with = version_schema)]
    pub version: u32,
    /// For the audit log and for whoever looks at it later.
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Which version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// The version whose module is let go.
    #[schema(schema_with = version_schema)]
    pub version: u32,
}

/// A module that is stopped for a tenant, or was.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quarantine)]
pub struct QuarantineView {
    /// SHA-256 of the module: it is stopped under whatever name or version.
    pub digest: String,
    /// The rule by which it was stopped.
    pub rule: String,
    /// The version by which it was stopped.
    pub version: u32,
    /// Why.
    pub reason: String,
    /// RFC 3339.
    pub at: String,
}

impl From<Quarantine> for QuarantineView {
    fn from(quarantine: Quarantine) -> Self {
        Self {
            digest: quarantine.digest.to_string(),
            rule: quarantine.rule.as_str().to_owned(),
            version: quarantine.version,
            reason: quarantine.reason,
            at: quarantine.at.to_string(),
        }
    }
}

/// The tenant of the query.
///
/// # Errors
/// If there is none of that name.
pub async fn tenant(service: &Service, query: &TenantQuery) -> Result<TenantId, Problem> {
    Ok(service.tenant_named(&tenant_name(&query.tenant)?).await?.id)
}

/// Stops the module of a version for a tenant; once more changes nothing.
///
/// Within a second no replica runs it: evaluations answer 423 with `rule_quarantined`, sessions of it stop.
#[utoipa::path(
    post, path = "/v1/rules/{name}/quarantine", tag = "security", operation_id = "quarantine_rule",
    params(RulePath, TenantQuery),
    request_body = QuarantineRequest,
    responses(
        (status = 200, description = "It is stopped", body = QuarantineView),
        (status = 404, description = "`tenant_not_found`, `rule_not_found` or `version_not_found`"),
        (status = 422, description = "`invalid_text`"),
    )
)]
pub async fn add(
    platform: Platform<permission::Quarantine>,
    State(service): State<Service>,
    RulePath(name): RulePath,
    QueryArgs(query): QueryArgs<TenantQuery>,
    marks: Marks,
    body::Json(asked): body::Json<QuarantineRequest>,
) -> Result<Json<QuarantineView>, Problem> {
    let tenant = tenant(&service, &query).await?;
    let operator = platform.operator(marks);
    Ok(Json(service.quarantine(&operator, tenant, &name, asked.version, &asked.reason).await?.into()))
}

/// Lets a stopped module go.
#[utoipa::path(
    post, path = "/v1/rules/{name}/release", tag = "security", operation_id = "release_rule",
    params(RulePath, TenantQuery),
    request_body = ReleaseRequest,
    responses(
        (status = 200, description = "It was let go", body = QuarantineView),
        (status = 404, description = "`tenant_not_found`, `rule_not_found`, `version_not_found` or `not_quarantined`"),
    )
)]
pub async fn release(
    platform: Platform<permission::Quarantine>,
    State(service): State<Service>,
    RulePath(name): RulePath,
    QueryArgs(query): QueryArgs<TenantQuery>,
    marks: Marks,
    body::Json(asked): body::Json<ReleaseRequest>,
) -> Result<Json<QuarantineView>, Problem> {
    let tenant = tenant(&service, &query).await?;
    Ok(Json(service.release(&platform.operator(marks), tenant, &name, asked.version).await?.into()))
}
