//! The frame of a bar: inputs and time checked before, verdict stored and series advanced after.

use rulebox_abi::{BufferKind, TIME_MISSING};

use super::{Binary, Expr, HistoryHome, Home, Lower, Stmt, StmtKind, Type, Unary, Width};
use super::{abs, add, and, at_most, finite, fold, known, missing, type_of, width};
use crate::typed::{Base, Input, Source, Step};

/// When a value of an input is good.
enum InputIs {
    GoodIf(Expr),
    GoodIfFinite(Expr),
}

/// How an input is tested.
struct InputTest {
    line: u32,
    good: InputIs,
    /// What is done with a value that is not good.
    bad: Vec<Stmt>,
}

impl Lower<'_> {
    /// Lowers a whole bar.
    pub(super) fn bar(&mut self) -> Vec<Stmt> {
        let mut bar = Vec::new();
        let rule = self.rule;
        let mut tests = Vec::new();
        for (i, input) in (0..).zip(&rule.inputs) {
            self.line = self.line_of(input.span);
            if input.missing.is_none() {
                self.test_inputs(&mut tests, &mut bar);
            }
            self.input(i, input, &mut tests, &mut bar);
            if input.missing.is_none() {
                self.test_inputs(&mut tests, &mut bar);
            }
        }
        self.test_inputs(&mut tests, &mut bar);
        self.line = 0;
        self.check_time(&mut bar);

        // Lowered first and placed later: they say which registers the start of the bar must set.
        let mut advance = Vec::new();
        for step in &rule.advance {
            match step {
                Step::Memory(id) => self.advance_memory(*id, &mut advance),
                Step::Let(id, value) => self.bind(*id, value, &mut advance),
            }
        }
        let mut body = Vec::new();
        self.body(&rule.body, true, &mut body);
        self.line = 0;
        let mut tail = Vec::new();
        self.store_outs(&mut tail);
        self.verdict(&mut tail);
        self.push_histories(&mut tail);
        let mut start_body = Vec::new();
        self.start_fired(&mut start_body);
        for reg in std::mem::take(&mut self.conditional_outs) {
            start_body.push(self.set(reg, missing(Base::Num)));
        }
        self.advance_clock(&mut tail);
        self.start_bar(&mut bar);
        bar.extend(advance);
        bar.extend(start_body);
        bar.extend(body);
        bar.extend(tail);
        bar
    }

    /// Loads an input, and says how to test it.
    fn input(&mut self, index: u32, input: &Input, tests: &mut Vec<InputTest>, to: &mut Vec<Stmt>) {
        let value = self.register(Type::F64, Home::Bar);
        let column = self.layout.column(BufferKind::Input, index).unwrap_or(0);
        let load = Expr::Load { ty: Type::F64, address: Box::new(Expr::Get(self.row)), offset: column };
        to.push(self.set(value, load.clone()));
        let got = Expr::Get(value);

        let is_bool = input.ty.base == Base::Bool;
        let good = |value: Expr| match input.range {
            _ if is_bool => InputIs::GoodIf(fold::binary(
                Binary::Or32,
                fold::binary(Binary::Eq, value.clone(), Expr::F64(0.0)),
                fold::binary(Binary::Eq, value, Expr::F64(1.0)),
            )),
            // A range is finite, so what is inside it is.
            Some((lo, hi)) => {
                InputIs::GoodIf(and(fold::binary(Binary::Ge, value.clone(), Expr::F64(lo)), at_most(value, hi)))
            }
            None => InputIs::GoodIfFinite(value),
        };
        match good(load) {
            InputIs::GoodIf(condition) => self.good.conditions.push(condition),
            InputIs::GoodIfFinite(value) => self.good.finite.push(value),
        }
        let good = good(got.clone());
        // Off the usual path: which of the three is it?
        let mut valid = vec![self.fault(input.invalid)];
        if let (Some(out_of_range), false) = (input.out_of_range, is_bool) {
            let infinite = fold::binary(Binary::Eq, abs(got.clone()), Expr::F64(f64::INFINITY));
            let invalid = std::mem::take(&mut valid);
            self.branch(&mut valid, infinite, invalid, vec![self.fault(out_of_range)]);
        }
        let when_missing = match input.missing {
            Some(fault) => self.fault(fault),
            // Its bits are the one NaN from here on, whatever NaN it was.
            None => self.set(value, missing(Base::Num)),
        };
        let mut bad = Vec::new();
        self.branch(&mut bad, known(Base::Num, got.clone()), valid, vec![when_missing]);
        tests.push(InputTest { line: self.line, good, bad });

        if !is_bool {
            self.inputs.push(got);
            return;
        }
        if input.missing.is_none() {
            self.test_inputs(tests, to);
        }
        let truth = self.register(Type::I32, Home::Bar);
        let is_true = fold::binary(Binary::Eq, got.clone(), Expr::F64(1.0));
        let with_missing =
            if input.ty.optional { fold::select(known(Base::Num, got), is_true, missing(Base::Bool)) } else { is_true };
        to.push(self.set(truth, with_missing));
        self.inputs.push(Expr::Get(truth));
    }

    /// Tests inputs: at once whether all are good, and one by one only if not. A sum is finite only if all of its terms
    /// are; where it overflows without a fault, looking at each has done no harm.
    fn test_inputs(&mut self, tests: &mut Vec<InputTest>, to: &mut Vec<Stmt>) {
        let outer = self.line;
        let (mut all, mut sum, several) = (None, None, tests.len() > 1);
        let mut one_by_one = Vec::new();
        for InputTest { line, good, bad } in tests.drain(..) {
            self.line = line;
            let good = match good {
                InputIs::GoodIf(condition) => {
                    all = Some(all.map_or(condition.clone(), |all| and(all, condition.clone())));
                    condition
                }
                InputIs::GoodIfFinite(value) => {
                    sum = Some(sum.map_or(value.clone(), |sum| add(sum, value.clone())));
                    finite(value)
                }
            };
            self.branch(&mut one_by_one, good, Vec::new(), bad);
        }
        let mut tests = Vec::new();
        if several {
            if let Some(sum) = sum {
                let sum = self.atom(sum, Type::F64, &mut tests);
                all = Some(all.map_or(finite(sum.clone()), |all| and(all, finite(sum.clone()))));
            }
            self.branch(&mut tests, all.unwrap_or(Expr::I32(0)), Vec::new(), one_by_one);
        } else {
            tests.append(&mut one_by_one);
        }
        self.line = outer;
        if !tests.is_empty() {
            to.push(self.stmt(StmtKind::Tests(tests)));
        }
    }

    fn check_time(&mut self, to: &mut Vec<Stmt>) {
        let (Some(faults), Some(time), Some(previous)) = (self.rule.time, self.time, self.previous_time) else {
            return;
        };
        let offset = self.layout.column(BufferKind::Time, 0).unwrap_or(0);
        to.push(self.set(time, Expr::Load { ty: Type::I64, address: Box::new(Expr::Get(self.row)), offset }));
        let is_missing = fold::binary(Binary::Eq64, Expr::Get(time), Expr::I64(TIME_MISSING));
        self.branch(to, is_missing, vec![self.fault(faults.missing)], Vec::new());
        // Before bar 0 it is the smallest integer.
        let backwards = fold::binary(Binary::Lt64, Expr::Get(time), Expr::Get(previous));
        self.branch(to, backwards, vec![self.fault(faults.backwards)], Vec::new());
    }

    /// Sets what the rest of the bar has asked for.
    fn start_bar(&mut self, to: &mut Vec<Stmt>) {
        let Some(bar) = self.on_demand.bar else { return };
        if let Some(position) = self.on_demand.position {
            let number = fold::unary(Unary::Wrap, Expr::Get(bar));
            to.push(self.set(position, fold::binary(Binary::Shl32, number, Expr::I32(3))));
        }
        if let Some((new_day, previous_day)) = self.on_demand.new_day {
            let day = self.load_time_column(BufferKind::LocalDay);
            let differs = fold::binary(Binary::Ne32, day, Expr::Get(previous_day));
            let not_first = fold::binary(Binary::Ne64, Expr::Get(bar), Expr::I64(0));
            to.push(self.set(new_day, and(not_first, differs)));
        }
    }

    fn push_histories(&mut self, to: &mut Vec<Stmt>) {
        let rule = self.rule;
        for (history, home) in rule.histories.iter().zip(self.histories.clone()) {
            let value = match history.source {
                Source::Input(id) => self.inputs.get(id.index()).cloned(),
                Source::Param(id) => self.params.get(id.index()).map(|r| Expr::Get(*r)),
                Source::Let(id) => self.lets.get(id.index()).cloned(),
                Source::NewDay => Some(Expr::Get(self.new_day())),
                Source::Weekday => Some(fold::unary(Unary::FromI32, self.load_time_column(BufferKind::Weekday))),
                Source::BarIndex => Some(fold::unary(Unary::FromI64, Expr::Get(self.bar_number()))),
            };
            let value = value.unwrap_or(Expr::I32(0));
            match home {
                HistoryHome::Registers(regs) => {
                    for (to_reg, from) in regs.iter().skip(1).zip(&regs).rev() {
                        to.push(self.set(*to_reg, Expr::Get(*from)));
                    }
                    if let Some(first) = regs.first() {
                        to.push(self.set(*first, value));
                    }
                }
                HistoryHome::Ring(ring) => {
                    let address = self.slot(ring, 0);
                    let width = width(type_of(history.ty));
                    to.push(self.stmt(StmtKind::Store { width, address, offset: ring.base, value }));
                }
            }
        }
    }

    /// Moves on what counts bars and times. Last, since the rest of the bar reads it.
    fn advance_clock(&mut self, to: &mut Vec<Stmt>) {
        if let Some((_, previous_day)) = self.on_demand.new_day {
            let day = self.load_time_column(BufferKind::LocalDay);
            to.push(self.set(previous_day, day));
        }
        if let (Some(time), Some(previous)) = (self.time, self.previous_time) {
            to.push(self.set(previous, Expr::Get(time)));
        }
        if let Some(bar) = self.on_demand.bar {
            to.push(self.set(bar, fold::binary(Binary::Add64, Expr::Get(bar), Expr::I64(1))));
        }
    }

    /// Writes the outs. At the end, so that a bar that faults has not spent on them what missing outs cost.
    fn store_outs(&mut self, to: &mut Vec<Stmt>) {
        let rule = self.rule;
        for ((id, value), out) in (0_u32..).zip(std::mem::take(&mut self.outs)).zip(&rule.outs) {
            self.line = self.line_of(out.span);
            to.push(self.store_row(BufferKind::Out, id, value));
        }
        self.line = 0;
    }

    /// Writes the bar's verdict and fired statements.
    pub(super) fn store_verdict(&mut self, fired: Expr, verdict: Expr, to: &mut Vec<Stmt>) {
        for (kind, shift, width, value) in
            [(BufferKind::Fired, 1, Width::I32, fired), (BufferKind::Verdicts, 3, Width::Byte, verdict)]
        {
            let offset = self.layout.column(kind, 0).unwrap_or(0);
            to.push(self.stmt(StmtKind::Store { width, address: self.row_offset(shift), offset, value }));
        }
    }
}
