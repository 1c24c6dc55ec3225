//! What can fault, and why.

use crate::span::Span;

/// Something that can fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Why.
    pub kind: FaultKind,
    /// Where.
    pub span: Span,
}

/// Why a bar faults. `Display` gives the sentence for people.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// A required input is missing.
    InputMissing(String),
    /// An input is an infinity, or a bool is neither true nor false.
    InputInvalid(String),
    /// An input is outside its range.
    InputOutOfRange(String, f64, f64),
    /// The time is missing or cannot be read.
    TimeMissing,
    /// The time is smaller than that of the bar before.
    TimeBackwards,
    /// A divisor is 0.
    DivisionByZero,
    /// A result is not finite.
    NotFinite,
    /// The square root of a negative number.
    SqrtNegative,
    /// A fraction to keep outside 0 to 1.
    KeepOutOfRange,
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::InputMissing(name) => write!(f, "the required input `{name}` is missing"),
            Self::InputInvalid(name) => write!(f, "the input `{name}` is not a finite number or a bool"),
            Self::InputOutOfRange(name, lo, hi) => {
                write!(f, "the input `{name}` is outside its range {lo}..{hi}")
            }
            Self::TimeMissing => f.write_str("the time of the bar is missing or cannot be read"),
            Self::TimeBackwards => f.write_str("the time goes backwards"),
            Self::DivisionByZero => f.write_str("division by zero"),
            Self::NotFinite => f.write_str("the result is not finite"),
            Self::SqrtNegative => f.write_str("square root of a negative number"),
            Self::KeepOutOfRange => f.write_str("the fraction to keep is outside 0 to 1"),
        }
    }
}
