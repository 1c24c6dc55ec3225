//! A series of bars as lines of JSON and as record batches, and what is answered to it, to the bit.

use std::io::Write;
use std::ops::Range;
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, UInt64Array};
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema};
use serde_json::Value;

pub(super) const LINES: &str = "application/x-ndjson";
pub(super) const ARROW: &str = "application/vnd.apache.arrow.stream";
/// Bars of a piece of a body.
const PIECE: u32 = 5_000;

/// Equity and drawdown of a bar: a slow wave with a fast one on it.
fn account(bar: u32) -> (f64, f64) {
    let t = f64::from(bar);
    let equity = 100_000.0 + 9_000.0 * (t / 5_000.0).sin() + 500.0 * (t / 77.0).sin();
    (equity, ((109_500.0 - equity) / 109_500.0).clamp(0.0, 1.0))
}

fn time(bar: u32) -> i64 {
    1_500_000_000_000 + 60_000 * i64::from(bar)
}

fn lines(bars: Range<u32>) -> Vec<u8> {
    let line = |bar| {
        let (equity, drawdown) = account(bar);
        format!("{{\"time\":{},\"equity\":{equity},\"drawdown\":{drawdown}}}\n", time(bar))
    };
    bars.map(line).collect::<String>().into_bytes()
}

fn schema() -> Arc<Schema> {
    let field = |name: &str, ty| Field::new(name, ty, false);
    Arc::new(Schema::new(vec![
        field("time", DataType::Int64),
        field("equity", DataType::Float64),
        field("drawdown", DataType::Float64),
    ]))
}

/// These bars of a series of `all`, as pieces of a body. Those of the first bars begin it, those of the last end it.
pub(super) fn pieces(kind: &'static str, bars: Range<u32>, all: u32) -> Box<dyn Iterator<Item = Vec<u8>> + Send> {
    let (begins, ends) = (bars.start == 0, bars.end == all);
    let chunks = bars.clone().step_by(PIECE as usize).map(move |from| from..(from + PIECE).min(bars.end));
    if kind == LINES {
        // The start of a line, of a body that has nothing else yet.
        let head = (begins && chunks.len() == 0).then(|| b"{".to_vec());
        return Box::new(head.into_iter().chain(chunks.map(lines)));
    }
    let mut writer = StreamWriter::try_new(Vec::new(), &schema()).unwrap();
    let head = std::mem::take(writer.get_mut());
    let batches = chunks.map(Some).chain([None]).map(move |chunk| {
        match chunk {
            Some(chunk) => {
                let account: Vec<_> = chunk.clone().map(account).collect();
                let columns: Vec<ArrayRef> = vec![
                    Arc::new(Int64Array::from_iter_values(chunk.map(time))),
                    Arc::new(Float64Array::from_iter_values(account.iter().map(|(equity, _)| *equity))),
                    Arc::new(Float64Array::from_iter_values(account.iter().map(|(_, drawdown)| *drawdown))),
                ];
                writer.write(&RecordBatch::try_new(schema(), columns).unwrap()).unwrap();
            }
            None if ends => writer.finish().unwrap(),
            None => {}
        }
        std::mem::take(writer.get_mut())
    });
    Box::new(begins.then_some(head).into_iter().chain(batches))
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip").arg("-1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = gzip.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(bytes).unwrap());
        gzip.wait_with_output().unwrap().stdout
    })
}

/// What was answered: the bars that came whole, and the text of the trailer if it came.
#[derive(Debug)]
pub(super) enum Answer {
    /// Text of whole lines.
    Lines { text: Vec<u8>, rows: usize, trailer: Option<String> },
    /// Batches, of whatever sizes.
    Arrow { batches: Vec<RecordBatch>, rows: usize, trailer: Option<String> },
}

impl Answer {
    pub(super) const fn rows(&self) -> usize {
        match self {
            Self::Lines { rows, .. } | Self::Arrow { rows, .. } => *rows,
        }
    }

    pub(super) fn trailer(&self) -> Option<&str> {
        match self {
            Self::Lines { trailer, .. } | Self::Arrow { trailer, .. } => trailer.as_deref(),
        }
    }

    /// Whether its first rows are those of the other, bit for bit.
    pub(super) fn begins_with(&self, part: &Self) -> bool {
        match (self, part) {
            (Self::Lines { text, .. }, Self::Lines { text: part, .. }) => text.starts_with(part),
            (Self::Arrow { batches, .. }, Self::Arrow { batches: part, .. }) => same_rows(batches, part),
            _ => false,
        }
    }
}

/// Whether all rows of `part` are the first of `whole`, however either is cut into batches.
fn same_rows(whole: &[RecordBatch], part: &[RecordBatch]) -> bool {
    let (mut whole, mut rest) = (whole.iter(), None::<RecordBatch>);
    for batch in part {
        let mut at = 0;
        while at < batch.num_rows() {
            let Some(other) = rest.take().or_else(|| whole.next().cloned()) else { return false };
            let rows = other.num_rows().min(batch.num_rows() - at);
            // Floats are compared as bytes here.
            if other.slice(0, rows) != batch.slice(at, rows) {
                return false;
            }
            if rows < other.num_rows() {
                rest = Some(other.slice(rows, other.num_rows() - rows));
            }
            at += rows;
        }
    }
    true
}

/// The numbers of the bars that were answered.
pub(super) fn rows_in(answer: &Answer) -> Vec<u64> {
    match answer {
        Answer::Lines { text, .. } => {
            let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()["bar"].as_u64().unwrap()).collect()
        }
        Answer::Arrow { batches, .. } => {
            let column = |batch: &RecordBatch| batch.column_by_name("bar").unwrap().to_data();
            batches.iter().flat_map(|batch| UInt64Array::from(column(batch)).values().to_vec()).collect()
        }
    }
}

/// Reads an answer as it comes.
pub(super) enum Reader {
    Lines { text: Vec<u8>, rows: usize, whole: usize },
    Arrow { decoder: Box<StreamDecoder>, batches: Vec<RecordBatch>, rows: usize, tail: Vec<u8> },
}

const TRAILER_LINE: &[u8] = b"{\"trailer\":";
const TRAILER_KEY: &[u8] = b"rulebox.trailer";
/// No trailer is longer.
const TAIL_BYTES: usize = 20_000;

impl Reader {
    pub(super) fn of(kind: &str) -> Self {
        if kind == LINES {
            return Self::Lines { text: Vec::new(), rows: 0, whole: 0 };
        }
        Self::Arrow { decoder: Box::default(), batches: Vec::new(), rows: 0, tail: Vec::new() }
    }

    /// Bars that have come whole.
    pub(super) const fn rows(&self) -> usize {
        match self {
            Self::Lines { rows, .. } | Self::Arrow { rows, .. } => *rows,
        }
    }

    pub(super) fn read(&mut self, bytes: &[u8]) {
        match self {
            Self::Lines { text, rows, whole } => {
                text.extend_from_slice(bytes);
                while let Some(end) = text[*whole..].iter().position(|byte| *byte == b'\n') {
                    *rows += usize::from(!text[*whole..].starts_with(TRAILER_LINE));
                    *whole += end + 1;
                }
            }
            Self::Arrow { decoder, batches, rows, tail } => {
                let mut buffer = Buffer::from(bytes);
                while !buffer.is_empty() {
                    if let Some(batch) = decoder.decode(&mut buffer).unwrap() {
                        *rows += batch.num_rows();
                        batches.push(batch);
                    }
                }
                tail.extend_from_slice(bytes);
                tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
            }
        }
    }

    /// No more comes. What is half there is nothing.
    pub(super) fn end(self) -> Answer {
        match self {
            Self::Lines { mut text, rows, whole } => {
                text.truncate(whole);
                let last = text[..whole.saturating_sub(1)].rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
                let mut trailer = None;
                if last.starts_with(TRAILER_LINE) {
                    let line = String::from_utf8(last.to_vec()).unwrap();
                    trailer = Some(line[TRAILER_LINE.len()..line.len() - 1].to_owned());
                    let rows_end = whole - last.len() - 1;
                    text.truncate(rows_end);
                }
                Answer::Lines { text, rows, trailer }
            }
            Self::Arrow { decoder: _, batches, rows, tail } => {
                let has = tail.windows(TRAILER_KEY.len()).any(|bytes| bytes == TRAILER_KEY);
                let trailer = has.then(|| {
                    let start = tail.windows(8).rposition(|bytes| bytes == b"{\"rule\":").unwrap();
                    let mut values = serde_json::Deserializer::from_slice(&tail[start..]).into_iter::<Value>();
                    values.next().unwrap().unwrap();
                    String::from_utf8(tail[start..start + values.byte_offset()].to_vec()).unwrap()
                });
                Answer::Arrow { batches, rows, trailer }
            }
        }
    }
}
