//! `POST /v1/sessions`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;

use super::bars_request::SessionRequest;
use super::named_rules::NamedRules;
use super::session_view::SessionView;
use crate::api::bars_json::{self, Form};
use crate::api::body::SmallBody;
use crate::api::context::Marks;
use crate::api::idempotency::IdempotencyKey;
use crate::api::params::{NoQuery, QueryArgs};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::Evaluate;
use crate::service::Service;
use crate::service::sessions::NewSession;

/// Begins a live run of some rules.
///
/// The versions that are found now are run to the session's end, whatever is activated meanwhile. Send bars to
/// `/v1/sessions/{id}/bars`, or over the WebSocket at `/v1/sessions/{id}/stream`.
#[utoipa::path(
    post, path = "/v1/sessions", tag = "sessions", operation_id = "create_session",
    params(IdempotencyKey),
    request_body = SessionRequest,
    responses(
        (status = 201, description = "The session", body = SessionView,
            headers(("location" = String, description = "Address of the session"))),
        (status = 404, description = "`rule_not_found` or `version_not_found`"),
        (status = 409, description = "`rule_archived`, `rule_not_active` or `sessions_limit`"),
        (status = 423, description = "`rule_quarantined`"),
        (status = 422, description = "The params do not fit, `module_without_state`, `state_too_large`, \
            `too_many_rules` or `idempotency_key_reused`"),
    )
)]
pub async fn handle(
    tenant: Tenant<Evaluate>,
    State(service): State<Service>,
    _: QueryArgs<NoQuery>,
    key: IdempotencyKey,
    marks: Marks,
    SmallBody(body): SmallBody,
) -> Result<impl IntoResponse + use<>, Problem> {
    let request = bars_json::read(&body.bytes, Form::NewSession, &service.settings().evaluation)?;
    let NamedRules { rules, versions, params } =
        NamedRules::read(request.rules, &request.versions, request.rule_params)?;
    let request = key.of("create_session", &[&body.bytes]);
    let caller = tenant.caller(marks);
    let place = service.bar_runs().place(caller.tenant)?;
    let new = NewSession { rules, versions, params, request, place };
    let info = service.create_session(&caller, new).await?;
    let location = format!("/v1/sessions/{}", info.id);
    let view = SessionView::new(info, service.settings().sessions.idle_seconds);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(view)))
}
