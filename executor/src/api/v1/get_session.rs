//! `GET /v1/sessions/{id}`

use axum::Json;
use axum::extract::State;

use super::session_view::SessionView;
use crate::api::context::Marks;
use crate::api::params::{NoQuery, QueryArgs, SessionPath};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::Evaluate;
use crate::service::Service;

/// Shows a session: what it runs, and its next bar.
#[utoipa::path(
    get, path = "/v1/sessions/{id}", tag = "sessions", operation_id = "get_session",
    params(SessionPath),
    responses(
        (status = 200, description = "The session", body = SessionView),
        (status = 404, description = "`session_not_found`"),
        (status = 410, description = "`session_lost`"),
    )
)]
pub async fn handle(
    tenant: Tenant<Evaluate>,
    State(service): State<Service>,
    SessionPath(id): SessionPath,
    _: QueryArgs<NoQuery>,
    marks: Marks,
) -> Result<Json<SessionView>, Problem> {
    let info = service.session(&tenant.caller(marks), &id).await?;
    Ok(Json(SessionView::new(info, service.settings().sessions.idle_seconds)))
}
