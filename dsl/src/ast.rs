//! The untyped tree: what the parser read, with a span on everything.
//!
//! Nothing here is checked: names may be unknown, types wrong, numbers out of range. Literals have their value
//! (the language reference, fine print 3: the double nearest to the decimal text).

use crate::span::{Span, Spanned};

/// A name as written.
pub type Name = Spanned<String>;

/// A source file.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// `edition 1`.
    pub edition: Option<Spanned<u64>>,
    /// `clock "Zone" day HH:MM`.
    pub clock: Option<ClockLine>,
    /// The rule.
    pub rule: Rule,
    /// The tests below it.
    pub tests: Vec<Test>,
}

/// `clock "America/Chicago" day 17:00`.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockLine {
    /// IANA name of the zone.
    pub zone: Spanned<String>,
    /// Minutes after midnight where the trading day begins, 0 to 1439.
    pub day: Spanned<u16>,
    /// The whole line.
    pub span: Span,
}

/// `rule name(inputs) …`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: Name,
    /// Its inputs, in order.
    pub inputs: Vec<Input>,
    /// `= expr` or a block.
    pub body: Body,
    /// From `rule` to the end of the body.
    pub span: Span,
}

/// The body of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// `= expr`: short for `if expr { breach "NAME" }`.
    Short(Expr),
    /// `{ params and statements }`, in the order of the text.
    Block(Vec<Item>),
}

/// A param or a statement of a rule's body.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A param.
    Param(Param),
    /// A statement.
    Stmt(Stmt),
}

/// The written type of an input or a param.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeName {
    /// `num`.
    Num,
    /// `bool`.
    Bool,
    /// `int`, for params alone (the parser reads it anywhere; the checker refuses it).
    Int,
}

/// `equity: num? in 0..1e15`.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Its name.
    pub name: Name,
    /// Its type; none is `num`.
    pub ty: Option<Spanned<TypeName>>,
    /// Written with `?`.
    pub optional: bool,
    /// `in lo..hi`.
    pub range: Option<Range>,
    /// The whole declaration.
    pub span: Span,
}

/// `lo..hi`, both included.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// Lower end.
    pub lo: Literal,
    /// Upper end.
    pub hi: Literal,
    /// Both.
    pub span: Span,
}

/// `param limit: num = 10% in 1%..50%`.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub ty: Spanned<TypeName>,
    /// Its value where a caller gives none.
    pub default: Literal,
    /// `in lo..hi`.
    pub range: Option<Range>,
    /// The whole declaration.
    pub span: Span,
}

/// `["-"] number`, `true` or `false`.
#[derive(Clone, Debug, PartialEq)]
pub struct Literal {
    /// Its value.
    pub value: LiteralValue,
    /// Where it stands, with its sign.
    pub span: Span,
}

/// The value of a literal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LiteralValue {
    /// A finite number, its sign and `%` applied.
    Num(f64),
    /// A bool.
    Bool(bool),
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    /// What it does.
    pub kind: StmtKind,
    /// The whole statement.
    pub span: Span,
}

/// What a statement does.
#[expect(missing_docs, reason = "the documentation of a variant names its fields")]
#[derive(Clone, Debug, PartialEq)]
pub enum StmtKind {
    /// `let name = value`.
    Let { name: Name, value: Expr },
    /// `var name [per day] = value`.
    Var { name: Name, per_day: bool, value: Expr },
    /// `name := value`.
    Assign { name: Name, value: Expr },
    /// `out name = value`.
    Out { name: Name, value: Expr },
    /// `if condition { … } [else …]`.
    If(If),
    /// `warn …` or `breach …`.
    Verdict(VerdictStmt),
}

/// An `if` statement.
#[derive(Clone, Debug, PartialEq)]
pub struct If {
    /// The condition.
    pub condition: Expr,
    /// The block taken if it holds.
    pub then: Vec<Stmt>,
    /// The block or the next `if` taken otherwise.
    pub otherwise: Option<Else>,
}

/// What follows `else`.
#[derive(Clone, Debug, PartialEq)]
pub enum Else {
    /// `else { … }`.
    Block(Vec<Stmt>),
    /// `else if …`; the span is that of the inner `if`.
    If(Box<Spanned<If>>),
}

/// `breach liquidate for day "…"`.
#[derive(Clone, Debug, PartialEq)]
pub struct VerdictStmt {
    /// `warn` or `breach`.
    pub severity: Severity,
    /// What to do.
    pub action: Option<Spanned<Action>>,
    /// How long the verdict stays.
    pub hold: Option<Spanned<Hold>>,
    /// The message, between its quotes, as written (its escapes are read by the checker).
    pub message: Spanned<String>,
}

/// `warn` or `breach`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// `warn`.
    Warn,
    /// `breach`.
    Breach,
}

/// What a verdict asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `block`.
    Block,
    /// `reduce(fraction to keep)`.
    Reduce(Expr),
    /// `liquidate`.
    Liquidate,
}

/// How long a verdict stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// `for N bars`, as written (0 is refused by the checker).
    Bars(u64),
    /// `for 15m`, in milliseconds, as written.
    Duration(u64, DurationUnit),
    /// `for day`.
    Day,
    /// `forever`.
    Forever,
}

/// Unit of a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurationUnit {
    /// `m`.
    Minutes,
    /// `h`.
    Hours,
    /// `d`, 24 hours.
    Days,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// The whole expression; parentheses around it are not part of it.
    pub span: Span,
}

/// What an expression is.
#[expect(missing_docs, reason = "the documentation of a variant names its fields")]
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A number, `%` applied, never negative.
    Num(f64),
    /// `true` or `false`.
    Bool(bool),
    /// `15:25`, minutes after midnight, 0 to 1439.
    Clock(u16),
    /// A name.
    Name(String),
    /// `name[k]`.
    Index { name: Name, back: Spanned<u64> },
    /// `name(args)`.
    Call { name: Name, args: Vec<Arg> },
    /// `( … )`; kept so that the formatter can print it back.
    Paren(Box<Expr>),
    /// `-x` or `not x`.
    Unary { op: UnaryOp, operand: Box<Expr> },
    /// `a op b`.
    Binary { op: Spanned<BinaryOp>, left: Box<Expr>, right: Box<Expr> },
    /// `if c then a else b`.
    If { condition: Box<Expr>, then: Box<Expr>, otherwise: Box<Expr> },
    /// Something the parser could not read and reported; the checker stays silent about it.
    Error,
}

/// An argument, `x` or `min: 3`.
#[derive(Clone, Debug, PartialEq)]
pub struct Arg {
    /// The name before `:`.
    pub name: Option<Name>,
    /// The value.
    pub value: Expr,
}

/// A unary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`.
    Neg,
    /// `not`.
    Not,
}

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `or`.
    Or,
    /// `and`.
    And,
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
    /// `+`.
    Add,
    /// `-`.
    Sub,
    /// `*`.
    Mul,
    /// `/`.
    Div,
    /// `??`.
    Default,
}

/// `test "name" { … }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// Its name.
    pub name: Spanned<String>,
    /// `set name = lit` lines.
    pub sets: Vec<(Name, Literal)>,
    /// `bar … -> expected` lines.
    pub bars: Vec<TestBar>,
    /// The whole test.
    pub span: Span,
}

/// `bar equity=92000 -> warn`.
#[derive(Clone, Debug, PartialEq)]
pub struct TestBar {
    /// `name=value` pairs.
    pub values: Vec<(Name, TestValue)>,
    /// What the rule must say.
    pub expected: Spanned<Expected>,
    /// The whole line.
    pub span: Span,
}

/// The value of a name in a test bar.
#[derive(Clone, Debug, PartialEq)]
pub enum TestValue {
    /// A literal.
    Literal(Literal),
    /// A string: a time.
    Text(Spanned<String>),
}

/// What a test bar expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// `ok`.
    Ok,
    /// `warn` or `breach`, with the action's word.
    Verdict(Severity, Option<ActionWord>),
    /// `fault`.
    Fault,
}

/// An action without its fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionWord {
    /// `block`.
    Block,
    /// `reduce`.
    Reduce,
    /// `liquidate`.
    Liquidate,
}
