//! `POST /v1/sessions/{id}/bars`

use axum::Json;
use axum::extract::State;

use super::bars_request::SessionBarsRequest;
use super::session_view::{SessionBarsAnswer, render};
use crate::api::bars_json::{self, Form};
use crate::api::body::BarsBody;
use crate::api::context::Marks;
use crate::api::params::{NoQuery, QueryArgs, SessionPath};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::Evaluate;
use crate::service::Service;
use crate::service::sessions::NextBars;

/// Runs a session over its next bar, or several.
///
/// `seq` is the number of the first of them. Bars that were answered before are answered as then, and the others are
/// run; so whoever does not know whether a call went through sends it again, to any replica. A gap is 409 `seq_gap`
/// with `expected_seq`; a bar with other inputs than it had is 409 `seq_conflict`.
#[utoipa::path(
    post, path = "/v1/sessions/{id}/bars", tag = "sessions", operation_id = "advance_session",
    params(SessionPath),
    request_body = SessionBarsRequest,
    responses(
        (status = 200, description = "What the rules said of each bar", body = SessionBarsAnswer),
        (status = 404, description = "`session_not_found`"),
        (status = 409, description = "`seq_gap`, `seq_conflict`, `seq_too_old` or `sessions_limit`"),
        (status = 410, description = "`session_lost`"),
        (status = 423, description = "`rule_quarantined`"),
        (status = 422, description = "The bars do not fit (see `code` and `path`), `cost_limit`, or `sandbox_violation`. Nothing was counted"),
    )
)]
pub async fn handle(
    tenant: Tenant<Evaluate>,
    State(service): State<Service>,
    SessionPath(id): SessionPath,
    _: QueryArgs<NoQuery>,
    marks: Marks,
    BarsBody(body): BarsBody,
) -> Result<Json<SessionBarsAnswer>, Problem> {
    let (request, place, _room) = bars_json::read_on(&service, tenant.id(), body, Form::SessionBars).await?;
    let next = NextBars { seq: request.seq, bars: request.bars, place };
    let answer = service.advance_session(&tenant.caller(marks), &id, &mut None, next, render).await?;
    Ok(Json(answer.into()))
}
