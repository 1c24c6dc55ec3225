//! Evaluations of one rule as answers show them.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use rulebox_abi::Verdict;
use rulebox_dsl::manifest::Manifest;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer_parts::{ActionView, CountsView, Fault, OutColumns, Outs, VerdictView};
use crate::api::problem::Problem;
use crate::domain::evaluation::{Event, RuleRun};
use crate::execution::pool::Place;
use crate::execution::room::Room;
use crate::execution::threads::slow_down;
use crate::service::Service;

/// What a rule said of one bar.
#[derive(Debug, Serialize, ToSchema)]
pub struct BarAnswer {
    verdict: VerdictView,
    /// Null asks for nothing.
    action: Option<ActionView>,
    /// With `reduce`: the fraction to keep, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep: Option<f64>,
    /// Messages, in the order of the rule's text.
    reasons: Vec<String>,
    /// Outs by name: numbers, truth values, or null for missing.
    #[schema(value_type = Object)]
    out: Outs,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
    /// The rule.
    rule: String,
    /// The version that ran.
    version: u32,
    /// SHA-256 of its module.
    digest: String,
    /// Units of fuel: of a rule's text what is proved that so many bars cost at most, of a module what it used.
    fuel: u64,
    /// Version of the time zone database, if the rule uses time.
    #[serde(skip_serializing_if = "Option::is_none")]
    tzdata: Option<String>,
}

/// What a rule said of a bar of a series.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    /// The bar, from 0.
    bar: usize,
    /// RFC 3339 in UTC; null if the bar has no readable time.
    time: Option<String>,
    verdict: VerdictView,
    /// Null asks for nothing.
    action: Option<ActionView>,
    /// With `reduce`: the fraction to keep, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep: Option<f64>,
    /// Messages, in the order of the rule's text.
    reasons: Vec<String>,
    /// Outs by name.
    #[schema(value_type = Object)]
    out: Outs,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
}

impl EventView {
    pub(in crate::api) fn new(event: Event, manifest: &Arc<Manifest>) -> Self {
        Self {
            bar: event.bar,
            time: event.time.map(|time| time.to_string()),
            verdict: event.verdict.into(),
            action: event.action.map(Into::into),
            keep: event.keep,
            reasons: event.reasons,
            out: Outs(Arc::clone(manifest), event.out),
            fault: event.fault.map(|info| Fault::new(event.bar, info)),
        }
    }
}

/// The first bar of each verdict; absent if there is none.
#[derive(Debug, Serialize, ToSchema)]
#[schema(bound = "T: ToSchema")]
pub struct First<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    warn: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breach: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<T>,
}

impl<T> First<T> {
    pub(in crate::api) fn new<E>(events: Vec<E>, verdict: impl Fn(&E) -> Verdict, view: impl Fn(E) -> T) -> Self {
        let mut first = Self { warn: None, breach: None, fault: None };
        for event in events {
            let place = match verdict(&event) {
                Verdict::Ok => continue,
                Verdict::Warn => &mut first.warn,
                Verdict::Breach => &mut first.breach,
                Verdict::Fault => &mut first.fault,
            };
            *place = Some(view(event));
        }
        first
    }
}

/// Columns that `?series=` asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Series)]
pub struct SeriesView {
    /// One verdict a bar.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Vec<VerdictView>>,
    /// One column an out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    out: Option<OutColumns>,
}

impl SeriesView {
    pub(super) fn new(verdict: Option<Vec<Verdict>>, out: Option<OutColumns>) -> Option<Self> {
        let verdict = verdict.map(|column| column.into_iter().map(Into::into).collect());
        (verdict.is_some() || out.is_some()).then_some(Self { verdict, out })
    }
}

/// What a rule said of a series.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeriesAnswer {
    /// The rule.
    rule: String,
    /// The version that ran.
    version: u32,
    /// SHA-256 of its module.
    digest: String,
    /// Number of bars.
    bars: usize,
    counts: CountsView,
    first: First<EventView>,
    /// Every bar whose verdict or action differs from the bar before; before bar 0 is `ok`.
    events: Vec<EventView>,
    /// There were more events than an answer takes.
    events_truncated: bool,
    /// The fault that ended the run, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<SeriesView>,
    /// Units of fuel: of a rule's text what is proved that so many bars cost at most, of a module what it used.
    fuel: u64,
    /// Version of the time zone database, if the rule uses time.
    #[serde(skip_serializing_if = "Option::is_none")]
    tzdata: Option<String>,
}

/// What a rule said.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum RuleAnswer {
    /// Of one bar.
    Bar(BarAnswer),
    /// Of a series.
    Series(Box<SeriesAnswer>),
}

impl From<RuleRun> for BarAnswer {
    fn from(run: RuleRun) -> Self {
        let nothing = || Event {
            bar: 0,
            time: None,
            verdict: Verdict::Ok,
            action: None,
            keep: None,
            reasons: Vec::new(),
            out: Vec::new(),
            fault: None,
        };
        let bar = EventView::new(run.last.unwrap_or_else(nothing), &run.manifest);
        Self {
            verdict: bar.verdict,
            action: bar.action,
            keep: bar.keep,
            reasons: bar.reasons,
            out: bar.out,
            fault: bar.fault,
            rule: run.rule.as_str().to_owned(),
            version: run.version,
            digest: run.digest.to_string(),
            fuel: run.fuel,
            tzdata: run.manifest.tzdata.clone(),
        }
    }
}

impl From<RuleRun> for SeriesAnswer {
    fn from(run: RuleRun) -> Self {
        let manifest = run.manifest;
        let faulted = run.first.iter().find(|event| event.verdict == Verdict::Fault);
        let fault = faulted.and_then(|event| Some(Fault::new(event.bar, event.fault.clone()?)));
        let outs = run.series.outs.map(|columns| OutColumns(Arc::clone(&manifest), columns));
        Self {
            rule: run.rule.as_str().to_owned(),
            version: run.version,
            digest: run.digest.to_string(),
            bars: run.bars,
            counts: run.counts.into(),
            first: First::new(run.first, |event| event.verdict, |event| EventView::new(event, &manifest)),
            events: run.events.into_iter().map(|event| EventView::new(event, &manifest)).collect(),
            events_truncated: run.events_truncated,
            fault,
            series: SeriesView::new(run.series.verdicts, outs),
            fuel: run.fuel,
            tzdata: manifest.tzdata.clone(),
        }
    }
}

/// Rows up to which an answer is written where it is made: that takes less than handing it over.
const SMALL: usize = 4_096;
/// From so many on it takes long: others' bars go before it.
const LARGE: usize = 20_000;

/// Writes an answer, a large one on the request's pool. It keeps its room until it is sent.
pub async fn answer<T: Serialize>(
    service: &Service,
    place: &Place,
    room: Room,
    rows: usize,
    view: impl FnOnce() -> T + Send + 'static,
) -> Result<Response, Problem> {
    let write = move || {
        if rows >= LARGE {
            slow_down();
        }
        serde_json::to_vec(&view())
    };
    let text = if rows <= SMALL { write() } else { place.at(service.texts()).run(write).await? };
    let text = text.map_err(|error| Problem::internal(&error))?;
    Ok(([(CONTENT_TYPE, "application/json")], Body::from(room.keep(text))).into_response())
}
