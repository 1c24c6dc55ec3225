//! `GET /v1/rules/{name}/versions/{version}/module`

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::api::params::{NoQuery, QueryArgs, VersionPath};
use crate::api::problem::Problem;
use crate::api::rule_upload::ModuleBytes;
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesRead;
use crate::service::Service;

/// Gives the module of a version, to be run elsewhere: the same bytes as here, and the same results.
#[utoipa::path(
    get, path = "/v1/rules/{name}/versions/{version}/module", tag = "rules", operation_id = "get_module",
    params(VersionPath),
    responses(
        (status = 200, description = "WebAssembly", body = ModuleBytes, content_type = "application/wasm"),
        (status = 404, description = "`rule_not_found` or `version_not_found`"),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesRead>,
    State(service): State<Service>,
    VersionPath(name, version): VersionPath,
    _: QueryArgs<NoQuery>,
) -> Result<impl IntoResponse, Problem> {
    Ok(([(CONTENT_TYPE, "application/wasm")], service.module(tenant.id(), &name, version).await?))
}
