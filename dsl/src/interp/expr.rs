//! Expressions.

use std::cmp::Ordering;

use super::Interpreter;
use super::value::{Value, at, tested};
use crate::number::{compare, maximum, minimum};
use crate::typed::{ArithOp, CompareOp, Expr, ExprKind, FaultId, Function, HistoryId};

impl Interpreter<'_> {
    /// The value of an expression in this bar, or the first fault on the way, operands from left to right.
    pub(super) fn eval(&self, expr: &Expr) -> Result<Value, FaultId> {
        Ok(match &expr.kind {
            ExprKind::Num(x) => Value::Num(*x),
            ExprKind::Bool(b) => Value::Bool(*b),
            ExprKind::Clock(minutes) => Value::Clock(*minutes),
            ExprKind::Input(id) => at(&self.bar.inputs, id.index()),
            ExprKind::Param(id) => at(&self.params, id.index()),
            ExprKind::Let(id) => at(&self.bar.lets, id.index()),
            ExprKind::Var(id) => at(&self.state.vars, id.index()),
            ExprKind::NewDay => Value::Bool(self.bar.moment.new_day),
            ExprKind::Weekday => self.bar.moment.weekday(),
            ExprKind::TimeOfDay => Value::Clock(self.bar.moment.minute_of_day),
            ExprKind::BarIndex => self.bar.moment.bar_index(),
            ExprKind::History { history, back } => self.past(*history, *back),
            ExprKind::Memory(id) => at(&self.bar.memories, id.index()),
            ExprKind::Neg { operand, fault } => match self.eval(operand)? {
                Value::Missing => Value::Missing,
                x => Value::Num(tested(-x.number(), *fault)?),
            },
            ExprKind::Arith { op, left, right, fault, zero } => {
                let (left, right) = (self.eval(left)?, self.eval(right)?);
                if left == Value::Missing || right == Value::Missing {
                    return Ok(Value::Missing);
                }
                Value::Num(tested(arith(*op, left.number(), right.number(), *zero)?, *fault)?)
            }
            ExprKind::Compare { op, left, right } => Value::Bool(comparison(*op, self.eval(left)?, self.eval(right)?)),
            ExprKind::And(left, right) => Value::Bool(self.eval(left)?.truth() && self.eval(right)?.truth()),
            ExprKind::Or(left, right) => Value::Bool(self.eval(left)?.truth() || self.eval(right)?.truth()),
            ExprKind::Not(operand) => Value::Bool(!self.eval(operand)?.truth()),
            ExprKind::Default { value, default } => match self.eval(value)? {
                Value::Missing => self.eval(default)?,
                known => known,
            },
            ExprKind::Known(operand) => Value::Bool(self.eval(operand)? != Value::Missing),
            ExprKind::If { condition, then, otherwise } => {
                self.eval(if self.eval(condition)?.truth() { then } else { otherwise })?
            }
            ExprKind::Call { function, args, fault } => {
                let args = args.iter().map(|arg| Ok(self.eval(arg)?.number())).collect::<Result<Vec<_>, FaultId>>()?;
                Value::Num(call(*function, &args, *fault)?)
            }
        })
    }

    /// A series `back` bars ago; missing before bar 0.
    fn past(&self, history: HistoryId, back: u32) -> Value {
        let values = self.state.histories.get(history.index());
        let newest_first = (back as usize).checked_sub(1);
        newest_first.zip(values).and_then(|(index, values)| values.get(index).copied()).unwrap_or(Value::Missing)
    }
}

/// IEEE double arithmetic, one rounding a step.
fn arith(op: ArithOp, left: f64, right: f64, zero: Option<FaultId>) -> Result<f64, FaultId> {
    Ok(match op {
        ArithOp::Add => left + right,
        ArithOp::Sub => left - right,
        ArithOp::Mul => left * right,
        ArithOp::Div => match zero {
            Some(fault) if right == 0.0 => return Err(fault),
            _ => left / right,
        },
    })
}

fn comparison(op: CompareOp, left: Value, right: Value) -> bool {
    match (left, right) {
        (Value::Clock(left), Value::Clock(right)) => exactly(op, left.cmp(&right)),
        (Value::Bool(left), Value::Bool(right)) => exactly(op, left.cmp(&right)),
        (left, right) => compare(op, left.number(), right.number()),
    }
}

fn exactly(op: CompareOp, order: Ordering) -> bool {
    match op {
        CompareOp::Lt => order.is_lt(),
        CompareOp::Le => order.is_le(),
        CompareOp::Gt => order.is_gt(),
        CompareOp::Ge => order.is_ge(),
        CompareOp::Eq => order.is_eq(),
        CompareOp::Ne => order.is_ne(),
    }
}

/// A plain function. The checker counted its arguments.
fn call(function: Function, args: &[f64], fault: Option<FaultId>) -> Result<f64, FaultId> {
    let arg = |index: usize| args.get(index).copied().unwrap_or(f64::NAN);
    let x = arg(0);
    Ok(match function {
        Function::Min => args.iter().copied().reduce(minimum).unwrap_or(x),
        Function::Max => args.iter().copied().reduce(maximum).unwrap_or(x),
        Function::Abs => x.abs(),
        Function::Floor => x.floor(),
        Function::Ceil => x.ceil(),
        Function::Clamp => minimum(maximum(x, arg(1)), arg(2)),
        Function::Sqrt => match fault {
            Some(fault) if x < 0.0 => return Err(fault),
            _ => x.sqrt(),
        },
        Function::Div => {
            let quotient = x / arg(1);
            // A divisor of 0 gives an infinity or NaN.
            if quotient.is_finite() { quotient } else { arg(2) }
        }
    })
}
