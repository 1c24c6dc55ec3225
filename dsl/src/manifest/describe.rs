//! The manifest of a typed rule.

use super::{
    Action, ClockInfo, FaultInfo, HoldInfo, InputInfo, Manifest, MessagePart, OutInfo, ParamInfo, StatementInfo,
    StatementVerdict, ValueFormat, ValueType,
};
use crate::ast::{ActionWord, Severity};
use crate::calendar;
use crate::span::LineIndex;
use crate::typed::{
    self, Base, Expr, ExprKind, Hold, MemoryKind, ParamKind, Rule, SmoothFunction, Source, Step, Stmt, StmtKind,
};

/// The manifest of a rule, whose text is `source`, without what only its module has: cost and bytes, which are none
/// and 0.
pub fn describe(rule: &Rule, source: &str) -> Manifest {
    let lines = LineIndex::new(source);
    Manifest {
        abi: rulebox_abi::ABI_VERSION,
        name: rule.name.clone(),
        edition: Some(rule.edition),
        inputs: rule.inputs.iter().map(input).collect(),
        params: rule.params.iter().map(param).collect(),
        outs: rule.outs.iter().map(|out| OutInfo { name: out.name.clone(), ty: value_type(out.ty.base) }).collect(),
        statements: rule.statements.iter().map(|statement| self::statement(statement, &lines)).collect(),
        uses_time: rule.uses_time(),
        clock: ClockInfo { zone: rule.clock.zone.clone(), day_start: rule.clock.day_start },
        tzdata: rule.uses_time().then(|| calendar::tzdata_version().to_owned()),
        lookback: Lookback::of(rule),
        state_bytes: 0,
        memory_bytes: 0,
        cost: None,
        spans: rule.faults.iter().map(|fault| fault_info(fault, &lines)).collect(),
    }
}

const fn value_type(base: Base) -> ValueType {
    match base {
        Base::Num => ValueType::Num,
        Base::Bool => ValueType::Bool,
        Base::Clock => ValueType::Clock,
    }
}

fn input(input: &typed::Input) -> InputInfo {
    InputInfo {
        name: input.name.clone(),
        ty: value_type(input.ty.base),
        optional: input.ty.optional,
        range: input.range.map(<[f64; 2]>::from),
    }
}

fn param(param: &typed::Param) -> ParamInfo {
    let ty = match param.kind {
        ParamKind::Num => ValueType::Num,
        ParamKind::Int => ValueType::Int,
        ParamKind::Bool => ValueType::Bool,
    };
    ParamInfo { name: param.name.clone(), ty, default: param.default, range: param.range.map(<[f64; 2]>::from) }
}

fn statement(statement: &typed::Statement, lines: &LineIndex<'_>) -> StatementInfo {
    StatementInfo {
        verdict: match statement.severity {
            Severity::Warn => StatementVerdict::Warn,
            Severity::Breach => StatementVerdict::Breach,
        },
        action: statement.action.as_ref().map(|action| match action.word() {
            ActionWord::Block => Action::Block,
            ActionWord::Reduce => Action::Reduce,
            ActionWord::Liquidate => Action::Liquidate,
        }),
        hold: statement.hold.map(|hold| match hold {
            Hold::Bars(bars) => HoldInfo::Bars(bars),
            Hold::Millis(millis) => HoldInfo::Millis(millis),
            Hold::Day => HoldInfo::Day,
            Hold::Forever => HoldInfo::Forever,
        }),
        message: statement.message.iter().map(message_part).collect(),
        line: Some(lines.position(statement.span.start).line),
    }
}

fn message_part(part: &typed::MessagePart) -> MessagePart {
    match part {
        typed::MessagePart::Text(text) => MessagePart::Text(text.clone()),
        typed::MessagePart::Value { column, name, value, format } => MessagePart::Value {
            column: *column,
            name: name.clone(),
            ty: value_type(value.ty.base),
            format: match *format {
                typed::ValueFormat::Plain => ValueFormat::Plain,
                typed::ValueFormat::Decimals(decimals) => ValueFormat::Decimals(decimals),
                typed::ValueFormat::Percent(decimals) => ValueFormat::Percent(decimals),
            },
        },
    }
}

fn fault_info(fault: &typed::Fault, lines: &LineIndex<'_>) -> FaultInfo {
    let at = lines.position(fault.span.start);
    FaultInfo {
        start: fault.span.start,
        end: fault.span.end,
        line: at.line,
        column: at.column,
        message: fault.kind.to_string(),
    }
}

/// How many bars back windows and histories reach, at their largest sizes, through the series that they read.
struct Lookback<'r> {
    rule: &'r Rule,
    lets: Vec<u64>,
    memories: Vec<u64>,
}

impl<'r> Lookback<'r> {
    fn of(rule: &'r Rule) -> u64 {
        let mut lookback = Self { rule, lets: vec![0; rule.lets.len()], memories: vec![0; rule.memories.len()] };
        let mut farthest = 0;
        // Steps stand in the order in which they can read one another.
        for step in &rule.advance {
            let (slot, bars) = match step {
                Step::Memory(id) => {
                    let bars = rule.memories.get(id.index()).map_or(0, |memory| lookback.memory(&memory.kind));
                    (lookback.memories.get_mut(id.index()), bars)
                }
                Step::Let(id, value) => {
                    let bars = lookback.expr(value);
                    (lookback.lets.get_mut(id.index()), bars)
                }
            };
            if let Some(slot) = slot {
                *slot = bars;
            }
            farthest = farthest.max(bars);
        }
        farthest.max(lookback.block(&rule.body))
    }

    fn memory(&self, kind: &MemoryKind) -> u64 {
        match kind {
            MemoryKind::Smooth { function: SmoothFunction::Rsi, value, window } => {
                self.expr(value) + u64::from(window.max)
            }
            MemoryKind::Window { value, window, .. } | MemoryKind::Smooth { value, window, .. } => {
                self.expr(value) + u64::from(window.max.saturating_sub(1))
            }
            MemoryKind::Atr { high, low, close, window } => self.farthest([high, low, close]) + u64::from(window.max),
            MemoryKind::Crosses { left, right, .. } => self.farthest([left, right]) + 1,
            MemoryKind::Cumulative { value: x, .. }
            | MemoryKind::Streak { condition: x }
            | MemoryKind::BarsSince { condition: x } => self.expr(x),
        }
    }

    fn block(&self, block: &[Stmt]) -> u64 {
        block.iter().map(|stmt| self.stmt(&stmt.kind)).max().unwrap_or(0)
    }

    fn stmt(&self, stmt: &StmtKind) -> u64 {
        match stmt {
            StmtKind::Let(_, x) | StmtKind::Init(_, x) | StmtKind::Assign(_, x) | StmtKind::Out(_, x) => self.expr(x),
            StmtKind::If { condition, then, otherwise } => {
                self.expr(condition).max(self.block(then)).max(self.block(otherwise))
            }
            StmtKind::Verdict(id) => match self.rule.statements.get(id.index()).and_then(|s| s.action.as_ref()) {
                Some(typed::Action::Reduce { keep, .. }) => self.expr(keep),
                _ => 0,
            },
        }
    }

    fn expr(&self, expr: &Expr) -> u64 {
        match &expr.kind {
            ExprKind::Let(id) => self.lets.get(id.index()).copied().unwrap_or(0),
            ExprKind::Memory(id) => self.memories.get(id.index()).copied().unwrap_or(0),
            ExprKind::History { history, back } => {
                let source = self.rule.histories.get(history.index()).map(|history| history.source);
                let of_source = match source {
                    Some(Source::Let(id)) => self.lets.get(id.index()).copied().unwrap_or(0),
                    _ => 0,
                };
                of_source + u64::from(*back)
            }
            ExprKind::Neg { operand: x, .. } | ExprKind::Not(x) | ExprKind::Known(x) => self.expr(x),
            ExprKind::Arith { left, right, .. }
            | ExprKind::Compare { left, right, .. }
            | ExprKind::And(left, right)
            | ExprKind::Or(left, right)
            | ExprKind::Default { value: left, default: right } => self.farthest([&**left, right]),
            ExprKind::If { condition, then, otherwise } => self.farthest([&**condition, then, otherwise]),
            ExprKind::Call { args, .. } => self.farthest(args),
            ExprKind::Num(_)
            | ExprKind::Bool(_)
            | ExprKind::Clock(_)
            | ExprKind::Input(_)
            | ExprKind::Param(_)
            | ExprKind::Var(_)
            | ExprKind::NewDay
            | ExprKind::Weekday
            | ExprKind::TimeOfDay
            | ExprKind::BarIndex => 0,
        }
    }

    fn farthest<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>) -> u64 {
        exprs.into_iter().map(|expr| self.expr(expr)).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, check_source};

    fn manifest(source: &str) -> Manifest {
        let checked = check_source(source, &Limits::DEFAULT).unwrap_or_else(|errors| panic!("{errors}\n{source}"));
        describe(&checked.rule, source)
    }

    #[test]
    fn it_has_everything_a_host_reads_and_survives_json() {
        let source = "clock \"America/Chicago\" day 17:00\n\
            rule r(x: num in 0..10, b: bool?) {\n  param n: int = 2 in 1..4\n  param on: bool = true\n\
            out half = x / 2\n  out was = b\n\
            if new_day and on { breach reduce(0.5) for 15m \"{x:.2%} at {time_of_day} {{\" }\n  warn \"w\"\n}";
        let m = manifest(source);
        assert_eq!((m.abi, m.name.as_str(), m.edition, m.uses_time), (1, "r", Some(1), true));
        assert_eq!(m.clock, ClockInfo { zone: "America/Chicago".to_owned(), day_start: 1020 });
        assert_eq!(m.tzdata.as_deref(), Some(calendar::tzdata_version()));
        let x = InputInfo { name: "x".to_owned(), ty: ValueType::Num, optional: false, range: Some([0.0, 10.0]) };
        let b = InputInfo { name: "b".to_owned(), ty: ValueType::Bool, optional: true, range: None };
        assert_eq!(m.inputs, [x, b]);
        let n = ParamInfo { name: "n".to_owned(), ty: ValueType::Int, default: 2.0, range: Some([1.0, 4.0]) };
        let on = ParamInfo { name: "on".to_owned(), ty: ValueType::Bool, default: 1.0, range: None };
        assert_eq!(m.params, [n, on]);
        let outs: Vec<_> = m.outs.iter().map(|out| (out.name.as_str(), out.ty)).collect();
        assert_eq!(outs, [("half", ValueType::Num), ("was", ValueType::Bool)]);
        let breach = &m.statements[0];
        assert_eq!((breach.verdict, breach.action), (StatementVerdict::Breach, Some(Action::Reduce)));
        assert_eq!((breach.hold, breach.line), (Some(HoldInfo::Millis(900_000)), Some(7)));
        let value = |column, name: &str, ty, format| MessagePart::Value { column, name: name.to_owned(), ty, format };
        let message = [
            value(0, "x", ValueType::Num, ValueFormat::Percent(2)),
            MessagePart::Text(" at ".to_owned()),
            value(1, "time_of_day", ValueType::Clock, ValueFormat::Plain),
            MessagePart::Text(" {".to_owned()),
        ];
        assert_eq!(breach.message, message);
        assert_eq!((m.statements[1].verdict, m.statements[1].action), (StatementVerdict::Warn, None));
        let missing = FaultInfo {
            start: 41,
            end: 56,
            line: 2,
            column: 8,
            message: "the required input `x` is missing".to_owned(),
        };
        assert!(m.spans.contains(&missing), "{:?}", m.spans);
        let json = serde_json::to_string(&m).unwrap();
        assert_eq!(serde_json::from_str::<Manifest>(&json).unwrap(), m);
    }

    #[test]
    fn a_rule_without_time_has_no_tzdata() {
        assert_eq!(manifest("rule r(x) = x > 1").tzdata, None);
    }

    #[test]
    fn lookback_adds_up_along_series() {
        for (body, bars) in [
            ("out y = x", 0),
            ("out y = x[3]", 3),
            ("out y = sma(x, 5)", 4),
            ("out y = sma(x, n)", 9),
            ("out y = ema(x, 5)", 4),
            ("out y = rsi(x, 5)", 5),
            ("out y = atr(x, x, x, 5)", 5),
            ("out y = crosses_above(x, 1)", 1),
            ("out y = cum_max(x)", 0),
            ("let d = x - (x[1] ?? x)\n out y = stdev(d, 5)", 5),
            ("let d = x - (x[1] ?? x)\n out y = d[2]", 3),
            ("let s = sum(x, 3, min: 1)\n out y = highest(s, 4)", 5),
            ("if x > 1 { if x > 2 { out y = x[7] } }", 7),
            ("var v = 0\n v := max(v, x[2] ?? 0, highest(x, 4, min: 1))", 3),
            ("breach reduce(clamp(x[6] ?? 1, 0, 1)) \"x\"", 6),
        ] {
            let source = format!("rule r(x) {{\n param n: int = 2 in 1..10\n {body}\n}}");
            assert_eq!(manifest(&source).lookback, bars, "{body}");
        }
    }
}
