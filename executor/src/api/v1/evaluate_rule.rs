//! `POST /v1/rules/{name}/evaluate`

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::bars_request::BarsRequest;
use super::run_view::{BarAnswer, RuleAnswer, SeriesAnswer, answer};
use super::stream_request::{ArrowStream, StreamAnswer, StreamBar};
use crate::api::bars_json::{self, Form, rows::read_params};
use crate::api::context::Marks;
use crate::api::params::{QueryArgs, RulePath, series_wanted};
use crate::api::problem::{Code, Problem};
use crate::api::streams::{self, SeriesBody};
use crate::api::tenant::Tenant;
use crate::auth::permission::Evaluate;
use crate::service::Service;
use crate::service::evaluate::Evaluation;
use crate::service::stream::StreamRequest;

/// How to run.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EvaluateQuery {
    /// The version; without one, the active version.
    version: Option<u32>,
    /// Columns to add to the answer: `verdict`, `out`, or both with a comma between. A stream has them in any case.
    series: Option<String>,
    /// Of a stream: the params, as a JSON object.
    #[param(example = r#"{"limit": 0.1}"#)]
    params: Option<String>,
}

/// Runs a rule over one bar (`inputs`) or a series (`columns`), from a reset run.
///
/// In a series, `events` has every bar whose verdict or action differs from the bar before (before bar 0 is `ok`).
/// Where the proved worst case of the run is over the fuel limit, nothing is run (`cost_limit`). A module that is
/// stopped gives no verdict but `sandbox_violation`.
///
/// A stream (`application/x-ndjson` or `application/vnd.apache.arrow.stream`) is read, run and answered batch by batch,
/// whatever its length; its params stand in the query. It is answered in its own form, or as `Accept` says: lines of
/// JSON, Arrow, or `application/json`, the answer of a series without columns. Read the answer while you send: who does
/// not read is not read from. What is wrong before the first bar has been answered is a problem; behind that, the last
/// line, or the custom metadata `rulebox.trailer` of a last Arrow batch without rows, has the counts and, if the stream
/// ended before its end, `error`. An answer without a trailer is not whole.
#[utoipa::path(
    post, path = "/v1/rules/{name}/evaluate", tag = "evaluation", operation_id = "evaluate_rule",
    params(RulePath, EvaluateQuery),
    request_body(content(
        (BarsRequest = "application/json"),
        (StreamBar = "application/x-ndjson"),
        (ArrowStream = "application/vnd.apache.arrow.stream"),
    )),
    responses(
        (status = 200, description = "One bar: `BarAnswer`; a series: `SeriesAnswer`; lines: an `Event` a bar, then a `TrailerLine`",
            content(
                (RuleAnswer = "application/json"),
                (StreamAnswer = "application/x-ndjson"),
                (ArrowStream = "application/vnd.apache.arrow.stream"),
            )
        ),
        (status = 406, description = "`not_acceptable`"),
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
    headers: HeaderMap,
    body: SeriesBody,
) -> Result<Response, Problem> {
    let body = match body {
        SeriesBody::Whole(body) => body,
        SeriesBody::Stream(body) => {
            if query.series.is_some() {
                return Err(Problem::new(Code::INVALID_QUERY, "a stream takes no `series`: its answer has every bar"));
            }
            let params = query.params.as_deref().map(|text| read_params(text, &service.settings().evaluation));
            let params = params.transpose()?.unwrap_or_default();
            let request = StreamRequest { rule, version: query.version, params, events: 0, numbers_alone: false };
            // In a box, so that bars in memory do not carry its size about.
            return Box::pin(streams::answer(&service, &tenant.caller(marks), headers, request, *body)).await;
        }
    };
    if query.params.is_some() {
        return Err(Problem::new(Code::INVALID_QUERY, "`params` stands in the query of a stream; here, in the body"));
    }
    let series = series_wanted(query.series.as_deref())?;
    let (request, place, _room) = bars_json::read_on(&service, tenant.id(), body, Form::OneRule).await?;
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
    answer(&service, &place, answer_room, rows, move || {
        if single {
            RuleAnswer::Bar(BarAnswer::from(run))
        } else {
            RuleAnswer::Series(Box::new(SeriesAnswer::from(run)))
        }
    })
    .await
}
