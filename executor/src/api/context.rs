//! Around every request: its marks, its log line, its metrics, and the body of its problem.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::HeaderName;
use axum::http::header::{CONTENT_LENGTH, HeaderValue};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;
use uuid::Uuid;

use super::problem::{Code, Problem, Raised};
use super::rate_limits::RateLimits;
use crate::domain::caller::{ActorId, RequestMarks};
use crate::domain::violation::NewViolation;
use crate::service::{Caller, Service};
use crate::telemetry::spans;
use crate::telemetry::traceparent::TraceParent;

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
    let request_id = Uuid::now_v7().to_string();
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let method = known_method(request.method());
    let path = request.uri().path().to_owned();
    let given = request.headers().get(TRACEPARENT).and_then(|value| TraceParent::parse(value.to_str().ok()?));
    let (span, trace_id) = spans::request(&request_id, given.as_ref(), &service.settings().telemetry);
    let marks = RequestMarks { request_id, trace_id };
    let (limits, known) = (RateLimits::default(), KnownCaller::default());
    request.extensions_mut().insert(Marks(marks.clone()));
    request.extensions_mut().insert(limits.clone());
    request.extensions_mut().insert(known.clone());
    let handled = async {
        let response = next.run(request).await;
        if let Some(raised) = response.extensions().get::<Problem>().and_then(|problem| problem.raised.clone()) {
            raise(&service, *raised, &marks, known.0.get().copied()).await;
        }
        let (response, code) = finish(response, &marks, &path);
        let status = response.status();
        let milliseconds = began.elapsed().as_secs_f64() * 1e3;
        spans::answered(&tracing::Span::current(), method, &route, status.as_u16(), code);
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

/// Who turned out to make a request, for what is found out when it is answered.
#[derive(Clone, Debug, Default)]
pub struct KnownCaller(Arc<OnceLock<ActorId>>);

impl KnownCaller {
    /// It is this one.
    pub fn is(&self, actor: ActorId) {
        // The first word stands: a request is authenticated once.
        let _ = self.0.set(actor);
    }
}

/// Records what was found out where the answer was made. The answer is what it is, also if that fails.
async fn raise(service: &Service, raised: Raised, marks: &RequestMarks, by: Option<ActorId>) {
    let Raised { kind, owner, subject } = raised;
    let detail = serde_json::json!({ "of": subject });
    let violation = NewViolation { subject, detail, ..NewViolation::new(kind, true, marks.clone(), by) };
    if let Err(error) = service.record(owner, violation).await {
        tracing::error!(%error, kind = kind.name(), "a violation was not recorded");
    }
}

/// The same for a problem of which no response tells, but a message of a stream or WebSocket.
pub async fn raise_within(service: &Service, problem: &Problem, caller: &Caller) {
    if let Some(raised) = &problem.raised {
        raise(service, (**raised).clone(), &caller.marks, Some(caller.actor.id)).await;
    }
}

/// Writes the body of a problem, now that the request's marks are at hand; gives its code.
fn finish(mut response: Response, marks: &RequestMarks, path: &str) -> (Response, Option<&'static str>) {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return (response, None) };
    let body = problem.body(marks, path);
    let code = body.code;
    // Its detail quotes what was sent: that is for the caller alone.
    tracing::debug!(code, "problem");
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
