//! What a rule's text says in numbers.

use crate::typed::{Action, Expr, ExprKind, Hold, Memory, MemoryKind, Rule, Step, Stmt, StmtKind, Window};

/// Numbers of one rule that are looked at. Who writes more of them has no less of a check for those.
const MOST_NUMBERS: usize = 48;
/// The same of minutes and spans of time.
const MOST_TIMES: usize = 16;

/// What a rule's text says in numbers, each once, in the order of the text.
#[derive(Debug, Default)]
pub(super) struct Constants {
    /// Literals, defaults and ends of ranges.
    pub(super) numbers: Vec<f64>,
    /// Times of day, in minutes, and where the day begins.
    pub(super) minutes: Vec<u16>,
    /// Milliseconds that holds last.
    pub(super) spans: Vec<i64>,
    /// Bars of the longest window, history or hold.
    pub(super) longest: usize,
}

impl Constants {
    /// Of a rule.
    pub(super) fn of(rule: &Rule) -> Self {
        let mut found = Self::default();
        found.statements(rule);
        found.block(&rule.body);
        for step in &rule.advance {
            match step {
                Step::Memory(id) => {
                    if let Some(memory) = rule.memories.get(id.index()) {
                        found.memory(memory);
                    }
                }
                Step::Let(_, value) => found.expr(value),
            }
        }
        for param in &rule.params {
            found.number(param.default);
            found.range(param.range);
        }
        for history in &rule.histories {
            found.bars(history.depth);
        }
        found.minute(rule.clock.day_start);
        found
    }

    fn number(&mut self, value: f64) {
        let is_new = self.numbers.iter().all(|known| known.to_bits() != value.to_bits());
        if is_new && self.numbers.len() < MOST_NUMBERS {
            self.numbers.push(value);
        }
    }

    fn range(&mut self, range: Option<(f64, f64)>) {
        if let Some((lo, hi)) = range {
            self.number(lo);
            self.number(hi);
        }
    }

    fn minute(&mut self, minute: u16) {
        if !self.minutes.contains(&minute) && self.minutes.len() < MOST_TIMES {
            self.minutes.push(minute);
        }
    }

    fn bars(&mut self, bars: u32) {
        self.longest = self.longest.max(bars as usize);
    }

    fn statements(&mut self, rule: &Rule) {
        for statement in &rule.statements {
            if let Some(Action::Reduce { keep, .. }) = &statement.action {
                self.expr(keep);
            }
            match statement.hold {
                Some(Hold::Bars(bars)) => self.bars(bars),
                Some(Hold::Millis(millis)) if !self.spans.contains(&millis) && self.spans.len() < MOST_TIMES => {
                    self.spans.push(millis);
                }
                _ => {}
            }
        }
    }

    fn block(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            match &stmt.kind {
                StmtKind::Let(_, value)
                | StmtKind::Init(_, value)
                | StmtKind::Assign(_, value)
                | StmtKind::Out(_, value) => self.expr(value),
                StmtKind::If { condition, then, otherwise } => {
                    self.expr(condition);
                    self.block(then);
                    self.block(otherwise);
                }
                StmtKind::Verdict(_) => {}
            }
        }
    }

    fn window(&mut self, window: &Window) {
        self.bars(window.max);
    }

    fn memory(&mut self, memory: &Memory) {
        match &memory.kind {
            MemoryKind::Window { value, window, .. } | MemoryKind::Smooth { value, window, .. } => {
                self.window(window);
                self.expr(value);
            }
            MemoryKind::Atr { high, low, close, window } => {
                self.window(window);
                for value in [high, low, close] {
                    self.expr(value);
                }
            }
            MemoryKind::Cumulative { value, .. } => self.expr(value),
            MemoryKind::Streak { condition } | MemoryKind::BarsSince { condition } => self.expr(condition),
            MemoryKind::Crosses { left, right, .. } => {
                self.expr(left);
                self.expr(right);
            }
        }
    }

    /// As deep as the compiler lets an expression be.
    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Num(value) => self.number(*value),
            ExprKind::Clock(minute) => self.minute(*minute),
            ExprKind::Bool(_)
            | ExprKind::Input(_)
            | ExprKind::Param(_)
            | ExprKind::Let(_)
            | ExprKind::Var(_)
            | ExprKind::NewDay
            | ExprKind::Weekday
            | ExprKind::TimeOfDay
            | ExprKind::BarIndex
            | ExprKind::History { .. }
            | ExprKind::Memory(_) => {}
            ExprKind::Neg { operand, .. } | ExprKind::Not(operand) | ExprKind::Known(operand) => self.expr(operand),
            ExprKind::Arith { left, right, .. }
            | ExprKind::Compare { left, right, .. }
            | ExprKind::And(left, right)
            | ExprKind::Or(left, right)
            | ExprKind::Default { value: left, default: right } => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::If { condition, then, otherwise } => {
                for value in [condition, then, otherwise] {
                    self.expr(value);
                }
            }
            ExprKind::Call { args, .. } => {
                for value in args {
                    self.expr(value);
                }
            }
        }
    }
}
