//! `POST /v1/keys`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::response::IntoResponse;

use super::key_view::{MadeKeyView, NewKeyRequest};
use crate::api::body;
use crate::api::context::Marks;
use crate::api::idempotency::IdempotencyKey;
use crate::api::params::{NoQuery, QueryArgs};
use crate::api::problem::Problem;
use crate::api::tenant::Member;
use crate::auth::permission::KeysManage;
use crate::service::Service;

/// Makes a key of the caller's tenant, or of the platform if the caller is of the platform.
///
/// The answer has the key: it is shown this once, and the service keeps its hash alone.
#[utoipa::path(
    post, path = "/v1/keys", tag = "keys", operation_id = "create_key",
    params(IdempotencyKey),
    request_body = NewKeyRequest,
    responses(
        (status = 201, description = "Made", body = MadeKeyView, headers(("location" = String, description = "The key"))),
        (status = 409, description = "`request_in_flight`"),
        (status = 422, description = "`invalid_roles`, `invalid_text`, or `idempotency_key_reused`"),
    )
)]
pub async fn handle(
    member: Member<KeysManage>,
    State(service): State<Service>,
    _: QueryArgs<NoQuery>,
    key: IdempotencyKey,
    marks: Marks,
    body::Json(asked): body::Json<NewKeyRequest>,
) -> Result<impl IntoResponse, Problem> {
    let (chain, operator) = (member.chain(), member.operator(marks));
    // The answer has a secret in it, which is for who asked first and nobody else.
    let request = key.of("create_key", &[operator.actor.id.0.as_bytes(), asked.marks().as_bytes()]);
    let made = service.create_key(&operator, chain, chain, &asked.try_into()?, request).await?;
    let location = format!("/v1/keys/{}", made.record.id);
    // Nothing between here and the caller may keep it.
    let headers = [(LOCATION, location), (CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::CREATED, headers, Json(MadeKeyView::from(made))))
}
