//! Typed tree to [`Program`]: spells out what a bar does.
//!
//! A bar in order: inputs and time checked ([`bar`]), step 2 ([`memory`]), holds that have ended dropped and the
//! body run ([`body`]), the verdict stored and every series advanced ([`bar`]).

mod bar;
mod body;
mod expr;
mod history;
mod memory;
mod smooth;

use rulebox_abi::{BufferKind, MISSING, MISSING_BITS};

use super::{
    Binary, Expr, Good, Home, Initial, MISSING_BOOL, Program, Reg, Register, Stmt, StmtKind, Type, Unary, Width,
};
use super::{allocate, fold, hoist};
use crate::layout::{Layout, ring_slots};
use crate::span::{LineIndex, Span};
use crate::typed::{Base, FaultId, ParamKind, Rule, Ty};

/// State registers beyond this many stay in memory: each is a local alive across the whole of a bar, and the time to
/// compile grows with locals times branches.
const STATE_LOCALS: usize = 48;

/// Lowers a rule that the checker has passed.
pub fn lower(rule: &Rule, source: &str) -> Program {
    let mut lower = Lower::new(rule, LineIndex::new(source));
    let bar = lower.bar();
    let mut program = Program {
        registers: lower.registers,
        invariants: lower.invariants,
        bar,
        good: lower.good,
        row: lower.row,
        latch: lower.latch,
        initial: lower.initial,
        layout: lower.layout,
    };
    hoist::hoist(&mut program);
    allocate::allocate(&mut program);
    program
}

/// Where the past of a series is.
#[derive(Clone, Debug)]
enum HistoryHome {
    /// The value of 1, 2, … bars ago, each in a register.
    Registers(Vec<Reg>),
    /// In a ring of this address and mask (of a byte offset).
    Ring(Ring),
}

/// A ring of 8-byte slots in the state. The bar's number says where in it a value is.
#[derive(Clone, Copy, Debug)]
struct Ring {
    base: u32,
    mask: i32,
}

/// Registers made when they are first needed.
#[derive(Default)]
struct OnDemand {
    bar: Option<Reg>,
    position: Option<Reg>,
    new_day: Option<(Reg, Reg)>,
    held: Option<Reg>,
}

struct Lower<'r> {
    rule: &'r Rule,
    lines: LineIndex<'r>,
    /// The line of what is being lowered.
    line: u32,
    layout: Layout,
    registers: Vec<Register>,
    initial: Vec<Initial>,
    invariants: Vec<(Reg, Expr)>,
    state_locals: usize,
    row: Reg,
    latch: Reg,
    time: Option<Reg>,
    previous_time: Option<Reg>,
    fired: Option<Reg>,
    inputs: Vec<Expr>,
    good: Good,
    params: Vec<Reg>,
    lets: Vec<Expr>,
    vars: Vec<Reg>,
    memories: Vec<Expr>,
    histories: Vec<HistoryHome>,
    holds: Vec<Option<body::HeldState>>,
    keeps: Vec<Option<Reg>>,
    /// What the column of each out gets at the end of the bar.
    outs: Vec<Expr>,
    /// Registers of outs whose line may not run.
    conditional_outs: Vec<Reg>,
    on_demand: OnDemand,
}

impl<'r> Lower<'r> {
    fn new(rule: &'r Rule, lines: LineIndex<'r>) -> Self {
        let mut lower = Self {
            rule,
            lines,
            line: 0,
            layout: Layout::new(rule),
            registers: Vec::new(),
            initial: Vec::new(),
            invariants: Vec::new(),
            state_locals: 0,
            row: Reg(0),
            latch: Reg(0),
            time: None,
            previous_time: None,
            fired: None,
            inputs: Vec::new(),
            good: Good::default(),
            params: Vec::new(),
            lets: vec![Expr::I32(0); rule.lets.len()],
            vars: Vec::new(),
            memories: vec![Expr::I32(0); rule.memories.len()],
            histories: Vec::new(),
            holds: Vec::new(),
            keeps: Vec::new(),
            outs: vec![missing(Base::Num); rule.outs.len()],
            conditional_outs: Vec::new(),
            on_demand: OnDemand::default(),
        };
        lower.row = lower.register(Type::I32, Home::Bar);
        lower.latch = lower.state(Type::I32, u64::from(u32::MAX));
        for (i, param) in rule.params.iter().enumerate() {
            let index = u32::try_from(i).unwrap_or(u32::MAX);
            let reg = lower.register(param_type(param.kind), Home::Invariant);
            let load = Expr::Load {
                ty: Type::F64,
                address: Box::new(Expr::I32(0)),
                offset: lower.layout.column(BufferKind::Params, 0).unwrap_or(0) + index * 8,
            };
            let value = match param.kind {
                ParamKind::Bool => fold::binary(Binary::Ne, load, Expr::F64(0.0)),
                _ => load,
            };
            lower.invariants.push((reg, value));
            lower.params.push(reg);
        }
        if rule.uses_time() {
            lower.time = Some(lower.register(Type::I64, Home::Bar));
            lower.previous_time = Some(lower.state(Type::I64, i64::MIN.cast_unsigned()));
        }
        if !rule.statements.is_empty() {
            lower.fired = Some(lower.register(Type::I32, Home::Bar));
        }
        lower.vars = rule.vars.iter().map(|var| lower.state(base_type(var.base), 0)).collect();
        lower.histories = rule.histories.iter().map(|h| lower.history_home(h)).collect();
        lower.declare_holds();
        lower
    }

    fn register(&mut self, ty: Type, home: Home) -> Reg {
        let reg = Reg(u32::try_from(self.registers.len()).unwrap_or(u32::MAX));
        self.registers.push(Register { ty, home });
        reg
    }

    /// A register that keeps its value from bar to bar, with its bits at bar 0.
    fn state(&mut self, ty: Type, bits: u64) -> Reg {
        let address = self.state_words(1, bits);
        let home = if self.state_locals < STATE_LOCALS { Home::State(address) } else { Home::Memory(address) };
        self.state_locals += 1;
        self.register(ty, home)
    }

    fn state_words(&mut self, count: u32, bits: u64) -> u32 {
        let address = self.layout.add_state(count);
        if bits != 0 {
            self.initial.push(Initial { address, count, bits });
        }
        address
    }

    fn ring(&mut self, values: u32, bits: u64) -> Ring {
        let slots = ring_slots(values.max(1));
        let base = self.state_words(slots, bits);
        Ring { base, mask: (slots * 8 - 8).cast_signed() }
    }

    /// A value computed once in each call, from params and other such values.
    fn invariant(&mut self, ty: Type, value: Expr) -> Expr {
        if matches!(value, Expr::F64(_) | Expr::I32(_) | Expr::I64(_)) {
            return value;
        }
        if let Some((reg, _)) = self.invariants.iter().find(|(_, v)| *v == value) {
            return Expr::Get(*reg);
        }
        let reg = self.register(ty, Home::Invariant);
        self.invariants.push((reg, value));
        Expr::Get(reg)
    }

    /// A register for use within an expression, which nothing else uses: [`allocate`] sees who can share one.
    fn scratch(&mut self, ty: Type) -> Reg {
        self.register(ty, Home::Scratch)
    }

    fn is_atom(&self, value: &Expr) -> bool {
        value.is_atom(&self.registers)
    }

    /// Whether a value stays the same to the end of the bar.
    fn is_fixed(&self, value: &Expr) -> bool {
        match value {
            Expr::Get(reg) => {
                self.registers.get(reg.0 as usize).is_some_and(|r| matches!(r.home, Home::Bar | Home::Invariant))
            }
            other => self.is_atom(other),
        }
    }

    fn line_of(&self, span: Span) -> u32 {
        self.lines.position(span.start).line
    }

    fn stmt(&self, kind: StmtKind) -> Stmt {
        Stmt { kind, line: self.line }
    }

    fn set(&self, reg: Reg, value: Expr) -> Stmt {
        fold::set(self.line, reg, value)
    }

    fn fault(&self, id: FaultId) -> Stmt {
        self.stmt(StmtKind::Fault(id))
    }

    fn branch(&self, to: &mut Vec<Stmt>, condition: Expr, then: Vec<Stmt>, otherwise: Vec<Stmt>) {
        fold::branch(to, self.line, condition, then, otherwise);
    }

    /// Writes a f64 to this bar's row of a column.
    fn store_row(&self, kind: BufferKind, index: u32, value: Expr) -> Stmt {
        let offset = self.layout.column(kind, index).unwrap_or(0);
        self.stmt(StmtKind::Store { width: Width::F64, address: Expr::Get(self.row), offset, value })
    }

    /// Byte offset of this bar in a column of values of `8 >> shift` bytes.
    fn row_offset(&self, shift: i32) -> Expr {
        fold::binary(Binary::ShrU32, Expr::Get(self.row), Expr::I32(shift))
    }

    fn load_time_column(&self, kind: BufferKind) -> Expr {
        let offset = self.layout.column(kind, 0).unwrap_or(0);
        Expr::Load { ty: Type::I32, address: Box::new(self.row_offset(1)), offset }
    }

    /// The number of the bar, from 0.
    fn bar_number(&mut self) -> Reg {
        if let Some(reg) = self.on_demand.bar {
            return reg;
        }
        let reg = self.state(Type::I64, 0);
        self.on_demand.bar = Some(reg);
        reg
    }

    /// The number of the bar times 8: byte offset of its slot in every ring, before masking.
    fn position(&mut self) -> Reg {
        if let Some(reg) = self.on_demand.position {
            return reg;
        }
        self.bar_number();
        let reg = self.register(Type::I32, Home::Bar);
        self.on_demand.position = Some(reg);
        reg
    }

    /// `new_day`.
    fn new_day(&mut self) -> Reg {
        if let Some((reg, _)) = self.on_demand.new_day {
            return reg;
        }
        self.bar_number();
        let reg = self.register(Type::I32, Home::Bar);
        let previous_day = self.state(Type::I32, 0);
        self.on_demand.new_day = Some((reg, previous_day));
        reg
    }

    /// Bit set of the statements whose hold is in force.
    fn held(&mut self) -> Reg {
        if let Some(reg) = self.on_demand.held {
            return reg;
        }
        let reg = self.state(Type::I32, 0);
        self.on_demand.held = Some(reg);
        reg
    }
}

const fn base_type(base: Base) -> Type {
    match base {
        Base::Num => Type::F64,
        Base::Bool | Base::Clock => Type::I32,
    }
}

const fn param_type(kind: ParamKind) -> Type {
    match kind {
        ParamKind::Bool => Type::I32,
        ParamKind::Num | ParamKind::Int => Type::F64,
    }
}

const fn type_of(ty: Ty) -> Type {
    base_type(ty.base)
}

fn add(a: Expr, b: Expr) -> Expr {
    fold::binary(Binary::Add, a, b)
}

fn sub(a: Expr, b: Expr) -> Expr {
    fold::binary(Binary::Sub, a, b)
}

fn mul(a: Expr, b: Expr) -> Expr {
    fold::binary(Binary::Mul, a, b)
}

fn div(a: Expr, b: Expr) -> Expr {
    fold::binary(Binary::Div, a, b)
}

fn abs(a: Expr) -> Expr {
    fold::unary(Unary::Abs, a)
}

fn not(a: Expr) -> Expr {
    fold::unary(Unary::Not, a)
}

fn and(a: Expr, b: Expr) -> Expr {
    fold::binary(Binary::And32, a, b)
}

/// Whether an atom is neither an infinity nor a NaN: of those alone, the difference from itself is a NaN and not 0. The
/// machine needs no constant for it, as it would for a comparison of the absolute value.
fn finite(a: Expr) -> Expr {
    fold::binary(Binary::Ge, sub(a.clone(), a), Expr::F64(0.0))
}

/// Whether an atom that is not a NaN is less than a constant.
fn less_than(a: Expr, constant: f64) -> Expr {
    fold::binary(Binary::Lt, a, Expr::F64(constant))
}

/// The same for `<=`.
fn at_most(a: Expr, constant: f64) -> Expr {
    fold::binary(Binary::Le, a, Expr::F64(constant))
}

/// Whether an optional value (an atom) is there.
fn known(base: Base, atom: Expr) -> Expr {
    match base {
        Base::Num => fold::binary(Binary::Eq, atom.clone(), atom),
        Base::Bool | Base::Clock => fold::binary(Binary::Ne32, atom, Expr::I32(MISSING_BOOL)),
    }
}

const fn missing(base: Base) -> Expr {
    match base {
        Base::Num => Expr::F64(MISSING),
        Base::Bool | Base::Clock => Expr::I32(MISSING_BOOL),
    }
}

const fn missing_bits(base: Base) -> u64 {
    match base {
        Base::Num => MISSING_BITS,
        Base::Bool | Base::Clock => MISSING_BOOL as u64,
    }
}

const fn width(ty: Type) -> Width {
    match ty {
        Type::I32 => Width::I32,
        Type::I64 => Width::I64,
        Type::F64 => Width::F64,
    }
}
