//! The first line of a file: which column is which input.

use csv::ByteRecord;
use rulebox_dsl::check::suggest;
use rulebox_dsl::manifest::{InputInfo, Manifest, ValueType};
use rulebox_dsl::time;

use super::cell;
use super::error::DataError;

/// Where the cells of an input come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// This column, from 0, read as this type.
    Column(usize, ValueType),
    /// Nowhere: an optional input without a column.
    Absent,
}

impl Role {
    pub(super) const fn column(self) -> Option<usize> {
        match self {
            Self::Column(column, _) => Some(column),
            Self::Absent => None,
        }
    }
}

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// One an input, in the order of the manifest.
    pub(super) inputs: Vec<Role>,
    /// The column of times: `time`, else `ts`.
    pub(super) time: Option<usize>,
}

impl Header {
    /// Finds the columns that a rule takes; others are ignored.
    pub(super) fn read(record: &ByteRecord, manifest: &Manifest) -> Result<Self, DataError> {
        let names: Vec<String> = record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
        // First, since the numbers of a first bar are often the same twice.
        check_is_header(&names, manifest)?;
        check_distinct(&names)?;
        let column = |name: &str| names.iter().position(|found| found == name);
        let role = |input: &InputInfo| match column(&input.name) {
            Some(column) => Ok(Role::Column(column, input.ty)),
            None if input.optional => Ok(Role::Absent),
            None => Err(missing(&names, &input.name)),
        };
        let inputs = manifest.inputs.iter().map(role).collect::<Result<_, _>>()?;
        let time = column("time").or_else(|| column("ts"));
        if manifest.uses_time && time.is_none() {
            return Err(missing_time(&names));
        }
        Ok(Self { inputs, time })
    }
}

/// A name twice. Unnamed columns cannot be meant, so there may be many.
fn check_distinct(names: &[String]) -> Result<(), DataError> {
    for (second, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        if let Some(first) = names.iter().take(second).position(|before| before == name) {
            let name = cell::shown(name.as_bytes());
            return Err(DataError::Duplicate { name, first: first + 1, second: second + 1 });
        }
    }
    Ok(())
}

/// Whether the first line names columns at all, with commas between them.
fn check_is_header(names: &[String], manifest: &Manifest) -> Result<(), DataError> {
    const SEPARATORS: [(char, &str); 3] = [(';', "semicolons"), ('\t', "tabs"), ('|', "vertical bars")];
    if let [only] = names
        && let Some((_, found)) = SEPARATORS.iter().find(|(separator, _)| only.contains(*separator))
    {
        return Err(DataError::Separator { found });
    }
    let is_value = |name: &String| cell::number(name.as_bytes()).is_ok() || time::parse(name).is_some();
    if names.iter().all(is_value) {
        let needed: Vec<_> = manifest.inputs.iter().map(|input| input.name.as_str()).collect();
        let first = cell::shown(names.first().map_or(&[], |name| name.as_bytes()));
        return Err(DataError::NoHeader { first, needed: needed.join(", ") });
    }
    Ok(())
}

fn missing(names: &[String], name: &str) -> DataError {
    DataError::MissingColumn { name: name.to_owned(), near: near(name, names), columns: list(names) }
}

fn missing_time(names: &[String]) -> DataError {
    const DATES: [&str; 3] = ["date", "datetime", "timestamp"];
    let date = names.iter().find(|name| DATES.contains(&name.trim().to_lowercase().as_str()));
    let near = near("time", names).or_else(|| date.map(|name| cell::shown(name.as_bytes())));
    DataError::MissingTime { near, columns: list(names) }
}

/// The column that may be meant: the same but for case and spaces, else a slip of the keyboard.
fn near(name: &str, names: &[String]) -> Option<String> {
    let same = names.iter().find(|found| found.trim().eq_ignore_ascii_case(name)).map(String::as_str);
    let found = same.or_else(|| suggest::nearest(name, names.iter().map(String::as_str)))?;
    Some(cell::shown(found.as_bytes()))
}

fn list(names: &[String]) -> String {
    const MOST: usize = 12;
    let shown: Vec<_> = names.iter().take(MOST).map(|name| format!("`{}`", cell::shown(name.as_bytes()))).collect();
    let more = names.len().saturating_sub(MOST);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}
