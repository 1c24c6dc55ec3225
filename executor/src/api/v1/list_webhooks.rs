//! `GET /v1/webhooks`

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;

use super::webhook_view::WebhookList;
use crate::api::cursor::{List, PageQuery};
use crate::api::params::QueryArgs;
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::WebhooksManage;
use crate::domain::audit::Chain;
use crate::service::Service;

/// Lists the webhooks of the caller's tenant.
#[utoipa::path(
    get, path = "/v1/webhooks", tag = "webhooks", operation_id = "list_webhooks",
    params(PageQuery),
    responses(
        (status = 200, description = "A page", body = WebhookList),
    )
)]
pub async fn handle(
    tenant: Tenant<WebhooksManage>,
    State(service): State<Service>,
    QueryArgs(query): QueryArgs<PageQuery>,
) -> Result<impl IntoResponse, Problem> {
    let list = List { service: &service, address: "/v1/webhooks", chain: Chain(Some(tenant.id())), query: &query };
    let (after, limit) = list.start_at()?;
    let (webhooks, more) = service.webhooks(tenant.id(), after, limit).await?;
    let (next, link) = list.next(webhooks.last().map(|webhook| webhook.id.to_string()), more);
    Ok((link, Json(WebhookList { webhooks: webhooks.into_iter().map(Into::into).collect(), next })))
}
