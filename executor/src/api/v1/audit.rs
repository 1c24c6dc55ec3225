//! `GET /v1/audit`, `GET /v1/tenants/{tenant}/audit`

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::cursor::{List, PageQuery};
use crate::api::params::{QueryArgs, TenantPath};
use crate::api::problem::Problem;
use crate::api::tenant::{Member, Platform};
use crate::auth::permission::{AuditRead, PlatformAuditRead};
use crate::domain::audit::{Chain, Entry};
use crate::service::Service;

/// Who did what.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct EntryView {
    /// From 1 up by one.
    pub seq: u64,
    /// RFC 3339.
    pub at: String,
    /// Who, for people.
    pub actor: String,
    /// Who, the same in every record.
    pub actor_id: String,
    /// What was done: `rule.activate`.
    pub action: String,
    /// To what: the name of a rule, the id of a key, the name of a tenant.
    pub object: String,
    /// More of it.
    #[schema(value_type = Object)]
    pub detail: Value,
    /// Of the request; empty for the command line and jobs.
    pub request_id: String,
    /// Keyed hash over this entry and the seal before it.
    pub seal: String,
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        Self {
            seq: entry.seq,
            at: entry.at.to_string(),
            actor: entry.actor.name.to_string(),
            actor_id: entry.actor.id.0.to_string(),
            action: entry.action,
            object: entry.object,
            // It was JSON when it was written; if somebody changed it, it is shown as it is.
            detail: serde_json::from_str(&entry.detail).unwrap_or(Value::String(entry.detail)),
            request_id: entry.request_id,
            seal: entry.seal.to_string(),
        }
    }
}

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditPage {
    /// From the oldest on.
    pub entries: Vec<EntryView>,
    /// `cursor` of the next page, if there is one; also as `Link: rel="next"`.
    pub next: Option<String>,
}

/// Shows the audit log of the caller's tenant, or of the platform if the caller is of the platform.
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", operation_id = "get_audit",
    params(PageQuery),
    responses(
        (status = 200, description = "A page", body = AuditPage),
    )
)]
pub async fn own(
    member: Member<AuditRead>,
    State(service): State<Service>,
    QueryArgs(query): QueryArgs<PageQuery>,
) -> Result<impl IntoResponse, Problem> {
    page(&service, "/v1/audit", member.chain(), &query).await
}

/// Shows the audit log of a tenant.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/audit", tag = "audit", operation_id = "get_tenant_audit",
    params(TenantPath, PageQuery),
    responses(
        (status = 200, description = "A page", body = AuditPage),
        (status = 404, description = "`tenant_not_found`"),
    )
)]
pub async fn of_tenant(
    _: Platform<PlatformAuditRead>,
    State(service): State<Service>,
    TenantPath(name): TenantPath,
    QueryArgs(query): QueryArgs<PageQuery>,
) -> Result<impl IntoResponse, Problem> {
    let chain = Chain(Some(service.tenant_named(&name).await?.id));
    page(&service, &format!("/v1/tenants/{name}/audit"), chain, &query).await
}

async fn page(
    service: &Service,
    address: &str,
    chain: Chain,
    query: &PageQuery,
) -> Result<impl IntoResponse + use<>, Problem> {
    let list = List { service, address, chain, query };
    let (after, limit) = list.start_at()?;
    let (entries, more) = service.audit(chain, after.unwrap_or(0), limit).await?;
    let (next, link) = list.next(entries.last().map(|entry| entry.seq.to_string()), more);
    Ok((link, Json(AuditPage { entries: entries.into_iter().map(Into::into).collect(), next })))
}
