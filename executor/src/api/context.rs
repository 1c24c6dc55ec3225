//! Around every request: its marks, its log line, its metrics, and the body of its problem.

use std::time::Instant;

use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::header::{CONTENT_LENGTH, HeaderValue};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rand::Rng;
use tracing::Instrument;
use uuid::Uuid;

use super::problem::{Code, Problem};
use super::rate_limits::RateLimits;
use crate::domain::caller::RequestMarks;
use crate::service::Service;

/// Issued by the server; one that a client sends is ignored.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The marks of the request, as an argument of a handler.
#[derive(Clone, Debug)]
pub struct Marks(pub RequestMarks);

impl<S: Send + Sync> FromRequestParts<S> for Marks {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let marks = parts.extensions.get::<Self>().cloned();
        marks.ok_or_else(|| Problem::new(Code::INTERNAL, "the request has no marks"))
    }
}

/// Wraps a request: marks before it, problem body, log line and metrics after it.
pub async fn wrap(State(service): State<Service>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let metrics = service.metrics().clone();
    let _active = Active::new(metrics.http_active.clone());
    let marks = RequestMarks { request_id: Uuid::now_v7().to_string(), trace_id: trace_id(request.headers()) };
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let method = known_method(request.method());
    let path = request.uri().path().to_owned();
    let span = tracing::info_span!(
        "request",
        request_id = marks.request_id,
        trace_id = marks.trace_id,
        tenant = tracing::field::Empty,
        actor = tracing::field::Empty
    );
    let limits = RateLimits::default();
    request.extensions_mut().insert(Marks(marks.clone()));
    request.extensions_mut().insert(limits.clone());
    let handled = async {
        let (response, code) = finish(next.run(request).await, &marks, &path);
        let status = response.status();
        let milliseconds = began.elapsed().as_secs_f64() * 1e3;
        tracing::info!(method, route, status = status.as_u16(), code, milliseconds, "answered");
        response
    };
    let mut response = handled.instrument(span).await;
    limits.add(response.headers_mut());
    if let Ok(id) = HeaderValue::from_str(&marks.request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let status = response.status();
    metrics.http_duration.with_label_values(&[method, &route, status.as_str()]).observe(began.elapsed().as_secs_f64());
    response
}

/// Writes the body of a problem, now that the request's marks are at hand; gives its code.
fn finish(mut response: Response, marks: &RequestMarks, path: &str) -> (Response, Option<&'static str>) {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return (response, None) };
    let body = problem.body(marks, path);
    let code = body.code;
    tracing::Span::current().in_scope(|| tracing::debug!(code, detail = body.detail, "problem"));
    // A problem is strings and numbers: it always serialises.
    let body = serde_json::to_vec(&body).unwrap_or_default();
    response.headers_mut().remove(CONTENT_LENGTH);
    *response.body_mut() = Body::from(body);
    (response, Some(code))
}

#[expect(clippy::needless_pass_by_value, reason = "the layer passes it so")]
/// What a panic becomes. What it said goes to the log, not to the caller.
pub fn panicked(panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
    tracing::error!(panic = text, "a handler panicked");
    Problem::new(Code::INTERNAL, "the service failed; the request may be tried again").into_response()
}

/// Counts a request for as long as it is being answered, also if the caller goes away.
struct Active(prometheus::IntGauge);

impl Active {
    fn new(gauge: prometheus::IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A caller may invent methods; a label may not.
fn known_method(method: &axum::http::Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}

/// The trace id of a W3C `traceparent` (version 00 or later), or a new one.
fn trace_id(headers: &HeaderMap) -> String {
    let given = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
    given.and_then(parse_trace_id).map_or_else(|| format!("{:032x}", rand::rng().random::<u128>()), str::to_owned)
}

fn parse_trace_id(traceparent: &str) -> Option<&str> {
    let mut fields = traceparent.split('-');
    let (version, trace, parent, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let hex =
        |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
    let well_formed = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    let given = trace.bytes().any(|b| b != b'0') && parent.bytes().any(|b| b != b'0');
    (well_formed && given && (version != "00" || fields.next().is_none())).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_continued_if_it_is_well_formed() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let good = format!("00-{trace}-00f067aa0ba902b7-01");
        assert_eq!(parse_trace_id(&good), Some(trace));
        assert_eq!(parse_trace_id(&format!("01-{trace}-00f067aa0ba902b7-01-more")), Some(trace));
        for bad in [
            "",
            &good[1..],
            &format!("{good}-more"),
            &good.to_uppercase(),
            &good.replace(trace, &"0".repeat(32)),
            &good.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &good.replacen("00", "ff", 1),
        ] {
            assert_eq!(parse_trace_id(bad), None, "{bad}");
        }
        assert_eq!(trace_id(&HeaderMap::new()).len(), 32);
    }
}
