//! `GET /v1/rules/{name}/versions/{version}`

use axum::Json;
use axum::extract::State;

use super::rule_view::VersionView;
use crate::api::params::{NoQuery, QueryArgs, VersionPath};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesRead;
use crate::service::Service;

/// Shows a version.
#[utoipa::path(
    get, path = "/v1/rules/{name}/versions/{version}", tag = "rules", operation_id = "get_version",
    params(VersionPath),
    responses(
        (status = 200, description = "The version", body = VersionView),
        (status = 404, description = "`rule_not_found` or `version_not_found`"),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesRead>,
    State(service): State<Service>,
    VersionPath(name, version): VersionPath,
    _: QueryArgs<NoQuery>,
) -> Result<Json<VersionView>, Problem> {
    Ok(Json(service.version(tenant.id(), &name, version).await?.into()))
}
