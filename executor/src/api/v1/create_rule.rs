//! `POST /v1/rules`

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;

use super::rule_view::{RuleSource, UploadedVersion};
use crate::api::context::Marks;
use crate::api::idempotency::IdempotencyKey;
use crate::api::params::{NameQuery, QueryArgs};
use crate::api::problem::Problem;
use crate::api::rule_upload::{ModuleBytes, ModuleForm, RuleUpload};
use crate::api::state::ApiState;
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesWrite;
use crate::domain::rule::RuleName;

/// Makes a rule and its version 1, which is active at once.
///
/// The rule's `test` blocks are not run: `POST /v1/rules/{name}/test` does that.
///
/// A module that was not compiled from a text is sent as it is, `application/wasm`, with its manifest in its custom
/// section `rulebox.manifest`; or as a form, with the manifest beside it. The tenant needs the permission `modules`.
#[utoipa::path(
    post, path = "/v1/rules", tag = "rules", operation_id = "create_rule",
    params(NameQuery, IdempotencyKey),
    request_body(content(
        (RuleSource = "application/json"), (String = "text/plain"), (ModuleBytes = "application/wasm"),
        (ModuleForm = "multipart/form-data"),
    )),
    responses(
        (status = 201, description = "Made", body = UploadedVersion, headers(("location" = String, description = "The version"))),
        (status = 409, description = "`name_taken`, `rules_limit`, or `request_in_flight`"),
        (status = 422, description = "`rule_invalid` with `diagnostics`, `module_refused` or `manifest_invalid` with `kind`, `invalid_name`, `cost_limit`, or `idempotency_key_reused`"),
    )
)]
pub async fn handle(
    tenant: Tenant<RulesWrite>,
    State(state): State<ApiState>,
    QueryArgs(query): QueryArgs<NameQuery>,
    key: IdempotencyKey,
    marks: Marks,
    request: Request,
) -> Result<impl IntoResponse, Problem> {
    let sent = RuleUpload::read(request, &state, tenant.id(), &query).await?;
    query.agrees(sent.name.as_ref())?;
    let name = sent.name.as_ref().map_or("", RuleName::as_str);
    let request = key.of("create_rule", &[&[name.as_bytes()], &*sent.parts()].concat());
    let uploaded = state.service.create_rule(&tenant.caller(marks), sent.name, sent.upload, request).await?;
    let location = format!("/v1/rules/{}/versions/{}", uploaded.version.rule, uploaded.version.number);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(UploadedVersion::from(uploaded))))
}
