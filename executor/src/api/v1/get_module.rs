//! `GET /v1/rules/{name}/versions/{version}/module`

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::api::params::VersionPath;
use crate::api::problem::{Problem, ProblemBody};
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesRead;
use crate::service::Service;

/// Gives the module of a version, to be run elsewhere: the same bytes as here, and the same results.
#[utoipa::path(
    get, path = "/v1/rules/{name}/versions/{version}/module", tag = "rules", operation_id = "get_module",
    params(("name" = String, Path, description = "The rule"), ("version" = u32, Path, description = "Its number")),
    responses(
        (status = 200, description = "WebAssembly", body = Vec<u8>, content_type = "application/wasm"),
        (status = 401, description = "`unauthenticated`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`rule_not_found` or `version_not_found`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesRead>,
    State(service): State<Service>,
    VersionPath(name, version): VersionPath,
) -> Result<impl IntoResponse, Problem> {
    Ok(([(CONTENT_TYPE, "application/wasm")], service.module(tenant.id(), &name, version).await?))
}
