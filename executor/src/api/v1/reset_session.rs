//! `POST /v1/sessions/{id}/reset`

use axum::Json;
use axum::extract::State;

use super::session_view::SessionView;
use crate::api::context::Marks;
use crate::api::params::{NoQuery, QueryArgs, SessionPath};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::Evaluate;
use crate::service::Service;

/// Begins a session anew at bar 0, with the same versions and params.
#[utoipa::path(
    post, path = "/v1/sessions/{id}/reset", tag = "sessions", operation_id = "reset_session",
    params(SessionPath),
    responses(
        (status = 200, description = "The session, at bar 0", body = SessionView),
        (status = 404, description = "`session_not_found`"),
        (status = 410, description = "`session_lost`"),
        (status = 423, description = "`rule_quarantined`"),
        (status = 422, description = "`sandbox_violation`: a guest module was stopped"),
    )
)]
pub async fn handle(
    tenant: Tenant<Evaluate>,
    State(service): State<Service>,
    SessionPath(id): SessionPath,
    _: QueryArgs<NoQuery>,
    marks: Marks,
) -> Result<Json<SessionView>, Problem> {
    let caller = tenant.caller(marks);
    let place = service.bar_runs().place(caller.tenant)?;
    let info = service.reset_session(&caller, &id, &place).await?;
    Ok(Json(SessionView::new(info, service.settings().sessions.idle_seconds)))
}
