//! Step 2 of a bar: calls with memory. Windows fold their ring afresh; what is exact in any order is kept up to date.

use std::ops::Range;

use super::{Binary, Expr, Home, Lower, Reg, Ring, Stmt, StmtKind, Type, Unary, Width};
use super::{add, and, div, finite, fold, missing, mul, not, sub};
use crate::layout::ring_slots;
use crate::typed::{
    self, Base, CompareOp, CumulativeFunction, FaultId, Memory, MemoryId, MemoryKind, Window, WindowFunction,
    WindowSize,
};

/// Values that a trip of the loop over a window takes, a power of two. Each trip looks at fuel and deadline.
const UNROLLED: i32 = 16;

/// Windows of up to so many values, if that is known when the rule is compiled, are folded without a loop.
const WHOLE: i32 = 32;
/// Of those, so many at once.
const AT_ONCE: i32 = 10;

/// Windows of up to so many values are kept twice if they are folded on every bar, while the state is smaller than so
/// many bytes: what is saved of a session, and its limit, are hardly touched.
const TWICE: u32 = 512;
const TWICE_STATE: u32 = 128 << 10;

/// Where the values of a window are.
#[derive(Clone, Copy, Debug)]
struct Values {
    ring: Ring,
    /// Whether the ring is there twice, one copy behind the other: the newest values are then in one piece, wherever the
    /// ring begins.
    twice: bool,
}

/// The size of a window, in the forms that code needs.
#[derive(Clone, Debug)]
pub(super) struct Size {
    /// As an I32 from the window's smallest to its largest size, whatever the params are.
    pub n: Expr,
    /// As an I64.
    pub n64: Expr,
    /// As a double.
    pub number: Expr,
    /// The largest it can be.
    pub max: u32,
}

impl Lower<'_> {
    pub(super) fn advance_memory(&mut self, id: MemoryId, to: &mut Vec<Stmt>) {
        let rule = self.rule;
        let Some(memory) = rule.memories.get(id.index()) else { return };
        let outer = self.line;
        self.line = self.line_of(memory.span);
        let value = self.memory(memory, to);
        if let Some(slot) = self.memories.get_mut(id.index()) {
            *slot = value;
        }
        self.line = outer;
    }

    fn memory(&mut self, memory: &Memory, to: &mut Vec<Stmt>) -> Expr {
        match &memory.kind {
            MemoryKind::Window { function, value, window, min } => {
                let size = self.size(*window);
                match function {
                    WindowFunction::Count => self.count(value, &size, *min, to),
                    WindowFunction::Highest => self.extreme(true, value, &size, *min, to),
                    WindowFunction::Lowest => self.extreme(false, value, &size, *min, to),
                    _ => self.refold(*function, value, &size, *min, memory.fault, to),
                }
            }
            MemoryKind::Smooth { function, value, window } => {
                let size = self.size(*window);
                self.smooth(*function, value, &size, memory.fault, to)
            }
            MemoryKind::Atr { high, low, close, window } => {
                let size = self.size(*window);
                self.atr([high, low, close], &size, memory.fault, to)
            }
            MemoryKind::Cumulative { function, value } => self.cumulative(*function, value, memory.fault, to),
            MemoryKind::Streak { condition } => {
                let condition = self.expr(condition);
                let state = self.state(Type::F64, 0);
                let longer = add(Expr::Get(state), Expr::F64(1.0));
                to.push(self.set(state, fold::choose(Type::F64, condition, longer, Expr::F64(0.0))));
                Expr::Get(state)
            }
            MemoryKind::BarsSince { condition } => {
                let condition = self.expr(condition);
                let state = self.state(Type::F64, rulebox_abi::MISSING_BITS);
                let longer = add(Expr::Get(state), Expr::F64(1.0));
                let known = super::known(Base::Num, Expr::Get(state));
                let otherwise = fold::choose(Type::F64, known, longer, missing(Base::Num));
                to.push(self.set(state, fold::choose(Type::F64, condition, Expr::F64(0.0), otherwise)));
                Expr::Get(state)
            }
            MemoryKind::Crosses { above, left, right } => self.crosses(*above, left, right, to),
        }
    }

    pub(super) fn size(&mut self, window: Window) -> Size {
        let max = window.max;
        let int = |n: u32| Expr::I32(i32::try_from(n).unwrap_or(i32::MAX));
        match window.size {
            WindowSize::Literal(n) => {
                Size { n: int(n), n64: Expr::I64(i64::from(n)), number: Expr::F64(f64::from(n)), max }
            }
            WindowSize::Param(id) => {
                let param = self.params.get(id.index()).map_or(Expr::F64(0.0), |r| Expr::Get(*r));
                let n = self.invariant(Type::I32, fold::unary(Unary::TruncateU, param));
                let below = fold::binary(Binary::Lt32, n.clone(), int(window.min));
                let n = self.invariant(Type::I32, fold::select(below, int(window.min), n));
                let over = fold::binary(Binary::Gt32, n.clone(), int(max));
                let n = self.invariant(Type::I32, fold::select(over, int(max), n));
                let n64 = self.invariant(Type::I64, fold::unary(Unary::Extend, n.clone()));
                let number = self.invariant(Type::F64, fold::unary(Unary::FromI32, n.clone()));
                Size { n, n64, number, max }
            }
        }
    }

    /// A value that is read more than once, in a register to the end of the call's code.
    pub(super) fn argument(&mut self, value: &typed::Expr, ty: Type, to: &mut Vec<Stmt>) -> Expr {
        let lowered = self.expr(value);
        self.atom(lowered, ty, to)
    }

    fn push(&mut self, ring: Ring, width: Width, value: Expr, to: &mut Vec<Stmt>) {
        let address = self.slot(ring, 0);
        to.push(self.stmt(StmtKind::Store { width, address, offset: ring.base, value }));
    }

    /// The value of n bars ago: what leaves the window. Read before this bar's value is pushed, since a ring that is
    /// just as long as the window has one slot for both.
    fn leaving(&mut self, ring: Ring, ty: Type, size: &Size) -> Expr {
        let bytes = fold::binary(Binary::Mul32, size.n.clone(), Expr::I32(8));
        let bytes = self.invariant(Type::I32, bytes);
        let at = fold::binary(Binary::Sub32, Expr::Get(self.position()), bytes);
        Expr::Load { ty, address: Box::new(and(at, Expr::I32(ring.mask))), offset: ring.base }
    }

    /// Whether the window has enough values: `min` of them, or all.
    fn enough(&mut self, size: &Size, min: Option<u32>) -> Expr {
        let needed = match min {
            Some(0 | 1) => return Expr::I32(1),
            Some(min) => Expr::I64(i64::from(min) - 1),
            None => self.one_less(size),
        };
        fold::binary(Binary::GeU64, Expr::Get(self.bar_number()), needed)
    }

    /// n - 1 as an I64.
    pub(super) fn one_less(&mut self, size: &Size) -> Expr {
        match size.n64 {
            Expr::I64(n) => Expr::I64(n - 1),
            ref n => self.invariant(Type::I64, fold::binary(Binary::Sub64, n.clone(), Expr::I64(1))),
        }
    }

    fn when_enough(&mut self, size: &Size, min: Option<u32>, value: Expr, to: &mut Vec<Stmt>) -> Expr {
        let enough = self.enough(size, min);
        if enough == Expr::I32(1) {
            return value;
        }
        let result = self.register(Type::F64, Home::Bar);
        to.push(self.set(result, fold::select(enough, value, missing(Base::Num))));
        Expr::Get(result)
    }

    /// `count`: integers, so a running count is exact.
    fn count(&mut self, value: &typed::Expr, size: &Size, min: Option<u32>, to: &mut Vec<Stmt>) -> Expr {
        let now = self.argument(value, Type::I32, to);
        let ring = self.ring(size.max, 0);
        let count = self.state(Type::I32, 0);
        let leaving = self.leaving(ring, Type::I32, size);
        let grown = fold::binary(Binary::Add32, Expr::Get(count), now.clone());
        to.push(self.set(count, fold::binary(Binary::Sub32, grown, leaving)));
        self.push(ring, Width::I32, now, to);
        self.when_enough(size, min, fold::unary(Unary::FromI32, Expr::Get(count)), to)
    }

    /// `highest` and `lowest`: exact in any order, so the window is read again only when its extreme leaves it.
    fn extreme(
        &mut self,
        highest: bool,
        value: &typed::Expr,
        size: &Size,
        min: Option<u32>,
        to: &mut Vec<Stmt>,
    ) -> Expr {
        let now = self.argument(value, Type::F64, to);
        let (better, best_of, worst) = if highest {
            (Binary::Gt, Binary::Max, f64::NEG_INFINITY)
        } else {
            (Binary::Lt, Binary::Min, f64::INFINITY)
        };
        let ring = self.ring(size.max, 0);
        let best = self.state(Type::F64, worst.to_bits());
        let left = self.scratch(Type::F64);
        let leaving = self.leaving(ring, Type::F64, size);
        to.push(self.set(left, leaving));
        self.push(ring, Width::F64, now.clone(), to);

        let mut again = vec![self.set(best, Expr::F64(worst))];
        let values = Values { ring, twice: false };
        self.each(values, &size.n, size.max, best, &mut again, |_, best, value| fold::binary(best_of, best, value));
        let full = fold::binary(Binary::GeU64, Expr::Get(self.bar_number()), size.n64.clone());
        // Equal, not identical: of two zeros, either may have been the extreme.
        let was_best = fold::binary(Binary::Eq, Expr::Get(left), Expr::Get(best));
        let mut not_better = Vec::new();
        let keep = vec![self.set(best, fold::binary(best_of, Expr::Get(best), now.clone()))];
        self.branch(&mut not_better, and(full, was_best), again, keep);
        let improves = fold::binary(better, now.clone(), Expr::Get(best));
        self.branch(to, improves, vec![self.set(best, now)], not_better);
        self.when_enough(size, min, Expr::Get(best), to)
    }

    /// Windows whose result depends on the order of the additions: from the oldest to the newest, on every bar.
    fn refold(
        &mut self,
        function: WindowFunction,
        value: &typed::Expr,
        size: &Size,
        min: Option<u32>,
        fault: Option<FaultId>,
        to: &mut Vec<Stmt>,
    ) -> Expr {
        let now = self.argument(value, Type::F64, to);
        let window = if size.max <= TWICE && self.layout.state_bytes < TWICE_STATE {
            self.push_twice(size.max, &now, to)
        } else {
            let ring = self.ring(size.max, 0);
            self.push(ring, Width::F64, now, to);
            Values { ring, twice: false }
        };
        let result = self.register(Type::F64, Home::Bar);

        let mut code = Vec::new();
        let (count, number) = if min.is_none() {
            (size.n.clone(), size.number.clone())
        } else {
            let reg = self.scratch(Type::I32);
            let bar = self.bar_number();
            let filling = fold::binary(Binary::LtU64, Expr::Get(bar), size.n64.clone());
            let so_far = fold::binary(Binary::Add32, fold::unary(Unary::Wrap, Expr::Get(bar)), Expr::I32(1));
            code.push(self.set(reg, fold::select(filling, so_far, size.n.clone())));
            (Expr::Get(reg), fold::unary(Unary::FromI32, Expr::Get(reg)))
        };
        code.push(self.set(result, Expr::F64(0.0)));
        self.fold(window, (&count, size.max), result, fault, &mut code, |_, sum, value| add(sum, value));
        self.test(result, fault, &mut code);
        match function {
            WindowFunction::Sma => code.push(self.set(result, div(Expr::Get(result), number))),
            WindowFunction::Stdev | WindowFunction::StdevSample => {
                let mean = self.scratch(Type::F64);
                let deviation = self.scratch(Type::F64);
                code.push(self.set(mean, div(Expr::Get(result), number.clone())));
                code.push(self.set(result, Expr::F64(0.0)));
                self.fold(window, (&count, size.max), result, fault, &mut code, |lower, sum, value| {
                    let set = vec![lower.set(deviation, sub(value, Expr::Get(mean)))];
                    add(sum, mul(fold::seq(set, Expr::Get(deviation)), Expr::Get(deviation)))
                });
                self.test(result, fault, &mut code);
                let number = if function == WindowFunction::Stdev { number } else { sub(number, Expr::F64(1.0)) };
                code.push(self.set(result, fold::unary(Unary::Sqrt, div(Expr::Get(result), number))));
            }
            _ => {}
        }
        let enough = self.enough(size, min);
        self.branch(to, enough, code, vec![self.set(result, missing(Base::Num))]);
        Expr::Get(result)
    }

    /// Faults unless a register is finite.
    pub(super) fn test(&mut self, reg: Reg, fault: Option<FaultId>, to: &mut Vec<Stmt>) {
        if let Some(fault) = fault {
            self.branch(to, finite(Expr::Get(reg)), Vec::new(), vec![self.fault(fault)]);
        }
    }

    /// Pushes a value into a ring that is there twice.
    fn push_twice(&mut self, max: u32, now: &Expr, to: &mut Vec<Stmt>) -> Values {
        let slots = ring_slots(max.max(1));
        let ring = Ring { base: self.state_words(slots * 2, 0), mask: (slots * 8 - 8).cast_signed() };
        let at = self.scratch(Type::I32);
        let slot = self.slot(ring, 0);
        to.push(self.set(at, slot));
        for offset in [ring.base, ring.base + slots * 8] {
            let address = Expr::Get(at);
            to.push(self.stmt(StmtKind::Store { width: Width::F64, address, offset, value: now.clone() }));
        }
        Values { ring, twice: true }
    }

    /// Adds up something of the newest `count` values of a window, `max` at most, in a register, from the oldest on:
    /// without a loop if they are few and as many on every bar.
    ///
    /// What is not finite once stays so. Where it would be a fault, it is one already in between, which makes Cranelift
    /// add before it has loaded more values than the machine has registers.
    fn fold(
        &mut self,
        window: Values,
        (count, max): (&Expr, u32),
        into: Reg,
        fault: Option<FaultId>,
        to: &mut Vec<Stmt>,
        step: impl Fn(&mut Self, Expr, Expr) -> Expr,
    ) {
        match count {
            &Expr::I32(n) if window.twice && n <= WHOLE => {
                let oldest = self.scratch(Type::I32);
                let slot = self.slot(window.ring, n.unsigned_abs() - 1);
                to.push(self.set(oldest, slot));
                for from in (0..n).step_by(AT_ONCE.unsigned_abs() as usize) {
                    if from > 0 {
                        self.test(into, fault, to);
                    }
                    let some = self.steps(window, oldest, from..n.min(from + AT_ONCE), into, &step);
                    to.push(self.set(into, some));
                }
            }
            _ => self.each(window, count, max, into, to, step),
        }
    }

    /// Folds the newest `count` values of a window into a register, from the oldest on: first what a whole trip does not
    /// divide, in pieces of a power of two each, then the trips.
    ///
    /// INVARIANT: `count` is 1 to `max` for every state, for the loop ends when the position has moved `count` slots.
    fn each(
        &mut self,
        window: Values,
        count: &Expr,
        max: u32,
        into: Reg,
        to: &mut Vec<Stmt>,
        step: impl Fn(&mut Self, Expr, Expr) -> Expr,
    ) {
        let at = self.scratch(Type::I32);
        let end = self.scratch(Type::I32);
        let position = self.position();
        let bytes = |slots: Expr| fold::binary(Binary::Mul32, slots, Expr::I32(8));
        let plus = |reg: Reg, bytes: Expr| fold::binary(Binary::Add32, Expr::Get(reg), bytes);
        let oldest = fold::binary(Binary::Sub32, plus(position, Expr::I32(8)), bytes(count.clone()));
        to.push(self.set(at, if window.twice { and(oldest, Expr::I32(window.ring.mask)) } else { oldest }));
        let take = |lower: &mut Self, values: i32| {
            let result = lower.steps(window, at, 0..values, into, &step);
            vec![lower.set(into, result), lower.set(at, plus(at, Expr::I32(values * 8)))]
        };

        for piece in [1, 2, 4, 8].into_iter().filter(|piece: &i32| piece.unsigned_abs() <= max) {
            let code = take(self, piece);
            self.branch(to, and(count.clone(), Expr::I32(piece)), code, Vec::new());
        }

        if max < UNROLLED.unsigned_abs() {
            return;
        }
        let whole = and(count.clone(), Expr::I32(-UNROLLED));
        let mut code = vec![self.set(end, plus(at, bytes(whole.clone())))];
        let body = take(self, UNROLLED);
        let again = fold::binary(Binary::Ne32, Expr::Get(at), Expr::Get(end));
        code.push(self.stmt(StmtKind::Loop { trips: max / UNROLLED.unsigned_abs(), body, again }));
        self.branch(to, whole, code, Vec::new());
    }

    /// What a register is after some values of a window, the first of them so many behind position `at`.
    fn steps(
        &mut self,
        window: Values,
        at: Reg,
        values: Range<i32>,
        into: Reg,
        step: &impl Fn(&mut Self, Expr, Expr) -> Expr,
    ) -> Expr {
        let Values { ring, twice } = window;
        let mut result = Expr::Get(into);
        for byte in values.map(|value| value * 8) {
            let (address, offset) = match byte {
                _ if twice => (Expr::Get(at), ring.base + byte.unsigned_abs()),
                0 => (and(Expr::Get(at), Expr::I32(ring.mask)), ring.base),
                _ => {
                    let slot = fold::binary(Binary::Add32, Expr::Get(at), Expr::I32(byte));
                    (and(slot, Expr::I32(ring.mask)), ring.base)
                }
            };
            result = step(self, result, Expr::Load { ty: Type::F64, address: Box::new(address), offset });
        }
        result
    }

    fn cumulative(
        &mut self,
        function: CumulativeFunction,
        value: &typed::Expr,
        fault: Option<FaultId>,
        to: &mut Vec<Stmt>,
    ) -> Expr {
        let now = self.expr(value);
        let (op, first) = match function {
            CumulativeFunction::Max => (Binary::Max, f64::NEG_INFINITY),
            CumulativeFunction::Min => (Binary::Min, f64::INFINITY),
            CumulativeFunction::Sum => (Binary::Add, 0.0),
        };
        let state = self.state(Type::F64, first.to_bits());
        to.push(self.set(state, fold::binary(op, Expr::Get(state), now)));
        self.test(state, fault, to);
        Expr::Get(state)
    }

    /// Keeps of the bar before only whether it was on the other side or equal: the opposite of having been on this
    /// one. It was not, on the bar before bar 0.
    fn crosses(&mut self, above: bool, left: &typed::Expr, right: &typed::Expr, to: &mut Vec<Stmt>) -> Expr {
        let was_other = self.state(Type::I32, 0);
        let a = self.argument(left, Type::F64, to);
        let b = self.argument(right, Type::F64, to);
        let op = if above { CompareOp::Gt } else { CompareOp::Lt };
        let beyond = self.register(Type::I32, Home::Bar);
        let compared = self.tolerant(op, &a, &b);
        to.push(self.set(beyond, compared));
        let result = self.register(Type::I32, Home::Bar);
        to.push(self.set(result, and(Expr::Get(beyond), Expr::Get(was_other))));
        to.push(self.set(was_other, not(Expr::Get(beyond))));
        Expr::Get(result)
    }
}
