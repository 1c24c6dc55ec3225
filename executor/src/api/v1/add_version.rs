//! `POST /v1/rules/{name}/versions`

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;

use super::rule_view::{RuleSource, UploadedVersion};
use crate::api::conditional::{IfMatch, MaybeIfMatch};
use crate::api::context::Marks;
use crate::api::idempotency::IdempotencyKey;
use crate::api::params::{NameQuery, QueryArgs, RulePath};
use crate::api::problem::{Code, Problem};
use crate::api::rule_upload::{ModuleBytes, ModuleForm, RuleUpload};
use crate::api::state::ApiState;
use crate::api::tenant::Tenant;
use crate::auth::permission::RulesWrite;

/// Makes the next version of a rule. The active version stays the active one. Takes a text or a module, as
/// `POST /v1/rules` does.
#[utoipa::path(
    post, path = "/v1/rules/{name}/versions", tag = "rules", operation_id = "add_version",
    params(RulePath, NameQuery, IfMatch, IdempotencyKey),
    request_body(content(
        (RuleSource = "application/json"), (String = "text/plain"), (ModuleBytes = "application/wasm"),
        (ModuleForm = "multipart/form-data"),
    )),
    responses(
        (status = 201, description = "Made", body = UploadedVersion, headers(("location" = String, description = "The version"))),
        (status = 404, description = "`rule_not_found`"),
        (status = 409, description = "`rule_archived` or `request_in_flight`"),
        (status = 412, description = "`precondition_failed`"),
        (status = 422, description = "`rule_invalid` with `diagnostics`, `module_refused` or `manifest_invalid` with `kind`, `cost_limit`, or `idempotency_key_reused`"),
    )
)]
#[expect(clippy::too_many_arguments, reason = "each is one thing of the request")]
pub async fn handle(
    tenant: Tenant<RulesWrite>,
    State(state): State<ApiState>,
    RulePath(name): RulePath,
    QueryArgs(query): QueryArgs<NameQuery>,
    MaybeIfMatch(precondition): MaybeIfMatch,
    key: IdempotencyKey,
    marks: Marks,
    request: Request,
) -> Result<impl IntoResponse, Problem> {
    let sent = RuleUpload::read(request, &state, tenant.id(), &query).await?;
    query.agrees(sent.name.as_ref())?;
    if sent.name.as_ref().is_some_and(|other| *other != name) {
        return Err(Problem::new(Code::INVALID_REQUEST, "the request names another rule than its address").at("name"));
    }
    let request = key.of("add_version", &[&[name.as_str().as_bytes()], &*sent.parts()].concat());
    let uploaded = state.service.add_version(&tenant.caller(marks), &name, sent.upload, &precondition, request).await?;
    let location = format!("/v1/rules/{name}/versions/{}", uploaded.version.number);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(UploadedVersion::from(uploaded))))
}
