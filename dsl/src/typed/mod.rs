//! The typed tree: a rule that is right, with every name resolved and every type known.
//!
//! It is what the interpreter runs and what the code generator reads, so it says exactly what a bar does:
//!
//! 1. check the inputs, in the order of their declarations, then the time ([`Rule::inputs`], [`Rule::time`]);
//! 2. run [`Rule::advance`]: series lets and calls with memory, in the order of the text;
//! 3. run [`Rule::body`], which holds everything else.
//!
//! # Values
//!
//! A plain `num` is a finite double. An optional one may also be [`rulebox_abi::MISSING`] and no other NaN.
//!
//! # Where non-finite results are found
//!
//! `+ - *` and unary `-` over plain numbers, and `/` in its left operand, keep a non-finite value non-finite. So a
//! chain of them is tested once, at its root: [`ExprKind::Arith`] and [`ExprKind::Neg`] carry `fault: Some(_)` where
//! the value must be tested, and `None` inside a chain, where only an enclosing step of the chain reads the value.
//! Lifted steps (an optional operand) always test themselves, and their plain operands are roots of their own, as is
//! every right operand of `/`. Both engines follow the marks, so they agree on which fault a bar reports.

mod expr;
mod fault;
mod memory;
mod stmt;
mod test;

pub use expr::{ArithOp, CompareOp, Expr, ExprKind, Function};
pub use fault::{Fault, FaultKind};
pub use memory::{CumulativeFunction, Memory, MemoryKind, SmoothFunction, Window, WindowFunction, WindowSize};
pub use stmt::{Action, Hold, MessagePart, Statement, Stmt, StmtKind, ValueFormat};
pub use test::{Test, TestBar};

use crate::span::Span;

/// Defines an index type into one of the tables of [`Rule`].
macro_rules! index {
    ($(#[$doc:meta] $name:ident),+ $(,)?) => {$(
        #[$doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);
        impl $name {
            /// As an index of a slice.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    )+};
}

index! {
    /// Index into [`Rule::inputs`].
    InputId,
    /// Index into [`Rule::params`].
    ParamId,
    /// Index into [`Rule::histories`].
    HistoryId,
    /// Index into [`Rule::memories`].
    MemoryId,
    /// Index into [`Rule::lets`].
    LetId,
    /// Index into [`Rule::vars`].
    VarId,
    /// Index into [`Rule::outs`].
    OutId,
    /// Index into [`Rule::statements`]: the bit of the statement in the word of fired statements.
    StatementId,
    /// Index into [`Rule::faults`]: what a module reports for a fault.
    FaultId,
}

/// A type without `?`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Base {
    /// A finite double.
    Num,
    /// A bool.
    Bool,
    /// Minutes after midnight, 0 to 1439.
    Clock,
}

/// The type of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ty {
    /// Without `?`.
    pub base: Base,
    /// Whether it may be missing. Never set for [`Base::Clock`].
    pub optional: bool,
}

/// A rule that has passed every check.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// The edition of its language: 1.
    pub edition: u32,
    /// Its zone and where its trading day begins (UTC, 00:00 without a clock line).
    pub clock: Clock,
    /// The faults of the time of a bar, if the rule reads the time (the language reference, fine print 15).
    pub time: Option<TimeFaults>,
    /// Inputs, in the order of their columns.
    pub inputs: Vec<Input>,
    /// Params, in the order of their buffer.
    pub params: Vec<Param>,
    /// Series whose past is read by `x[k]`, each once, with the largest k.
    pub histories: Vec<History>,
    /// Calls with memory, in the order of the text (an inner call before the one it is an argument of).
    pub memories: Vec<Memory>,
    /// Every let.
    pub lets: Vec<Let>,
    /// Every var.
    pub vars: Vec<Var>,
    /// Every out, in the order of their columns (the order of the text).
    pub outs: Vec<Out>,
    /// Every verdict statement, in the order of the text.
    pub statements: Vec<Statement>,
    /// Number of placeholder columns over all statements.
    pub message_values: u32,
    /// Step 2 of a bar.
    pub advance: Vec<Step>,
    /// Step 3 of a bar.
    pub body: Vec<Stmt>,
    /// Everything that can fault. Which of several faults a bar reports follows from the order of evaluation alone.
    pub faults: Vec<Fault>,
    /// The tests below the rule.
    pub tests: Vec<Test>,
}

impl Rule {
    /// Whether bars need a time.
    pub const fn uses_time(&self) -> bool {
        self.time.is_some()
    }
}

/// What is checked of the time of each bar of a rule that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeFaults {
    /// Missing or unreadable.
    pub missing: FaultId,
    /// Smaller than that of the bar before.
    pub backwards: FaultId,
}

/// Zone and start of the trading day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// IANA name; the checker has found it in the bundled database.
    pub zone: String,
    /// Minutes after midnight, 0 to 1439.
    pub day_start: u16,
}

/// An input.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Num or bool; optional if declared with `?`.
    pub ty: Ty,
    /// Both ends included, compared plainly.
    pub range: Option<(f64, f64)>,
    /// A required one that is missing. `None` for an optional one.
    pub missing: Option<FaultId>,
    /// An infinity; for a bool, anything but 0, 1 and NaN.
    pub invalid: FaultId,
    /// Outside its range.
    pub out_of_range: Option<FaultId>,
    /// The declaration.
    pub span: Span,
}

/// What a param may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParamKind {
    /// A finite double.
    Num,
    /// A whole number, usable as a window size if its range starts at 1 or more.
    Int,
    /// A bool.
    Bool,
}

/// A param.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// What it may hold.
    pub kind: ParamKind,
    /// Bools are 0 or 1.
    pub default: f64,
    /// Both ends included, compared plainly.
    pub range: Option<(f64, f64)>,
    /// The declaration.
    pub span: Span,
}

/// A series whose past is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// Whose past.
    pub source: Source,
    /// Num or bool, optional if the series itself is (`x[k]` is optional in any case).
    pub ty: Ty,
    /// The largest k of any `x[k]`: this many values are kept.
    pub depth: u32,
}

/// A series that can have a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// An input.
    Input(InputId),
    /// A param.
    Param(ParamId),
    /// A series let.
    Let(LetId),
    /// `new_day`.
    NewDay,
    /// `weekday`.
    Weekday,
    /// `bar_index`.
    BarIndex,
}

/// A let.
#[derive(Clone, Debug)]
pub struct Let {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Ty,
    /// Computed in step 2 rather than where it stands.
    pub series: bool,
    /// Its name in the text.
    pub span: Span,
}

/// A var: num or bool, never missing. It takes its first value in [`StmtKind::Init`].
#[derive(Clone, Debug)]
pub struct Var {
    /// Its name.
    pub name: String,
    /// Num or bool.
    pub base: Base,
    /// Takes its initial value again on each new day.
    pub per_day: bool,
    /// Its name in the text.
    pub span: Span,
}

/// An out. Missing on bars where its line did not run, so a reader always sees an optional value.
#[derive(Clone, Debug)]
pub struct Out {
    /// Its name.
    pub name: String,
    /// Type of its value: num or bool.
    pub ty: Ty,
    /// Its name in the text.
    pub span: Span,
}

/// One step of step 2.
#[derive(Clone, Debug)]
pub enum Step {
    /// Computes a call with memory.
    Memory(MemoryId),
    /// Computes a series let.
    Let(LetId, Expr),
}
