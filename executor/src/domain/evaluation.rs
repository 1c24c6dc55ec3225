//! What a run gives.

use std::sync::Arc;

use rulebox_abi::Verdict;
use rulebox_dsl::manifest::{Action, FaultInfo, Manifest};
use rulebox_sandbox::Digest;
use uuid::Uuid;

use super::at::At;
use super::rule::RuleName;

/// What a rule said of one bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// From 0.
    pub bar: usize,
    /// Of the bar, if the caller gave one that could be read.
    pub time: Option<At>,
    /// The verdict.
    pub verdict: Verdict,
    /// What it asks for.
    pub action: Option<Action>,
    /// The fraction to keep, if that is `reduce`.
    pub keep: Option<f64>,
    /// Rendered messages, in the order of the text.
    pub reasons: Vec<String>,
    /// Out values in the order of the manifest; missing is NaN.
    pub out: Vec<f64>,
    /// Of a fault: where it came from.
    pub fault: Option<FaultInfo>,
}

/// Bars by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub [u64; 4]);

impl Counts {
    /// Bars of a verdict.
    pub fn of(&self, verdict: Verdict) -> u64 {
        self.0.get(verdict as usize).copied().unwrap_or(0)
    }

    /// Bars.
    pub fn all(&self) -> u64 {
        self.0.iter().fold(0, |all, count| all.saturating_add(*count))
    }

    /// Counts bars.
    pub fn add(&mut self, verdict: Verdict, bars: usize) {
        if let Some(count) = self.0.get_mut(verdict as usize) {
            *count += bars as u64;
        }
    }
}

/// Columns of a run that the caller asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// One verdict a bar.
    pub verdicts: Option<Vec<Verdict>>,
    /// One column an out, in the order of the manifest; missing is NaN.
    pub outs: Option<Vec<Vec<f64>>>,
}

/// Which columns the caller asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeriesWanted {
    /// Verdicts.
    pub verdict: bool,
    /// Outs.
    pub out: bool,
}

/// The run of one rule over all bars.
#[derive(Clone, Debug)]
pub struct RuleRun {
    /// The rule.
    pub rule: RuleName,
    /// Its version.
    pub version: u32,
    /// Of its module.
    pub digest: Digest,
    /// Of its module.
    pub manifest: Arc<Manifest>,
    /// Number of bars.
    pub bars: usize,
    /// Bars by verdict.
    pub counts: Counts,
    /// The first bar of each verdict but `ok`, in ascending severity.
    pub first: Vec<Event>,
    /// Every bar whose verdict or action differs from the bar before; before bar 0 is `ok`.
    pub events: Vec<Event>,
    /// There were more events than an answer takes.
    pub events_truncated: bool,
    /// What was said of the last bar.
    pub last: Option<Event>,
    /// Columns, if asked for.
    pub series: Series,
    /// Units of fuel used.
    pub fuel: u64,
}

/// One rule among several did not give its results.
#[derive(Clone, Debug)]
pub struct RuleStopped {
    /// The rule.
    pub rule: RuleName,
    /// Its version.
    pub version: u32,
    /// Of its module.
    pub digest: Digest,
    /// Name of the violation's kind.
    pub kind: &'static str,
    /// What happened, without anything of the rule's.
    pub detail: String,
    /// The record.
    pub violation: Uuid,
}

/// A change of the combined verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct CombinedEvent {
    /// From 0.
    pub bar: usize,
    /// Of the bar.
    pub time: Option<At>,
    /// The most severe verdict of any rule.
    pub verdict: Verdict,
    /// The most severe action of any rule.
    pub action: Option<Action>,
    /// The smallest fraction to keep, if that is `reduce`.
    pub keep: Option<f64>,
    /// The rules that gave this verdict.
    pub rules: Vec<RuleName>,
}

/// Several rules over the same bars.
#[derive(Clone, Debug)]
pub struct CombinedRun {
    /// Number of bars.
    pub bars: usize,
    /// Combined verdicts.
    pub counts: Counts,
    /// The first bar of each combined verdict but `ok`, in ascending severity.
    pub first: Vec<CombinedEvent>,
    /// Changes of the combined verdict or action.
    pub events: Vec<CombinedEvent>,
    /// There were more events than an answer takes.
    pub events_truncated: bool,
    /// The last bar.
    pub last: Option<CombinedEvent>,
    /// Combined verdicts, if asked for.
    pub verdicts: Option<Vec<Verdict>>,
    /// In the order of the request.
    pub rules: Vec<Result<RuleRun, RuleStopped>>,
    /// Of all rules.
    pub fuel: u64,
}
