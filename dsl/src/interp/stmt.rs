//! Step 3 of a bar: statements, and the verdict that comes of them.

use rulebox_abi::Verdict;

use super::Interpreter;
use super::hold::{Given, Held};
use super::value::set;
use crate::ast::Severity;
use crate::typed::{Action, FaultId, MessagePart, Statement, StatementId, Stmt, StmtKind, VarId};

/// What a bar comes to, besides its outs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) verdict: Verdict,
    /// Bit i: statement i ran or its hold is in force.
    pub(super) fired: u32,
    /// The fraction of the winning statement, if it is a `reduce`.
    pub(super) keep: Option<f64>,
}

impl Interpreter<'_> {
    /// Runs statements from top to bottom.
    pub(super) fn block(&mut self, statements: &[Stmt]) -> Result<(), FaultId> {
        statements.iter().try_for_each(|statement| self.statement(&statement.kind))
    }

    fn statement(&mut self, statement: &StmtKind) -> Result<(), FaultId> {
        match statement {
            StmtKind::Let(id, value) => {
                let value = self.eval(value)?;
                set(&mut self.bar.lets, id.index(), value);
            }
            StmtKind::Init(id, value) if self.is_initialised(*id) => {
                let value = self.eval(value)?;
                set(&mut self.state.vars, id.index(), value);
            }
            StmtKind::Init(..) => {}
            StmtKind::Assign(id, value) => {
                let value = self.eval(value)?;
                set(&mut self.state.vars, id.index(), value);
            }
            StmtKind::Out(id, value) => {
                let value = self.eval(value)?;
                set(&mut self.bar.outs, id.index(), value);
            }
            StmtKind::If { condition, then, otherwise } => {
                let taken = if self.eval(condition)?.truth() { then } else { otherwise };
                self.block(taken)?;
            }
            StmtKind::Verdict(id) => self.verdict(*id)?,
        }
        Ok(())
    }

    /// Whether the line of a var gives it its initial value on this bar.
    fn is_initialised(&self, id: VarId) -> bool {
        let per_day = self.rule.vars.get(id.index()).is_some_and(|var| var.per_day);
        self.bar.moment.index == 0 || (per_day && self.bar.moment.new_day)
    }

    /// A verdict statement runs: its message and fraction are of now, and its hold starts again.
    fn verdict(&mut self, id: StatementId) -> Result<(), FaultId> {
        let rule = self.rule;
        let Some(statement) = rule.statements.get(id.index()) else { return Ok(()) };
        let mut given = Given { values: Vec::new(), keep: None };
        if let Some(Action::Reduce { keep, fault }) = &statement.action {
            let keep = self.eval(keep)?.number();
            if !(0.0..=1.0).contains(&keep) {
                return Err(*fault);
            }
            given.keep = Some(keep);
        }
        for part in &statement.message {
            if let MessagePart::Value { column, value, .. } = part {
                given.values.push((*column as usize, self.eval(value)?.number()));
            }
        }
        if let (Some(_), Some(slot)) = (statement.hold, self.state.holds.get_mut(id.index())) {
            let moment = &self.bar.moment;
            *slot = Some(Held { given: given.clone(), bar_index: moment.index, time: moment.time });
        }
        if let Some(slot) = self.bar.given.get_mut(id.index()) {
            *slot = Some(given);
        }
        Ok(())
    }

    /// Every statement that ran on this bar or is held, with what it gave, in the order of the text.
    pub(super) fn fired(&self) -> impl Iterator<Item = (usize, &Statement, &Given)> {
        let statements = self.rule.statements.iter().enumerate();
        statements.zip(self.bar.given.iter().zip(&self.state.holds)).filter_map(|((id, statement), (ran, held))| {
            Some((id, statement, ran.as_ref().or(held.as_ref().map(|held| &held.given))?))
        })
    }

    /// The verdict of this bar: the most severe of what fired wins, and of equals the first in the text.
    pub(super) fn said(&self) -> Said {
        let mut fired = 0;
        let mut winner: Option<(&Statement, &Given)> = None;
        for (id, statement, given) in self.fired() {
            fired |= 1 << id;
            if winner.is_none_or(|(best, _)| severity(statement) > severity(best)) {
                winner = Some((statement, given));
            }
        }
        let verdict = match winner {
            None => Verdict::Ok,
            Some((Statement { severity: Severity::Warn, .. }, _)) => Verdict::Warn,
            Some((Statement { severity: Severity::Breach, .. }, _)) => Verdict::Breach,
        };
        Said { verdict, fired, keep: winner.and_then(|(_, given)| given.keep) }
    }
}

/// Breach over warn; then liquidate over reduce over block over none.
fn severity(statement: &Statement) -> (Severity, u8) {
    let action = match statement.action {
        None => 0,
        Some(Action::Block) => 1,
        Some(Action::Reduce { .. }) => 2,
        Some(Action::Liquidate) => 3,
    };
    (statement.severity, action)
}
