//! `DELETE /v1/rules/{name}`

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;

use super::rule_view::RuleView;
use crate::api::conditional::{IfMatch, etag};
use crate::api::context::Marks;
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
    params(RulePath, IfMatch),
    responses(
        (status = 200, description = "The rule, archived", body = RuleView, headers(("etag" = String, description = "Of the rule now"))),
        (status = 404, description = "`rule_not_found`"),
        (status = 412, description = "`precondition_failed`"),
        (status = 428, description = "`precondition_required`"),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesWrite>,
    State(service): State<Service>,
    RulePath(name): RulePath,
    _: QueryArgs<NoQuery>,
    IfMatch(precondition): IfMatch,
    marks: Marks,
) -> Result<impl IntoResponse, Problem> {
    let rule = service.archive(&tenant.caller(marks), &name, &precondition).await?;
    Ok((etag(&rule), Json(RuleView::from(rule))))
}
