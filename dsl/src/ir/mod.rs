//! The intermediate form of a rule: what one bar does, over typed registers, in the operations of WebAssembly.
//!
//! It is flat where the typed tree is deep: no `?`, no tolerant comparison, no windows, no holds, no messages. What is
//! left are statements over registers and memory, pure expressions, `if`, loops with a proved number of trips, and
//! [`StmtKind::Fault`], which leaves the bar. One operation here is one operation there, so the cost of a bar can be
//! read from it, and a change of the bits could only be made by [`fold`].
//!
//! ```text
//! typed tree --lower--> Program --hoist, allocate--> Program --codegen--> module
//!                 `-- fold (while it is built)
//! ```
//!
//! # How values are kept
//!
//! | value | register |
//! |---|---|
//! | `num` | [`Type::F64`], finite |
//! | `num?` | [`Type::F64`], finite or [`rulebox_abi::MISSING`] and no other NaN |
//! | `bool` | [`Type::I32`], 0 or 1 |
//! | `bool?` | [`Type::I32`], 0, 1 or [`MISSING_BOOL`] |
//! | `clock` | [`Type::I32`], minutes |
//!
//! These hold for states that the module wrote itself. Whatever bytes a state has, every address is masked and every
//! loop counts a number that does not come from the state, so the proved cost holds for all of them.

pub mod allocate;
pub mod fold;
pub mod hoist;
pub mod lower;

use crate::layout::Layout;
use crate::typed::FaultId;

/// The missing bool.
pub const MISSING_BOOL: i32 = 2;

/// Type of a register or an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// 32-bit integer; bools and addresses too.
    I32,
    /// 64-bit integer: times and the number of the bar.
    I64,
    /// Double.
    F64,
}

/// Index into [`Program::registers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reg(pub u32);

/// What a register holds and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Register {
    /// Its type.
    pub ty: Type,
    /// For how long.
    pub home: Home,
}

/// For how long a register holds its value, and where it is between calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Home {
    /// Within a bar, set in one place: the same value for every reader.
    Bar,
    /// Within an expression. [`allocate`] lets several share one whose times do not overlap.
    Scratch,
    /// A param (of this index) or a value computed from params alone: the same for all bars.
    Invariant,
    /// From bar to bar: in the state at this address, in a local while `rulebox_eval` runs.
    State(u32),
    /// From bar to bar, always in memory: a rule with many of these would have too many locals.
    Memory(u32),
}

/// A rule, ready to be emitted.
#[derive(Clone, Debug)]
pub struct Program {
    /// Every register.
    pub registers: Vec<Register>,
    /// Computed once in each call, in this order, from params alone.
    pub invariants: Vec<(Reg, Expr)>,
    /// One bar. Ends with the verdict stored and every series advanced.
    pub bar: Vec<Stmt>,
    /// What makes the tests of the inputs of a bar needless.
    pub good: Good,
    /// The byte offset of this bar in a column of f64; advanced by the loop over the bars.
    pub row: Reg,
    /// Id of the fault that has latched; below 0 if there is none. In the state.
    pub latch: Reg,
    /// State that is not zero at bar 0.
    pub initial: Vec<Initial>,
    /// Where everything is.
    pub layout: Layout,
}

/// When all inputs of a bar are good. A sum of numbers is finite only if each of them is; where it overflows without a
/// fault, they are tested one by one and found good.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Good {
    /// Inputs, of which the sum must be finite.
    pub finite: Vec<Expr>,
    /// Conditions of the others.
    pub conditions: Vec<Expr>,
}

/// State that is not zero at bar 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initial {
    /// Its first byte.
    pub address: u32,
    /// Number of 8-byte values.
    pub count: u32,
    /// Their bits.
    pub bits: u64,
}

/// A pure expression, or one that can fault where it has a [`Expr::Seq`].
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A double.
    F64(f64),
    /// An integer or a bool.
    I32(i32),
    /// A wide integer.
    I64(i64),
    /// A register.
    Get(Reg),
    /// An operation of one operand.
    Unary(Unary, Box<Expr>),
    /// An operation of two operands, the left one computed first.
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// `then` if the condition is not 0; all three are computed.
    Select { condition: Box<Expr>, then: Box<Expr>, otherwise: Box<Expr> },
    /// `then` if the condition is not 0; only that one is computed.
    If { ty: Type, condition: Box<Expr>, then: Box<Expr>, otherwise: Box<Expr> },
    /// A value in memory.
    Load { ty: Type, address: Box<Expr>, offset: u32 },
    /// Runs statements, then is the expression.
    Seq(Vec<Stmt>, Box<Expr>),
    /// An expression that stands on another source line than what it is part of.
    At(u32, Box<Expr>),
}

/// A statement and the source line that it was made for; 0 if it was made for none.
#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    /// What it does.
    pub kind: StmtKind,
    /// The line, from 1.
    pub line: u32,
}

/// What a statement does.
#[derive(Clone, Debug, PartialEq)]
pub enum StmtKind {
    /// Sets a register.
    Set(Reg, Expr),
    /// Writes to memory, the address computed first.
    Store { width: Width, address: Expr, offset: u32, value: Expr },
    /// Runs `then` if the condition is not 0.
    If { condition: Expr, then: Vec<Stmt>, otherwise: Vec<Stmt> },
    /// Tests of inputs, which change nothing and leave the bar nowhere if all that [`Good`] says holds of it.
    Tests(Vec<Stmt>),
    /// Leaves the bar with a fault.
    Fault(FaultId),
    /// Runs the body once, and again while `again` is not 0.
    Loop {
        /// The most runs. INVARIANT: holds for every state, since the cost of a bar is proved from it.
        trips: u32,
        body: Vec<Stmt>,
        again: Expr,
    },
}

/// What is written to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// The low byte of an [`Type::I32`].
    Byte,
    /// An [`Type::I32`].
    I32,
    /// An [`Type::I64`].
    I64,
    /// An [`Type::F64`].
    F64,
}

/// Operations of one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    /// F64.
    Neg,
    /// F64.
    Abs,
    /// F64.
    Sqrt,
    /// F64.
    Floor,
    /// F64.
    Ceil,
    /// I32 to F64, exact.
    FromI32,
    /// I64 to F64.
    FromI64,
    /// F64 to I32, unsigned; what does not fit becomes the nearest that does, NaN 0.
    TruncateU,
    /// I64 to I32, the low half.
    Wrap,
    /// I32 to I64, unsigned.
    Extend,
    /// I32: 1 if 0, else 0.
    Not,
    /// I64: 1 if 0, else 0.
    IsZero64,
}

/// Operations of two operands. Comparisons give an I32 of 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    // F64
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    // I32; comparisons signed
    Add32,
    Sub32,
    Mul32,
    And32,
    Or32,
    Xor32,
    Shl32,
    ShrU32,
    Eq32,
    Ne32,
    Lt32,
    Le32,
    Gt32,
    Ge32,
    // I64
    Add64,
    Sub64,
    Eq64,
    Ne64,
    Lt64,
    LtU64,
    GeU64,
}

impl Expr {
    /// Whether it can be computed twice: a constant, or a register that nothing sets in between.
    pub fn is_atom(&self, registers: &[Register]) -> bool {
        match self {
            Self::F64(_) | Self::I32(_) | Self::I64(_) => true,
            Self::Get(reg) => registers.get(reg.0 as usize).is_some_and(|r| r.home != Home::Scratch),
            _ => false,
        }
    }
}
