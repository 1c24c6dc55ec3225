//! `GET /v1/keys`

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;

use super::key_view::KeyList;
use crate::api::cursor::{List, PageQuery};
use crate::api::params::QueryArgs;
use crate::api::problem::Problem;
use crate::api::tenant::Member;
use crate::auth::permission::KeysManage;
use crate::domain::audit::Chain;
use crate::domain::caller::KeyId;
use crate::service::Service;

/// Lists the keys of the caller's tenant, or of the platform if the caller is of the platform.
#[utoipa::path(
    get, path = "/v1/keys", tag = "keys", operation_id = "list_keys",
    params(PageQuery),
    responses(
        (status = 200, description = "A page", body = KeyList),
    )
)]
pub async fn handle(
    member: Member<KeysManage>,
    State(service): State<Service>,
    QueryArgs(query): QueryArgs<PageQuery>,
) -> Result<impl IntoResponse, Problem> {
    page(&service, "/v1/keys", member.chain(), &query).await
}

/// A page of keys, for whoever may see them.
pub(super) async fn page(
    service: &Service,
    address: &str,
    owner: Chain,
    query: &PageQuery,
) -> Result<impl IntoResponse + use<>, Problem> {
    let list = List { service, address, chain: owner, query };
    let (after, limit) = list.start_at()?;
    let (keys, more) = service.list_keys(owner, after.map(KeyId), limit).await?;
    let (next, link) = list.next(keys.last().map(|key| key.id.to_string()), more);
    Ok((link, Json(KeyList { keys: keys.into_iter().map(Into::into).collect(), next })))
}
