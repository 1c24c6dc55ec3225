//! Reads the JSON of an evaluation straight into columns.
//!
//! A million rows are some 55 MB of text: no tree of values is built, every limit is checked while reading, and an
//! error knows the column and the row it stands in.

mod cells;
mod objects;
pub mod rows;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};

use serde::de::{DeserializeSeed, Error};

use super::body::{Held, json_problem};
use super::body_room::BodyRoom;
use super::problem::{Code, Problem};
use crate::config;
use crate::domain::bars::{Bars, Params};
use crate::domain::caller::TenantId;
use crate::execution::pool::Place;
use crate::execution::threads::slow_down;
use crate::service::Service;
use objects::{Object, RequestFields};

/// What a request for an evaluation says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Columns, or one bar.
    pub bars: Bars,
    /// Of one rule.
    pub params: Params,
    /// Of several rules.
    pub rule_params: Vec<(String, Params)>,
    /// Of several rules: their names, or all.
    pub rules: Option<Rules>,
    /// Of several rules: versions that shall run instead of the active ones.
    pub versions: Vec<(String, u32)>,
    /// Of a session: the number of the first bar.
    pub seq: u64,
}

/// Which rules to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rules {
    /// `"*"`.
    All,
    /// These.
    Named(Vec<String>),
}

/// Which request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `inputs`, `time`, `columns`, `params`.
    OneRule,
    /// As well `rules`, `versions`; `params` by rule.
    SeveralRules,
    /// No bars: `rules`, `versions`, `params` by rule.
    NewSession,
    /// `seq`, and `inputs`, `time` or `columns`.
    SessionBars,
}

/// Reads a request.
///
/// # Errors
/// A problem that says what is wrong and where.
pub fn read(bytes: &[u8], form: Form, limits: &config::Evaluation) -> Result<Request, Problem> {
    let reader = Reader::new(limits);
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut request = Request::default();
    let mut fields = RequestFields::new(&mut request, form);
    let object = Object { reader: &reader, entries: &mut fields };
    object.deserialize(&mut json).and_then(|()| json.end()).map_err(|error| reader.problem(&error, bytes))?;
    fields.check()?;
    request.checked(form)
}

/// Bodies up to this size are read where they arrive: that takes less than handing them over.
const SMALL: usize = 32 * 1024;
/// Bodies from this size on take long: others' bars go before them.
const LARGE: usize = 256 * 1024;

/// Takes a place on a pool and reads a request, a large one there. The room is that of the bars: it is to be held as
/// long as they are.
///
/// # Errors
/// As [`read`]; or the pool's queue is full, or the bars have no room beside their text.
pub async fn read_on(
    service: &Service,
    tenant: TenantId,
    body: Held,
    form: Form,
) -> Result<(Request, Place, BodyRoom), Problem> {
    let settings = limits(service.settings(), form);
    let in_session = form == Form::SessionBars;
    if body.bytes.len() <= SMALL {
        let request = read(&body.bytes, form, &settings)?;
        let pool = if request.bars.single || in_session { service.bar_runs() } else { service.runs() };
        return Ok((request, pool.place(tenant)?, body.room));
    }
    let place = if in_session { service.bar_runs().place(tenant)? } else { service.runs().place(tenant)? };
    let work = move || {
        let Held { bytes, mut room } = body;
        if bytes.len() >= LARGE {
            slow_down();
        }
        let parsed = parsed_bytes(&bytes);
        room.resize(bytes.capacity().saturating_add(parsed))?;
        let request = read(&bytes, form, &settings)?;
        drop(bytes);
        room.resize(parsed)?;
        Ok::<_, Problem>((request, room))
    };
    let (request, room) = place.at(service.texts()).run(work).await??;
    Ok((request, place, room))
}

/// What a request of this form may have.
fn limits(settings: &config::Config, form: Form) -> config::Evaluation {
    let mut limits = settings.evaluation.clone();
    if form == Form::SessionBars {
        limits.rows = limits.rows.min(settings.sessions.bars);
    }
    limits
}

/// The most bytes that the values of a text may take: each but the first has a comma before it.
fn parsed_bytes(text: &[u8]) -> usize {
    let commas: usize = text.iter().map(|byte| usize::from(*byte == b',')).sum();
    commas.saturating_add(1).saturating_mul(size_of::<f64>())
}

/// Where reading is, and what it may read.
struct Reader<'a> {
    limits: &'a config::Evaluation,
    section: Cell<&'static str>,
    name: RefCell<String>,
    row: Cell<Option<usize>>,
    /// An error with a code of its own; serde's errors carry only text.
    fault: RefCell<Option<(Code, String)>>,
    cells: Cell<usize>,
}

impl<'a> Reader<'a> {
    const fn new(limits: &'a config::Evaluation) -> Self {
        Self {
            limits,
            section: Cell::new(""),
            name: RefCell::new(String::new()),
            row: Cell::new(None),
            fault: RefCell::new(None),
            cells: Cell::new(0),
        }
    }

    fn enter(&self, section: &'static str) {
        self.section.set(section);
        self.name.borrow_mut().clear();
        self.row.set(None);
    }

    fn enter_name(&self, name: &str) {
        name.clone_into(&mut self.name.borrow_mut());
        self.row.set(None);
    }

    fn path(&self) -> String {
        let name = self.name.borrow();
        let dot = if name.is_empty() || self.section.get().is_empty() { "" } else { "." };
        let row = self.row.get().map_or(String::new(), |row| format!("[{row}]"));
        format!("{}{dot}{name}{row}", self.section.get())
    }

    fn fail<E: Error>(&self, code: Code, detail: impl Into<String>) -> E {
        let detail = detail.into();
        let error = E::custom(&detail);
        self.fault.borrow_mut().get_or_insert((code, detail));
        error
    }

    fn problem(&self, error: &serde_json::Error, text: &[u8]) -> Problem {
        let problem = match self.fault.borrow_mut().take() {
            Some((code, detail)) => Problem::new(code, detail).on(error.line(), error.column()),
            None => json_problem(error, text),
        };
        problem.at(self.path())
    }

    /// Counts a cell, before it is kept.
    fn take_cell<E: Error>(&self, row: usize) -> Result<(), E> {
        self.row.set(Some(row));
        let (rows, cells) = (self.limits.rows, self.cells.get());
        if row >= rows {
            return Err(self.fail(Code::TOO_MANY_VALUES, format!("a request may have {rows} rows")));
        }
        if cells >= self.limits.cells {
            let most = self.limits.cells;
            return Err(self.fail(Code::TOO_MANY_VALUES, format!("a request may have {most} values")));
        }
        self.cells.set(cells + 1);
        Ok(())
    }
}

impl Request {
    fn checked(mut self, form: Form) -> Result<Self, Problem> {
        if matches!(form, Form::SeveralRules | Form::NewSession) && self.rules.is_none() {
            let detail = "`rules` is missing: a list of names, or \"*\" for all active rules";
            return Err(Problem::new(Code::INVALID_REQUEST, detail).at("rules"));
        }
        if self.bars.single {
            self.bars.rows = 1;
            return Ok(self);
        }
        let time = self.bars.time.as_ref().map(|time| ("time", time.len()));
        let columns = self.bars.columns.iter().map(|column| (column.name.as_str(), column.values.len()));
        let mut lengths = time.into_iter().chain(columns);
        let Some((first, rows)) = lengths.next() else { return Ok(self) };
        if let Some((other, length)) = lengths.find(|(_, length)| *length != rows) {
            let detail = format!("column `{other}` has {length} values, and `{first}` has {rows}");
            return Err(Problem::new(Code::COLUMN_LENGTHS, detail).at(format!("columns.{other}")));
        }
        self.bars.rows = rows;
        Ok(self)
    }
}

/// A name of the caller's, short enough for a message.
fn shorten(name: &str) -> String {
    if name.chars().count() <= 64 { name.to_owned() } else { name.chars().take(61).chain("...".chars()).collect() }
}
