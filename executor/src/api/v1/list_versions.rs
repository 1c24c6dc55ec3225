//! `GET /v1/rules/{name}/versions`

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::rule_view::VersionView;
use crate::api::params::{QueryArgs, RulePath, next_page, page_limit};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesRead;
use crate::service::Service;

/// Which versions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Where to go on: from the answer's `next`.
    cursor: Option<u32>,
    /// Entries of a page.
    limit: Option<u32>,
}

/// A page of versions.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionList {
    /// In ascending order.
    pub versions: Vec<VersionView>,
    /// `cursor` of the next page, if there is one; also as `Link: rel="next"`.
    pub next: Option<String>,
}

/// Lists the versions of a rule.
#[utoipa::path(
    get, path = "/v1/rules/{name}/versions", tag = "rules", operation_id = "list_versions",
    params(RulePath, ListQuery),
    responses(
        (status = 200, description = "A page", body = VersionList),
        (status = 404, description = "`rule_not_found`"),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesRead>,
    State(service): State<Service>,
    RulePath(name): RulePath,
    QueryArgs(query): QueryArgs<ListQuery>,
) -> Result<impl IntoResponse, Problem> {
    let limit = page_limit(query.limit, service.settings().api.page_entries)?;
    let (versions, more) = service.versions(tenant.id(), &name, query.cursor.unwrap_or(0), limit).await?;
    let next = versions.last().filter(|_| more).map(|version| version.number.to_string());
    let link = next.as_ref().map(|cursor| format!("/v1/rules/{name}/versions?cursor={cursor}&limit={limit}"));
    Ok((next_page(link), Json(VersionList { versions: versions.into_iter().map(Into::into).collect(), next })))
}
