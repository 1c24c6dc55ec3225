//! The results of a run: as a table, as CSV, as JSON. None of them says which engine ran, but that only the sandbox
//! knows fuel and digest.

pub(super) mod csv;
pub(super) mod json;
pub(super) mod table;

use rulebox_abi::Verdict;
use rulebox_abi::columns::OutputColumns;
use rulebox_dsl::manifest::{FaultInfo, Manifest};
use rulebox_dsl::outcome::Outcome;

use super::csv::RawTimes;
use super::engine::Metered;
use crate::domain::evaluation::Counts;
use crate::execution::prepared::ActionBits;

/// A run that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Results<'a> {
    /// Of the rule.
    pub(super) manifest: &'a Manifest,
    /// Of the bars.
    pub(super) times: &'a RawTimes,
    /// What the rule said.
    pub(super) columns: &'a OutputColumns,
    /// What the sandbox said.
    pub(super) metered: Option<Metered>,
}

/// Counts, and the bars worth showing.
#[derive(Debug)]
struct Summary {
    counts: Counts,
    /// Bars whose verdict or action differs from the bar before; before bar 0 is `ok`.
    changes: Vec<usize>,
    /// The first bar of each verdict.
    first: [Option<usize>; 4],
}

impl Results<'_> {
    fn bars(&self) -> usize {
        self.columns.verdicts.len()
    }

    fn verdict(&self, bar: usize) -> Verdict {
        self.columns.verdicts.get(bar).copied().and_then(Verdict::from_byte).unwrap_or(Verdict::Fault)
    }

    fn outcome(&self, bar: usize) -> Outcome {
        Outcome::of_columns(self.manifest, self.columns, bar)
    }

    /// Of a fault: where it came from.
    fn fault(&self, outcome: &Outcome) -> Option<&FaultInfo> {
        outcome.fault.and_then(|place| self.manifest.spans.get(place))
    }

    fn summary(&self) -> Summary {
        let actions = ActionBits::of(self.manifest);
        let mut summary = Summary { counts: Counts::default(), changes: Vec::new(), first: [None; 4] };
        let mut before = (Verdict::Ok, None);
        for bar in 0..self.bars() {
            let verdict = self.verdict(bar);
            summary.counts.add(verdict, 1);
            if let Some(first) = summary.first.get_mut(verdict as usize) {
                first.get_or_insert(bar);
            }
            let fired = self.columns.fired.get(bar).copied().unwrap_or_default();
            let action = match verdict {
                Verdict::Ok | Verdict::Fault => None,
                Verdict::Warn => actions.action(false, fired),
                Verdict::Breach => actions.action(true, fired),
            };
            if before != (verdict, action) {
                before = (verdict, action);
                summary.changes.push(bar);
            }
        }
        summary
    }
}
