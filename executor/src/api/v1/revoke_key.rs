//! `DELETE /v1/keys/{id}`

use axum::Json;
use axum::extract::State;

use super::key_view::KeyView;
use crate::api::context::Marks;
use crate::api::params::{KeyPath, NoQuery, QueryArgs};
use crate::api::problem::Problem;
use crate::api::tenant::Member;
use crate::auth::permission::KeysManage;
use crate::service::Service;

/// Revokes a key; once more changes nothing. Within a second no replica takes it any more.
#[utoipa::path(
    delete, path = "/v1/keys/{id}", tag = "keys", operation_id = "revoke_key",
    params(KeyPath),
    responses(
        (status = 200, description = "The key, revoked", body = KeyView),
        (status = 404, description = "`key_not_found`"),
    )
)]
pub async fn handle(
    member: Member<KeysManage>,
    State(service): State<Service>,
    KeyPath(id): KeyPath,
    _: QueryArgs<NoQuery>,
    marks: Marks,
) -> Result<Json<KeyView>, Problem> {
    let chain = member.chain();
    Ok(Json(service.revoke_key(&member.operator(marks), chain, id).await?.into()))
}
