//! `POST /v1/rules/{name}/activate`

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::ToSchema;

use super::rule_view::RuleView;
use crate::api::body;
use crate::api::conditional::{IfMatch, etag};
use crate::api::context::Marks;
use crate::api::params::{NoQuery, QueryArgs, RulePath, version_schema};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesWrite;
use crate::service::Service;

/// Which version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    /// Its number.
    #[schema(schema_with = version_schema)]
    pub version: u32,
}

/// Makes a version the active one. To roll back, activate an older version.
#[utoipa::path(
    post, path = "/v1/rules/{name}/activate", tag = "rules", operation_id = "activate_rule",
    params(RulePath, IfMatch),
    request_body = Activation,
    responses(
        (status = 200, description = "The rule", body = RuleView, headers(("etag" = String, description = "Of the rule now"))),
        (status = 404, description = "`rule_not_found` or `version_not_found`"),
        (status = 409, description = "`rule_archived`"),
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
    body::Json(activation): body::Json<Activation>,
) -> Result<impl IntoResponse, Problem> {
    let rule = service.activate(&tenant.caller(marks), &name, activation.version, &precondition).await?;
    Ok((etag(&rule), Json(RuleView::from(rule))))
}
