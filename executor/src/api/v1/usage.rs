//! `GET /v1/usage`, `GET /v1/tenants/{tenant}/usage`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::params::{QueryArgs, TenantPath};
use crate::api::problem::{Code, Problem};
use crate::api::tenant::{Platform, Tenant};
use crate::auth::permission::{PlatformUsageRead, UsageRead};
use crate::domain::at::At;
use crate::domain::caller::TenantId;
use crate::domain::usage::{Period, PeriodUsage, Span, Usage};
use crate::service::Service;

/// Of which time, and how it is summed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// RFC 3339: the first period is the one that this time is in. Without it, there are 24 hours, or 30 days.
    #[param(format = DateTime)]
    from: Option<String>,
    /// RFC 3339: the last period is the one before or at this time. Without it, the one that is now.
    #[param(format = DateTime)]
    to: Option<String>,
    /// The periods, in UTC; at most 744 hours or 366 days at once. Without it, hours.
    #[param(inline)]
    by: Option<By>,
}

/// How usage is summed.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = UsagePeriodLength)]
pub enum By {
    /// By the hour.
    Hour,
    /// By the day, from midnight to midnight.
    Day,
}

impl From<By> for Period {
    fn from(by: By) -> Self {
        match by {
            By::Hour => Self::Hour,
            By::Day => Self::Day,
        }
    }
}

impl From<Period> for By {
    fn from(period: Period) -> Self {
        match period {
            Period::Hour => Self::Hour,
            Period::Day => Self::Day,
        }
    }
}

impl UsageQuery {
    fn span(&self, now: At) -> Result<Span, Problem> {
        let time = |text: &Option<String>, name: &'static str| {
            let wrong = || {
                let detail = format!(
                    "`{name}` is a time in RFC 3339, `2026-01-05T15:00:00Z`; a `+` of its zone is `%2B` in an address"
                );
                Problem::new(Code::INVALID_QUERY, detail).at(name)
            };
            text.as_deref().map(|text| At::parse(text).ok_or_else(wrong)).transpose()
        };
        let (from, to) = (time(&self.from, "from")?, time(&self.to, "to")?);
        let period = self.by.map_or(Period::Hour, Into::into);
        Span::new(period, from, to, now)
            .map_err(|error| Problem::new(Code::INVALID_QUERY, error.to_string()).at("from"))
    }
}

/// What was used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageCounts)]
pub struct CountsView {
    /// Requests that were let in: calls, and messages on WebSockets.
    pub requests: u64,
    /// Requests that were refused with `rate_limited`. One that was refused for its fuel had been let in, and is among
    /// `requests` as well.
    pub refused: u64,
    /// Runs of a rule: over a bar, a series, the bars of a session's call, or a stream.
    pub evaluations: u64,
    /// Bars that rules have answered: a bar that two rules see is two.
    pub bars: u64,
    /// Units of fuel.
    pub fuel: u64,
}

impl From<Usage> for CountsView {
    fn from(used: Usage) -> Self {
        let Usage { requests, refused, evaluations, bars, fuel } = used;
        Self { requests, refused, evaluations, bars, fuel }
    }
}

/// What was used in a period.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsagePeriod)]
pub struct PeriodView {
    /// When it began; RFC 3339.
    #[schema(format = DateTime)]
    pub from: String,
    /// What was used in it.
    #[serde(flatten)]
    pub used: CountsView,
}

/// What a tenant used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub struct UsageView {
    /// When the first period began; RFC 3339.
    #[schema(format = DateTime)]
    pub from: String,
    /// When the last one ends; RFC 3339.
    #[schema(format = DateTime)]
    pub to: String,
    /// What a period is.
    pub by: By,
    /// Every period, from the oldest on.
    pub periods: Vec<PeriodView>,
    /// All of them together.
    pub total: CountsView,
}

impl UsageView {
    fn new(span: &Span, periods: Vec<PeriodUsage>) -> Self {
        let total = periods.iter().fold(Usage::NONE, |total, period| total.plus(period.used));
        let view = |period: PeriodUsage| PeriodView { from: period.from.to_string(), used: period.used.into() };
        Self {
            from: span.from().to_string(),
            to: span.to().to_string(),
            by: span.period().into(),
            periods: periods.into_iter().map(view).collect(),
            total: total.into(),
        }
    }
}

/// Shows what the caller's tenant used.
///
/// Each replica writes what it has counted every few seconds, so that what others than the one that answers have done
/// since may be missing still. What a replica had not written when it was killed is lost: the counts are for capacity
/// and budgets, not for invoices to the cent.
#[utoipa::path(
    get, path = "/v1/usage", tag = "usage", operation_id = "get_usage",
    params(UsageQuery),
    responses(
        (status = 200, description = "What was used", body = UsageView),
    )
)]
pub async fn own(
    tenant: Tenant<UsageRead>,
    State(service): State<Service>,
    QueryArgs(query): QueryArgs<UsageQuery>,
) -> Result<Json<UsageView>, Problem> {
    show(&service, tenant.id(), &query).await
}

/// Shows what a tenant used.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/usage", tag = "tenants", operation_id = "get_tenant_usage",
    params(TenantPath, UsageQuery),
    responses(
        (status = 200, description = "What was used", body = UsageView),
        (status = 404, description = "`tenant_not_found`"),
    )
)]
pub async fn of_tenant(
    _: Platform<PlatformUsageRead>,
    State(service): State<Service>,
    TenantPath(name): TenantPath,
    QueryArgs(query): QueryArgs<UsageQuery>,
) -> Result<Json<UsageView>, Problem> {
    show(&service, service.tenant_named(&name).await?.id, &query).await
}

async fn show(service: &Service, tenant: TenantId, query: &UsageQuery) -> Result<Json<UsageView>, Problem> {
    let span = query.span(service.now())?;
    Ok(Json(UsageView::new(&span, service.usage(tenant, &span).await?)))
}
