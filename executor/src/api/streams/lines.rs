//! Bars as lines of JSON, gathered as they arrive and read some at a time.

use axum::body::Bytes;
use bytes::BytesMut;
use rulebox_dsl::manifest::Manifest;

use crate::api::bars_json::rows::RowReader;
use crate::api::problem::{Code, Problem};
use crate::config;
use crate::domain::bars::Bars;

/// As many bytes of whole lines are gathered before they are read.
const ENOUGH_BYTES: usize = 1 << 20;

/// Lines that have arrived and not been read.
#[derive(Debug)]
pub struct Lines {
    buffer: BytesMut,
    /// Bytes of the buffer that are whole lines.
    whole_bytes: usize,
    /// How many those are.
    whole: usize,
    /// The number of the first, from 1.
    first: usize,
    /// Bytes that a line may have.
    most_bytes: usize,
}

/// Some lines, to be read on a thread that may be busy.
#[derive(Debug)]
pub struct LineBatch {
    text: Bytes,
    first: usize,
    lines: usize,
}

impl Lines {
    /// None yet.
    pub fn new(most_bytes: usize) -> Self {
        Self { buffer: BytesMut::new(), whole_bytes: 0, whole: 0, first: 1, most_bytes }
    }

    /// Takes what has arrived.
    ///
    /// # Errors
    /// If a line is too long. The lines before it are there.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let open = self.buffer.len() - self.whole_bytes;
        if open + bytes.len() <= self.most_bytes {
            // No line in it can be too long: blank ones may be many, and are not looked at one by one.
            let last = bytes.iter().rposition(|byte| *byte == b'\n');
            if let Some(last) = last {
                self.whole_bytes = self.buffer.len() + last + 1;
                self.whole += bytes.iter().map(|byte| usize::from(*byte == b'\n')).sum::<usize>();
            }
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let open = self.buffer.len() - self.whole_bytes;
            if open + piece.len() > self.most_bytes {
                let (line, most) = (self.first + self.whole, self.most_bytes);
                let detail = format!("line {line} is longer than {most} bytes, which is the limit of a line");
                return Err(Problem::new(Code::BODY_TOO_LARGE, detail).on(line, 1));
            }
            self.buffer.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.whole_bytes = self.buffer.len();
                self.whole += 1;
            }
        }
        Ok(())
    }

    /// No more will arrive: what is there is the last line.
    pub fn end(&mut self) {
        if self.buffer.len() > self.whole_bytes {
            self.whole_bytes = self.buffer.len();
            self.whole += 1;
        }
    }

    /// Whether there is a whole line.
    pub const fn is_ready(&self) -> bool {
        self.whole > 0
    }

    /// Whether there are enough lines for a batch of `rows`.
    pub const fn is_full(&self, rows: usize) -> bool {
        self.whole >= rows || self.whole_bytes >= ENOUGH_BYTES
    }

    /// Bytes that are held.
    pub fn held_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// Takes at most `rows` lines.
    pub fn take(&mut self, rows: usize) -> LineBatch {
        let whole = self.buffer.get(..self.whole_bytes).unwrap_or_default();
        let (bytes, lines) = if self.whole <= rows {
            (self.whole_bytes, self.whole)
        } else {
            (whole.split_inclusive(|byte| *byte == b'\n').take(rows).map(<[u8]>::len).sum(), rows)
        };
        let first = self.first;
        self.first += lines;
        self.whole -= lines;
        self.whole_bytes -= bytes;
        LineBatch { text: self.buffer.split_to(bytes).freeze(), first, lines }
    }
}

impl LineBatch {
    /// How many lines; blank ones are no bars.
    pub const fn lines(&self) -> usize {
        self.lines
    }

    /// Reads the bars, `most` at most; up to what is wrong, if something is.
    pub fn read(
        &self,
        rule: &str,
        manifest: &Manifest,
        limits: &config::Evaluation,
        most: usize,
    ) -> (Bars, Option<Problem>) {
        let reader = RowReader::new(rule, manifest, limits);
        let mut bars = reader.bars();
        for (at, line) in self.text.split(|byte| *byte == b'\n').enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            if bars.rows >= most {
                return (bars, Some(too_many_rows(limits.stream_rows)));
            }
            if let Err(problem) = reader.read(line, &mut bars) {
                return (bars, Some(on_line(problem, self.first + at)));
            }
        }
        (bars, None)
    }
}

/// The stream has more bars than it may have.
pub fn too_many_rows(most: usize) -> Problem {
    Problem::new(Code::TOO_MANY_VALUES, format!("a stream may have {most} rows"))
}

/// A problem of a line's text, whose place was counted from the start of the line.
fn on_line(problem: Problem, line: usize) -> Problem {
    let column = problem.position.map_or(1, |(_, column)| column);
    let place = format!(" at line 1 column {column}");
    let detail = problem.detail.strip_suffix(&place).unwrap_or(&problem.detail);
    let detail = format!("line {line}: {detail}");
    Problem { detail: detail.into(), ..problem }.on(line, column as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_and_numbered_however_they_arrive() {
        let text = b"a\n\nbc\r\nd";
        for size in 1..=text.len() {
            let mut lines = Lines::new(10);
            let mut taken = Vec::new();
            for piece in text.chunks(size) {
                lines.push(piece).unwrap();
                while lines.is_ready() {
                    let batch = lines.take(1);
                    taken.push((batch.first, batch.text));
                }
            }
            lines.end();
            taken.extend(lines.is_ready().then(|| lines.take(9)).map(|batch| (batch.first, batch.text)));
            let expected: [(usize, &[u8]); 4] = [(1, b"a\n"), (2, b"\n"), (3, b"bc\r\n"), (4, b"d")];
            assert!(taken.iter().map(|(line, text)| (*line, &**text)).eq(expected), "{size}: {taken:?}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_and_those_before_it_are_kept() {
        let mut lines = Lines::new(4);
        let problem = lines.push(b"abc\ndef\nghijk").unwrap_err();
        assert_eq!((problem.code, problem.position), (Code::BODY_TOO_LARGE, Some((3, 1))));
        assert_eq!(&*lines.take(9).text, b"abc\ndef\n");
        let mut lines = Lines::new(4);
        for _ in 0..4 {
            lines.push(b"x").unwrap();
        }
        assert!(lines.push(b"x").is_err() && !lines.is_ready());
    }
}
