//! `POST /v1/rules`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;

use super::rule_view::{RuleSource, UploadedVersion};
use crate::api::body::RuleText;
use crate::api::context::Marks;
use crate::api::idempotency::IdempotencyKey;
use crate::api::params::{NameQuery, QueryArgs};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesWrite;
use crate::domain::rule::RuleName;
use crate::service::Service;

/// Makes a rule and its version 1, which is active at once.
///
/// The rule's `test` blocks are not run: `POST /v1/rules/{name}/test` does that.
#[utoipa::path(
    post, path = "/v1/rules", tag = "rules", operation_id = "create_rule",
    params(NameQuery, IdempotencyKey),
    request_body(content((RuleSource = "application/json"), (String = "text/plain"))),
    responses(
        (status = 201, description = "Made", body = UploadedVersion, headers(("location" = String, description = "The version"))),
        (status = 409, description = "`name_taken`, `rules_limit`, or `request_in_flight`"),
        (status = 422, description = "`rule_invalid` with `diagnostics`, `invalid_name`, `cost_limit`, or `idempotency_key_reused`"),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesWrite>,
    State(service): State<Service>,
    QueryArgs(query): QueryArgs<NameQuery>,
    key: IdempotencyKey,
    marks: Marks,
    text: RuleText,
) -> Result<impl IntoResponse, Problem> {
    query.agrees(text.name.as_ref())?;
    let name = text.name.as_ref().map_or("", RuleName::as_str);
    let request = key.of("create_rule", &[name.as_bytes(), &text.source]);
    let uploaded = service.create_rule(&tenant.caller(marks), text.name, text.source, request).await?;
    let location = format!("/v1/rules/{}/versions/{}", uploaded.version.rule, uploaded.version.number);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(UploadedVersion::from(uploaded))))
}
