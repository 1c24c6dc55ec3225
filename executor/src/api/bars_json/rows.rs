//! Bars as JSON objects, one after the other: the rows of a stream.

use std::borrow::Cow;

use rulebox_abi::TIME_MISSING;
use rulebox_dsl::manifest::{Manifest, ValueType};
use serde::de::{DeserializeSeed, MapAccess};

use super::cells::{TimeCell, Value, ValueCell};
use super::objects::{Entries, Object, ParamEntries};
use super::{Reader, shorten};
use crate::api::problem::{Code, Problem};
use crate::config;
use crate::domain::bars::{Bars, Column, Params};
use crate::execution::bind::BindError;

/// Reads bars of one rule. A bar is an object with a value for each input, and `time`.
#[derive(Clone, Copy, Debug)]
pub struct RowReader<'a> {
    rule: &'a str,
    manifest: &'a Manifest,
    limits: &'a config::Evaluation,
}

impl<'a> RowReader<'a> {
    /// For the bars of this rule.
    pub const fn new(rule: &'a str, manifest: &'a Manifest, limits: &'a config::Evaluation) -> Self {
        Self { rule, manifest, limits }
    }

    /// No bars yet; a column an input, in the order of the manifest.
    pub fn bars(&self) -> Bars {
        let column =
            |input: &rulebox_dsl::manifest::InputInfo| Column { name: input.name.clone(), ..Column::default() };
        let columns = self.manifest.inputs.iter().map(column).collect();
        Bars { columns, time: Some(Vec::new()), ..Bars::default() }
    }

    /// Appends a bar to those of [`RowReader::bars`].
    ///
    /// # Errors
    /// A problem that says what is wrong with which input, and at which column of the text. The bars are as before.
    pub fn read(&self, text: &[u8], bars: &mut Bars) -> Result<(), Problem> {
        let reader = Reader::new(self.limits);
        let mut json = serde_json::Deserializer::from_slice(text);
        let rows = bars.rows;
        let mut entries = RowEntries { rule: self.rule, manifest: self.manifest, bars, next: 0 };
        let object = Object { reader: &reader, entries: &mut entries };
        let read = object.deserialize(&mut json).and_then(|()| {
            reader.enter("");
            json.end()
        });
        let read = read.map_err(|error| reader.problem(&error, text)).and_then(|()| self.complete(bars));
        if read.is_ok() {
            bars.rows += 1;
        } else {
            bars.columns.iter_mut().for_each(|column| column.values.truncate(rows));
            bars.time.iter_mut().for_each(|time| time.truncate(rows));
        }
        read
    }

    /// What the bar does not have: missing, if the rule may miss it.
    fn complete(&self, bars: &mut Bars) -> Result<(), Problem> {
        let missing = |what, name: &str| {
            let (path, rule, name) = (name.to_owned(), self.rule.to_owned(), name.to_owned());
            Err(BindError::MissingColumn { path, rule, what, name }.into())
        };
        for (column, input) in bars.columns.iter_mut().zip(&self.manifest.inputs) {
            if column.values.len() > bars.rows {
                continue;
            }
            if !input.optional {
                return missing("the input", &input.name);
            }
            column.push_missing();
        }
        match &mut bars.time {
            Some(time) if time.len() <= bars.rows => {
                if self.manifest.uses_time {
                    return missing("a time for every bar, in", "time");
                }
                time.push(TIME_MISSING);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Reads params from the text of a query.
///
/// # Errors
/// A problem that says which param is wrong.
pub fn read_params(text: &str, limits: &config::Evaluation) -> Result<Params, Problem> {
    let reader = Reader::new(limits);
    reader.enter("params");
    let mut json = serde_json::Deserializer::from_str(text);
    let mut params = Params::new();
    let object = Object { reader: &reader, entries: &mut ParamEntries(&mut params, "") };
    object.deserialize(&mut json).and_then(|()| json.end()).map_err(|error| {
        let problem = Problem { position: None, ..reader.problem(&error, text.as_bytes()) };
        if problem.code == Code::MALFORMED_JSON || problem.code == Code::INVALID_REQUEST {
            let detail = format!("`params` is to be a JSON object, percent-encoded: {}", problem.detail);
            return Problem { code: Code::INVALID_QUERY, detail: detail.into(), ..problem };
        }
        problem
    })?;
    Ok(params)
}

/// One bar that is appended to others.
struct RowEntries<'b> {
    rule: &'b str,
    manifest: &'b Manifest,
    bars: &'b mut Bars,
    /// The input that comes next if all bars have theirs in the same order.
    next: usize,
}

impl RowEntries<'_> {
    fn find(&self, name: &str) -> Option<usize> {
        let inputs = &self.manifest.inputs;
        if inputs.get(self.next).is_some_and(|input| input.name == name) {
            return Some(self.next);
        }
        inputs.iter().position(|input| input.name == name)
    }

    fn unknown(&self, name: &str) -> BindError {
        let known = self.manifest.inputs.iter().map(|input| input.name.clone()).collect();
        BindError::UnknownColumn { path: String::new(), name: shorten(name), known }
    }
}

impl Entries for RowEntries<'_> {
    const EXPECTING: &'static str = "an object with a value for each input";

    fn has(&self, name: &str) -> bool {
        if name == "time" {
            return self.bars.time.as_ref().is_some_and(|time| time.len() > self.bars.rows);
        }
        let column = self.find(name).and_then(|index| self.bars.columns.get(index));
        column.is_some_and(|column| column.values.len() > self.bars.rows)
    }

    /// Each name is an input's, and there once: there cannot be many.
    fn len(&self) -> usize {
        0
    }

    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        reader: &Reader<'_>,
        name: Cow<'de, str>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        if name == "time" {
            let time = map.next_value_seed(TimeCell(reader))?;
            self.bars.time.get_or_insert_default().push(time);
            return Ok(());
        }
        let found = self.find(&name);
        let column = found.and_then(|index| self.bars.columns.get_mut(index).zip(self.manifest.inputs.get(index)));
        let Some((column, input)) = column else {
            return Err(reader.fail(Code::UNKNOWN_COLUMN, self.unknown(&name).to_string()));
        };
        self.next = found.map_or(0, |index| index + 1);
        let value = map.next_value_seed(ValueCell(reader))?;
        if input.ty == ValueType::Num && matches!(value, Value::Bool(_)) {
            let (rule, name) = (self.rule.to_owned(), input.name.clone());
            let error = BindError::BoolInNum { path: String::new(), rule, name };
            return Err(reader.fail(Code::COLUMN_TYPE, error.to_string()));
        }
        value.push_to(column);
        Ok(())
    }
}
