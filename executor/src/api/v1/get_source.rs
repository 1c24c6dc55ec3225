//! `GET /v1/rules/{name}/versions/{version}/source`

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::api::params::VersionPath;
use crate::api::problem::{Code, Problem, ProblemBody};
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesRead;
use crate::service::Service;

/// Shows the text of a version.
#[utoipa::path(
    get, path = "/v1/rules/{name}/versions/{version}/source", tag = "rules", operation_id = "get_source",
    params(("name" = String, Path, description = "The rule"), ("version" = u32, Path, description = "Its number")),
    responses(
        (status = 200, description = "The text, as uploaded", body = String, content_type = "text/plain"),
        (status = 401, description = "`unauthenticated`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`rule_not_found` or `version_not_found`; `not_found` for a module without a text", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesRead>,
    State(service): State<Service>,
    VersionPath(name, version): VersionPath,
) -> Result<impl IntoResponse, Problem> {
    let source = service.source(tenant.id(), &name, version).await?;
    let source = source.ok_or_else(|| Problem::new(Code::NOT_FOUND, "this version was uploaded as a module"))?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], source))
}
