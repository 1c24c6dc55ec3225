//! The answer to a stream, bar by bar, and its last words.

use std::sync::Arc;

use arrow_schema::ArrowError;
use axum::body::Bytes;
use rulebox_dsl::manifest::Manifest;
use serde::Serialize;
use utoipa::ToSchema;

use super::arrow::answer::ArrowAnswer;
use super::media::Media;
use crate::api::problem::{Problem, ProblemBody};
use crate::api::v1::answer_parts::CountsView;
use crate::api::v1::run_view::{EventView, First, SeriesAnswer};
use crate::domain::evaluation::{Event, RuleRun};

/// The answer cannot be written: a fault of this program's.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// As JSON.
    #[error("a line of the answer cannot be written")]
    Json(#[from] serde_json::Error),
    /// As Arrow.
    #[error("a batch of the answer cannot be written")]
    Arrow(#[from] ArrowError),
}

/// Writes an answer.
pub enum Output {
    /// A line a bar.
    Lines(Vec<u8>),
    /// Record batches.
    Arrow(Box<ArrowAnswer>),
    /// Nothing of the bars but a summary at the end.
    Summary,
}

/// The last line of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrailerLine {
    trailer: Trailer,
}

/// What is known at the end of a stream: the last line of lines; of Arrow, the custom metadata `rulebox.trailer` of a
/// last batch without rows.
#[derive(Debug, Serialize, ToSchema)]
pub struct Trailer {
    /// The rule.
    rule: String,
    /// The version that ran.
    version: u32,
    /// SHA-256 of its module.
    digest: String,
    /// Number of bars that were answered.
    bars: usize,
    counts: CountsView,
    first: First<EventView>,
    /// Units of fuel: of a rule's text what is proved that so many bars cost at most, of a module what it used. Of that
    /// each call costs some beside its bars, and how bars are put into calls depends on how they arrive: only this count
    /// may differ from run to run.
    fuel: u64,
    /// Version of the time zone database, if the rule uses time.
    #[serde(skip_serializing_if = "Option::is_none")]
    tzdata: Option<String>,
    /// Why the stream ended before its end: there is a verdict of no bar behind those that were answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ProblemBody>,
}

impl Trailer {
    /// Of a run.
    pub fn new(run: RuleRun, error: Option<ProblemBody>) -> Self {
        let manifest = run.manifest;
        Self {
            rule: run.rule.as_str().to_owned(),
            version: run.version,
            digest: run.digest.to_string(),
            bars: run.bars,
            counts: run.counts.into(),
            first: First::new(run.first, |event| event.verdict, |event| EventView::new(event, &manifest)),
            fuel: run.fuel,
            tzdata: manifest.tzdata.clone(),
            error,
        }
    }
}

impl Output {
    /// An answer of this form.
    ///
    /// # Errors
    /// As [`ArrowAnswer::new`].
    pub fn new(media: Media, manifest: &Manifest) -> Result<Self, WriteError> {
        Ok(match media {
            Media::Json => Self::Summary,
            Media::Lines => Self::Lines(Vec::new()),
            Media::Arrow => Self::Arrow(Box::new(ArrowAnswer::new(manifest)?)),
        })
    }

    /// Whether it has a word for every bar.
    pub const fn has_rows(&self) -> bool {
        !matches!(self, Self::Summary)
    }

    /// Adds a bar.
    pub fn row(&mut self, event: Event, manifest: &Arc<Manifest>) {
        match self {
            Self::Lines(text) => {
                // Strings and numbers always serialise, and a vector takes all.
                let _ = serde_json::to_writer(&mut *text, &EventView::new(event, manifest));
                text.push(b'\n');
            }
            Self::Arrow(answer) => answer.row(event),
            Self::Summary => {}
        }
    }

    /// What was written since the last call.
    ///
    /// # Errors
    /// As [`ArrowAnswer::take`].
    pub fn take(&mut self) -> Result<Bytes, WriteError> {
        Ok(match self {
            Self::Lines(text) => {
                // The next batch will be about as long.
                let next = Vec::with_capacity(text.len());
                std::mem::replace(text, next).into()
            }
            Self::Arrow(answer) => answer.take()?.into(),
            Self::Summary => Bytes::new(),
        })
    }

    /// The last words.
    ///
    /// # Errors
    /// As [`ArrowAnswer::end`].
    pub fn end(self, run: RuleRun, error: Option<ProblemBody>) -> Result<Bytes, WriteError> {
        Ok(match self {
            Self::Lines(mut text) => {
                serde_json::to_writer(&mut text, &TrailerLine { trailer: Trailer::new(run, error) })?;
                text.push(b'\n');
                text.into()
            }
            Self::Arrow(answer) => answer.end(serde_json::to_string(&Trailer::new(run, error))?)?.into(),
            Self::Summary => serde_json::to_vec(&SeriesAnswer::from(run))?.into(),
        })
    }
}

/// A problem that nobody can be told of by its code: the answer was begun, and cannot be ended.
impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        Self::internal(&error)
    }
}
