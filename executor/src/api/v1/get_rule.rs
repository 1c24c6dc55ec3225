//! `GET /v1/rules/{name}`

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;

use super::rule_view::RuleView;
use crate::api::conditional::etag;
use crate::api::params::{NoQuery, QueryArgs, RulePath};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesRead;
use crate::service::Service;

/// Shows a rule.
#[utoipa::path(
    get, path = "/v1/rules/{name}", tag = "rules", operation_id = "get_rule",
    params(RulePath),
    responses(
        (status = 200, description = "The rule", body = RuleView, headers(("etag" = String, description = "For `If-Match`"))),
        (status = 404, description = "`rule_not_found`"),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesRead>,
    State(service): State<Service>,
    RulePath(name): RulePath,
    _: QueryArgs<NoQuery>,
) -> Result<impl IntoResponse, Problem> {
    let rule = service.rule(tenant.id(), &name).await?;
    Ok((etag(&rule), Json(RuleView::from(rule))))
}
