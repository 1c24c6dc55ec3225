//! `POST /v1/rules`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;

use super::rule_view::{RuleSource, UploadedVersion};
use crate::api::body::RuleText;
use crate::api::context::Marks;
use crate::api::problem::{Problem, ProblemBody};
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesWrite;
use crate::service::Service;

/// Makes a rule and its version 1, which is active at once.
///
/// The rule's `test` blocks are not run: `POST /v1/rules/{name}/test` does that.
#[utoipa::path(
    post, path = "/v1/rules", tag = "rules", operation_id = "create_rule",
    params(("name" = Option<String>, Query, description = "Name of the rule, for a `text/plain` body; without one, the name in the text")),
    request_body(content((RuleSource = "application/json"), (String = "text/plain"))),
    responses(
        (status = 201, description = "Made", body = UploadedVersion, headers(("location" = String, description = "The version"))),
        (status = 401, description = "`unauthenticated`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`name_taken`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`rule_invalid` with `diagnostics`, `invalid_name`, or `cost_limit`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`overloaded` or `unavailable`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesWrite>,
    State(service): State<Service>,
    marks: Marks,
    text: RuleText,
) -> Result<impl IntoResponse, Problem> {
    let uploaded = service.create_rule(&tenant.caller(marks), text.name, text.source).await?;
    let location = format!("/v1/rules/{}/versions/{}", uploaded.version.rule, uploaded.version.number);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(UploadedVersion::from(uploaded))))
}
