//! `GET /v1/rules`

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::rule_view::RuleView;
use crate::api::cursor::{List, PageQuery};
use crate::api::params::QueryArgs;
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesRead;
use crate::domain::audit::Chain;
use crate::domain::rule::RuleName;
use crate::service::Service;

/// Which rules.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Where to go on: from the answer's `next`.
    cursor: Option<String>,
    /// Entries of a page.
    limit: Option<u32>,
    /// Whether archived rules are shown too.
    #[serde(default)]
    archived: bool,
}

/// A page of rules.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleList {
    /// By name.
    pub rules: Vec<RuleView>,
    /// `cursor` of the next page, if there is one; also as `Link: rel="next"`.
    pub next: Option<String>,
}

/// Lists the rules of the tenant.
#[utoipa::path(
    get, path = "/v1/rules", tag = "rules", operation_id = "list_rules",
    params(ListQuery),
    responses(
        (status = 200, description = "A page", body = RuleList),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesRead>,
    State(service): State<Service>,
    QueryArgs(query): QueryArgs<ListQuery>,
) -> Result<impl IntoResponse, Problem> {
    let address = if query.archived { "/v1/rules?archived=true" } else { "/v1/rules" };
    let page = PageQuery { cursor: query.cursor, limit: query.limit };
    let list = List { service: &service, address, chain: Chain(Some(tenant.id())), query: &page };
    let (after, limit) = list.start()?;
    let after = after.map(|name| RuleName::new(&name)).transpose().map_err(|error| Problem::internal(&error))?;
    let (rules, more) = service.rules(tenant.id(), after.as_ref(), limit, query.archived).await?;
    let (next, link) = list.next(rules.last().map(|rule| rule.name.as_str().to_owned()), more);
    Ok((link, Json(RuleList { rules: rules.into_iter().map(Into::into).collect(), next })))
}
