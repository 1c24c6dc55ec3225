//! `GET`, `PATCH` and `DELETE /v1/webhooks/{id}`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::webhook_view::{WebhookChangeRequest, WebhookView};
use crate::api::body;
use crate::api::context::Marks;
use crate::api::params::{NoQuery, QueryArgs, WebhookPath};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::WebhooksManage;
use crate::service::Service;

/// Shows a webhook, but for its secret.
#[utoipa::path(
    get, path = "/v1/webhooks/{id}", tag = "webhooks", operation_id = "get_webhook",
    params(WebhookPath),
    responses(
        (status = 200, description = "The webhook", body = WebhookView),
        (status = 404, description = "`webhook_not_found`"),
    )
)]
pub async fn get(
    tenant: Tenant<WebhooksManage>,
    State(service): State<Service>,
    WebhookPath(id): WebhookPath,
    _: QueryArgs<NoQuery>,
) -> Result<Json<WebhookView>, Problem> {
    Ok(Json(service.webhook(tenant.id(), id).await?.into()))
}

/// Changes a webhook. What is waiting is sent as the webhook is then; while it is disabled, that is given up.
#[utoipa::path(
    patch, path = "/v1/webhooks/{id}", tag = "webhooks", operation_id = "change_webhook",
    params(WebhookPath),
    request_body = WebhookChangeRequest,
    responses(
        (status = 200, description = "The webhook", body = WebhookView),
        (status = 404, description = "`webhook_not_found`"),
        (status = 422, description = "`invalid_url` or `invalid_text`"),
    )
)]
pub async fn change(
    tenant: Tenant<WebhooksManage>,
    State(service): State<Service>,
    WebhookPath(id): WebhookPath,
    _: QueryArgs<NoQuery>,
    marks: Marks,
    body::Json(asked): body::Json<WebhookChangeRequest>,
) -> Result<Json<WebhookView>, Problem> {
    let changed = service.change_webhook(&tenant.caller(marks), id, asked.try_into()?).await?;
    Ok(Json(changed.into()))
}

/// Removes a webhook, and gives up what waits for it.
#[utoipa::path(
    delete, path = "/v1/webhooks/{id}", tag = "webhooks", operation_id = "delete_webhook",
    params(WebhookPath),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "`webhook_not_found`"),
    )
)]
pub async fn delete(
    tenant: Tenant<WebhooksManage>,
    State(service): State<Service>,
    WebhookPath(id): WebhookPath,
    _: QueryArgs<NoQuery>,
    marks: Marks,
) -> Result<StatusCode, Problem> {
    service.delete_webhook(&tenant.caller(marks), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
