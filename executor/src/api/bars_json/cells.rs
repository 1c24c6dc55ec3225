//! Columns and single values.

use std::fmt;

use rulebox_abi::TIME_MISSING;
use rulebox_dsl::time;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

use super::{Reader, Rules};
use crate::api::problem::Code;
use crate::domain::bars::{Column, ParamValue};

/// A value as JSON writes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Num(f64),
    Bool(bool),
    Missing,
}

impl Value {
    pub(super) fn push_to(self, column: &mut Column) {
        match self {
            Self::Num(value) => column.push(value),
            Self::Bool(value) => column.push_bool(value),
            Self::Missing => column.push_missing(),
        }
    }
}

/// Declares the visits that end in "this is not one".
macro_rules! refuse {
    ($code:expr, $wanted:literal, $found:literal: $visit:ident($type:ty)) => {
        fn $visit<E: Error>(self, _: $type) -> Result<Self::Value, E> {
            Err(self.0.fail($code, concat!("expected ", $wanted, ", found ", $found)))
        }
    };
    ($code:expr, $wanted:literal: nested) => {
        fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            Err(self.0.fail($code, concat!("expected ", $wanted, ", found an array")))
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            Err(self.0.fail($code, concat!("expected ", $wanted, ", found an object")))
        }
    };
}

/// Declares a seed that takes whatever comes.
macro_rules! any {
    ($seed:ident, $value:ty) => {
        impl<'de> DeserializeSeed<'de> for $seed<'_, '_> {
            type Value = $value;

            fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<$value, D::Error> {
                json.deserialize_any(self)
            }
        }
    };
}

/// A number, a truth value or null.
#[derive(Clone, Copy)]
pub(super) struct ValueCell<'r, 'a>(pub(super) &'r Reader<'a>);
any!(ValueCell, Value);

// Integers beyond 2^53 become the nearest double, as a number of the language does.
#[expect(clippy::cast_precision_loss, reason = "the nearest double is what is wanted")]
impl<'de> Visitor<'de> for ValueCell<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, true, false or null")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Num(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Num(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Num(value as f64))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Missing)
    }

    refuse!(Code::COLUMN_TYPE, "a number, true, false or null", "a string": visit_str(&str));
    refuse!(Code::COLUMN_TYPE, "a number, true, false or null": nested);
}

/// RFC 3339 text or whole milliseconds; null, and what cannot be read, is missing.
#[derive(Clone, Copy)]
pub(super) struct TimeCell<'r, 'a>(pub(super) &'r Reader<'a>);
any!(TimeCell, i64);

impl<'de> Visitor<'de> for TimeCell<'_, '_> {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time: RFC 3339 text or whole milliseconds since 1970")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<i64, E> {
        Ok(time::parse(value).unwrap_or(TIME_MISSING))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<i64, E> {
        Ok(time::from_millis(value).unwrap_or(TIME_MISSING))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<i64, E> {
        Ok(i64::try_from(value).ok().and_then(time::from_millis).unwrap_or(TIME_MISSING))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<i64, E> {
        Ok(TIME_MISSING)
    }

    fn visit_unit<E: Error>(self) -> Result<i64, E> {
        Ok(TIME_MISSING)
    }

    refuse!(Code::COLUMN_TYPE, "a time", "a truth value": visit_bool(bool));
    refuse!(Code::COLUMN_TYPE, "a time": nested);
}

/// The value of a param.
#[derive(Clone, Copy)]
pub(super) struct ParamCell<'r, 'a>(pub(super) &'r Reader<'a>);
any!(ParamCell, ParamValue);

#[expect(clippy::cast_precision_loss, reason = "the nearest double is what is wanted")]
impl<'de> Visitor<'de> for ParamCell<'_, '_> {
    type Value = ParamValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, true or false")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<ParamValue, E> {
        Ok(ParamValue::Num(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<ParamValue, E> {
        Ok(ParamValue::Num(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<ParamValue, E> {
        Ok(ParamValue::Num(value as f64))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<ParamValue, E> {
        Ok(ParamValue::Bool(value))
    }

    fn visit_unit<E: Error>(self) -> Result<ParamValue, E> {
        Err(self.0.fail(Code::PARAM_TYPE, "expected a number, true or false, found null"))
    }

    refuse!(Code::PARAM_TYPE, "a number, true or false", "a string": visit_str(&str));
    refuse!(Code::PARAM_TYPE, "a number, true or false": nested);
}

/// A column of values.
pub(super) struct ValueColumn<'r, 'a> {
    pub(super) reader: &'r Reader<'a>,
    /// As many as are expected.
    pub(super) rows: usize,
}

impl<'de> DeserializeSeed<'de> for ValueColumn<'_, '_> {
    type Value = Column;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Column, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ValueColumn<'_, '_> {
    type Value = Column;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers, true, false or null")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Column, A::Error> {
        let mut column = Column { values: Vec::with_capacity(self.rows), ..Column::default() };
        self.reader.row.set(Some(0));
        while let Some(value) = seq.next_element_seed(ValueCell(self.reader))? {
            self.reader.take_cell(column.values.len())?;
            value.push_to(&mut column);
            self.reader.row.set(Some(column.values.len()));
        }
        self.reader.row.set(None);
        Ok(column)
    }
}

/// The column of times.
pub(super) struct TimeColumn<'r, 'a> {
    pub(super) reader: &'r Reader<'a>,
    /// As many as are expected.
    pub(super) rows: usize,
}

impl<'de> DeserializeSeed<'de> for TimeColumn<'_, '_> {
    type Value = Vec<i64>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Vec<i64>, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for TimeColumn<'_, '_> {
    type Value = Vec<i64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of times")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<i64>, A::Error> {
        let mut times = Vec::with_capacity(self.rows);
        self.reader.row.set(Some(0));
        while let Some(time) = seq.next_element_seed(TimeCell(self.reader))? {
            self.reader.take_cell(times.len())?;
            times.push(time);
            self.reader.row.set(Some(times.len()));
        }
        self.reader.row.set(None);
        Ok(times)
    }
}

/// `"*"`, or a list of names.
#[derive(Clone, Copy)]
pub(super) struct RuleNames<'r, 'a>(pub(super) &'r Reader<'a>);
any!(RuleNames, Rules);

impl<'de> Visitor<'de> for RuleNames<'_, '_> {
    type Value = Rules;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rule names, or \"*\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Rules, E> {
        if text == "*" {
            return Ok(Rules::All);
        }
        Err(self.0.fail(Code::INVALID_REQUEST, "`rules` is a list of names, or \"*\" for all active rules"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Rules, A::Error> {
        let mut names: Vec<String> = Vec::new();
        self.0.row.set(Some(0));
        while let Some(name) = seq.next_element::<String>()? {
            if names.contains(&name) {
                let detail = format!("rule `{}` is there twice", super::shorten(&name));
                return Err(self.0.fail(Code::INVALID_REQUEST, detail));
            }
            let most = self.0.limits.rules;
            if names.len() >= most {
                return Err(self.0.fail(Code::TOO_MANY_RULES, format!("a request may run {most} rules")));
            }
            names.push(name);
            self.0.row.set(Some(names.len()));
        }
        if names.is_empty() {
            return Err(self.0.fail(Code::INVALID_REQUEST, "`rules` is empty"));
        }
        self.0.row.set(None);
        Ok(Rules::Named(names))
    }
}
