//! Exponential means and what is made of them: `ema`, `rma`, `rsi`, `atr`. All keep sums until they are seeded.

use super::memory::Size;
use super::{Binary, Expr, Home, Lower, Reg, Stmt, Type};
use super::{abs, add, div, fold, missing, mul, sub};
use crate::typed::{self, Base, FaultId, SmoothFunction};

impl Lower<'_> {
    pub(super) fn smooth(
        &mut self,
        function: SmoothFunction,
        value: &typed::Expr,
        size: &Size,
        fault: Option<FaultId>,
        to: &mut Vec<Stmt>,
    ) -> Expr {
        if function == SmoothFunction::Rsi {
            return self.rsi(value, size, fault, to);
        }
        let now = self.argument(value, Type::F64, to);
        let mean = self.state(Type::F64, 0);
        let next = if function == SmoothFunction::Ema {
            let alpha = div(Expr::F64(2.0), add(size.number.clone(), Expr::F64(1.0)));
            let alpha = self.invariant(Type::F64, alpha);
            add(mul(sub(now.clone(), Expr::Get(mean)), alpha), Expr::Get(mean))
        } else {
            self.wilder(mean, now.clone(), size)
        };
        let last = self.one_less(size);
        let result = self.register(Type::F64, Home::Bar);
        let seeded = vec![self.set(result, Expr::Get(mean))];
        self.seeded(&[(mean, now, next)], &last, size, seeded, result, fault, to);
        Expr::Get(result)
    }

    /// `(y * (n-1) + x) / n`.
    fn wilder(&mut self, mean: Reg, value: Expr, size: &Size) -> Expr {
        let others = self.invariant(Type::F64, sub(size.number.clone(), Expr::F64(1.0)));
        div(add(mul(Expr::Get(mean), others), value), size.number.clone())
    }

    /// Sums each value up to bar `last`, where the sum becomes a mean, and smooths from there on.
    ///
    /// A sum that overflows stays non-finite and so faults on bar `last`, where it is first used.
    #[expect(clippy::too_many_arguments, reason = "the four functions share all of it")]
    fn seeded(
        &mut self,
        means: &[(Reg, Expr, Expr)],
        last: &Expr,
        size: &Size,
        finish: Vec<Stmt>,
        result: Reg,
        fault: Option<FaultId>,
        to: &mut Vec<Stmt>,
    ) {
        let bar = self.bar_number();
        let (mut filling, mut seeding, mut running) = (Vec::new(), Vec::new(), Vec::new());
        for (mean, value, next) in means {
            let sum = add(Expr::Get(*mean), value.clone());
            filling.push(self.set(*mean, sum.clone()));
            seeding.push(self.set(*mean, div(sum, size.number.clone())));
            running.push(self.set(*mean, next.clone()));
        }
        filling.push(self.set(result, missing(Base::Num)));
        let mut seeded = Vec::new();
        let is_last = fold::binary(Binary::Eq64, Expr::Get(bar), last.clone());
        self.branch(&mut seeded, is_last, seeding, running);
        seeded.extend(finish);
        self.test(result, fault, &mut seeded);
        let before = fold::binary(Binary::LtU64, Expr::Get(bar), last.clone());
        self.branch(to, before, filling, seeded);
    }

    fn rsi(&mut self, value: &typed::Expr, size: &Size, fault: Option<FaultId>, to: &mut Vec<Stmt>) -> Expr {
        // Missing on bar 0: the change is then a NaN, which is neither a gain nor a loss.
        let previous = self.state(Type::F64, rulebox_abi::MISSING_BITS);
        let (gains, losses) = (self.state(Type::F64, 0), self.state(Type::F64, 0));
        let now = self.argument(value, Type::F64, to);
        let change = self.scratch(Type::F64);
        to.push(self.set(change, sub(now.clone(), Expr::Get(previous))));
        to.push(self.set(previous, now));
        let zero = || Expr::F64(0.0);
        let part = |lower: &mut Self, op: Binary, signed: Expr, to: &mut Vec<Stmt>| {
            let reg = lower.scratch(Type::F64);
            let value = fold::select(fold::binary(op, Expr::Get(change), zero()), signed, zero());
            to.push(lower.set(reg, value));
            reg
        };
        let gain = part(self, Binary::Gt, Expr::Get(change), to);
        let negated = fold::unary(super::Unary::Neg, Expr::Get(change));
        let loss = part(self, Binary::Lt, negated, to);

        let result = self.register(Type::F64, Home::Bar);
        let total = self.scratch(Type::F64);
        let mut finish = vec![self.set(total, add(Expr::Get(gains), Expr::Get(losses)))];
        // Both means are 0 or more: their sum is finite only if they are.
        self.test(total, fault, &mut finish);
        let flat = fold::binary(Binary::Eq, Expr::Get(total), zero());
        let index = mul(Expr::F64(100.0), div(Expr::Get(gains), Expr::Get(total)));
        finish.push(self.set(result, fold::choose(Type::F64, flat, Expr::F64(50.0), index)));
        let next_gains = self.wilder(gains, Expr::Get(gain), size);
        let next_losses = self.wilder(losses, Expr::Get(loss), size);
        let means = [(gains, Expr::Get(gain), next_gains), (losses, Expr::Get(loss), next_losses)];
        self.seeded(&means, &size.n64.clone(), size, finish, result, None, to);
        Expr::Get(result)
    }

    pub(super) fn atr(
        &mut self,
        [high, low, close]: [&typed::Expr; 3],
        size: &Size,
        fault: Option<FaultId>,
        to: &mut Vec<Stmt>,
    ) -> Expr {
        let previous = self.state(Type::F64, 0);
        let mean = self.state(Type::F64, 0);
        let high = self.argument(high, Type::F64, to);
        let low = self.argument(low, Type::F64, to);
        let close = self.argument(close, Type::F64, to);
        let height = self.scratch(Type::F64);
        let range = self.scratch(Type::F64);
        to.push(self.set(height, sub(high.clone(), low.clone())));
        let from_close = |value: Expr| abs(sub(value, Expr::Get(previous)));
        let widest =
            fold::binary(Binary::Max, fold::binary(Binary::Max, Expr::Get(height), from_close(high)), from_close(low));
        // Adds 0, or a NaN if the height is an infinity below 0, which the maximum would hide: the mean
        // is tested, once for all.
        let tested = add(widest, sub(Expr::Get(height), Expr::Get(height)));
        let first = fold::unary(super::Unary::IsZero64, Expr::Get(self.bar_number()));
        // There is no true range on bar 0: it adds nothing to the sum of the seed.
        to.push(self.set(range, fold::choose(Type::F64, first, Expr::F64(0.0), tested)));
        to.push(self.set(previous, close));
        let result = self.register(Type::F64, Home::Bar);
        let next = self.wilder(mean, Expr::Get(range), size);
        let finish = vec![self.set(result, Expr::Get(mean))];
        self.seeded(&[(mean, Expr::Get(range), next)], &size.n64.clone(), size, finish, result, fault, to);
        Expr::Get(result)
    }
}
