//! Statements: verdicts with their actions, holds and messages, and what stands around them.

use super::{Expr, FaultId, LetId, OutId, StatementId, VarId};
use crate::ast::{ActionWord, Severity};
use crate::span::Span;

/// A verdict statement.
#[derive(Clone, Debug)]
pub struct Statement {
    /// `warn` or `breach`.
    pub severity: Severity,
    /// What it asks for.
    pub action: Option<Action>,
    /// How long it stays.
    pub hold: Option<Hold>,
    /// Its message.
    pub message: Vec<MessagePart>,
    /// The statement in the text.
    pub span: Span,
}

/// What a verdict asks for.
#[expect(missing_docs, reason = "the documentation of a variant names its fields")]
#[derive(Clone, Debug)]
pub enum Action {
    /// Open nothing new.
    Block,
    /// Keep a fraction, a plain num; outside 0 to 1 it faults.
    Reduce { keep: Expr, fault: FaultId },
    /// Close everything.
    Liquidate,
}

impl Action {
    /// The action's word.
    pub const fn word(&self) -> ActionWord {
        match self {
            Self::Block => ActionWord::Block,
            Self::Reduce { .. } => ActionWord::Reduce,
            Self::Liquidate => ActionWord::Liquidate,
        }
    }
}

/// How long a verdict stays after the bar that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// That bar and the next n - 1; at least 1.
    Bars(u32),
    /// Bars with time < start + this many milliseconds; at least 1.
    Millis(i64),
    /// Until the local day changes.
    Day,
    /// Until the run is reset.
    Forever,
}

/// A piece of a message.
#[derive(Clone, Debug)]
pub enum MessagePart {
    /// Text, braces unescaped.
    Text(String),
    /// A value: the name as written, where its value comes from, its format.
    Value {
        /// Its column among all placeholders of the rule.
        column: u32,
        /// The name as written.
        name: String,
        /// A name: input, param, let, var or time name.
        value: Expr,
        /// How to print it.
        format: ValueFormat,
    },
}

/// How a placeholder prints a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueFormat {
    /// Shortest digits that read back the same, or `true`/`false`, or `HH:MM`.
    Plain,
    /// This many decimals, ties to even.
    Decimals(u8),
    /// Times 100, this many decimals, and `%`.
    Percent(u8),
}

/// A statement of step 3.
#[derive(Clone, Debug)]
pub struct Stmt {
    /// What it does.
    pub kind: StmtKind,
    /// The statement in the text.
    pub span: Span,
}

/// What a statement of step 3 does.
#[expect(missing_docs, reason = "the documentation of a variant names its fields")]
#[derive(Clone, Debug)]
pub enum StmtKind {
    /// A let that is not a series.
    Let(LetId, Expr),
    /// A var's line: sets it on bar 0 and, if `per day`, on a bar with `new_day`.
    Init(VarId, Expr),
    /// `name := value`.
    Assign(VarId, Expr),
    /// `out name = value`.
    Out(OutId, Expr),
    /// `if`; an `else if` is an `otherwise` of one statement.
    If { condition: Expr, then: Vec<Stmt>, otherwise: Vec<Stmt> },
    /// `warn …` or `breach …`.
    Verdict(StatementId),
}
