//! What an executor says.

use std::fmt;
use std::marker::PhantomData;

use rulebox_abi::MAX_ROWS;
use rulebox_abi::columns::OutputRows;
use rulebox_sandbox::{InputError, RunError, RunReport, Shape, Violation, clean_message};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_bytes::Bytes;

use super::FrameError;
use crate::telemetry::chain;

/// Columns of a kind: more than a rule can have.
const COLUMNS: usize = 1_024;
/// Texts: of each bar one.
const TEXTS: usize = MAX_ROWS as usize;

/// A message of an executor.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply<'a> {
    /// Results of the next bars.
    #[serde(borrow)]
    Rows(Rows<'a>),
    /// A batch is done, or the set-up of an open run.
    #[serde(borrow)]
    Done(Done<'a>),
    /// The run is over without the rest of its results.
    Failed(Failure),
    /// It waits for its turn, or goes on: said now and then, so that silence means something.
    GoesOn,
}

/// Results of consecutive bars, as [`OutputRows`] has them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Rows<'a> {
    /// Number of bars.
    pub rows: u32,
    /// One byte a bar.
    #[serde(borrow)]
    pub verdicts: &'a Bytes,
    /// One u32 a bar.
    #[serde(borrow)]
    pub fired: &'a Bytes,
    /// One column of f64 an out.
    #[serde(borrow, deserialize_with = "few::<_, _, COLUMNS>")]
    pub outs: Vec<&'a Bytes>,
    /// One column of f64 a placeholder.
    #[serde(borrow, deserialize_with = "few::<_, _, COLUMNS>")]
    pub message_values: Vec<&'a Bytes>,
    /// One f64 a bar, or empty.
    #[serde(borrow)]
    pub keep: &'a Bytes,
    /// Texts of the module's own, by row.
    #[serde(borrow, deserialize_with = "few::<_, _, TEXTS>")]
    pub messages: Vec<(u32, &'a str)>,
}

/// Reads a list of `MOST` items at most: an item may be one byte on its way, and many in memory.
fn few<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MOST: usize>(from: D) -> Result<Vec<T>, D::Error> {
    struct Few<T, const MOST: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Few<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{MOST} items at most")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = seq.next_element()? {
                if items.len() == MOST {
                    return Err(A::Error::invalid_length(MOST + 1, &self));
                }
                items.push(item);
            }
            Ok(items)
        }
    }

    from.deserialize_seq(Few::<T, MOST>(PhantomData))
}

/// What a batch has used and left.
#[derive(Debug, Serialize, Deserialize)]
pub struct Done<'a> {
    /// Of the whole run so far.
    pub report: RunReport,
    /// After the batch, if it was asked for and the module keeps one.
    #[serde(borrow)]
    pub state: Option<&'a Bytes>,
}

/// As [`RunError`], for which see.
#[derive(Debug, Serialize, Deserialize)]
pub enum Failure {
    /// The module was stopped.
    Violation(Box<Violation>),
    /// `rulebox_init` refused the params.
    ParamsRefused(i32),
    /// No instance is free.
    Busy,
    /// Columns, params or state do not fit the module.
    Input(InputError),
    /// The API said so.
    Cancelled(RunReport),
    /// The engine failed.
    Engine(String),
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Violation(violation) => Self::Violation(violation),
            RunError::ParamsRefused(code) => Self::ParamsRefused(code),
            RunError::Busy => Self::Busy,
            RunError::Input(error) => Self::Input(error),
            RunError::Cancelled(report) => Self::Cancelled(report),
            error @ (RunError::Stopped | RunError::Away(_) | RunError::Engine(_)) => Self::Engine(chain(&error)),
        }
    }
}

impl<'a> Rows<'a> {
    /// Of what a run gives.
    pub fn of(rows: &OutputRows<'a>) -> Self {
        Self {
            rows: u32::try_from(rows.rows).unwrap_or(u32::MAX),
            verdicts: Bytes::new(rows.verdicts),
            fired: Bytes::new(rows.fired),
            outs: rows.outs.iter().map(|column| Bytes::new(column)).collect(),
            message_values: rows.message_values.iter().map(|column| Bytes::new(column)).collect(),
            keep: Bytes::new(rows.keep),
            messages: rows
                .messages
                .iter()
                .map(|(row, text)| (u32::try_from(*row).unwrap_or(u32::MAX), &**text))
                .collect(),
        }
    }

    /// About as many bytes as the message has.
    pub fn bytes(&self) -> usize {
        let columns = self.outs.iter().chain(&self.message_values).map(|column| column.len() + size_of::<u64>());
        let texts = self.messages.iter().map(|(_, text)| text.len() + size_of::<u64>());
        let rest = self.verdicts.len() + self.fired.len() + self.keep.len();
        64 + rest + columns.chain(texts).sum::<usize>()
    }

    /// Holds the results against what the run can give, and lends them. Of an executor's answer nothing is taken on
    /// trust: a module may have made it its own.
    ///
    /// # Errors
    /// If they are not results of a module of this shape, or of another call than the next one, of `chunk` bars or the rest of them, or texts of
    /// bars that there are not.
    pub fn lend(
        &self,
        shape: &Shape,
        (rest, chunk): (usize, usize),
        message_bytes: usize,
        to: impl FnOnce(&OutputRows<'_>),
    ) -> Result<usize, FrameError> {
        let rows = self.rows as usize;
        let words = rows.checked_mul(size_of::<u64>());
        let columns = |columns: &[&Bytes], count: usize| {
            columns.len() == count && columns.iter().all(|column| Some(column.len()) == words)
        };
        let keep = if shape.keep { words } else { Some(0) };
        let is_whole = rows > 0
            && rows == rest.min(chunk)
            && self.verdicts.len() == rows
            && Some(self.fired.len()) == rows.checked_mul(size_of::<u32>())
            && columns(&self.outs, shape.outs)
            && columns(&self.message_values, shape.message_values)
            && Some(self.keep.len()) == keep;
        if !is_whole {
            return Err(FrameError::Unasked("results of another shape than the run's"));
        }
        if self.verdicts.iter().any(|&verdict| verdict > rulebox_abi::Verdict::Fault as u8) {
            return Err(FrameError::Unasked("a verdict that is none"));
        }
        // In order of their rows, as they are looked for.
        let in_order = self.messages.iter().zip(self.messages.iter().skip(1)).all(|(one, next)| one.0 < next.0);
        if !in_order || self.messages.last().is_some_and(|(row, _)| *row as usize >= rows) {
            return Err(FrameError::Unasked("texts of bars that are none"));
        }
        let messages: Vec<_> =
            self.messages.iter().map(|(row, text)| (*row as usize, clean_message(text, message_bytes))).collect();
        let outs: Vec<&[u8]> = self.outs.iter().map(AsRef::as_ref).collect();
        let message_values: Vec<&[u8]> = self.message_values.iter().map(AsRef::as_ref).collect();
        to(&OutputRows {
            rows,
            verdicts: self.verdicts,
            fired: self.fired,
            outs: &outs,
            message_values: &message_values,
            keep: self.keep,
            messages: &messages,
        });
        Ok(rows)
    }
}
