//! `POST /v1/rules/{name}/activate`

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::rule_view::RuleView;
use crate::api::body;
use crate::api::context::Marks;
use crate::api::params::RulePath;
use crate::api::problem::{Problem, ProblemBody};
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesWrite;
use crate::service::Service;

/// Which version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    /// Its number.
    pub version: u32,
}

/// Makes a version the active one. To roll back, activate an older version.
#[utoipa::path(
    post, path = "/v1/rules/{name}/activate", tag = "rules", operation_id = "activate_rule",
    params(("name" = String, Path, description = "The rule")),
    request_body = Activation,
    responses(
        (status = 200, description = "The rule", body = RuleView),
        (status = 401, description = "`unauthenticated`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`rule_not_found` or `version_not_found`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`rule_archived`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesWrite>,
    State(service): State<Service>,
    RulePath(name): RulePath,
    marks: Marks,
    body::Json(activation): body::Json<Activation>,
) -> Result<Json<RuleView>, Problem> {
    Ok(Json(service.activate(&tenant.caller(marks), &name, activation.version).await?.into()))
}
