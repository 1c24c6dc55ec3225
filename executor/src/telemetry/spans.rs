//! What is traced: requests, compiling and evaluations, and what a module did against its limits.
//!
//! No text of a rule, no input and no message is ever put on a span.

use opentelemetry::KeyValue;
use opentelemetry::trace::{Status, TraceContextExt};
use rand::Rng;
use tracing::field::Empty;
use tracing::{Level, Metadata, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

use super::traceparent::TraceParent;
use crate::config::Telemetry;
use crate::domain::rule::Runnable;
use crate::domain::violation::NewViolation;

/// Of spans that are for traces alone: log lines belong to the request around them.
pub(super) const TARGET: &str = "rulebox::spans";

/// Of spans that are for log lines alone: their trace is not sampled.
const UNTRACED: &str = "rulebox::untraced";

/// Whether it is a span of this program, and none of a library.
pub(super) fn is_own(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && *metadata.level() <= Level::INFO && metadata.target().starts_with("rulebox")
}

/// Whether it is a span that is sent, where there is somewhere to send it to.
pub(super) fn is_traced(metadata: &Metadata<'_>) -> bool {
    is_own(metadata) && metadata.target() != UNTRACED
}

/// Whether a request is traced: as its caller says, or else so many in a thousand. It is said here, before its span is
/// made, so that those that are not cost nothing.
fn is_sampled(settings: &Telemetry, given: Option<&TraceParent>) -> bool {
    settings.otlp_endpoint.is_some()
        && given
            .map_or_else(|| rand::rng().random_range(0..1_000) < settings.sample_per_thousand, TraceParent::is_sampled)
}

/// The span of a request, a part of the caller's trace or else the first of one, and the id of that trace, 32 digits,
/// also if nothing is traced.
pub fn request(request_id: &str, given: Option<&TraceParent>, settings: &Telemetry) -> (Span, String) {
    macro_rules! of {
        ($target:expr) => {
            tracing::info_span!(
                target: $target,
                "request",
                otel.kind = "server",
                request_id,
                trace_id = Empty,
                tenant = Empty,
                actor = Empty
            )
        };
    }
    let span = if is_sampled(settings, given) { of!(module_path!()) } else { of!(UNTRACED) };
    with_trace(span, given)
}

/// Something that is found out beside all requests: a span of its own, and the id of its trace.
pub fn background(what: &'static str, settings: &Telemetry) -> (Span, String) {
    macro_rules! of {
        ($target:expr) => {
            tracing::info_span!(target: $target, parent: None, "background", what, trace_id = Empty)
        };
    }
    with_trace(if is_sampled(settings, None) { of!(module_path!()) } else { of!(UNTRACED) }, None)
}

fn with_trace(span: Span, given: Option<&TraceParent>) -> (Span, String) {
    let trace_id = trace_of(&span, given);
    span.record("trace_id", trace_id.as_str());
    (span, trace_id)
}

fn trace_of(span: &Span, given: Option<&TraceParent>) -> String {
    if goes_on(span) {
        if let Some(given) = given {
            // It fails if nothing is traced.
            let _ = span.set_parent(given.context());
        }
        let own = span.context().span().span_context().clone();
        if own.is_valid() {
            return own.trace_id().to_string();
        }
    }
    given.map_or_else(|| format!("{:032x}", rand::rng().random_range(1..=u128::MAX)), TraceParent::trace_id)
}

/// Whether what is within this span is traced, if anything is.
fn goes_on(span: &Span) -> bool {
    span.metadata().is_none_or(|metadata| metadata.target() != UNTRACED)
}

/// Says on the span of a request how it was answered.
pub fn answered(span: &Span, method: &'static str, route: &str, status: u16, code: Option<&'static str>) {
    if !goes_on(span) {
        return;
    }
    span.set_attribute("http.request.method", method);
    span.set_attribute("http.route", route.to_owned());
    span.set_attribute("http.response.status_code", i64::from(status));
    if let Some(code) = code {
        span.set_attribute("error.type", code);
    }
    if status >= 500 {
        span.set_status(Status::error(code.unwrap_or_default()));
    }
}

/// Compiling, within `parent`. The stages are those of the metric.
pub fn compile(parent: &Span, stage: &'static str) -> Span {
    if !goes_on(parent) {
        return Span::none();
    }
    tracing::info_span!(target: TARGET, parent: parent, "compile", stage, result = Empty)
}

/// How the compiling around this ended.
pub fn compiled(result: &'static str) {
    Span::current().record("result", result);
}

/// The run of a rule, within `parent`.
pub fn evaluation(parent: &Span, mode: &'static str, runnable: &Runnable) -> Span {
    if !goes_on(parent) {
        return Span::none();
    }
    tracing::info_span!(
        target: TARGET,
        parent: parent,
        "evaluation",
        mode,
        rule = %runnable.rule,
        version = i64::from(runnable.version),
        digest = %runnable.digest,
        outcome = Empty,
        bars = Empty,
        fuel = Empty
    )
}

/// Holding a module against its text, some time after the answer of `request`: in its trace, and not within its span,
/// which would last as long.
pub fn check(request: &Span, source: &'static str, runnable: &Runnable) -> Span {
    if !goes_on(request) {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "check",
        source,
        rule = %runnable.rule,
        version = i64::from(runnable.version),
        digest = %runnable.digest
    );
    // It fails if nothing is traced.
    let _ = span.set_parent(request.context());
    span
}

/// What a run used and how it ended.
pub fn evaluated(span: &Span, outcome: &'static str, bars: u64, fuel: u64) {
    span.record("outcome", outcome);
    span.record("bars", number(bars));
    span.record("fuel", number(fuel));
}

/// Puts a violation on the span that it happened in, which is the current one.
pub fn violation(id: Option<Uuid>, violation: &NewViolation, severity: &'static str) {
    let mut said = vec![
        KeyValue::new("kind", violation.kind.name()),
        KeyValue::new("severity", severity),
        KeyValue::new("fuel_used", number(violation.fuel_used)),
        KeyValue::new("fuel_limit", number(violation.fuel_limit)),
        KeyValue::new("memory_peak", number(violation.memory_peak)),
        KeyValue::new("memory_limit", number(violation.memory_limit)),
        KeyValue::new("elapsed_us", number(violation.elapsed_us)),
    ];
    said.extend(id.map(|id| KeyValue::new("violation_id", id.to_string())));
    said.extend(violation.rule.as_ref().map(|rule| KeyValue::new("rule", rule.as_str().to_owned())));
    said.extend(violation.version.map(|version| KeyValue::new("version", i64::from(version))));
    said.extend(violation.digest.map(|digest| KeyValue::new("digest", digest.to_string())));
    said.extend(violation.trap.map(|trap| KeyValue::new("trap", trap)));
    Span::current().add_event("violation", said);
}

/// Attributes have no unsigned numbers: one would be a text.
fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_a_trace_also_if_nothing_is_traced() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let given = TraceParent::parse(&format!("00-{trace}-00f067aa0ba902b7-01"));
        assert_eq!(trace_of(&Span::none(), given.as_ref()), trace);
        let (one, other) = (trace_of(&Span::none(), None), trace_of(&Span::none(), None));
        assert!(one.len() == 32 && one != other, "{one} {other}");
    }
}
