//! Errors as the caller sees them: RFC 9457 problems.
//!
//! What the caller reads and what the log reads are two texts: [`Problem::detail`] never has a path, a statement or
//! an error of the machine's; the sources of 5xx go to the log.

mod codes;
mod from;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use rulebox_dsl::diagnostic::{Level, Report};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

pub use codes::{Code, CodeInfo};

use crate::domain::audit::Chain;
use crate::domain::caller::RequestMarks;
use crate::domain::violation::Kind;
use crate::telemetry::chain;

/// An error on its way to the caller; the request's marks are added when it leaves.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What it is.
    pub code: Code,
    /// This occurrence, in a sentence.
    pub detail: Box<str>,
    /// Of a rule that does not compile.
    pub diagnostics: Box<[Report]>,
    /// Where in the request's JSON.
    pub path: Option<Box<str>>,
    /// Line and column in the request's JSON, from 1.
    pub position: Option<(u32, u32)>,
    /// Of a violation: its kind and its record.
    pub violation: Option<Box<(&'static str, Uuid)>>,
    /// Seconds until trying again makes sense.
    pub retry_after: Option<u32>,
    /// Of bars that do not continue their session: the number that would.
    pub expected_seq: Option<Box<u64>>,
    /// What is to be recorded before this is answered.
    pub raised: Option<Box<Raised>>,
}

/// A violation that was found out where an answer was being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// What it is.
    pub kind: Kind,
    /// Whose it is.
    pub owner: Chain,
    /// What it is about.
    pub subject: String,
}

/// What a caller sent may be in a text, and may be long; an answer is not.
const DETAIL_CHARS: usize = 2_000;
const PATH_CHARS: usize = 300;

fn shorten(text: Box<str>, chars: usize) -> Box<str> {
    match text.char_indices().nth(chars) {
        Some((end, _)) => text.get(..end).unwrap_or_default().chars().chain("...".chars()).collect(),
        None => text,
    }
}

impl Problem {
    /// A problem.
    pub fn new(code: Code, detail: impl Into<Box<str>>) -> Self {
        Self {
            code,
            detail: shorten(detail.into(), DETAIL_CHARS),
            diagnostics: Box::default(),
            path: None,
            position: None,
            violation: None,
            retry_after: None,
            expected_seq: None,
            raised: None,
        }
    }

    /// Says where in the request.
    #[must_use]
    pub fn at(mut self, path: impl Into<Box<str>>) -> Self {
        self.path = Some(shorten(path.into(), PATH_CHARS)).filter(|path| !path.is_empty());
        self
    }

    /// Says where in the text of the request.
    #[must_use]
    pub fn on(mut self, line: usize, column: usize) -> Self {
        let short = |number| u32::try_from(number).unwrap_or(u32::MAX);
        // Where there is no text at all, a parser stands before the first character.
        self.position = Some((short(line).max(1), short(column).max(1)));
        self
    }

    /// A fault of ours: the caller reads that there was one, the log reads which.
    pub fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = chain(error), "internal error");
        Self::new(Code::INTERNAL, "the service failed; the request may be tried again")
    }

    /// As the caller reads it.
    pub fn body(&self, marks: &RequestMarks, instance: &str) -> ProblemBody {
        let info = self.code.info();
        ProblemBody {
            r#type: format!("/problems/{}", info.code),
            title: info.title,
            status: info.status.as_u16(),
            detail: self.detail.to_string(),
            instance: instance.to_owned(),
            code: info.code,
            request_id: marks.request_id.clone(),
            trace_id: marks.trace_id.clone(),
            path: self.path.as_deref().map(str::to_owned),
            line: self.position.map(|(line, _)| line),
            column: self.position.map(|(_, column)| column),
            kind: self.violation.as_ref().map(|violation| violation.0),
            violation_id: self.violation.as_ref().map(|violation| violation.1),
            expected_seq: self.expected_seq.as_deref().copied(),
            diagnostics: self.diagnostics.iter().cloned().map(Diagnostic::from).collect(),
        }
    }
}

impl IntoResponse for Problem {
    /// Status and headers; the body is written where the request's marks are known, from the extension.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.code.info().status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.code == Code::UNAUTHENTICATED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"rulebox\""));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// A problem, `application/problem+json` (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Where the code is explained.
    pub r#type: String,
    /// The same for every problem of this code.
    pub title: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// This occurrence, in a sentence.
    pub detail: String,
    /// The path that was asked for.
    pub instance: String,
    /// Stable: branch on it.
    #[schema(value_type = String)]
    pub code: &'static str,
    /// Also in the header `x-request-id`.
    pub request_id: String,
    /// Of the request's `traceparent`, or made here.
    pub trace_id: String,
    /// Where in the request's JSON: `columns.equity[3]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Line in the request's JSON, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column in the request's JSON, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// Kind of a violation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub kind: Option<&'static str>,
    /// Record of a violation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violation_id: Option<Uuid>,
    /// The number of the session's next bar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_seq: Option<u64>,
    /// What is wrong with a rule's text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
}

/// One thing that the compiler says of a rule's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Diagnostic {
    /// Stable: `E0312`; warnings begin with `W`. `rulebox explain CODE` has a page on each.
    pub code: String,
    /// `error` or `warning`.
    #[schema(example = "error")]
    pub severity: &'static str,
    /// One sentence.
    pub message: String,
    /// The places, the one that is wrong first.
    pub spans: Vec<DiagnosticSpan>,
    /// What to do.
    pub help: Option<String>,
}

/// A place in a rule's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DiagnosticSpan {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// What is there.
    pub label: String,
}

impl From<Report> for Diagnostic {
    fn from(report: Report) -> Self {
        let span = |span: rulebox_dsl::diagnostic::ReportSpan| DiagnosticSpan {
            start: span.start,
            end: span.end,
            line: span.line,
            column: span.column,
            label: span.label,
        };
        Self {
            code: report.code,
            severity: match report.severity {
                Level::Warning => "warning",
                Level::Error => "error",
            },
            message: report.message,
            spans: report.spans.into_iter().map(span).collect(),
            help: report.help,
        }
    }
}
