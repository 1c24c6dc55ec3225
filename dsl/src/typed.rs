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

use crate::ast::{ActionWord, Expected, Severity};
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
    /// Everything that can fault, in the order of the text.
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

/// A call with memory. Its arguments read series alone and are never missing.
#[derive(Clone, Debug)]
pub struct Memory {
    /// What it computes.
    pub kind: MemoryKind,
    /// Type of its value: optional if it can be not yet full.
    pub ty: Ty,
    /// The fault of an intermediate that is not finite. `None` where none can be (`highest`, `count`, …).
    pub fault: Option<FaultId>,
    /// The call in the text.
    pub span: Span,
}

/// What a call with memory computes.
#[expect(missing_docs, reason = "the documentation of a variant names its fields")]
#[derive(Clone, Debug)]
pub enum MemoryKind {
    /// A function of the last values of one series.
    Window { function: WindowFunction, value: Expr, window: Window, min: Option<u32> },
    /// `ema(x, n)`, `rma(x, n)` or `rsi(x, n)`.
    Smooth { function: SmoothFunction, value: Expr, window: Window },
    /// `atr(high, low, close, n)`.
    Atr { high: Expr, low: Expr, close: Expr, window: Window },
    /// `cum_max(x)`, `cum_min(x)` or `cum_sum(x)`.
    Cumulative { function: CumulativeFunction, value: Expr },
    /// `streak(cond)`: true bars in a row, this one included.
    Streak { condition: Expr },
    /// `bars_since(cond)`: missing before the first true bar.
    BarsSince { condition: Expr },
    /// `crosses_above(a, b)` or `crosses_below(a, b)`: false on bar 0.
    Crosses { above: bool, left: Expr, right: Expr },
}

/// A window size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Where its size comes from.
    pub size: WindowSize,
    /// The smallest size it can have.
    pub min: u32,
    /// The largest size it can have: what is reserved.
    pub max: u32,
}

/// Where a window's size comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowSize {
    /// A literal.
    Literal(u32),
    /// An int param.
    Param(ParamId),
}

/// Functions of a window of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowFunction {
    /// `sum`.
    Sum,
    /// `sma`.
    Sma,
    /// `stdev`, population.
    Stdev,
    /// `stdev` with `sample: true`.
    StdevSample,
    /// `highest`.
    Highest,
    /// `lowest`.
    Lowest,
    /// `count`; its value is a bool.
    Count,
}

/// Exponential means and what is made of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SmoothFunction {
    /// `ema`.
    Ema,
    /// `rma`.
    Rma,
    /// `rsi`.
    Rsi,
}

/// Functions of all values so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CumulativeFunction {
    /// `cum_max`.
    Max,
    /// `cum_min`.
    Min,
    /// `cum_sum`.
    Sum,
}

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

/// A test, its params and bars checked.
#[derive(Clone, Debug)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// One value a param, defaults filled in.
    pub params: Vec<f64>,
    /// Its bars.
    pub bars: Vec<TestBar>,
    /// The whole test.
    pub span: Span,
}

/// A bar of a test.
#[derive(Clone, Debug)]
pub struct TestBar {
    /// Milliseconds since 1970; [`rulebox_abi::TIME_MISSING`] if left out or unreadable.
    pub time: i64,
    /// One value an input, missing where left out.
    pub inputs: Vec<f64>,
    /// What the rule must say.
    pub expected: Expected,
    /// The whole line.
    pub span: Span,
}
