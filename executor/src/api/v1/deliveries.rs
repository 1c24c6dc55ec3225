//! `POST /v1/webhooks/{id}/test`, `GET /v1/webhooks/{id}/deliveries`,
//! `POST /v1/webhooks/{id}/deliveries/{delivery}/replay`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;

use super::webhook_view::{DeliveryList, DeliveryView};
use crate::api::context::Marks;
use crate::api::cursor::{List, PageQuery};
use crate::api::params::{DeliveryPath, NoQuery, QueryArgs, WebhookPath};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::WebhooksManage;
use crate::domain::audit::Chain;
use crate::service::Service;

/// Sends a webhook an event that tells of nothing, `webhook.test`. What becomes of it is in the list of deliveries.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/test", tag = "webhooks", operation_id = "test_webhook",
    params(WebhookPath),
    responses(
        (status = 202, description = "It is sent", body = DeliveryView),
        (status = 404, description = "`webhook_not_found`"),
    )
)]
pub async fn test(
    tenant: Tenant<WebhooksManage>,
    State(service): State<Service>,
    WebhookPath(id): WebhookPath,
    _: QueryArgs<NoQuery>,
    marks: Marks,
) -> Result<(StatusCode, Json<DeliveryView>), Problem> {
    let delivery = service.test_webhook(&tenant.caller(marks), id).await?;
    Ok((StatusCode::ACCEPTED, Json(delivery.into())))
}

/// Lists what a webhook was sent, or will be.
#[utoipa::path(
    get, path = "/v1/webhooks/{id}/deliveries", tag = "webhooks", operation_id = "list_deliveries",
    params(WebhookPath, PageQuery),
    responses(
        (status = 200, description = "A page", body = DeliveryList),
        (status = 404, description = "`webhook_not_found`"),
    )
)]
pub async fn list(
    tenant: Tenant<WebhooksManage>,
    State(service): State<Service>,
    WebhookPath(id): WebhookPath,
    QueryArgs(query): QueryArgs<PageQuery>,
) -> Result<impl IntoResponse, Problem> {
    let address = format!("/v1/webhooks/{id}/deliveries");
    let list = List { service: &service, address: &address, chain: Chain(Some(tenant.id())), query: &query };
    let (after, limit) = list.start_at()?;
    let (found, more) = service.deliveries(tenant.id(), id, after, limit).await?;
    let (next, link) = list.next(found.last().map(|delivery| delivery.id.to_string()), more);
    Ok((link, Json(DeliveryList { deliveries: found.into_iter().map(Into::into).collect(), next })))
}

/// Sends a delivery again now, whatever became of it before. The receiver knows it by its `webhook-id`.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/deliveries/{delivery}/replay", tag = "webhooks", operation_id = "replay_delivery",
    params(DeliveryPath),
    responses(
        (status = 202, description = "It is sent", body = DeliveryView),
        (status = 404, description = "`webhook_not_found` or `delivery_not_found`"),
    )
)]
pub async fn replay(
    tenant: Tenant<WebhooksManage>,
    State(service): State<Service>,
    DeliveryPath(webhook, id): DeliveryPath,
    _: QueryArgs<NoQuery>,
    marks: Marks,
) -> Result<(StatusCode, Json<DeliveryView>), Problem> {
    let delivery = service.replay_delivery(&tenant.caller(marks), webhook, id).await?;
    Ok((StatusCode::ACCEPTED, Json(delivery.into())))
}
