//! Expressions.

use super::{FaultId, HistoryId, InputId, LetId, MemoryId, ParamId, Ty, VarId};
use crate::span::Span;

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its type.
    pub ty: Ty,
    /// Where it stands.
    pub span: Span,
}

/// What an expression is.
#[expect(missing_docs, reason = "the documentation of a variant names its fields")]
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A finite number.
    Num(f64),
    /// A bool.
    Bool(bool),
    /// A time of day.
    Clock(u16),
    /// An input of this bar.
    Input(InputId),
    /// A param.
    Param(ParamId),
    /// A let's value of this bar.
    Let(LetId),
    /// A var's value now.
    Var(VarId),
    /// `new_day`.
    NewDay,
    /// `weekday`.
    Weekday,
    /// `time_of_day`.
    TimeOfDay,
    /// `bar_index`.
    BarIndex,
    /// `x[back]`: 1 is the bar before.
    History { history: HistoryId, back: u32 },
    /// The value of a call with memory, computed in step 2.
    Memory(MemoryId),
    /// `-x`; lifts.
    Neg { operand: Box<Expr>, fault: Option<FaultId> },
    /// `a op b`; lifts.
    Arith { op: ArithOp, left: Box<Expr>, right: Box<Expr>, fault: Option<FaultId>, zero: Option<FaultId> },
    /// `a op b`: tolerant for num, exact for clocks; bools have `==` and `!=` alone. Operands are plain.
    Compare { op: CompareOp, left: Box<Expr>, right: Box<Expr> },
    /// `a and b`: `b` only if `a`.
    And(Box<Expr>, Box<Expr>),
    /// `a or b`: `b` only if not `a`.
    Or(Box<Expr>, Box<Expr>),
    /// `not a`.
    Not(Box<Expr>),
    /// `a ?? b`: `b` only if `a` is missing.
    Default { value: Box<Expr>, default: Box<Expr> },
    /// `known(a)`.
    Known(Box<Expr>),
    /// `if c then a else b`.
    If { condition: Box<Expr>, then: Box<Expr>, otherwise: Box<Expr> },
    /// A plain function; every argument is evaluated, left to right.
    Call { function: Function, args: Vec<Expr>, fault: Option<FaultId> },
}

/// Arithmetic operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArithOp {
    /// `+`.
    Add,
    /// `-`.
    Sub,
    /// `*`.
    Mul,
    /// `/`; `zero` of [`ExprKind::Arith`] is its fault for a divisor of 0 or -0.
    Div,
}

/// Comparison operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// `<`.
    Lt,
    /// `<=`.
    Le,
    /// `>`.
    Gt,
    /// `>=`.
    Ge,
    /// `==`.
    Eq,
    /// `!=`.
    Ne,
}

impl CompareOp {
    /// The same of the operands the other way round.
    #[must_use]
    pub const fn mirrored(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            Self::Eq | Self::Ne => self,
        }
    }
}

/// Plain functions. Arguments and result are plain nums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// `min`, two or more arguments, folded from the left.
    Min,
    /// `max`, two or more arguments, folded from the left.
    Max,
    /// `abs`.
    Abs,
    /// `sqrt`; faults on x < 0.
    Sqrt,
    /// `floor`.
    Floor,
    /// `ceil`.
    Ceil,
    /// `clamp(x, lo, hi)` is `min(max(x, lo), hi)`.
    Clamp,
    /// `div(a, b, otherwise)`: `otherwise` if b is 0 or a / b is not finite.
    Div,
}
