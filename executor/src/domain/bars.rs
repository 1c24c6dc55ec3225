//! Bars as a caller sent them, before they are held against a rule.

use rulebox_abi::MISSING;

/// Named columns of the same length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    /// Number of bars.
    pub rows: usize,
    /// In the order of the request, each name once.
    pub columns: Vec<Column>,
    /// Milliseconds since 1970, [`rulebox_abi::TIME_MISSING`] where there is none or it cannot be read.
    pub time: Option<Vec<i64>>,
    /// One bar, given by itself: paths in errors and the answer look different.
    pub single: bool,
}

/// A column of numbers or truth values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// One value a bar; missing is NaN, bools are 0 or 1.
    pub values: Vec<f64>,
    /// The first bar whose value was `true` or `false`: an input of numbers takes none.
    pub first_bool: Option<usize>,
}

impl Column {
    /// Appends a number.
    pub fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    /// Appends a truth value.
    pub fn push_bool(&mut self, value: bool) {
        if self.first_bool.is_none() {
            self.first_bool = Some(self.values.len());
        }
        self.values.push(f64::from(u8::from(value)));
    }

    /// Appends a missing value.
    pub fn push_missing(&mut self) {
        self.values.push(MISSING);
    }
}

impl Bars {
    /// Where a value stands in the request: `columns.equity[3]`, or `inputs.equity` of a single bar.
    pub fn path(&self, column: &str, row: Option<usize>) -> String {
        match row {
            _ if self.single => format!("inputs.{column}"),
            Some(row) => format!("columns.{column}[{row}]"),
            None => format!("columns.{column}"),
        }
    }
}

/// A param as a caller sent it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ParamValue {
    /// A number.
    Num(f64),
    /// A truth value.
    Bool(bool),
}

/// Params as a caller sent them, each name once.
pub type Params = Vec<(String, ParamValue)>;
