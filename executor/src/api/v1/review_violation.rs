//! `POST /v1/violations/{id}/acknowledge`, `POST /v1/violations/{id}/resolve`

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::violation_view::ViolationView;
use crate::api::body;
use crate::api::context::Marks;
use crate::api::params::{NoQuery, QueryArgs, ViolationPath};
use crate::api::problem::Problem;
use crate::api::tenant::Platform;
use crate::auth::permission::ViolationsReview;
use crate::domain::audit::Chain;
use crate::domain::review::Review;
use crate::service::Service;

/// Why a violation is done with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveRequest {
    /// For the audit log and for other reviewers.
    #[schema(min_length = 1, max_length = 1000)]
    pub note: String,
}

/// Says that a reviewer has seen a violation; once more changes nothing.
#[utoipa::path(
    post, path = "/v1/violations/{id}/acknowledge", tag = "security", operation_id = "acknowledge_violation",
    params(ViolationPath),
    responses(
        (status = 200, description = "The violation", body = ViolationView),
        (status = 404, description = "`violation_not_found`"),
        (status = 409, description = "`violation_resolved`"),
    )
)]
pub async fn acknowledge(
    platform: Platform<ViolationsReview>,
    State(service): State<Service>,
    ViolationPath(id): ViolationPath,
    _: QueryArgs<NoQuery>,
    marks: Marks,
) -> Result<Json<ViolationView>, Problem> {
    let reviewed = service.review(&platform.operator(marks), id, &Review::Acknowledge).await?;
    Ok(Json(ViolationView::of(reviewed, Chain(None))))
}

/// Says that a reviewer is done with a violation; once more changes nothing. Should it happen again, that is another one.
#[utoipa::path(
    post, path = "/v1/violations/{id}/resolve", tag = "security", operation_id = "resolve_violation",
    params(ViolationPath),
    request_body = ResolveRequest,
    responses(
        (status = 200, description = "The violation", body = ViolationView),
        (status = 404, description = "`violation_not_found`"),
        (status = 422, description = "`invalid_text`"),
    )
)]
pub async fn resolve(
    platform: Platform<ViolationsReview>,
    State(service): State<Service>,
    ViolationPath(id): ViolationPath,
    _: QueryArgs<NoQuery>,
    marks: Marks,
    body::Json(asked): body::Json<ResolveRequest>,
) -> Result<Json<ViolationView>, Problem> {
    let review = Review::Resolve { note: asked.note };
    let reviewed = service.review(&platform.operator(marks), id, &review).await?;
    Ok(Json(ViolationView::of(reviewed, Chain(None))))
}
