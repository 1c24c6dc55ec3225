//! Results of some bars, in the layout of the ABI.

use rulebox_abi::columns::{OutputRows, OutputSink};
use rulebox_abi::{MAX_ROWS, MISSING, Verdict};

use super::stmt::Said;
use crate::typed::{Action, FaultId, Rule};

/// Collects bars and gives them to a sink, as many at a time as one call of a module.
pub(super) struct Output<'s> {
    sink: &'s mut dyn OutputSink,
    first_row: usize,
    rows: usize,
    verdicts: Vec<u8>,
    fired: Vec<u8>,
    outs: Vec<Vec<u8>>,
    message_values: Vec<Vec<u8>>,
    /// `None` if the rule has no `reduce`.
    keep: Option<Vec<u8>>,
}

impl<'s> Output<'s> {
    pub(super) fn new(rule: &Rule, first_row: usize, sink: &'s mut dyn OutputSink) -> Self {
        let reduces = rule.statements.iter().any(|s| matches!(s.action, Some(Action::Reduce { .. })));
        Self {
            sink,
            first_row,
            rows: 0,
            verdicts: Vec::new(),
            fired: Vec::new(),
            outs: vec![Vec::new(); rule.outs.len()],
            message_values: vec![Vec::new(); rule.message_values as usize],
            keep: reduces.then(Vec::new),
        }
    }

    /// A bar without a fault. Message values of statements that have not fired are missing.
    pub(super) fn bar(
        &mut self,
        said: Said,
        outs: impl Iterator<Item = f64>,
        values: impl Iterator<Item = (usize, f64)>,
    ) {
        self.verdicts.push(said.verdict as u8);
        self.fired.extend(said.fired.to_le_bytes());
        for (column, value) in self.outs.iter_mut().zip(outs) {
            column.extend(value.to_le_bytes());
        }
        self.push_missing_values();
        for (column, value) in values {
            if let Some(cell) = self.message_values.get_mut(column).and_then(|c| c.last_chunk_mut::<8>()) {
                *cell = value.to_le_bytes();
            }
        }
        if let Some(column) = &mut self.keep {
            column.extend(said.keep.unwrap_or(MISSING).to_le_bytes());
        }
        self.end_row();
    }

    /// A bar with a fault, or after one.
    pub(super) fn fault(&mut self, fault: FaultId) {
        self.verdicts.push(Verdict::Fault as u8);
        self.fired.extend(fault.0.to_le_bytes());
        for column in self.outs.iter_mut().chain(&mut self.keep) {
            column.extend(MISSING.to_le_bytes());
        }
        self.push_missing_values();
        self.end_row();
    }

    fn push_missing_values(&mut self) {
        for column in &mut self.message_values {
            column.extend(MISSING.to_le_bytes());
        }
    }

    fn end_row(&mut self) {
        self.rows += 1;
        if self.rows == MAX_ROWS as usize {
            self.flush();
        }
    }

    /// Gives what is left to the sink.
    pub(super) fn flush(&mut self) {
        if self.rows == 0 {
            return;
        }
        let outs: Vec<&[u8]> = self.outs.iter().map(Vec::as_slice).collect();
        let message_values: Vec<&[u8]> = self.message_values.iter().map(Vec::as_slice).collect();
        let rows = OutputRows {
            rows: self.rows,
            verdicts: &self.verdicts,
            fired: &self.fired,
            outs: &outs,
            message_values: &message_values,
            keep: self.keep.as_deref().unwrap_or_default(),
            messages: &[],
        };
        self.sink.rows(self.first_row, &rows);
        self.first_row += self.rows;
        self.rows = 0;
        let columns = [&mut self.verdicts, &mut self.fired].into_iter();
        columns.chain(&mut self.outs).chain(&mut self.message_values).chain(&mut self.keep).for_each(Vec::clear);
    }
}
