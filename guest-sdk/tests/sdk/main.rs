//! The SDK against the rule language: the same three rules, on the same bars.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod bars;
mod declarations;
mod expected;
mod fixtures;
mod manifests;
mod same_verdicts;
mod three_rules;
