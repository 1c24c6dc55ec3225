//! Bars from a CSV file: a header that names columns, then one line a bar.
//!
//! The whole file is read before anything runs, so that a mistake in its last line leaves nothing half-written. The
//! text of times is kept in one buffer: a million rows make no million strings.

mod cell;
mod error;
mod header;
#[cfg(test)]
mod tests;

use csv::{ByteRecord, ReaderBuilder};
use rulebox_abi::{MISSING, TIME_MISSING};
use rulebox_dsl::manifest::{Manifest, ValueType};
use rulebox_dsl::time;

use cell::NotTaken;
pub(super) use error::DataError;
use header::{Header, Role};

use super::terminal::Progress;

/// Bars, in the columns that a rule takes.
#[derive(Debug)]
pub(super) struct Table {
    /// Number of bars.
    pub(super) rows: usize,
    /// One column an input, in the order of the manifest.
    pub(super) inputs: Vec<Vec<f64>>,
    /// Milliseconds since 1970, one a bar, if the rule uses time.
    pub(super) times: Option<Vec<i64>>,
    /// Times as they stand in the file.
    pub(super) raw_times: RawTimes,
}

/// The text of each bar's time.
#[derive(Debug, Default)]
pub(super) struct RawTimes {
    text: String,
    /// Where each ends. Empty if the file has no times.
    ends: Vec<usize>,
}

impl RawTimes {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }

    /// Of a bar; empty if it has none.
    pub(super) fn get(&self, bar: usize) -> &str {
        let end = self.ends.get(bar).copied().unwrap_or(0);
        let start = bar.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.text.get(start..end).unwrap_or_default()
    }
}

/// Reads the columns that a rule takes from the bytes of a file.
pub(super) fn read(bytes: &[u8], manifest: &Manifest) -> Result<Table, DataError> {
    check_text(bytes)?;
    let mut progress = Progress::new("reading", bytes.len());
    // Ragged lines are found below, where the message can say more.
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut record = ByteRecord::new();
    if !reader.read_byte_record(&mut record)? {
        return Err(DataError::Empty);
    }
    let header = Header::read(&record, manifest)?;
    let expected = record.len();
    let mut table = Table::new(manifest);
    while reader.read_byte_record(&mut record)? {
        let at = record.position().map_or(0, |position| usize::try_from(position.byte()).unwrap_or(usize::MAX));
        if record.len() != expected {
            return Err(DataError::Ragged { line: line_at(bytes, at), expected, got: record.len() });
        }
        if expected == 1 {
            table.push_blank(&header, blank_lines_at(bytes, at));
        }
        table.push(&header, &record).map_err(|wrong| wrong.into_error(&header, manifest, line_at(bytes, at)))?;
        if table.rows.is_multiple_of(16_384) {
            progress.at(at as u64);
        }
    }
    if expected == 1 {
        // The reader has passed over these too, to the end of the file. The first `\n` ends the last record.
        let newlines = bytes.iter().rev().take_while(|byte| matches!(byte, b'\n' | b'\r'));
        table.push_blank(&header, newlines.filter(|byte| **byte == b'\n').skip(1).count());
    }
    if table.rows == 0 {
        return Err(DataError::NoRows);
    }
    table.fill_absent();
    Ok(table)
}

/// A cell that holds no number that can be taken where one belongs.
struct NoNumber {
    /// Index into the roles of the header.
    input: usize,
    text: String,
    why: NotTaken,
}

impl NoNumber {
    fn into_error(self, header: &Header, manifest: &Manifest, line: usize) -> DataError {
        let column = header.inputs.get(self.input).and_then(|role| role.column()).map_or(0, |column| column + 1);
        let name = manifest.inputs.get(self.input).map(|input| input.name.clone()).unwrap_or_default();
        match self.why {
            NotTaken::NoNumber => DataError::NoNumber { line, column, name, text: self.text },
            NotTaken::TooLarge => DataError::TooLarge { line, column, name, text: self.text },
        }
    }
}

impl Table {
    fn new(manifest: &Manifest) -> Self {
        Self {
            rows: 0,
            inputs: vec![Vec::new(); manifest.inputs.len()],
            times: manifest.uses_time.then(Vec::new),
            raw_times: RawTimes::default(),
        }
    }

    fn push(&mut self, header: &Header, record: &ByteRecord) -> Result<(), NoNumber> {
        let cell = |column: usize| record.get(column).unwrap_or_default();
        for (input, (role, values)) in header.inputs.iter().zip(&mut self.inputs).enumerate() {
            match *role {
                Role::Absent => {}
                Role::Column(column, ValueType::Bool) => values.push(cell::bool(cell(column))),
                Role::Column(column, _) => match cell::number(cell(column)) {
                    Ok(value) => values.push(value),
                    Err(why) => return Err(NoNumber { input, text: cell::shown(cell(column)), why }),
                },
            }
        }
        if let Some(column) = header.time {
            let text = std::str::from_utf8(cell(column)).unwrap_or_default();
            self.raw_times.push(text);
            if let Some(times) = &mut self.times {
                times.push(time::parse(text).unwrap_or(TIME_MISSING));
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// In a file of one column a blank line is a bar whose only value is missing: the reader passes over it.
    fn push_blank(&mut self, header: &Header, lines: usize) {
        let blank = ByteRecord::from(vec![""]);
        for _ in 0..lines {
            // An empty cell is a number that is missing: never an error.
            let _ = self.push(header, &blank);
        }
    }

    /// An optional input without a column is missing on every bar.
    fn fill_absent(&mut self) {
        for values in &mut self.inputs {
            values.resize(self.rows, MISSING);
        }
    }
}

/// Refuses what is no UTF-8 text, all of it at once: cells can then be cut out of it anywhere.
fn check_text(bytes: &[u8]) -> Result<(), DataError> {
    if bytes.iter().all(u8::is_ascii_whitespace) || bytes == b"\xef\xbb\xbf" {
        return Err(DataError::Empty);
    }
    std::str::from_utf8(bytes).map_err(|error| {
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return DataError::Utf16;
        }
        let at = error.valid_up_to();
        DataError::NotUtf8 { line: line_of(bytes, at), byte: bytes.get(at).copied().unwrap_or_default() }
    })?;
    Ok(())
}

/// Line of a byte, from 1. Counted when there is something to say, and for no line that is right.
fn line_of(bytes: &[u8], at: usize) -> usize {
    bytes.iter().take(at).filter(|&&byte| byte == b'\n').count() + 1
}

/// What stands at the start of a record: the reader leaves the `\n` of a `\r\n`, and blank lines, to the next one.
fn newlines_at(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().take_while(|&&byte| byte == b'\n' || byte == b'\r').count()
}

/// Line of the record that begins at or after a byte.
fn line_at(bytes: &[u8], at: usize) -> usize {
    line_of(bytes, at + newlines_at(bytes, at))
}

/// The end of the line before, if the reader stopped inside it.
fn rest_of_line(bytes: &[u8], at: usize) -> usize {
    let after_return = at.checked_sub(1).and_then(|before| bytes.get(before)) == Some(&b'\r');
    usize::from(after_return && bytes.get(at) == Some(&b'\n'))
}

/// Blank lines before a record. The end of the line before is none.
fn blank_lines_at(bytes: &[u8], at: usize) -> usize {
    let from = at + rest_of_line(bytes, at);
    let newlines = bytes.get(from..from + newlines_at(bytes, from)).unwrap_or_default();
    newlines.split(|&byte| byte == b'\n').count() - 1
}
