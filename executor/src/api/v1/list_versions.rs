//! `GET /v1/rules/{name}/versions`

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::rule_view::VersionView;
use crate::api::cursor::{List, PageQuery};
use crate::api::params::{QueryArgs, RulePath};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesRead;
use crate::domain::audit::Chain;
use crate::service::Service;

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
    params(RulePath, PageQuery),
    responses(
        (status = 200, description = "A page", body = VersionList),
        (status = 404, description = "`rule_not_found`"),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesRead>,
    State(service): State<Service>,
    RulePath(name): RulePath,
    QueryArgs(query): QueryArgs<PageQuery>,
) -> Result<impl IntoResponse, Problem> {
    let address = format!("/v1/rules/{name}/versions");
    let list = List { service: &service, address: &address, chain: Chain(Some(tenant.id())), query: &query };
    let (after, limit) = list.start_at()?;
    let (versions, more) = service.versions(tenant.id(), &name, after.unwrap_or(0), limit).await?;
    let (next, link) = list.next(versions.last().map(|version| version.number.to_string()), more);
    Ok((link, Json(VersionList { versions: versions.into_iter().map(Into::into).collect(), next })))
}
