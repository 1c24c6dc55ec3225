//! `DELETE /v1/sessions/{id}`

use axum::extract::State;
use axum::http::StatusCode;

use crate::api::context::Marks;
use crate::api::params::{NoQuery, QueryArgs, SessionPath};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::Evaluate;
use crate::service::Service;

/// Ends a session. Its state and its answers are gone.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}", tag = "sessions", operation_id = "delete_session",
    params(SessionPath),
    responses(
        (status = 204, description = "It has ended"),
        (status = 404, description = "`session_not_found`"),
        (status = 410, description = "`session_lost`: it had ended before"),
    )
)]
pub async fn handle(
    tenant: Tenant<Evaluate>,
    State(service): State<Service>,
    SessionPath(id): SessionPath,
    _: QueryArgs<NoQuery>,
    marks: Marks,
) -> Result<StatusCode, Problem> {
    service.delete_session(&tenant.caller(marks), &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
