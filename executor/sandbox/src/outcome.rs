//! Outcomes: what is said of a module that was refused, and of a run that was stopped.

use std::fmt;
use std::time::Duration;

use crate::instance::RunReport;
use crate::trap::TrapCode;

/// How a module reached for more than it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum ViolationKind {
    /// Run: its fuel is spent.
    FuelExhausted,
    /// Run: a call took longer than its deadline.
    DeadlineExceeded,
    /// Run: growth of memory or of a table was refused, or its state is larger than what is kept of one.
    MemoryLimit,
    /// Run: its stack is spent.
    StackOverflow,
    /// Run: it trapped; [`Violation::trap`] has the code.
    Trap,
    /// Run: an address, a length or a result breaks the rules of the ABI.
    AbiBreach,
    /// Upload: it imports something other than `env.abort`.
    ImportForbidden,
    /// Upload: it is not WebAssembly, uses a proposal that is off, or does not meet the ABI.
    ModuleInvalid,
    /// Upload: bytes, memory or tables over the limit.
    ModuleTooLarge,
    /// Upload: it has more of something than can be compiled in bounded time.
    ModuleTooComplex,
    /// Upload: the compile worker met the limit of its time, its memory or its system calls.
    CompileKilled,
}

/// How much a violation matters, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Counted and recorded.
    Low,
    /// Recorded, and shown to the security team.
    Medium,
    /// Alerted.
    High,
    /// Alerted, on the first event.
    Critical,
}

impl Severity {
    /// `low`, `medium`, `high` or `critical`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl ViolationKind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::FuelExhausted,
        Self::DeadlineExceeded,
        Self::MemoryLimit,
        Self::StackOverflow,
        Self::Trap,
        Self::AbiBreach,
        Self::ImportForbidden,
        Self::ModuleInvalid,
        Self::ModuleTooLarge,
        Self::ModuleTooComplex,
        Self::CompileKilled,
    ];

    /// Its name in records, metrics and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FuelExhausted => "fuel_exhausted",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::MemoryLimit => "memory_limit",
            Self::StackOverflow => "stack_overflow",
            Self::Trap => "trap",
            Self::AbiBreach => "abi_breach",
            Self::ImportForbidden => "import_forbidden",
            Self::ModuleInvalid => "module_invalid",
            Self::ModuleTooLarge => "module_too_large",
            Self::ModuleTooComplex => "module_too_complex",
            Self::CompileKilled => "compile_killed",
        }
    }

    /// Whether it is of modules that are not run at all.
    pub const fn is_at_upload(self) -> bool {
        matches!(
            self,
            Self::ImportForbidden
                | Self::ModuleInvalid
                | Self::ModuleTooLarge
                | Self::ModuleTooComplex
                | Self::CompileKilled
        )
    }

    /// Whether it is said of a module that is uploaded, and not of a run.
    pub const fn is_of_upload(self) -> bool {
        match self {
            Self::FuelExhausted
            | Self::DeadlineExceeded
            | Self::MemoryLimit
            | Self::StackOverflow
            | Self::Trap
            | Self::AbiBreach => false,
            Self::ImportForbidden
            | Self::ModuleInvalid
            | Self::ModuleTooLarge
            | Self::ModuleTooComplex
            | Self::CompileKilled => true,
        }
    }

    /// Its severity. `compiled`: the module came out of our own compiler, whose modules cannot do most of these by
    /// construction. The kinds at upload are high the first time; whoever counts repeats lowers those.
    pub const fn severity(self, compiled: bool) -> Severity {
        match self {
            Self::FuelExhausted | Self::MemoryLimit | Self::StackOverflow | Self::Trap if compiled => Severity::High,
            Self::FuelExhausted | Self::DeadlineExceeded | Self::MemoryLimit | Self::StackOverflow | Self::Trap => {
                Severity::Medium
            }
            Self::AbiBreach
            | Self::ImportForbidden
            | Self::ModuleInvalid
            | Self::ModuleTooLarge
            | Self::ModuleTooComplex
            | Self::CompileKilled => Severity::High,
        }
    }
}

impl fmt::Display for ViolationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A module that is not run, and why. Says the same for the same bytes and limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("{kind}: {detail}")]
pub struct Refusal {
    /// One of the kinds at upload.
    pub kind: ViolationKind,
    /// What was wrong and what to do about it. Text from the module in it is shortened and escaped.
    pub detail: String,
}

/// A run that was stopped, and what it had used by then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("{kind}: {detail}")]
pub struct Violation {
    /// One of the kinds of runs.
    pub kind: ViolationKind,
    /// The code of the trap, if it was one.
    pub trap: Option<TrapCode>,
    /// Fuel that the calls of `rulebox_eval` used; none if the module was stopped in its setup. Exact if it is the
    /// fuel that was exhausted. A trap or a deadline loses what was counted since the last call inside the module,
    /// since a function keeps its count in a register.
    pub fuel_used: u64,
    /// The fuel that those calls had.
    pub fuel_limit: u64,
    /// The most bytes of linear memory.
    pub memory_peak: usize,
    /// The bytes of linear memory that it could have had.
    pub memory_limit: usize,
    /// Time spent in the run.
    pub elapsed: Duration,
    /// What happened. Holds numbers and names of ours, no text of the module's.
    pub detail: String,
}

/// A run that did not give its results.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The module was stopped.
    #[error(transparent)]
    Violation(Box<Violation>),
    /// `rulebox_init` refused the params, with this negative number. Its right: not a violation.
    #[error("the module refused its params with {0}")]
    ParamsRefused(i32),
    /// Every instance of the pool is in use. Try again.
    #[error("all instances are in use")]
    Busy,
    /// What would run it is away: nothing is said of the module. Try again.
    #[error("nobody is there to run it")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The caller's columns, params or state do not fit the module.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The sink wanted no more. What the run has used until then.
    #[error("the run was cancelled")]
    Cancelled(RunReport),
    /// An earlier call of this instance failed; its store is gone.
    #[error("the instance was stopped by an earlier failure")]
    Stopped,
    /// The engine failed for no fault of the module's: the system refused memory, say.
    #[error("the engine failed")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl RunError {
    /// The violation, if it is one.
    pub fn violation(&self) -> Option<&Violation> {
        match self {
            Self::Violation(violation) => Some(violation),
            _ => None,
        }
    }
}

/// What a caller passed does not fit the shape of the module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum InputError {
    /// Number of params.
    #[error("the module takes {expected} params, not {got}")]
    Params {
        /// By the shape.
        expected: usize,
        /// As passed.
        got: usize,
    },
    /// Number of input columns.
    #[error("the module takes {expected} input columns, not {got}")]
    Inputs {
        /// By the shape.
        expected: usize,
        /// As passed.
        got: usize,
    },
    /// A column that is not as long as the run.
    #[error("a column has {got} rows where the run has {rows}")]
    Rows {
        /// Of the run.
        rows: usize,
        /// Of the column.
        got: usize,
    },
    /// The module uses time, and none was passed.
    #[error("the module needs a time column")]
    NoTime,
    /// The module exports no `rulebox_state`.
    #[error("the module cannot save its state")]
    NoState,
    /// The state is another module's.
    #[error("the state has {got} bytes where the module keeps {expected}")]
    StateLength {
        /// Of the module.
        expected: usize,
        /// As passed.
        got: usize,
    },
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_distinct() {
        let kinds: HashSet<_> = ViolationKind::ALL.iter().map(|k| k.name()).collect();
        assert_eq!(kinds.len(), ViolationKind::ALL.len());
        let codes: HashSet<_> = TrapCode::ALL.iter().map(|c| c.name()).collect();
        assert_eq!(codes.len(), TrapCode::ALL.len());
    }

    #[test]
    fn what_a_compiled_rule_cannot_do_is_high() {
        assert_eq!(ViolationKind::Trap.severity(false), Severity::Medium);
        assert_eq!(ViolationKind::Trap.severity(true), Severity::High);
        assert_eq!(ViolationKind::DeadlineExceeded.severity(true), Severity::Medium, "load can cause it");
        assert_eq!(ViolationKind::AbiBreach.severity(false), Severity::High);
    }
}
