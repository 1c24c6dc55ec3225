//! What the compiler tells the author of a rule: a stable code, a sentence, the place, and usually what to do.

pub mod codes;
pub mod render;

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::span::{LineIndex, Span};
pub use codes::Code;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The rule compiles all the same.
    Warning,
    /// The rule does not compile.
    Error,
}

/// A place and what there is to say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What is there, in a few words; may be empty.
    pub text: String,
}

/// One thing that the compiler has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its stable code; says whether it is an error or a warning.
    pub code: Code,
    /// One sentence in the words of a rule's author, no full stop.
    pub message: String,
    /// The places: the first is where it is wrong, others are related.
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A diagnostic at one place.
    pub fn new(code: Code, message: impl Into<String>, span: Span, label: impl Into<String>) -> Self {
        Self { code, message: message.into(), labels: vec![Label { span, text: label.into() }], help: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a related place.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: label.into() });
        self
    }

    /// Its level.
    pub const fn level(&self) -> Level {
        self.code.level()
    }

    /// As the API answers it.
    pub fn to_report(&self, lines: &LineIndex<'_>) -> Report {
        let spans = self.labels.iter().map(|label| {
            let at = lines.position(label.span.start);
            ReportSpan {
                start: label.span.start,
                end: label.span.end,
                line: at.line,
                column: at.column,
                label: label.text.clone(),
            }
        });
        Report {
            code: self.code.as_str().to_owned(),
            severity: self.level(),
            message: self.message.clone(),
            spans: spans.collect(),
            help: self.help.clone(),
        }
    }
}

/// A diagnostic as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its stable code, `E0312`.
    pub code: String,
    /// `error` or `warning`.
    pub severity: Level,
    /// One sentence.
    pub message: String,
    /// The places, the one that is wrong first.
    pub spans: Vec<ReportSpan>,
    /// What to do.
    pub help: Option<String>,
}

/// A place of a [`Report`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportSpan {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// Line of the first byte, from 1.
    pub line: u32,
    /// Column of the first byte in characters, from 1.
    pub column: u32,
    /// What is there.
    pub label: String,
}

/// Everything that was wrong with a source: at least one error, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// The first errors of a source in the order of its text; past the limit, one more says how many others there are.
    pub fn errors(mut all: Vec<Diagnostic>, limits: &Limits) -> Self {
        all.retain(|d| d.level() == Level::Error);
        all.sort_by_key(|d| d.labels.first().map(|label| label.span));
        let more = all.len().saturating_sub(limits.diagnostics);
        if more > 0 {
            let next = all.get(limits.diagnostics).and_then(|d| d.labels.first());
            let span = next.map_or(Span::default(), |label| label.span);
            all.truncate(limits.diagnostics);
            all.push(Diagnostic::new(Code::MORE_ERRORS, format!("{more} more errors from here on"), span, ""));
        }
        Self(all)
    }

    /// As the API answers them.
    pub fn to_reports(&self, source: &str) -> Vec<Report> {
        let lines = LineIndex::new(source);
        self.0.iter().map(|d| d.to_report(&lines)).collect()
    }
}

impl std::fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, d) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", d.code.as_str(), d.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
