//! Why a module stopped, as a stable code.

use wasmtime::Trap;

/// The module called `env.abort`, the one import there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the module called env.abort")]
pub(crate) struct AbortCalled;

/// Traps that are neither fuel, deadline nor stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum TrapCode {
    /// `unreachable` was executed: a guest's panic or failed assertion.
    Unreachable,
    /// A load, store or data segment outside the memory.
    MemoryOutOfBounds,
    /// An indirect call or element segment outside the table.
    TableOutOfBounds,
    /// An indirect call of an empty table element.
    IndirectCallToNull,
    /// An indirect call of a function of another type.
    BadSignature,
    /// `MIN / -1`, or a float too large for the integer it was converted to.
    IntegerOverflow,
    /// An integer division or remainder by zero.
    IntegerDivisionByZero,
    /// A NaN converted to an integer.
    BadConversionToInteger,
    /// The module called `env.abort`.
    Abort,
    /// A trap that no module can cause by the instructions it may use.
    Other,
}

impl TrapCode {
    /// Every code.
    pub const ALL: [Self; 10] = [
        Self::Unreachable,
        Self::MemoryOutOfBounds,
        Self::TableOutOfBounds,
        Self::IndirectCallToNull,
        Self::BadSignature,
        Self::IntegerOverflow,
        Self::IntegerDivisionByZero,
        Self::BadConversionToInteger,
        Self::Abort,
        Self::Other,
    ];

    /// Its name in records, metrics and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::MemoryOutOfBounds => "memory_out_of_bounds",
            Self::TableOutOfBounds => "table_out_of_bounds",
            Self::IndirectCallToNull => "indirect_call_to_null",
            Self::BadSignature => "bad_signature",
            Self::IntegerOverflow => "integer_overflow",
            Self::IntegerDivisionByZero => "integer_division_by_zero",
            Self::BadConversionToInteger => "bad_conversion_to_integer",
            Self::Abort => "abort",
            Self::Other => "other",
        }
    }

    /// What happened, for the author of the module.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Unreachable => "executed `unreachable` (a panic or a failed assertion)",
            Self::MemoryOutOfBounds => "read or wrote outside its memory",
            Self::TableOutOfBounds => "used a table element that does not exist",
            Self::IndirectCallToNull => "called an empty table element",
            Self::BadSignature => "called a table element of another type",
            Self::IntegerOverflow => "overflowed an integer division or conversion",
            Self::IntegerDivisionByZero => "divided an integer by zero",
            Self::BadConversionToInteger => "converted a NaN to an integer",
            Self::Abort => "called env.abort",
            Self::Other => "stopped for a reason that has no name",
        }
    }

    /// The code of a trap that has no kind of its own (fuel, deadline and stack have).
    pub(crate) fn of(trap: Trap) -> Self {
        match trap {
            Trap::UnreachableCodeReached => Self::Unreachable,
            Trap::MemoryOutOfBounds => Self::MemoryOutOfBounds,
            Trap::TableOutOfBounds => Self::TableOutOfBounds,
            Trap::IndirectCallToNull => Self::IndirectCallToNull,
            Trap::BadSignature => Self::BadSignature,
            Trap::IntegerOverflow => Self::IntegerOverflow,
            Trap::IntegerDivisionByZero => Self::IntegerDivisionByZero,
            Trap::BadConversionToInteger => Self::BadConversionToInteger,
            _ => Self::Other,
        }
    }
}
