//! A module that is ready to run, and what the host must know to run it and to read its results.

use std::sync::Arc;

use rulebox_dsl::calendar::Calendar;
use rulebox_dsl::manifest::{Action, CostInfo, Manifest, MessagePart, StatementVerdict};
use rulebox_sandbox::{Limits, Messages, Shape};

use super::engine::{Module, Setup};

/// A loaded module and its manifest.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What can be run.
    pub module: Arc<dyn Module>,
    /// What it takes and gives.
    pub manifest: Arc<Manifest>,
    /// The same as counts.
    pub shape: Shape,
    /// Of a rule that uses time.
    pub calendar: Option<Calendar>,
    /// Which statements give which verdict and action.
    pub actions: ActionBits,
}

impl Prepared {
    /// Puts a module and its manifest together; `None` if the manifest names a zone that this version does not know.
    pub fn new(module: Arc<dyn Module>, manifest: Manifest) -> Option<Self> {
        let calendar = if manifest.uses_time {
            Some(Calendar::new(&manifest.clock.zone, manifest.clock.day_start).ok()?)
        } else {
            None
        };
        let shape = shape(&manifest);
        let actions = ActionBits::of(&manifest);
        Some(Self { module, manifest: Arc::new(manifest), shape, calendar, actions })
    }
}

impl Prepared {
    /// What a run with these params and limits is begun with; `limits` as [`Prepared::limits`] gives them.
    pub fn setup<'a>(&'a self, params: &'a [f64], limits: &'a Limits) -> Setup<'a> {
        Setup { shape: &self.shape, params, limits }
    }

    /// The fuel that a run of so many bars is said to have used, of which `used` was. What is proved is said: it is the
    /// same of either form of a module, wherever that runs and however its bars are cut into calls. Of a module without a
    /// proof it is what was used.
    pub fn fuel(&self, rows: usize, used: u64) -> u64 {
        self.manifest.cost.as_ref().map_or(used, |cost| cost.of_run(rows as u64, rows as u64))
    }

    /// These limits, with as many bars in a call as keep the module far from its deadline, and these texts asked for.
    pub fn limits(&self, limits: &Limits, messages: Messages) -> Limits {
        let chunk_rows = rows_a_call(self.manifest.cost.as_ref(), limits.chunk_rows);
        Limits { chunk_rows, messages, ..*limits }
    }
}

/// Worst-case fuel of one call of `rulebox_eval`, about a tenth of a second.
pub const CALL_FUEL: u64 = 100_000_000;

/// How many bars to pass in one call, `most` at most.
///
/// Deadlines are for a call. 4,096 bars of a rule with large windows are seconds of honest work: fewer a call keep
/// every rule far from its deadline, also on a busy machine. What has no proved cost gets `most`.
pub fn rows_a_call(cost: Option<&CostInfo>, most: u32) -> u32 {
    let Some(cost) = cost else { return most };
    let rows = CALL_FUEL.saturating_sub(cost.call) / cost.bar.max(1);
    u32::try_from(rows).unwrap_or(u32::MAX).clamp(1, most.max(1))
}

/// The worst case of a run of so many bars in calls of `most` at most, if there is a proof.
pub fn proved(manifest: &Manifest, rows: usize, most: u32) -> Option<u64> {
    let cost = manifest.cost.as_ref()?;
    Some(cost.of_run(rows as u64, u64::from(rows_a_call(Some(cost), most))))
}

/// The worst case of a whole run in one call, with what goes before its first bar.
pub fn proved_in_all(manifest: &Manifest, rows: usize) -> Option<u64> {
    let cost = manifest.cost.as_ref()?;
    Some(cost.of_run(rows as u64, rows as u64).saturating_add(cost.setup))
}

/// The counts of a manifest.
pub fn shape(manifest: &Manifest) -> Shape {
    let parts = manifest.statements.iter().flat_map(|statement| &statement.message);
    let values = parts.filter_map(|part| match part {
        MessagePart::Value { column, .. } => Some(*column as usize + 1),
        MessagePart::Text(_) => None,
    });
    Shape {
        params: manifest.params.len(),
        inputs: manifest.inputs.len(),
        uses_time: manifest.uses_time,
        outs: manifest.outs.len(),
        message_values: values.max().unwrap_or(0),
        keep: manifest.statements.iter().any(|statement| statement.action == Some(Action::Reduce)),
    }
}

/// For each verdict and action, the bits of the statements that give it: tells the action of a bar without reading
/// its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActionBits {
    warn: [u32; 3],
    breach: [u32; 3],
}

impl ActionBits {
    const ORDER: [Action; 3] = [Action::Liquidate, Action::Reduce, Action::Block];

    /// Of the statements of a rule.
    pub fn of(manifest: &Manifest) -> Self {
        let mut bits = Self::default();
        for (bit, statement) in manifest.statements.iter().take(rulebox_abi::MAX_STATEMENTS).enumerate() {
            let masks = match statement.verdict {
                StatementVerdict::Warn => &mut bits.warn,
                StatementVerdict::Breach => &mut bits.breach,
            };
            for (mask, action) in masks.iter_mut().zip(Self::ORDER) {
                if statement.action == Some(action) {
                    *mask |= 1 << bit;
                }
            }
        }
        bits
    }

    /// The most severe action of these statements, of those that give a warning or a breach.
    pub fn action(&self, breach: bool, fired: u32) -> Option<Action> {
        let masks = if breach { &self.breach } else { &self.warn };
        let found = masks.iter().zip(Self::ORDER).find(|(mask, _)| fired & **mask != 0);
        found.map(|(_, action)| action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_fewer_bars_the_more_they_cost() {
        let rows = |bar, call| {
            let cost = CostInfo { bar, call, setup: 0, lines: Vec::new() };
            let rows = rows_a_call(Some(&cost), 4096);
            assert!(rows == 1 || cost.of_run(u64::from(rows), u64::from(rows)) <= CALL_FUEL, "{cost:?}");
            rows
        };
        assert_eq!(rows(87, 42), 4096);
        assert_eq!(rows(1_000_000, 0), 100);
        assert_eq!(rows(1_000_000, 1), 99);
        assert_eq!(rows(u64::MAX, u64::MAX), 1);
        assert_eq!(rows(0, 0), 4096);
        assert_eq!(rows_a_call(None, 64), 64);
    }
}
