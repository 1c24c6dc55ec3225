//! `POST /v1/evaluate`

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::bars_request::JointRequest;
use super::combined_view::{CombinedAnswer, CombinedBarAnswer, CombinedSeriesAnswer};
use super::named_rules::NamedRules;
use super::run_view::answer;
use crate::api::bars_json::{self, Form};
use crate::api::body::BarsBody;
use crate::api::context::Marks;
use crate::api::params::{QueryArgs, series_wanted};
use crate::api::problem::Problem;
use crate::api::tenant::Tenant;
use crate::auth::permission::Evaluate;
use crate::service::Service;
use crate::service::evaluate::JointEvaluation;

/// How to run.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EvaluateQuery {
    /// Columns to add to the answer and to that of each rule: `verdict`, `out`, or both with a comma between.
    series: Option<String>,
}

/// Runs several rules over the same bars.
///
/// The combined verdict of a bar is the most severe of any rule, and so is its action, also beside another rule's
/// fault; with `reduce`, the smallest fraction is kept. A rule that is stopped answers with `error`, and counts as a
/// fault on every bar; the others go on. A column is unknown only if no rule knows it.
#[utoipa::path(
    post, path = "/v1/evaluate", tag = "evaluation", operation_id = "evaluate_rules",
    params(EvaluateQuery),
    request_body = JointRequest,
    responses(
        (status = 200, description = "One bar: `CombinedBarAnswer`; a series: `CombinedSeriesAnswer`", body = CombinedAnswer),
        (status = 404, description = "`rule_not_found` or `version_not_found`"),
        (status = 409, description = "`rule_archived` or `rule_not_active`"),
        (status = 422, description = "The bars or params do not fit (see `code` and `path`), `too_many_rules`, or `cost_limit`"),
        (status = 423, description = "`rule_quarantined`"),
    )
)]
pub async fn handle(
    tenant: Tenant<Evaluate>,
    State(service): State<Service>,
    QueryArgs(query): QueryArgs<EvaluateQuery>,
    marks: Marks,
    BarsBody(body): BarsBody,
) -> Result<Response, Problem> {
    let series = series_wanted(query.series.as_deref())?;
    let (request, place, _room) = bars_json::read_on(&service, tenant.id(), body, Form::SeveralRules).await?;
    let single = request.bars.single;
    let NamedRules { rules, versions, params } =
        NamedRules::read(request.rules, &request.versions, request.rule_params)?;
    let evaluation = JointEvaluation { rules, versions, bars: request.bars, params, series, place: place.clone() };
    let (run, answer_room) = service.evaluate_jointly(&tenant.caller(marks), evaluation).await?;
    let rows = run.bars.saturating_mul(run.rules.len());
    answer(&service, &place, answer_room, rows, move || {
        if single {
            CombinedAnswer::Bar(CombinedBarAnswer::from(run))
        } else {
            CombinedAnswer::Series(Box::new(CombinedSeriesAnswer::from(run)))
        }
    })
    .await
}
