//! Where a module and the interpreter differ, in words that may be shown.

use rulebox_abi::Verdict;
use serde_json::{Value, json};

/// What of a bar differs. A column is told by its number, not by its name, which is the tenant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// What the module takes and gives is not what the text says.
    Interface,
    /// The number of bars that there are results of.
    Bars,
    /// The verdict.
    Verdict {
        /// Of the module.
        module: Verdict,
        /// Of the interpreter.
        interpreter: Verdict,
    },
    /// Which statements fired, and with them action and reasons; of a fault, its place.
    Fired,
    /// The action.
    Action,
    /// An out.
    Out(usize, Apart),
    /// A value in a message.
    MessageValue(usize, Apart),
    /// A message as it is told.
    Reasons,
    /// The fraction to keep.
    Keep(Apart),
    /// The place of a fault.
    Fault,
    /// The time of an event.
    Time,
    /// Which bars an answer tells of.
    Events,
    /// Bars by verdict.
    Counts,
    /// The saved state, which is to be the same however the bars were cut into calls.
    State,
    /// The module was stopped, and the interpreter was not: the kind of the violation.
    Stopped(&'static str),
}

/// How far two numbers are from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    /// So many doubles lie between them, and the second.
    Ulps(u64),
    /// One of them is missing.
    Missing,
}

impl Apart {
    /// Of two doubles, by their bits.
    pub fn of(a: u64, b: u64) -> Self {
        if f64::from_bits(a).is_nan() || f64::from_bits(b).is_nan() {
            return Self::Missing;
        }
        Self::Ulps(place(a).abs_diff(place(b)))
    }

    fn json(self) -> Value {
        match self {
            Self::Ulps(ulps) => json!(ulps),
            Self::Missing => json!("missing"),
        }
    }
}

/// Where a double stands among all doubles; those under 0 are before the others.
fn place(bits: u64) -> i64 {
    let magnitude = (bits & !(1 << 63)).cast_signed();
    // -0 is just before +0: they are other bits.
    if bits >> 63 == 1 { -magnitude - 1 } else { magnitude }
}

/// A difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The bar, from 0, of the bars that were tried; `None` if it is none of a bar.
    pub bar: Option<usize>,
    /// What differs.
    pub field: Field,
    /// Bars of a call into the module.
    pub rows_a_call: Option<u32>,
}

impl Difference {
    /// Of a bar.
    pub const fn at(bar: usize, field: Field) -> Self {
        Self { bar: Some(bar), field, rows_a_call: None }
    }

    /// Of no bar.
    pub const fn of(field: Field) -> Self {
        Self { bar: None, field, rows_a_call: None }
    }

    /// The evidence. Numbers that differ are told by how far they are apart and not by their bits: those of a live call
    /// are its inputs, often enough, and those of a boundary the text's own.
    pub fn detail(&self, source: &'static str) -> Value {
        let mut detail = serde_json::Map::new();
        let mut put = |key: &str, value: Value| drop(detail.insert(key.to_owned(), value));
        put("source", json!(source));
        put("field", json!(self.field.name()));
        if let Some(bar) = self.bar {
            put("bar", json!(bar));
        }
        if let Some(rows) = self.rows_a_call {
            put("rows_a_call", json!(rows));
        }
        match self.field {
            Field::Verdict { module, interpreter } => {
                put("module", json!(module.name()));
                put("interpreter", json!(interpreter.name()));
            }
            Field::Out(column, apart) | Field::MessageValue(column, apart) => {
                put("column", json!(column));
                put("ulps", apart.json());
            }
            Field::Keep(apart) => put("ulps", apart.json()),
            Field::Stopped(kind) => put("kind", json!(kind)),
            _ => {}
        }
        Value::Object(detail)
    }
}

impl Field {
    /// Its name in the evidence.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interface => "interface",
            Self::Bars => "bars",
            Self::Verdict { .. } => "verdict",
            Self::Fired => "fired",
            Self::Action => "action",
            Self::Out(..) => "out",
            Self::MessageValue(..) => "message_value",
            Self::Reasons => "reasons",
            Self::Keep(_) => "keep",
            Self::Fault => "fault",
            Self::Time => "time",
            Self::Events => "events",
            Self::Counts => "counts",
            Self::State => "state",
            Self::Stopped(_) => "stopped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_far_apart_as_there_are_doubles_from_one_to_the_other() {
        let apart = |a: f64, b: f64| Apart::of(a.to_bits(), b.to_bits());
        assert_eq!(apart(1.0, 1.0_f64.next_up()), Apart::Ulps(1));
        assert_eq!(apart(0.0, -0.0), Apart::Ulps(1));
        assert_eq!(apart(-f64::from_bits(1), f64::from_bits(1)), Apart::Ulps(3));
        assert_eq!(apart(f64::INFINITY, f64::MAX), Apart::Ulps(1));
        assert_eq!(apart(f64::NEG_INFINITY, f64::INFINITY), Apart::Ulps(2 * f64::INFINITY.to_bits() + 1));
        assert_eq!(apart(f64::NAN, 1.0), Apart::Missing);
    }

    #[test]
    fn the_evidence_has_no_number_of_the_tenants() {
        let field = Field::Out(3, Apart::of(12_345.678_f64.to_bits(), 12_345.679_f64.to_bits()));
        let detail = Difference { rows_a_call: Some(7), ..Difference::at(5, field) }.detail("sample");
        let ulps = 12_345.679_f64.to_bits() - 12_345.678_f64.to_bits();
        let expected =
            json!({"source": "sample", "field": "out", "bar": 5, "column": 3, "ulps": ulps, "rows_a_call": 7});
        assert_eq!(detail, expected);
        let field = Field::Verdict { module: Verdict::Ok, interpreter: Verdict::Breach };
        let detail = Difference::of(field).detail("upload");
        assert_eq!(detail, json!({"source": "upload", "field": "verdict", "module": "ok", "interpreter": "breach"}));
    }
}
