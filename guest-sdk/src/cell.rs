//! Values of the author's types as they stand in columns.

use rulebox_abi::MISSING;

/// What a cell of an input or a param reads as. It was checked before.
pub trait FromCell {
    /// The value of a cell.
    fn from_cell(cell: f64) -> Self;
}

impl FromCell for f64 {
    fn from_cell(cell: f64) -> Self {
        cell
    }
}

impl FromCell for bool {
    fn from_cell(cell: f64) -> Self {
        cell != 0.0
    }
}

impl FromCell for i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a whole number; what an i64 cannot hold becomes its end")]
    fn from_cell(cell: f64) -> Self {
        cell as Self
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: f64) -> Self {
        (!cell.is_nan()).then(|| T::from_cell(cell))
    }
}

/// What is written into a cell of an out or of a message value.
pub trait IntoCell {
    /// The cell.
    fn into_cell(self) -> f64;
}

/// What is no number is not missing: it becomes one that is refused, as 0/0 is a fault in the rule language.
impl IntoCell for f64 {
    fn into_cell(self) -> f64 {
        if self.is_nan() { Self::INFINITY } else { self }
    }
}

impl IntoCell for bool {
    fn into_cell(self) -> f64 {
        f64::from(u8::from(self))
    }
}

impl IntoCell for u16 {
    fn into_cell(self) -> f64 {
        f64::from(self)
    }
}

impl<T: IntoCell> IntoCell for Option<T> {
    fn into_cell(self) -> f64 {
        self.map_or(MISSING, T::into_cell)
    }
}
