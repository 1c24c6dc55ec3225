//! Evaluations of several rules as answers show them.

use rulebox_abi::Verdict;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer_parts::{ActionView, CountsView, VerdictView};
use super::run_view::{BarAnswer, First, SeriesAnswer, SeriesView};
use crate::api::problem::Code;
use crate::domain::evaluation::{CombinedEvent, CombinedRun, RuleRun, RuleStopped};

/// A rule that was stopped, among several.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoppedRule {
    rule: String,
    version: u32,
    digest: String,
    error: StoppedError,
}

/// Why it was stopped.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoppedError {
    /// `sandbox_violation`.
    #[schema(value_type = String)]
    code: &'static str,
    /// What happened.
    detail: String,
    /// What it reached for.
    #[schema(value_type = String)]
    kind: &'static str,
    /// The record of it.
    violation_id: Uuid,
}

impl From<RuleStopped> for StoppedRule {
    fn from(stopped: RuleStopped) -> Self {
        Self {
            rule: stopped.rule.as_str().to_owned(),
            version: stopped.version,
            digest: stopped.digest.to_string(),
            error: StoppedError {
                code: Code::SANDBOX_VIOLATION.info().code,
                detail: stopped.detail,
                kind: stopped.kind,
                violation_id: stopped.violation,
            },
        }
    }
}

/// One of several rules: its answer, or its error.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum OneOfRules {
    /// It ran over one bar.
    Bar(BarAnswer),
    /// It ran over a series.
    Series(Box<SeriesAnswer>),
    /// It was stopped.
    Stopped(StoppedRule),
}

/// What several rules said of a bar.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CombinedEvent)]
pub struct CombinedEventView {
    /// The bar, from 0.
    bar: usize,
    /// RFC 3339 in UTC; null if the bar has no readable time.
    time: Option<String>,
    verdict: VerdictView,
    /// The most severe action of any rule.
    action: Option<ActionView>,
    /// With `reduce`: the smallest fraction to keep.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep: Option<f64>,
    /// The rules that gave this verdict.
    rules: Vec<String>,
}

impl From<CombinedEvent> for CombinedEventView {
    fn from(event: CombinedEvent) -> Self {
        Self {
            bar: event.bar,
            time: event.time.map(|time| time.to_string()),
            verdict: event.verdict.into(),
            action: event.action.map(Into::into),
            keep: event.keep,
            rules: event.rules.iter().map(|rule| rule.as_str().to_owned()).collect(),
        }
    }
}

/// What several rules said of one bar.
#[derive(Debug, Serialize, ToSchema)]
pub struct CombinedBarAnswer {
    verdict: VerdictView,
    /// The most severe action of any rule.
    action: Option<ActionView>,
    /// With `reduce`: the smallest fraction to keep.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep: Option<f64>,
    /// Each rule, in the order of the request (`"*"`: by name).
    rules: Vec<OneOfRules>,
    /// Units of fuel of all: of a rule's text what is proved that so many bars cost at most, of a module what it used.
    fuel: u64,
}

/// What several rules said of a series.
#[derive(Debug, Serialize, ToSchema)]
pub struct CombinedSeriesAnswer {
    /// Number of bars.
    bars: usize,
    counts: CountsView,
    first: First<CombinedEventView>,
    /// Every bar whose combined verdict or action differs from the bar before; before bar 0 is `ok`.
    events: Vec<CombinedEventView>,
    /// There were more events than an answer takes.
    events_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<SeriesView>,
    /// Each rule, in the order of the request (`"*"`: by name).
    rules: Vec<OneOfRules>,
    /// Units of fuel of all: of a rule's text what is proved that so many bars cost at most, of a module what it used.
    fuel: u64,
}

/// What several rules said.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum CombinedAnswer {
    /// Of one bar.
    Bar(CombinedBarAnswer),
    /// Of a series.
    Series(Box<CombinedSeriesAnswer>),
}

impl From<CombinedRun> for CombinedBarAnswer {
    fn from(run: CombinedRun) -> Self {
        let view = |result: Result<RuleRun, RuleStopped>| match result {
            Ok(run) => OneOfRules::Bar(run.into()),
            Err(stopped) => OneOfRules::Stopped(stopped.into()),
        };
        Self {
            verdict: run.last.as_ref().map_or(Verdict::Ok, |last| last.verdict).into(),
            action: run.last.as_ref().and_then(|last| last.action).map(Into::into),
            keep: run.last.as_ref().and_then(|last| last.keep),
            rules: run.rules.into_iter().map(view).collect(),
            fuel: run.fuel,
        }
    }
}

impl From<CombinedRun> for CombinedSeriesAnswer {
    fn from(run: CombinedRun) -> Self {
        let view = |result: Result<RuleRun, RuleStopped>| match result {
            Ok(run) => OneOfRules::Series(Box::new(run.into())),
            Err(stopped) => OneOfRules::Stopped(stopped.into()),
        };
        Self {
            bars: run.bars,
            counts: run.counts.into(),
            first: First::new(run.first, |event| event.verdict, Into::into),
            events: run.events.into_iter().map(Into::into).collect(),
            events_truncated: run.events_truncated,
            series: SeriesView::new(run.verdicts, None),
            rules: run.rules.into_iter().map(view).collect(),
            fuel: run.fuel,
        }
    }
}
