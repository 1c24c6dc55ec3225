//! `DELETE /v1/rules/{name}`

use axum::Json;
use axum::extract::State;

use super::rule_view::RuleView;
use crate::api::params::{NoQuery, QueryArgs, RulePath};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesWrite;
use crate::service::Service;

/// Archives a rule.
///
/// Nothing is erased: its versions still run with `?version=`, so that old backtests stay reproducible. It takes no
/// new versions, and its name stays taken.
#[utoipa::path(
    delete, path = "/v1/rules/{name}", tag = "rules", operation_id = "archive_rule",
    params(RulePath),
    responses(
        (status = 200, description = "The rule, archived", body = RuleView),
        (status = 404, description = "`rule_not_found`"),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesWrite>,
    State(service): State<Service>,
    RulePath(name): RulePath,
    _: QueryArgs<NoQuery>,
) -> Result<Json<RuleView>, Problem> {
    Ok(Json(service.archive(tenant.id(), &name).await?.into()))
}
