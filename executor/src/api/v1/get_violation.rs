//! `GET /v1/violations/{id}`

use axum::Json;
use axum::extract::State;

use super::violation_view::ViolationView;
use crate::api::params::{NoQuery, QueryArgs, ViolationPath};
use crate::api::problem::Problem;
use crate::api::tenant::Member;
use crate::auth::permission::ViolationsRead;
use crate::service::Service;

/// Shows a violation with all its evidence.
#[utoipa::path(
    get, path = "/v1/violations/{id}", tag = "security", operation_id = "get_violation",
    params(ViolationPath),
    responses(
        (status = 200, description = "The violation", body = ViolationView),
        (status = 404, description = "`violation_not_found`"),
    )
)]
pub async fn handle(
    member: Member<ViolationsRead>,
    State(service): State<Service>,
    ViolationPath(id): ViolationPath,
    _: QueryArgs<NoQuery>,
) -> Result<Json<ViolationView>, Problem> {
    let chain = member.chain();
    Ok(Json(ViolationView::of(service.violation(chain, id).await?, chain)))
}
