//! `POST /v1/webhooks`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::response::IntoResponse;

use super::webhook_view::{MadeWebhookView, NewWebhookRequest};
use crate::api::body;
use crate::api::context::Marks;
use crate::api::idempotency::IdempotencyKey;
use crate::api::params::{NoQuery, QueryArgs};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::WebhooksManage;
use crate::service::Service;

/// Makes a webhook. What modules of the tenant do against their limits is posted there, signed as Standard Webhooks say.
///
/// The answer has the secret that signs: it is shown this once.
#[utoipa::path(
    post, path = "/v1/webhooks", tag = "webhooks", operation_id = "create_webhook",
    params(IdempotencyKey),
    request_body = NewWebhookRequest,
    responses(
        (status = 201, description = "Made", body = MadeWebhookView, headers(("location" = String, description = "The webhook"))),
        (status = 409, description = "`webhooks_limit` or `request_in_flight`"),
        (status = 422, description = "`invalid_url`, `invalid_text`, or `idempotency_key_reused`"),
    )
)]
pub async fn handle(
    tenant: Tenant<WebhooksManage>,
    State(service): State<Service>,
    _: QueryArgs<NoQuery>,
    key: IdempotencyKey,
    marks: Marks,
    body::Json(asked): body::Json<NewWebhookRequest>,
) -> Result<impl IntoResponse, Problem> {
    let caller = tenant.caller(marks);
    // The answer has a secret in it, which is for who asked first and nobody else.
    let request = key.of("create_webhook", &[caller.actor.id.0.as_bytes(), asked.marks().as_bytes()]);
    let made = service.create_webhook(&caller, &asked.try_into()?, request).await?;
    let location = format!("/v1/webhooks/{}", made.webhook.id);
    // Nothing between here and the caller may keep it.
    let headers = [(LOCATION, location), (CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::CREATED, headers, Json(MadeWebhookView::from(made))))
}
