//! Expressions: `?`, faults and tolerant comparisons spelt out.

use rulebox_abi::BufferKind;

use super::{Binary, Expr, Lower, Reg, Stmt, Type, Unary};
use super::{abs, add, and, at_most, base_type, div, finite, known, less_than, missing, mul, not, sub, type_of};
use crate::ir::fold;
use crate::number::{TOLERANCE, equal_to, maximum};
use crate::typed::{self, ArithOp, Base, CompareOp, ExprKind, FaultId, Function};

/// Right operands of `and` and `or` up to this many operations are computed in any case if they cannot fault: a
/// branch would cost more than it saves.
const EAGER_OPERATIONS: usize = 16;

impl Lower<'_> {
    pub(super) fn expr(&mut self, e: &typed::Expr) -> Expr {
        let (outer, line) = (self.line, self.line_of(e.span));
        self.line = line;
        let value = self.expr_on_line(e);
        self.line = outer;
        if line == outer || matches!(value, Expr::Get(_) | Expr::F64(_) | Expr::I32(_)) {
            value
        } else {
            Expr::At(line, Box::new(value))
        }
    }

    fn expr_on_line(&mut self, e: &typed::Expr) -> Expr {
        match &e.kind {
            ExprKind::Num(v) => Expr::F64(*v),
            ExprKind::Bool(v) => Expr::I32(i32::from(*v)),
            ExprKind::Clock(minutes) => Expr::I32(i32::from(*minutes)),
            ExprKind::Input(id) => self.inputs.get(id.index()).cloned().unwrap_or(Expr::I32(0)),
            ExprKind::Param(id) => self.params.get(id.index()).map_or(Expr::I32(0), |r| Expr::Get(*r)),
            ExprKind::Let(id) => self.lets.get(id.index()).cloned().unwrap_or(Expr::I32(0)),
            ExprKind::Var(id) => self.vars.get(id.index()).map_or(Expr::I32(0), |r| Expr::Get(*r)),
            ExprKind::Memory(id) => self.memories.get(id.index()).cloned().unwrap_or(Expr::I32(0)),
            ExprKind::NewDay => Expr::Get(self.new_day()),
            ExprKind::Weekday => fold::unary(Unary::FromI32, self.load_time_column(BufferKind::Weekday)),
            ExprKind::TimeOfDay => self.load_time_column(BufferKind::MinuteOfDay),
            ExprKind::BarIndex => fold::unary(Unary::FromI64, Expr::Get(self.bar_number())),
            ExprKind::History { history, back } => self.history(*history, *back),
            ExprKind::Neg { operand, fault } => self.neg(operand, *fault),
            ExprKind::Arith { op, left, right, fault, zero } => self.arith(*op, left, right, *fault, *zero),
            ExprKind::Compare { op, left, right } => self.compare(*op, left, right),
            ExprKind::And(left, right) => self.connective(left, right, true),
            ExprKind::Or(left, right) => self.connective(left, right, false),
            ExprKind::Not(operand) => not(self.expr(operand)),
            ExprKind::Default { value, default } => self.default(value, default),
            ExprKind::Known(operand) => {
                let base = operand.ty.base;
                self.with_atom(operand, |_, atom| known(base, atom))
            }
            ExprKind::If { condition, then, otherwise } => {
                let condition = self.expr(condition);
                let then = self.expr(then);
                let otherwise = self.expr(otherwise);
                fold::choose(type_of(e.ty), condition, then, otherwise)
            }
            ExprKind::Call { function, args, fault } => self.call(*function, args, *fault),
        }
    }

    /// Makes a value readable more than once: `set` gets what must run before.
    pub(super) fn atom(&mut self, value: Expr, ty: Type, set: &mut Vec<Stmt>) -> Expr {
        if self.is_atom(&value) {
            return value;
        }
        let value = match self.split(value) {
            Ok((stmts, atom)) => {
                set.extend(stmts);
                return atom;
            }
            Err(value) => value,
        };
        let reg = self.scratch(ty);
        set.push(self.set(reg, value));
        Expr::Get(reg)
    }

    /// Takes apart a value that statements leave in a register: the statements, and the register. Anything else comes
    /// back as it is.
    fn split(&self, value: Expr) -> Result<(Vec<Stmt>, Expr), Expr> {
        match value {
            Expr::At(line, inner) => self.split(*inner).map_err(|inner| Expr::At(line, Box::new(inner))),
            Expr::Seq(stmts, value) if self.is_atom(&value) || matches!(*value, Expr::Get(_)) => Ok((stmts, *value)),
            other => Err(other),
        }
    }

    /// Lowers an operand and hands it out as an atom.
    fn with_atom(&mut self, operand: &typed::Expr, f: impl FnOnce(&mut Self, Expr) -> Expr) -> Expr {
        let value = self.expr(operand);
        let mut stmts = Vec::new();
        let atom = self.atom(value, base_type(operand.ty.base), &mut stmts);
        let result = f(self, atom);
        fold::seq(stmts, result)
    }

    /// Tests that a value is finite.
    pub(super) fn checked(&mut self, value: Expr, fault: Option<FaultId>) -> Expr {
        let Some(fault) = fault else { return value };
        if matches!(value, Expr::F64(v) if v.is_finite()) {
            return value;
        }
        let mut stmts = Vec::new();
        let atom = self.atom(value, Type::F64, &mut stmts);
        self.branch(&mut stmts, finite(atom.clone()), Vec::new(), vec![self.fault(fault)]);
        fold::seq(stmts, atom)
    }

    fn neg(&mut self, operand: &typed::Expr, fault: Option<FaultId>) -> Expr {
        if operand.ty.optional {
            // An optional operand is finite or missing, and the sign of the missing value must not change.
            return self.with_atom(operand, |_, atom| {
                let negative = fold::unary(Unary::Neg, atom.clone());
                fold::choose(Type::F64, known(Base::Num, atom), negative, missing(Base::Num))
            });
        }
        let value = fold::unary(Unary::Neg, self.expr(operand));
        self.checked(value, fault)
    }

    fn arith(
        &mut self,
        op: ArithOp,
        left: &typed::Expr,
        right: &typed::Expr,
        fault: Option<FaultId>,
        zero: Option<FaultId>,
    ) -> Expr {
        if left.ty.optional || right.ty.optional {
            return self.lifted(op, left, right, fault, zero);
        }
        let a = self.expr(left);
        let mut b = self.expr(right);
        if let (ArithOp::Div, Some(zero)) = (op, zero) {
            let mut stmts = Vec::new();
            let atom = self.atom(b, Type::F64, &mut stmts);
            let is_zero = fold::binary(Binary::Eq, atom.clone(), Expr::F64(0.0));
            self.branch(&mut stmts, is_zero, vec![self.fault(zero)], Vec::new());
            b = fold::seq(stmts, atom);
        }
        self.checked(operation(op, a, b), fault)
    }

    /// Arithmetic of which an operand may be missing.
    fn lifted(
        &mut self,
        op: ArithOp,
        left: &typed::Expr,
        right: &typed::Expr,
        fault: Option<FaultId>,
        zero: Option<FaultId>,
    ) -> Expr {
        let mut stmts = Vec::new();
        let a = self.expr(left);
        // The left operand is kept in a register even if it is a var: nothing in between changes a var.
        let a = self.atom(a, Type::F64, &mut stmts);
        let b = self.expr(right);
        let b = self.atom(b, Type::F64, &mut stmts);
        let result = self.lift(op, (a, left.ty.optional), (b, right.ty.optional), [fault, zero], &mut stmts);
        fold::seq(stmts, Expr::Get(result))
    }

    /// Arithmetic of two atoms of which those marked may be missing, into a register. The faults are that of the
    /// result and that of a divisor of 0.
    ///
    /// A missing operand makes the result a NaN, of a sign that machines choose, so the result is written anew. The
    /// test that finds this finds infinities too: one branch where all is well.
    fn lift(
        &mut self,
        op: ArithOp,
        (a, a_optional): (Expr, bool),
        (b, b_optional): (Expr, bool),
        [fault, zero]: [Option<FaultId>; 2],
        stmts: &mut Vec<Stmt>,
    ) -> Reg {
        let a_known = a_optional.then(|| known(Base::Num, a.clone()));
        if let (ArithOp::Div, Some(zero)) = (op, zero) {
            let mut fault_at_zero = Vec::new();
            let fault = vec![self.fault(zero)];
            self.branch(&mut fault_at_zero, a_known.clone().unwrap_or(Expr::I32(1)), fault, Vec::new());
            let is_zero = fold::binary(Binary::Eq, b.clone(), Expr::F64(0.0));
            self.branch(stmts, is_zero, fault_at_zero, Vec::new());
        }
        let both_known = match (a_known, b_optional.then(|| known(Base::Num, b.clone()))) {
            (Some(a), Some(b)) => and(a, b),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => Expr::I32(1),
        };
        let result = self.scratch(Type::F64);
        stmts.push(self.set(result, operation(op, a, b)));
        let mut not_finite = Vec::new();
        if let Some(fault) = fault {
            self.branch(&mut not_finite, both_known, vec![self.fault(fault)], Vec::new());
        }
        not_finite.push(self.set(result, missing(Base::Num)));
        self.branch(stmts, finite(Expr::Get(result)), Vec::new(), not_finite);
        result
    }

    fn compare(&mut self, op: CompareOp, left: &typed::Expr, right: &typed::Expr) -> Expr {
        let base = left.ty.base;
        let a = self.expr(left);
        if base == Base::Num {
            let mut stmts = Vec::new();
            let a = self.atom(a, Type::F64, &mut stmts);
            let b = self.expr(right);
            let b = self.atom(b, Type::F64, &mut stmts);
            let result = self.tolerant(op, &a, &b);
            return fold::seq(stmts, result);
        }
        let b = self.expr(right);
        let op = match op {
            CompareOp::Lt => Binary::Lt32,
            CompareOp::Le => Binary::Le32,
            CompareOp::Gt => Binary::Gt32,
            CompareOp::Ge => Binary::Ge32,
            CompareOp::Eq => Binary::Eq32,
            CompareOp::Ne => Binary::Ne32,
        };
        fold::binary(op, a, b)
    }

    /// Compares two atoms that are finite, tolerantly.
    ///
    /// With t = 1e-12 * max(|a|, |b|, 1), which is finite and above 0: a and b are equal if |a - b| <= t. `a < b` and
    /// not equal is then b - a > t, since b - a > 0 just if a < b (the difference of two doubles is 0 only if they are
    /// equal). Likewise `a < b` or equal is a - b <= t. An overflow of the difference to an infinity compares right.
    pub(super) fn tolerant(&mut self, op: CompareOp, a: &Expr, b: &Expr) -> Expr {
        match (a, b) {
            (value, &Expr::F64(constant)) => return tolerant_to(op, value, constant),
            (&Expr::F64(constant), value) => return tolerant_to(op.mirrored(), value, constant),
            _ => {}
        }
        let (above, difference) = match op {
            CompareOp::Lt => (true, sub(b.clone(), a.clone())),
            CompareOp::Gt => (true, sub(a.clone(), b.clone())),
            CompareOp::Le => (false, sub(a.clone(), b.clone())),
            CompareOp::Ge => (false, sub(b.clone(), a.clone())),
            CompareOp::Eq => (false, abs(sub(a.clone(), b.clone()))),
            CompareOp::Ne => (true, abs(sub(a.clone(), b.clone()))),
        };
        // The larger of one side and 1 first: known if that side is constant, computed once in a call if it is a param.
        let (constant, varying) = if self.is_invariant(a) { (a, b) } else { (b, a) };
        let floor = if self.is_invariant(constant) {
            self.invariant(Type::F64, fold::binary(Binary::Max, abs(constant.clone()), Expr::F64(1.0)))
        } else {
            self.larger(abs(constant.clone()), Expr::F64(1.0))
        };
        let scale = self.larger(abs(varying.clone()), floor);
        let tolerance = mul(Expr::F64(TOLERANCE), scale);
        fold::binary(if above { Binary::Gt } else { Binary::Le }, difference, tolerance)
    }

    fn is_invariant(&self, atom: &Expr) -> bool {
        match atom {
            Expr::Get(reg) => self.registers.get(reg.0 as usize).is_some_and(|r| r.home == crate::ir::Home::Invariant),
            other => self.is_atom(other),
        }
    }

    /// The larger of two that are not NaN and not a zero below 0. `f64.max` would look for those; this is one
    /// instruction of the machine.
    fn larger(&mut self, a: Expr, b: Expr) -> Expr {
        if let (Expr::F64(a), Expr::F64(b)) = (&a, &b) {
            return Expr::F64(maximum(*a, *b));
        }
        let mut stmts = Vec::new();
        let a = self.atom(a, Type::F64, &mut stmts);
        let b = self.atom(b, Type::F64, &mut stmts);
        let less = fold::binary(Binary::Lt, b.clone(), a.clone());
        fold::seq(stmts, fold::select(less, a, b))
    }

    fn connective(&mut self, left: &typed::Expr, right: &typed::Expr, conjunction: bool) -> Expr {
        let a = self.expr(left);
        let b = self.expr(right);
        if operations(&b, EAGER_OPERATIONS).is_some() {
            let op = if conjunction { Binary::And32 } else { Binary::Or32 };
            return fold::binary(op, a, b);
        }
        if conjunction {
            fold::choose(Type::I32, a, b, Expr::I32(0))
        } else {
            fold::choose(Type::I32, a, Expr::I32(1), b)
        }
    }

    fn default(&mut self, value: &typed::Expr, default: &typed::Expr) -> Expr {
        let base = value.ty.base;
        let mut stmts = Vec::new();
        let v = self.expr(value);
        let atom = self.atom(v, base_type(base), &mut stmts);
        let otherwise = self.expr(default);
        let result = fold::choose(base_type(base), known(base, atom.clone()), atom, otherwise);
        fold::seq(stmts, result)
    }

    fn call(&mut self, function: Function, args: &[typed::Expr], fault: Option<FaultId>) -> Expr {
        match function {
            Function::Min => self.fold_left(Binary::Min, args),
            Function::Max => self.fold_left(Binary::Max, args),
            Function::Abs => self.one(Unary::Abs, args),
            Function::Floor => self.one(Unary::Floor, args),
            Function::Ceil => self.one(Unary::Ceil, args),
            Function::Clamp => match args {
                [x, lo, hi] => {
                    let x = self.expr(x);
                    let lo = self.expr(lo);
                    let low = fold::binary(Binary::Max, x, lo);
                    let hi = self.expr(hi);
                    fold::binary(Binary::Min, low, hi)
                }
                _ => Expr::F64(0.0),
            },
            Function::Sqrt => match (args, fault) {
                ([x], Some(fault)) => self.with_atom(x, |lower, atom| {
                    let mut stmts = Vec::new();
                    let negative = fold::binary(Binary::Lt, atom.clone(), Expr::F64(0.0));
                    lower.branch(&mut stmts, negative, vec![lower.fault(fault)], Vec::new());
                    fold::seq(stmts, fold::unary(Unary::Sqrt, atom))
                }),
                _ => self.one(Unary::Sqrt, args),
            },
            Function::Div => match args {
                [a, b, otherwise] => {
                    let mut stmts = Vec::new();
                    let a = self.expr(a);
                    let b = self.expr(b);
                    // A divisor of 0 makes the quotient an infinity or a NaN, so one test finds both.
                    let quotient = self.atom(div(a, b), Type::F64, &mut stmts);
                    let otherwise = self.expr(otherwise);
                    let otherwise = self.atom(otherwise, Type::F64, &mut stmts);
                    let result = fold::select(finite(quotient.clone()), quotient, otherwise);
                    fold::seq(stmts, result)
                }
                _ => Expr::F64(0.0),
            },
        }
    }

    fn fold_left(&mut self, op: Binary, args: &[typed::Expr]) -> Expr {
        let mut result: Option<Expr> = None;
        for arg in args {
            let value = self.expr(arg);
            result = Some(match result {
                Some(so_far) => fold::binary(op, so_far, value),
                None => value,
            });
        }
        result.unwrap_or(Expr::F64(0.0))
    }

    fn one(&mut self, op: Unary, args: &[typed::Expr]) -> Expr {
        args.first().map_or(Expr::F64(0.0), |x| fold::unary(op, self.expr(x)))
    }
}

fn operation(op: ArithOp, a: Expr, b: Expr) -> Expr {
    match op {
        ArithOp::Add => add(a, b),
        ArithOp::Sub => sub(a, b),
        ArithOp::Mul => mul(a, b),
        ArithOp::Div => div(a, b),
    }
}

/// Compares an atom that is finite with a constant, tolerantly: what is equal to that lies between two numbers, which are
/// found once, here.
fn tolerant_to(op: CompareOp, value: &Expr, constant: f64) -> Expr {
    let (low, high) = equal_to(constant);
    let is = |op, bound| fold::binary(op, value.clone(), Expr::F64(bound));
    match op {
        CompareOp::Lt => less_than(value.clone(), low),
        CompareOp::Le => at_most(value.clone(), high),
        CompareOp::Gt => is(Binary::Gt, high),
        CompareOp::Ge => is(Binary::Ge, low),
        CompareOp::Eq => and(is(Binary::Ge, low), at_most(value.clone(), high)),
        CompareOp::Ne => fold::binary(Binary::Or32, less_than(value.clone(), low), is(Binary::Gt, high)),
    }
}

/// Number of operations of an expression without faults and branches, if at most `limit`.
fn operations(e: &Expr, limit: usize) -> Option<usize> {
    let more = |used: usize, e: &Expr| operations(e, limit.checked_sub(used)?).map(|n| n + used);
    match e {
        Expr::F64(_) | Expr::I32(_) | Expr::I64(_) | Expr::Get(_) => Some(0),
        Expr::Unary(_, a) => more(1, a),
        Expr::Binary(_, a, b) => more(more(1, a)?, b),
        Expr::Select { condition, then, otherwise } => more(more(more(1, condition)?, then)?, otherwise),
        Expr::Load { address, .. } => more(1, address),
        Expr::At(_, e) => operations(e, limit),
        Expr::If { .. } => None,
        Expr::Seq(stmts, value) => {
            let mut used = 0;
            for stmt in stmts {
                match &stmt.kind {
                    super::StmtKind::Set(_, value) => used = more(used, value)?,
                    _ => return None,
                }
            }
            more(used, value)
        }
    }
}
