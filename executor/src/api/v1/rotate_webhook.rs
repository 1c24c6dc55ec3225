//! `POST /v1/webhooks/{id}/rotate`

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;

use super::webhook_view::MadeWebhookView;
use crate::api::context::Marks;
use crate::api::idempotency::IdempotencyKey;
use crate::api::params::{NoQuery, QueryArgs, WebhookPath};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::WebhooksManage;
use crate::service::Service;

/// Gives a webhook another secret, which is shown this once. The one before signs as well for a while, so that the
/// receiver can change over.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/rotate", tag = "webhooks", operation_id = "rotate_webhook",
    params(WebhookPath, IdempotencyKey),
    responses(
        (status = 200, description = "The webhook and its secret", body = MadeWebhookView),
        (status = 404, description = "`webhook_not_found`"),
        (status = 409, description = "`request_in_flight`"),
        (status = 422, description = "`idempotency_key_reused`"),
    )
)]
pub async fn handle(
    tenant: Tenant<WebhooksManage>,
    State(service): State<Service>,
    WebhookPath(id): WebhookPath,
    _: QueryArgs<NoQuery>,
    key: IdempotencyKey,
    marks: Marks,
) -> Result<impl IntoResponse, Problem> {
    let caller = tenant.caller(marks);
    let request = key.of("rotate_webhook", &[caller.actor.id.0.as_bytes(), id.as_bytes()]);
    let made = service.rotate_webhook(&caller, id, request).await?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(MadeWebhookView::from(made))))
}
