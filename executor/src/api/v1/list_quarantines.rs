//! `GET /v1/quarantines`

use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rulebox_sandbox::Digest;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::quarantine::QuarantineView;
use crate::api::cursor::{List, PageQuery};
use crate::api::params::QueryArgs;
use crate::api::problem::Problem;
use crate::api::tenant::{Member, tenant_to_see};
use crate::auth::permission::ViolationsRead;
use crate::domain::at::At;
use crate::domain::quarantine::{Stopped, StoppedPlace};
use crate::service::Service;

/// Which modules.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Where to go on: from the answer's `next`.
    cursor: Option<String>,
    /// Entries of a page.
    limit: Option<u32>,
    /// Name of a tenant; for reviewers, who see those of all.
    tenant: Option<String>,
}

/// A module that is stopped, and for whom.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoppedModule)]
pub struct StoppedView {
    /// Name of the tenant for which it is stopped.
    pub tenant: String,
    /// What is stopped, and why.
    #[serde(flatten)]
    pub quarantine: QuarantineView,
}

/// A page of modules that are stopped.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuarantineList {
    /// The latest first.
    pub quarantines: Vec<StoppedView>,
    /// `cursor` of the next page, if there is one; also as `Link: rel="next"`.
    pub next: Option<String>,
}

/// Lists the modules that are stopped: for the caller's tenant or, for reviewers, for all tenants.
///
/// One that was let go is not in it any more; that it was stopped is in the audit log.
#[utoipa::path(
    get, path = "/v1/quarantines", tag = "security", operation_id = "list_quarantines",
    params(ListQuery),
    responses(
        (status = 200, description = "A page", body = QuarantineList),
        (status = 404, description = "`tenant_not_found`"),
    )
)]
pub async fn handle(
    member: Member<ViolationsRead>,
    State(service): State<Service>,
    QueryArgs(query): QueryArgs<ListQuery>,
) -> Result<impl IntoResponse, Problem> {
    let chain = member.chain();
    let tenant = tenant_to_see(&service, chain, query.tenant.as_deref()).await?;
    // It has been found: such a name needs no escapes.
    let only = query.tenant.map(|name| format!("?tenant={name}")).unwrap_or_default();
    let address = format!("/v1/quarantines{only}");
    let page = PageQuery { cursor: query.cursor, limit: query.limit };
    let list = List { service: &service, address: &address, chain, query: &page };
    let (after, limit) = list.start_at::<Place>()?;
    let (found, more) = service.quarantines(chain, tenant, after.map(|Place(place)| place), limit).await?;
    let (next, link) = list.next(found.last().map(|last| Place::of(last).to_string()), more);
    let quarantines = found.into_iter().map(|Stopped { tenant_name, quarantine, .. }| StoppedView {
        tenant: tenant_name,
        quarantine: quarantine.into(),
    });
    Ok((link, Json(QuarantineList { quarantines: quarantines.collect(), next })))
}

/// Where the list goes on.
struct Place(StoppedPlace);

impl Place {
    const fn of(last: &Stopped) -> Self {
        Self((last.quarantine.at, last.tenant.uuid(), last.quarantine.digest))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, tenant, module) = &self.0;
        write!(f, "{} {} {}", at.0, tenant, URL_SAFE_NO_PAD.encode(module.0))
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(' ');
        let mut part = || parts.next().ok_or(());
        let at = At(part()?.parse().map_err(|_| ())?);
        let tenant = part()?.parse().map_err(|_| ())?;
        let module = URL_SAFE_NO_PAD.decode(part()?).map_err(|_| ())?;
        Ok(Self((at, tenant, Digest(module.try_into().map_err(|_| ())?))))
    }
}
