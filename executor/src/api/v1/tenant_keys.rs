//! `/v1/tenants/{tenant}/keys`: the keys of any tenant, for those who administer tenants.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::response::IntoResponse;

use super::key_view::{KeyList, KeyView, MadeKeyView, NewKeyRequest};
use super::list_keys::page;
use crate::api::body;
use crate::api::context::Marks;
use crate::api::cursor::PageQuery;
use crate::api::idempotency::IdempotencyKey;
use crate::api::params::{NoQuery, QueryArgs, TenantKeyPath, TenantPath};
use crate::api::problem::Problem;
use crate::api::tenant::Platform;
use crate::auth::permission::TenantsManage;
use crate::domain::audit::Chain;
use crate::service::Service;

/// Makes a key of a tenant. The answer has the key: it is shown this once.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/keys", tag = "tenants", operation_id = "create_tenant_key",
    params(TenantPath, IdempotencyKey),
    request_body = NewKeyRequest,
    responses(
        (status = 201, description = "Made", body = MadeKeyView, headers(("location" = String, description = "The key"))),
        (status = 404, description = "`tenant_not_found`"),
        (status = 409, description = "`request_in_flight`"),
        (status = 422, description = "`invalid_roles`, `invalid_text`, or `idempotency_key_reused`"),
    )
)]
pub async fn create(
    platform: Platform<TenantsManage>,
    State(service): State<Service>,
    TenantPath(name): TenantPath,
    _: QueryArgs<NoQuery>,
    key: IdempotencyKey,
    marks: Marks,
    body::Json(asked): body::Json<NewKeyRequest>,
) -> Result<impl IntoResponse, Problem> {
    let owner = Chain(Some(service.tenant_named(&name).await?.id));
    let operator = platform.operator(marks);
    let (tenant, asked_for) = (name.as_str().as_bytes(), asked.marks());
    // The answer has a secret in it, which is for who asked first and nobody else.
    let request = key.of("create_tenant_key", &[tenant, operator.actor.id.0.as_bytes(), asked_for.as_bytes()]);
    let made = service.create_key(&operator, owner, Chain(None), &asked.try_into()?, request).await?;
    let location = format!("/v1/tenants/{name}/keys/{}", made.record.id);
    let headers = [(LOCATION, location), (CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::CREATED, headers, Json(MadeKeyView::from(made))))
}

/// Lists the keys of a tenant.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/keys", tag = "tenants", operation_id = "list_tenant_keys",
    params(TenantPath, PageQuery),
    responses(
        (status = 200, description = "A page", body = KeyList),
        (status = 404, description = "`tenant_not_found`"),
    )
)]
pub async fn list(
    _: Platform<TenantsManage>,
    State(service): State<Service>,
    TenantPath(name): TenantPath,
    QueryArgs(query): QueryArgs<PageQuery>,
) -> Result<impl IntoResponse, Problem> {
    let owner = Chain(Some(service.tenant_named(&name).await?.id));
    page(&service, &format!("/v1/tenants/{name}/keys"), owner, &query).await
}

/// Revokes a key of a tenant; once more changes nothing.
#[utoipa::path(
    delete, path = "/v1/tenants/{tenant}/keys/{id}", tag = "tenants", operation_id = "revoke_tenant_key",
    params(TenantKeyPath),
    responses(
        (status = 200, description = "The key, revoked", body = KeyView),
        (status = 404, description = "`tenant_not_found` or `key_not_found`"),
    )
)]
pub async fn revoke(
    platform: Platform<TenantsManage>,
    State(service): State<Service>,
    TenantKeyPath(name, id): TenantKeyPath,
    _: QueryArgs<NoQuery>,
    marks: Marks,
) -> Result<Json<KeyView>, Problem> {
    let owner = Chain(Some(service.tenant_named(&name).await?.id));
    Ok(Json(service.revoke_key(&platform.operator(marks), owner, id).await?.into()))
}
