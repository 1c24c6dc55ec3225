//! Step 3 of a bar: statements, holds, and the verdict.

use rulebox_abi::BufferKind;

use super::{Binary, Expr, Home, Lower, Reg, Stmt, StmtKind, Type, Unary, Width};
use super::{and, base_type, fold, known, missing, not, type_of};
use crate::ast::Severity;
use crate::typed::{self, Action, Base, Hold, LetId, MessagePart, Statement, StatementId};

/// The state of a statement with a hold, beside its bit among the held ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldState {
    /// Bar or time of its start, for holds that end by themselves.
    start: Option<Reg>,
    /// Where its message values are kept, one after the other.
    values: u32,
}

/// The bit of a statement; the checker allows 32.
const fn bit(id: usize) -> i32 {
    (1_u32 << (id % 32)).cast_signed()
}

impl Lower<'_> {
    /// Reserves the state of holds and the places of fractions to keep.
    pub(super) fn declare_holds(&mut self) {
        let rule = self.rule;
        for statement in &rule.statements {
            let hold = statement.hold.map(|hold| {
                self.held();
                let start = match hold {
                    Hold::Bars(_) => {
                        self.bar_number();
                        Some(self.state(Type::I64, 0))
                    }
                    Hold::Millis(_) => Some(self.state(Type::I64, 0)),
                    Hold::Day => {
                        self.new_day();
                        None
                    }
                    Hold::Forever => None,
                };
                let values = placeholders(statement).count();
                let words = u32::try_from(values).unwrap_or(u32::MAX);
                HeldState { start, values: if words > 0 { self.state_words(words, 0) } else { 0 } }
            });
            let keep = matches!(statement.action, Some(Action::Reduce { .. })).then(|| match hold {
                Some(_) => self.state(Type::F64, 0),
                None => self.register(Type::F64, Home::Bar),
            });
            self.holds.push(hold);
            self.keeps.push(keep);
        }
    }

    pub(super) fn body(&mut self, stmts: &[typed::Stmt], top: bool, to: &mut Vec<Stmt>) {
        for stmt in stmts {
            let outer = self.line;
            self.line = self.line_of(stmt.span);
            self.statement(stmt, top, to);
            self.line = outer;
        }
    }

    fn statement(&mut self, stmt: &typed::Stmt, top: bool, to: &mut Vec<Stmt>) {
        match &stmt.kind {
            typed::StmtKind::Let(id, value) => self.bind(*id, value, to),
            typed::StmtKind::Init(id, value) => {
                let Some(reg) = self.vars.get(id.index()).copied() else { return };
                let first = fold::unary(Unary::IsZero64, Expr::Get(self.bar_number()));
                let condition = if self.rule.vars.get(id.index()).is_some_and(|v| v.per_day) {
                    fold::binary(Binary::Or32, first, Expr::Get(self.new_day()))
                } else {
                    first
                };
                let value = self.expr(value);
                self.branch(to, condition, vec![self.set(reg, value)], Vec::new());
            }
            typed::StmtKind::Assign(id, value) => {
                let Some(reg) = self.vars.get(id.index()).copied() else { return };
                let value = self.expr(value);
                to.push(self.set(reg, value));
            }
            typed::StmtKind::Out(id, value) => {
                let cell = self.cell(value, to);
                let stored = if top && self.is_fixed(&cell) {
                    cell
                } else {
                    let reg = self.register(Type::F64, Home::Bar);
                    to.push(self.set(reg, cell));
                    if !top {
                        self.conditional_outs.push(reg);
                    }
                    Expr::Get(reg)
                };
                if let Some(out) = self.outs.get_mut(id.index()) {
                    *out = stored;
                }
            }
            typed::StmtKind::If { condition, then, otherwise } => {
                let condition = self.expr(condition);
                if let ([only], []) = (then.as_slice(), otherwise.as_slice())
                    && let typed::StmtKind::Verdict(id) = only.kind
                    && self.only_fires(id)
                {
                    self.line = self.line_of(only.span);
                    self.fire_if(id, condition, to);
                    return;
                }
                let (mut yes, mut no) = (Vec::new(), Vec::new());
                self.body(then, false, &mut yes);
                self.body(otherwise, false, &mut no);
                self.branch(to, condition, yes, no);
            }
            typed::StmtKind::Verdict(id) => self.fire(*id, to),
        }
    }

    /// Gives a let its value. One that only renames what does not change in this bar needs no register.
    pub(super) fn bind(&mut self, id: LetId, value: &typed::Expr, to: &mut Vec<Stmt>) {
        let outer = self.line;
        self.line = self.line_of(value.span);
        let lowered = self.expr(value);
        let bound = if self.is_fixed(&lowered) {
            lowered
        } else {
            let reg = self.register(type_of(value.ty), Home::Bar);
            to.push(self.set(reg, lowered));
            Expr::Get(reg)
        };
        if let Some(slot) = self.lets.get_mut(id.index()) {
            *slot = bound;
        }
        self.line = outer;
    }

    /// A value as a f64 for a column: bools are 0 or 1, clocks minutes, and what is missing is the one NaN.
    fn cell(&mut self, value: &typed::Expr, to: &mut Vec<Stmt>) -> Expr {
        let lowered = self.expr(value);
        if value.ty.base == Base::Num {
            return lowered;
        }
        if !value.ty.optional {
            return fold::unary(Unary::FromI32, lowered);
        }
        let atom = self.atom(lowered, base_type(value.ty.base), to);
        let number = fold::unary(Unary::FromI32, atom.clone());
        fold::select(known(value.ty.base, atom), number, missing(Base::Num))
    }

    /// Whether a statement does nothing but set its bit.
    fn only_fires(&self, id: StatementId) -> bool {
        let statement = self.rule.statements.get(id.index());
        statement.is_some_and(|s| {
            s.hold.is_none() && !matches!(s.action, Some(Action::Reduce { .. })) && placeholders(s).next().is_none()
        })
    }

    /// Sets the bit of a statement to a condition, without a branch.
    fn fire_if(&mut self, id: StatementId, condition: Expr, to: &mut Vec<Stmt>) {
        let Some(fired) = self.fired else { return };
        let condition = match id.0 {
            0 => condition,
            bit => fold::binary(Binary::Shl32, condition, Expr::I32(bit.cast_signed())),
        };
        to.push(self.set(fired, fold::binary(Binary::Or32, Expr::Get(fired), condition)));
    }

    fn fire(&mut self, id: StatementId, to: &mut Vec<Stmt>) {
        let rule = self.rule;
        let (Some(statement), Some(fired)) = (rule.statements.get(id.index()), self.fired) else { return };
        if let (Some(Action::Reduce { keep, fault }), Some(reg)) =
            (&statement.action, self.keeps.get(id.index()).copied().flatten())
        {
            let scratch = self.scratch(Type::F64);
            let value = self.expr(keep);
            to.push(self.set(scratch, value));
            let inside = and(
                fold::binary(Binary::Ge, Expr::Get(scratch), Expr::F64(0.0)),
                fold::binary(Binary::Le, Expr::Get(scratch), Expr::F64(1.0)),
            );
            self.branch(to, inside, Vec::new(), vec![self.fault(*fault)]);
            to.push(self.set(reg, Expr::Get(scratch)));
        }
        to.push(self.set(fired, fold::binary(Binary::Or32, Expr::Get(fired), Expr::I32(bit(id.index())))));
        let hold = self.holds.get(id.index()).copied().flatten();
        if let Some(start) = hold.and_then(|h| h.start) {
            let now = match statement.hold {
                Some(Hold::Millis(_)) => self.time.unwrap_or(start),
                _ => self.bar_number(),
            };
            to.push(self.set(start, Expr::Get(now)));
        }
        for (i, (column, value)) in (0_u32..).zip(placeholders(statement)) {
            let cell = self.cell(value, to);
            to.push(match hold {
                Some(state) => {
                    let offset = state.values + i * 8;
                    self.stmt(StmtKind::Store { width: Width::F64, address: Expr::I32(0), offset, value: cell })
                }
                None => self.store_row(BufferKind::MessageValue, column, cell),
            });
        }
    }

    /// Drops the holds that have ended, and lets the others fire.
    pub(super) fn start_fired(&mut self, to: &mut Vec<Stmt>) {
        let Some(fired) = self.fired else { return };
        let Some(held) = self.on_demand.held else {
            to.push(self.set(fired, Expr::I32(0)));
            return;
        };
        let rule = self.rule;
        let mut until_new_day = 0;
        for (id, statement) in rule.statements.iter().enumerate() {
            let start = self.holds.get(id).copied().flatten().and_then(|h| h.start);
            // Bars and times do not go backwards, so their distance from the start is not below 0: unsigned, it
            // cannot overflow.
            let (now, length) = match statement.hold {
                Some(Hold::Bars(bars)) => (Some(self.bar_number()), i64::from(bars)),
                Some(Hold::Millis(millis)) => (self.time, millis),
                Some(Hold::Day) => {
                    until_new_day |= bit(id);
                    continue;
                }
                Some(Hold::Forever) | None => continue,
            };
            let (Some(now), Some(start)) = (now, start) else { continue };
            let passed = fold::binary(Binary::Sub64, Expr::Get(now), Expr::Get(start));
            let ended = fold::binary(Binary::GeU64, passed, Expr::I64(length));
            let ended_bit = fold::binary(Binary::Shl32, ended, Expr::I32(i32::try_from(id).unwrap_or(0)));
            let others = fold::binary(Binary::Xor32, ended_bit, Expr::I32(-1));
            to.push(self.set(held, and(Expr::Get(held), others)));
        }
        if until_new_day != 0 {
            let new_day = self.new_day();
            let dropped = self.set(held, and(Expr::Get(held), Expr::I32(!until_new_day)));
            self.branch(to, Expr::Get(new_day), vec![dropped], Vec::new());
        }
        to.push(self.set(fired, Expr::Get(held)));
    }

    /// Stores fired statements, verdict, values of held messages and the fraction to keep.
    pub(super) fn verdict(&mut self, to: &mut Vec<Stmt>) {
        let rule = self.rule;
        let Some(fired) = self.fired else {
            self.store_verdict(Expr::I32(0), Expr::I32(0), to);
            return;
        };
        let has_fired = |mask: i32| and(Expr::Get(fired), Expr::I32(mask));
        let mask_of = |pick: &dyn Fn(usize, &Statement) -> bool| {
            rule.statements.iter().enumerate().filter(|(i, s)| pick(*i, s)).fold(0, |mask, (i, _)| mask | bit(i))
        };

        for (id, statement) in rule.statements.iter().enumerate() {
            let Some(held) = self.holds.get(id).copied().flatten() else { continue };
            let mut copies = Vec::new();
            for (i, (column, _)) in (0_u32..).zip(placeholders(statement)) {
                let kept = Expr::Load { ty: Type::F64, address: Box::new(Expr::I32(0)), offset: held.values + i * 8 };
                copies.push(self.store_row(BufferKind::MessageValue, column, kept));
            }
            if !copies.is_empty() {
                self.line = self.line_of(statement.span);
                self.branch(to, has_fired(bit(id)), copies, Vec::new());
                self.line = 0;
            }
        }

        let reduces = mask_of(&|i, _| self.keeps.get(i).copied().flatten().is_some());
        if reduces != 0 {
            // The first breach that reduces, else the first warning: if the winner reduces, it is this one.
            let of = |severity| {
                rule.statements.iter().enumerate().filter(move |(_, s)| s.severity == severity).map(|(i, _)| i)
            };
            let mut keep: Option<Expr> = None;
            let order: Vec<usize> = of(Severity::Breach).chain(of(Severity::Warn)).collect();
            for id in order.into_iter().rev() {
                let Some(reg) = self.keeps.get(id).copied().flatten() else { continue };
                keep = Some(match keep {
                    Some(later) => fold::select(has_fired(bit(id)), Expr::Get(reg), later),
                    None => Expr::Get(reg),
                });
            }
            let store = self.store_row(BufferKind::Keep, 0, keep.unwrap_or(Expr::F64(0.0)));
            self.branch(to, has_fired(reduces), vec![store], Vec::new());
        }

        let breaches = mask_of(&|_, s| s.severity == Severity::Breach);
        let warns = mask_of(&|_, s| s.severity == Severity::Warn);
        // 0 or 1 whatever is in a word: hosts refuse other verdicts, even of a run with a damaged state.
        let one = rule.statements.len() == 1 && self.on_demand.held.is_none();
        let any = |value: Expr| if one { value } else { not(not(value)) };
        let verdict = if breaches == 0 {
            any(Expr::Get(fired))
        } else if warns == 0 {
            fold::binary(Binary::Shl32, any(Expr::Get(fired)), Expr::I32(1))
        } else {
            // 1 if anything fired, and 1 more if a breach did.
            fold::binary(Binary::Add32, any(Expr::Get(fired)), any(has_fired(breaches)))
        };
        self.store_verdict(Expr::Get(fired), verdict, to);
        if let Some(held) = self.on_demand.held {
            let holding = mask_of(&|i, _| self.holds.get(i).copied().flatten().is_some());
            to.push(self.set(held, has_fired(holding)));
        }
    }
}

/// Columns and values of a statement's message.
fn placeholders(statement: &Statement) -> impl Iterator<Item = (u32, &typed::Expr)> {
    statement.message.iter().filter_map(|part| match part {
        MessagePart::Value { column, value, .. } => Some((*column, value)),
        MessagePart::Text(_) => None,
    })
}
