//! The accounts whose bars are in the binary; `executor/demo/README.md` says where they come from.

use serde_json::{Map, Value};

/// Why the bars cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// They are no CSV.
    #[error("the bars of {0} cannot be read")]
    Csv(&'static str, #[source] csv::Error),
    /// A column that the chart shows is not there.
    #[error("the bars of {0} have no column {1}")]
    Column(&'static str, &'static str),
}

/// An account's bars.
pub(super) struct Account {
    pub(super) title: &'static str,
    /// What a bar is of: `a day`, `an hour`.
    pub(super) bar: &'static str,
    /// Column names, in order.
    names: Vec<String>,
    /// One column a name: texts for `time`, numbers for others, null for empty cells.
    columns: Vec<Vec<Value>>,
    pub(super) rows: usize,
}

const GOOG: &str = include_str!("../../demo/goog_daily.csv");
const EURUSD: &str = include_str!("../../demo/eurusd_hourly.csv");

impl Account {
    pub(super) fn all() -> Result<Vec<Self>, AccountError> {
        let goog = Self::read("an account trading GOOG", "a day", GOOG)?;
        let eurusd = Self::read("an account trading EURUSD", "an hour", EURUSD)?;
        Ok(vec![goog, eurusd])
    }

    fn read(title: &'static str, bar: &'static str, text: &str) -> Result<Self, AccountError> {
        let wrong = |error| AccountError::Csv(title, error);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let names: Vec<String> = reader.headers().map_err(wrong)?.iter().map(str::to_owned).collect();
        let mut columns: Vec<Vec<Value>> = vec![Vec::new(); names.len()];
        let mut rows = 0;
        for record in reader.records() {
            let record = record.map_err(wrong)?;
            for ((name, column), cell) in names.iter().zip(&mut columns).zip(&record) {
                column.push(value(name, cell));
            }
            rows += 1;
        }
        let account = Self { title, bar, names, columns, rows };
        for needed in ["time", "equity", "drawdown"] {
            account.column(needed).ok_or(AccountError::Column(title, needed))?;
        }
        Ok(account)
    }

    pub(super) fn column(&self, name: &str) -> Option<&[Value]> {
        let at = self.names.iter().position(|n| n == name)?;
        self.columns.get(at).map(Vec::as_slice)
    }

    /// Numbers of a column; 0 where there is none.
    pub(super) fn numbers(&self, name: &str) -> Vec<f64> {
        self.column(name).unwrap_or_default().iter().map(|v| v.as_f64().unwrap_or(0.0)).collect()
    }

    /// The day of a bar, `2004-08-19`.
    pub(super) fn day(&self, row: usize) -> &str {
        let time = self.column("time").and_then(|column| column.get(row)).and_then(Value::as_str);
        time.and_then(|text| text.get(..10)).unwrap_or("")
    }

    /// The columns that a rule reads, as the API takes them.
    pub(super) fn columns_for(&self, inputs: &[String]) -> Map<String, Value> {
        let named = inputs.iter().map(String::as_str).chain(["time"]);
        named.filter_map(|name| Some((name.to_owned(), Value::from(self.column(name)?.to_vec())))).collect()
    }
}

fn value(name: &str, cell: &str) -> Value {
    if name == "time" {
        return Value::from(cell);
    }
    cell.parse::<f64>().map_or(Value::Null, Value::from)
}
