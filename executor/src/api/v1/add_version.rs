//! `POST /v1/rules/{name}/versions`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;

use super::rule_view::{RuleSource, UploadedVersion};
use crate::api::body::RuleText;
use crate::api::context::Marks;
use crate::api::params::RulePath;
use crate::api::problem::{Code, Problem, ProblemBody};
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesWrite;
use crate::service::Service;

/// Makes the next version of a rule. The active version stays the active one.
#[utoipa::path(
    post, path = "/v1/rules/{name}/versions", tag = "rules", operation_id = "add_version",
    params(("name" = String, Path, description = "The rule")),
    request_body(content((RuleSource = "application/json"), (String = "text/plain"))),
    responses(
        (status = 201, description = "Made", body = UploadedVersion, headers(("location" = String, description = "The version"))),
        (status = 401, description = "`unauthenticated`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`rule_not_found`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`rule_archived`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`rule_invalid` with `diagnostics`, or `cost_limit`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`overloaded` or `unavailable`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesWrite>,
    State(service): State<Service>,
    RulePath(name): RulePath,
    marks: Marks,
    text: RuleText,
) -> Result<impl IntoResponse, Problem> {
    if text.name.as_ref().is_some_and(|other| *other != name) {
        return Err(Problem::new(Code::INVALID_REQUEST, "the body names another rule than the address").at("name"));
    }
    let uploaded = service.add_version(&tenant.caller(marks), &name, text.source).await?;
    let location = format!("/v1/rules/{name}/versions/{}", uploaded.version.number);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(UploadedVersion::from(uploaded))))
}
