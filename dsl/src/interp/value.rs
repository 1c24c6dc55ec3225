//! Values of expressions.

use rulebox_abi::MISSING;

use crate::typed::FaultId;

/// A value. Which of them an expression can have is in its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// No value; of a `num?` or `bool?` alone.
    Missing,
    /// Finite, except inside a chain of arithmetic that is tested at its root.
    Num(f64),
    Bool(bool),
    /// Minutes after midnight.
    Clock(u16),
}

impl Value {
    /// As it stands in a column, and as arithmetic reads it.
    pub(super) fn number(self) -> f64 {
        match self {
            Self::Missing => MISSING,
            Self::Num(x) => x,
            Self::Bool(b) => f64::from(u8::from(b)),
            Self::Clock(minutes) => f64::from(minutes),
        }
    }

    /// As conditions read it.
    pub(super) fn truth(self) -> bool {
        matches!(self, Self::Bool(true))
    }
}

/// The value in one of the tables of a bar. The checker resolved every name, so each index is there.
pub(super) fn at(table: &[Value], index: usize) -> Value {
    table.get(index).copied().unwrap_or(Value::Missing)
}

/// The same for changing it.
pub(super) fn set(table: &mut [Value], index: usize, value: Value) {
    if let Some(cell) = table.get_mut(index) {
        *cell = value;
    }
}

/// A result where it must be finite, if there is a fault for it.
pub(super) fn tested(result: f64, fault: Option<FaultId>) -> Result<f64, FaultId> {
    match fault {
        Some(fault) if !result.is_finite() => Err(fault),
        _ => Ok(result),
    }
}
