//! `DELETE /v1/rules/{name}`

use axum::Json;
use axum::extract::State;

use super::rule_view::RuleView;
use crate::api::params::RulePath;
use crate::api::problem::{Problem, ProblemBody};
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesWrite;
use crate::service::Service;

/// Archives a rule.
///
/// Nothing is erased: its versions still run with `?version=`, so that old backtests stay reproducible. It takes no
/// new versions, and its name stays taken.
#[utoipa::path(
    delete, path = "/v1/rules/{name}", tag = "rules", operation_id = "archive_rule",
    params(("name" = String, Path, description = "The rule")),
    responses(
        (status = 200, description = "The rule, archived", body = RuleView),
        (status = 401, description = "`unauthenticated`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`rule_not_found`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesWrite>,
    State(service): State<Service>,
    RulePath(name): RulePath,
) -> Result<Json<RuleView>, Problem> {
    Ok(Json(service.archive(tenant.id(), &name).await?.into()))
}
