//! `GET /v1/rules`

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::rule_view::RuleView;
use crate::api::params::{QueryArgs, next_page, page_limit};
use crate::api::problem::{Code, Problem};
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesRead;
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
    let after = query.cursor.map(|cursor| RuleName::new(&cursor)).transpose();
    let after = after.map_err(|_| Problem::new(Code::INVALID_QUERY, "`cursor` is not one of this list"))?;
    let limit = page_limit(query.limit, service.settings().api.page_entries)?;
    let (rules, more) = service.rules(tenant.id(), after.as_ref(), limit, query.archived).await?;
    let next = rules.last().filter(|_| more).map(|rule| rule.name.as_str().to_owned());
    let archived = if query.archived { "&archived=true" } else { "" };
    let link = next.as_ref().map(|cursor| format!("/v1/rules?cursor={cursor}&limit={limit}{archived}"));
    Ok((next_page(link), Json(RuleList { rules: rules.into_iter().map(Into::into).collect(), next })))
}
