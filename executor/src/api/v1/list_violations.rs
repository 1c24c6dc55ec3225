//! `GET /v1/violations`

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::violation_view::ViolationView;
use crate::api::cursor::{List, PageQuery};
use crate::api::params::{QueryArgs, shorten};
use crate::api::problem::{Code, Problem};
use crate::api::tenant::{Member, tenant_to_see};
use crate::auth::permission::ViolationsRead;
use crate::domain::at::At;
use crate::domain::caller::TenantId;
use crate::domain::review::{Filter, Status};
use crate::domain::rule::RuleName;
use crate::domain::violation::{Kind, SEVERITIES, find_severity};
use crate::service::Service;

/// Which violations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Where to go on: from the answer's `next`.
    cursor: Option<String>,
    /// Entries of a page.
    limit: Option<u32>,
    /// Of this kind: `fuel_exhausted`.
    kind: Option<String>,
    /// `low`, `medium`, `high` or `critical`.
    severity: Option<String>,
    /// Name of a tenant; for reviewers, who see those of all.
    tenant: Option<String>,
    /// Name of a rule.
    rule: Option<String>,
    /// `open`, `acknowledged` or `resolved`.
    status: Option<String>,
    /// RFC 3339: those that began then or later.
    from: Option<String>,
    /// RFC 3339: those that began before.
    to: Option<String>,
}

/// A page of violations.
#[derive(Debug, Serialize, ToSchema)]
pub struct ViolationList {
    /// From the newest on.
    pub violations: Vec<ViolationView>,
    /// `cursor` of the next page, if there is one; also as `Link: rel="next"`.
    pub next: Option<String>,
}

/// Lists violations: those of the caller's tenant or, for reviewers, of all tenants and of the service itself.
#[utoipa::path(
    get, path = "/v1/violations", tag = "security", operation_id = "list_violations",
    params(ListQuery),
    responses(
        (status = 200, description = "A page", body = ViolationList),
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
    let (filter, address) = read(&query, tenant)?;
    let page = PageQuery { cursor: query.cursor, limit: query.limit };
    let list = List { service: &service, address: &address, chain, query: &page };
    let (after, limit) = list.start_at::<Place>()?;
    let (found, more) = service.violations(chain, &filter, after.map(|Place(at, id)| (at, id)), limit).await?;
    let place = found.last().map(|violation| Place(violation.at, violation.id).to_string());
    let (next, link) = list.next(place, more);
    let violations = found.into_iter().map(|violation| ViolationView::of(violation, chain)).collect();
    Ok((link, Json(ViolationList { violations, next })))
}

/// What is asked for, and the address of the list: each filter has cursors of its own.
fn read(query: &ListQuery, tenant: Option<TenantId>) -> Result<(Filter, String), Problem> {
    let mut filter = Filter { tenant, ..Filter::default() };
    let mut address = Vec::new();
    if let Some(text) = &query.kind {
        let kind = one_of("kind", text, Kind::find(text), Kind::ALL.iter().map(|kind| kind.name()))?;
        filter.kind = Some(kind);
        address.push(format!("kind={}", kind.name()));
    }
    if let Some(text) = &query.severity {
        let names = SEVERITIES.iter().map(|severity| severity.name());
        let severity = one_of("severity", text, find_severity(text), names)?;
        filter.severity = Some(severity);
        address.push(format!("severity={}", severity.name()));
    }
    // It has been found: such a name needs no escapes.
    address.extend(query.tenant.as_ref().map(|name| format!("tenant={name}")));
    if let Some(text) = &query.rule {
        let rule = RuleName::new(text).map_err(|error| wrong("rule", &error.to_string()))?;
        address.push(format!("rule={}", rule.as_str()));
        filter.rule = Some(rule);
    }
    if let Some(text) = &query.status {
        let status = one_of("status", text, Status::find(text), Status::ALL.iter().map(|status| status.name()))?;
        filter.status = Some(status);
        address.push(format!("status={}", status.name()));
    }
    for (name, text, to) in [("from", &query.from, &mut filter.from), ("to", &query.to, &mut filter.to)] {
        let Some(text) = text else { continue };
        let at = At::parse(text).ok_or_else(|| wrong(name, "a time in RFC 3339: `2027-01-31T00:00:00Z`"))?;
        *to = Some(at);
        address.push(format!("{name}={at}"));
    }
    let query = if address.is_empty() { String::new() } else { format!("?{}", address.join("&")) };
    Ok((filter, format!("/v1/violations{query}")))
}

fn wrong(name: &str, said: &str) -> Problem {
    Problem::new(Code::INVALID_QUERY, format!("`{name}`: {said}")).at(name)
}

fn one_of<T>(
    name: &str,
    text: &str,
    found: Option<T>,
    known: impl Iterator<Item = &'static str>,
) -> Result<T, Problem> {
    let known = || known.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| wrong(name, &format!("there is no `{}`; there are: {}", shorten(text), known())))
}

/// Where the list goes on: when the last one began, and its id.
struct Place(At, Uuid);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.0.0, self.1)
    }
}

impl std::str::FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, id) = text.split_once(' ').ok_or(())?;
        Ok(Self(At(at.parse().map_err(|_| ())?), id.parse().map_err(|_| ())?))
    }
}
