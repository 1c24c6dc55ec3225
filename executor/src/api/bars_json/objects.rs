//! The objects of a request: what each of their entries is, and that none is there twice.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use super::cells::{ParamCell, RuleNames, TimeCell, TimeColumn, ValueCell, ValueColumn};
use super::{Form, Reader, Request, shorten};
use crate::api::problem::{Code, Problem};
use crate::domain::bars::{Bars, Column, ParamValue, Params};

/// Bytes of a name that are read as they are.
const LONGEST_NAME: usize = 256;

/// Where the entries of an object go.
pub(super) trait Entries {
    /// What the object is, for an error.
    const EXPECTING: &'static str;
    /// Whether this name has been read.
    fn has(&self, name: &str) -> bool;
    /// How many have been read.
    fn len(&self) -> usize;
    /// Reads the value of a new name.
    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        reader: &Reader<'_>,
        name: Cow<'de, str>,
        map: &mut A,
    ) -> Result<(), A::Error>;
}

/// Reads an object into its entries.
pub(super) struct Object<'r, 'a, T> {
    pub(super) reader: &'r Reader<'a>,
    pub(super) entries: &'r mut T,
}

impl<'de, T: Entries> DeserializeSeed<'de> for Object<'_, '_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, T: Entries> Visitor<'de> for Object<'_, '_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTING)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { reader, entries } = self;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            // No input and no param has such a name: what is kept of it is for the error.
            let name = if name.len() > LONGEST_NAME { Cow::Owned(shorten(&name)) } else { name };
            reader.enter_name(&shorten(&name));
            if entries.has(&name) {
                let detail = format!("`{}` is there twice", shorten(&name));
                return Err(reader.fail(Code::INVALID_REQUEST, detail));
            }
            let most = reader.limits.columns;
            if entries.len() >= most {
                let detail = format!("an object of a request may have {most} entries");
                return Err(reader.fail(Code::TOO_MANY_VALUES, detail));
            }
            entries.read(reader, name, &mut map)?;
        }
        Ok(())
    }
}

const EXCLUDE_EACH_OTHER: &str = "`columns` and `inputs` exclude each other: a series, or one bar";

/// The request itself.
pub(super) struct RequestFields<'q> {
    request: &'q mut Request,
    known: &'static [&'static str],
    seen: Vec<&'static str>,
}

impl<'q> RequestFields<'q> {
    pub(super) fn new(request: &'q mut Request, form: Form) -> Self {
        let known: &[_] = match form {
            Form::OneRule => &["columns", "inputs", "time", "params"],
            Form::SeveralRules => &["columns", "inputs", "time", "params", "rules", "versions"],
            Form::NewSession => &["params", "rules", "versions"],
            Form::SessionBars => &["columns", "inputs", "time", "seq"],
        };
        Self { request, known, seen: Vec::new() }
    }

    /// What no single field can say.
    pub(super) fn check(self) -> Result<(), Problem> {
        let has = |field| self.seen.contains(&field);
        if !self.known.contains(&"columns") {
            return Ok(());
        }
        if self.known.contains(&"seq") && !has("seq") {
            let detail = "`seq` is missing: the number of the first bar, which is 0 for the first of the session";
            return Err(Problem::new(Code::INVALID_REQUEST, detail).at("seq"));
        }
        let detail = match (has("columns"), has("inputs")) {
            (true, true) => EXCLUDE_EACH_OTHER,
            (false, false) => "`columns` (a series) or `inputs` (one bar) is missing",
            (true, false) if has("time") => "beside `columns` there is no `time`: it is one of them",
            (_, single) => {
                self.request.bars.single = single;
                return Ok(());
            }
        };
        Err(Problem::new(Code::INVALID_REQUEST, detail))
    }
}

impl Entries for RequestFields<'_> {
    const EXPECTING: &'static str = "an object with `columns` or `inputs`";

    fn has(&self, name: &str) -> bool {
        self.seen.contains(&name)
    }

    fn len(&self) -> usize {
        0
    }

    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        reader: &Reader<'_>,
        name: Cow<'de, str>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let Some(field) = self.known.iter().copied().find(|known| *known == name) else {
            let known: Vec<_> = self.known.iter().map(|field| format!("`{field}`")).collect();
            let detail = format!("unknown field `{}`; there are {}", shorten(&name), known.join(", "));
            return Err(reader.fail(Code::INVALID_REQUEST, detail));
        };
        if matches!(field, "columns" | "inputs") && self.seen.iter().any(|seen| matches!(*seen, "columns" | "inputs")) {
            reader.enter("");
            return Err(reader.fail(Code::INVALID_REQUEST, EXCLUDE_EACH_OTHER));
        }
        self.seen.push(field);
        reader.enter(field);
        let request = &mut *self.request;
        match field {
            "columns" => map.next_value_seed(Object { reader, entries: &mut ColumnEntries(&mut request.bars) })?,
            "inputs" => map.next_value_seed(Object { reader, entries: &mut InputEntries(&mut request.bars) })?,
            "time" => request.bars.time = Some(vec![map.next_value_seed(TimeCell(reader))?]),
            "params" if self.known.contains(&"rules") => {
                map.next_value_seed(Object { reader, entries: &mut RuleParamEntries(&mut request.rule_params) })?;
            }
            "params" => {
                map.next_value_seed(Object { reader, entries: &mut ParamEntries(&mut request.params, "") })?;
            }
            "seq" => request.seq = map.next_value()?,
            "rules" => request.rules = Some(map.next_value_seed(RuleNames(reader))?),
            _ => map.next_value_seed(Object { reader, entries: &mut VersionEntries(&mut request.versions) })?,
        }
        reader.enter("");
        Ok(())
    }
}

fn has_column(bars: &Bars, name: &str) -> bool {
    bars.columns.iter().any(|column| column.name == name)
}

/// A series: arrays by name, `time` among them.
struct ColumnEntries<'b>(&'b mut Bars);

impl Entries for ColumnEntries<'_> {
    const EXPECTING: &'static str = "an object of arrays";

    fn has(&self, name: &str) -> bool {
        if name == "time" { self.0.time.is_some() } else { has_column(self.0, name) }
    }

    fn len(&self) -> usize {
        self.0.columns.len()
    }

    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        reader: &Reader<'_>,
        name: Cow<'de, str>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        // Columns are as long as the first: room for them is made once.
        let first = self.0.columns.first().map(|column| column.values.len());
        let rows = self.0.time.as_ref().map(Vec::len).or(first).unwrap_or(0);
        if name == "time" {
            self.0.time = Some(map.next_value_seed(TimeColumn { reader, rows })?);
        } else {
            let column = map.next_value_seed(ValueColumn { reader, rows })?;
            self.0.columns.push(Column { name: name.into_owned(), ..column });
        }
        Ok(())
    }
}

/// One bar: values by name.
struct InputEntries<'b>(&'b mut Bars);

impl Entries for InputEntries<'_> {
    const EXPECTING: &'static str = "an object of values";

    fn has(&self, name: &str) -> bool {
        has_column(self.0, name)
    }

    fn len(&self) -> usize {
        self.0.columns.len()
    }

    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        reader: &Reader<'_>,
        name: Cow<'de, str>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        if name == "time" {
            return Err(reader.fail(Code::INVALID_REQUEST, "`time` stands beside `inputs`, not in it"));
        }
        let mut column = Column { name: name.into_owned(), ..Column::default() };
        map.next_value_seed(ValueCell(reader))?.push_to(&mut column);
        self.0.columns.push(column);
        Ok(())
    }
}

/// Params of a rule; the name of the rule if there are several.
pub(super) struct ParamEntries<'b>(pub(super) &'b mut Vec<(String, ParamValue)>, pub(super) &'b str);

impl Entries for ParamEntries<'_> {
    const EXPECTING: &'static str = "an object of params";

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        reader: &Reader<'_>,
        name: Cow<'de, str>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        if !self.1.is_empty() {
            reader.enter_name(&format!("{}.{}", self.1, shorten(&name)));
        }
        let value = map.next_value_seed(ParamCell(reader))?;
        self.0.push((name.into_owned(), value));
        Ok(())
    }
}

/// Params by rule.
struct RuleParamEntries<'b>(&'b mut Vec<(String, Params)>);

impl Entries for RuleParamEntries<'_> {
    const EXPECTING: &'static str = "an object of rules, each with an object of params";

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        reader: &Reader<'_>,
        name: Cow<'de, str>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let mut params = Params::new();
        map.next_value_seed(Object { reader, entries: &mut ParamEntries(&mut params, &shorten(&name)) })?;
        self.0.push((name.into_owned(), params));
        Ok(())
    }
}

/// Versions by rule.
struct VersionEntries<'b>(&'b mut Vec<(String, u32)>);

impl Entries for VersionEntries<'_> {
    const EXPECTING: &'static str = "an object of rules, each with the number of a version";

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        _: &Reader<'_>,
        name: Cow<'de, str>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let version = map.next_value()?;
        self.0.push((name.into_owned(), version));
        Ok(())
    }
}
