//! Bars as they arrive, in either form.

use axum::body::Bytes;
use rulebox_dsl::manifest::Manifest;

use super::arrow::{ArrowBatch, ArrowInput, Undecoded};
use super::lines::{LineBatch, Lines};
use crate::api::problem::Problem;
use crate::config;
use crate::domain::bars::Bars;

/// Bars that have arrived and not been run.
#[derive(Debug)]
pub enum Input {
    /// As lines of JSON.
    Lines(Lines),
    /// As record batches.
    Arrow(ArrowInput),
}

/// What is to be done next, on a thread that may be busy.
#[derive(Debug)]
pub enum Work {
    /// Decode this, and put it back.
    Decode(Undecoded),
    /// Run these.
    Run(Batch),
}

/// Some bars, not yet read.
#[derive(Debug)]
pub enum Batch {
    /// As lines of JSON.
    Lines(LineBatch),
    /// As columns.
    Arrow(ArrowBatch),
}

/// The rule that the bars are for, and what they may be.
#[derive(Clone, Copy, Debug)]
pub struct For<'a> {
    /// Its name.
    pub rule: &'a str,
    /// What it takes.
    pub manifest: &'a Manifest,
    /// What a request may have.
    pub limits: &'a config::Evaluation,
}

impl Input {
    /// Takes what has arrived.
    ///
    /// # Errors
    /// What is wrong with it; what came before that can still be run.
    pub fn push(&mut self, bytes: Bytes, what: &For<'_>) -> Result<(), Problem> {
        match self {
            Self::Lines(lines) => lines.push(&bytes),
            Self::Arrow(arrow) => arrow.push(bytes, what.rule, what.manifest, what.limits),
        }
    }

    /// Looks at what came with the batch before.
    ///
    /// # Errors
    /// As [`Input::push`].
    pub fn advance(&mut self, what: &For<'_>) -> Result<(), Problem> {
        match self {
            Self::Lines(_) => Ok(()),
            Self::Arrow(arrow) => arrow.advance(what.rule, what.manifest, what.limits),
        }
    }

    /// No more will arrive.
    ///
    /// # Errors
    /// If something is half there.
    pub fn end(&mut self) -> Result<(), Problem> {
        match self {
            Self::Lines(lines) => {
                lines.end();
                Ok(())
            }
            Self::Arrow(arrow) => arrow.end(),
        }
    }

    /// Whether there are bars to run.
    pub const fn is_ready(&self) -> bool {
        match self {
            Self::Lines(lines) => lines.is_ready(),
            Self::Arrow(arrow) => arrow.is_ready(),
        }
    }

    /// Whether there are enough for a batch of `rows`.
    pub const fn is_full(&self, rows: usize) -> bool {
        match self {
            Self::Lines(lines) => lines.is_full(rows),
            Self::Arrow(arrow) => arrow.is_ready(),
        }
    }

    /// Bytes that are held.
    pub fn held_bytes(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.held_bytes(),
            Self::Arrow(arrow) => arrow.held_bytes(),
        }
    }

    /// Takes at most `rows` bars.
    pub fn take(&mut self, rows: usize) -> Option<Work> {
        match self {
            Self::Lines(lines) => Some(Work::Run(Batch::Lines(lines.take(rows)))),
            Self::Arrow(arrow) => match arrow.take_message() {
                Some(message) => Some(Work::Decode(message)),
                None => arrow.take(rows).map(|batch| Work::Run(Batch::Arrow(batch))),
            },
        }
    }
}

impl Batch {
    /// How many bars it has at most.
    pub fn most_rows(&self) -> usize {
        match self {
            Self::Lines(batch) => batch.lines(),
            Self::Arrow(batch) => batch.rows(),
        }
    }

    /// Reads the bars, `most` at most, and says which column each input has; up to what is wrong, if something is.
    pub fn read(&self, what: &For<'_>, most: usize) -> (Bars, Vec<Option<usize>>, Option<Problem>) {
        match self {
            Self::Lines(batch) => {
                let (bars, problem) = batch.read(what.rule, what.manifest, what.limits, most);
                let columns = (0..what.manifest.inputs.len()).map(Some).collect();
                (bars, columns, problem)
            }
            Self::Arrow(batch) => {
                let (bars, problem) = batch.read(what.limits, most);
                (bars, batch.binding().to_vec(), problem)
            }
        }
    }
}
