//! What can be wrong with a file of bars.

/// A file of bars that cannot be read: what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum DataError {
    /// Nothing in it.
    #[error("the file is empty; its first line must name the columns, `time,equity,drawdown`")]
    Empty,
    /// A header alone.
    #[error("there are no rows under the header: a run needs at least one bar")]
    NoRows,
    /// Not UTF-8.
    #[error("line {line}: byte 0x{byte:02x} is not UTF-8; save the file as UTF-8")]
    NotUtf8 { line: usize, byte: u8 },
    /// What some spreadsheets write.
    #[error("the file is UTF-16, not UTF-8; save it as `CSV UTF-8`")]
    Utf16,
    /// Numbers where names belong.
    #[error("there is no header: the first line begins with `{first}`, and must name the columns ({needed})")]
    NoHeader { first: String, needed: String },
    /// Another separator.
    #[error("the columns are separated by {found}; separate them with commas")]
    Separator { found: &'static str },
    /// A name twice.
    #[error("the header names column `{name}` twice, as columns {first} and {second}; remove or rename one")]
    Duplicate { name: String, first: usize, second: usize },
    /// A required input without a column.
    #[error("there is no column `{name}`, which the rule needs{}; the columns are {columns}", meant(near.as_deref()))]
    MissingColumn { name: String, near: Option<String>, columns: String },
    /// A rule that uses time, and no times.
    #[error("there is no column `time` (or `ts`), and the rule needs the time of every bar{}; the columns are {columns}", meant(near.as_deref()))]
    MissingTime { near: Option<String>, columns: String },
    /// More or fewer cells than the header.
    #[error("line {line} has {got} cells where the header has {expected}")]
    Ragged { line: usize, expected: usize, got: usize },
    /// Text in a column of numbers.
    #[error(
        "line {line}, column {column} (`{name}`): `{text}` is not a number; leave the cell empty if the value is missing"
    )]
    NoNumber { line: usize, column: usize, name: String, text: String },
    /// Digits of a number that is too large.
    #[error(
        "line {line}, column {column} (`{name}`): `{text}` is too large for a number; leave the cell empty if the value is \
         missing"
    )]
    TooLarge { line: usize, column: usize, name: String, text: String },
    /// The reader gave up.
    #[error("{0}")]
    Csv(#[from] csv::Error),
}

fn meant(near: Option<&str>) -> String {
    near.map(|near| format!(" (is `{near}` meant? the names must be the same)")).unwrap_or_default()
}
