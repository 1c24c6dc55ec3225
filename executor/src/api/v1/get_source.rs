//! `GET /v1/rules/{name}/versions/{version}/source`

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::api::params::{NoQuery, QueryArgs, VersionPath};
use crate::api::problem::{Code, Problem};
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesRead;
use crate::service::Service;

/// Shows the text of a version.
#[utoipa::path(
    get, path = "/v1/rules/{name}/versions/{version}/source", tag = "rules", operation_id = "get_source",
    params(VersionPath),
    responses(
        (status = 200, description = "The text, as uploaded", body = String, content_type = "text/plain"),
        (status = 404, description = "`rule_not_found` or `version_not_found`; `not_found` for a module without a text"),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesRead>,
    State(service): State<Service>,
    VersionPath(name, version): VersionPath,
    _: QueryArgs<NoQuery>,
) -> Result<impl IntoResponse, Problem> {
    let source = service.source(tenant.id(), &name, version).await?;
    let source = source.ok_or_else(|| Problem::new(Code::NOT_FOUND, "this version was uploaded as a module"))?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], source))
}
