//! `POST /v1/rules/{name}/evaluate`

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::bars_request::BarsRequest;
use super::run_view::{BarAnswer, RuleAnswer, SeriesAnswer, answer};
use crate::api::bars_json::{self, Form};
use crate::api::body::BarsBody;
use crate::api::context::Marks;
use crate::api::params::{QueryArgs, RulePath, series_wanted};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::Evaluate;
use crate::service::Service;
use crate::service::evaluate::Evaluation;

/// How to run.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EvaluateQuery {
    /// The version; without one, the active version.
    version: Option<u32>,
    /// Columns to add to the answer: `verdict`, `out`, or both with a comma between.
    series: Option<String>,
}

/// Runs a rule over one bar (`inputs`) or a series (`columns`), from a reset run.
///
/// In a series, `events` has every bar whose verdict or action differs from the bar before (before bar 0 is `ok`).
/// Where the proved worst case of the run is over the fuel limit, nothing is run (`cost_limit`). A module that is
/// stopped gives no verdict but `sandbox_violation`.
#[utoipa::path(
    post, path = "/v1/rules/{name}/evaluate", tag = "evaluation", operation_id = "evaluate_rule",
    params(RulePath, EvaluateQuery),
    request_body = BarsRequest,
    responses(
        (status = 200, description = "One bar: `BarAnswer`; a series: `SeriesAnswer`", body = RuleAnswer),
        (status = 404, description = "`rule_not_found` or `version_not_found`"),
        (status = 409, description = "`rule_archived` or `rule_not_active`, without `version`"),
        (status = 422, description = "The bars or params do not fit (see `code` and `path`), `cost_limit`, or `sandbox_violation`"),
        (status = 423, description = "`rule_quarantined`"),
    )
)]
pub async fn handle(
    tenant: Tenant<Evaluate>,
    State(service): State<Service>,
    RulePath(rule): RulePath,
    QueryArgs(query): QueryArgs<EvaluateQuery>,
    marks: Marks,
    BarsBody(body): BarsBody,
) -> Result<Response, Problem> {
    let series = series_wanted(query.series.as_deref())?;
    let (request, place, _room) = bars_json::read_on(&service, body, Form::OneRule).await?;
    let single = request.bars.single;
    let evaluation = Evaluation {
        rule,
        version: query.version,
        bars: request.bars,
        params: request.params,
        series,
        place: place.clone(),
    };
    let (run, answer_room) = service.evaluate(&tenant.caller(marks), evaluation).await?;
    let rows = run.bars;
    answer(&place, answer_room, rows, move || {
        if single {
            RuleAnswer::Bar(BarAnswer::from(run))
        } else {
            RuleAnswer::Series(Box::new(SeriesAnswer::from(run)))
        }
    })
    .await
}
