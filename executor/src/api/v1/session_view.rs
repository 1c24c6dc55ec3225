//! Sessions and their answers as answers show them.

use std::sync::Arc;

use rulebox_dsl::manifest::Manifest;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use utoipa::ToSchema;

use super::answer_parts::{ActionView, Fault, Outs, VerdictView};
use crate::domain::evaluation::Event;
use crate::domain::rule::{RuleName, Runnable};
use crate::domain::session::{SessionBar, SessionInfo};
use crate::service::sessions::SessionAnswer;

/// A session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionView {
    /// Its name in addresses.
    id: String,
    /// The number of its next bar.
    next_seq: u64,
    /// The first bar that may be sent again and is answered as it was.
    oldest_seq: u64,
    /// What it runs, to its end.
    rules: Vec<PinnedView>,
    /// Seconds without a bar after which it ends.
    idle_seconds: u64,
}

/// A version that a session runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionRule)]
struct PinnedView {
    rule: String,
    version: u32,
    /// SHA-256 of its module.
    digest: String,
}

impl SessionView {
    pub(super) fn new(info: SessionInfo, idle_seconds: u64) -> Self {
        let pinned = |runnable: Runnable| PinnedView {
            rule: runnable.rule.as_str().to_owned(),
            version: runnable.version,
            digest: runnable.digest.to_string(),
        };
        Self {
            id: info.id,
            next_seq: info.next_seq,
            oldest_seq: info.oldest_seq,
            rules: info.rules.into_iter().map(pinned).collect(),
            idle_seconds,
        }
    }
}

/// What the rules of a session said of some bars. The same bars again are answered with the same text.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionBarsAnswer {
    /// The number of the first.
    seq: u64,
    /// The number of the bar after the last of these.
    next_seq: u64,
    /// One a bar.
    #[schema(value_type = Vec<SessionBarView>)]
    bars: Vec<Box<RawValue>>,
}

impl From<SessionAnswer> for SessionBarsAnswer {
    fn from(answer: SessionAnswer) -> Self {
        Self { seq: answer.seq, next_seq: answer.next_seq, bars: answer.bars }
    }
}

/// What the rules of a session said of a bar.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionBar)]
pub struct SessionBarView {
    /// Its number.
    seq: u64,
    /// RFC 3339 in UTC; null if the bar has no readable time.
    time: Option<String>,
    /// The most severe of any rule.
    verdict: VerdictView,
    /// The most severe of any rule.
    action: Option<ActionView>,
    /// With `reduce`: the smallest fraction to keep.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep: Option<f64>,
    /// Each rule, in the order of the session.
    rules: Vec<SessionRuleView>,
}

/// What one rule said of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionRuleAnswer)]
struct SessionRuleView {
    rule: String,
    verdict: VerdictView,
    /// Null asks for nothing.
    action: Option<ActionView>,
    /// With `reduce`: the fraction to keep, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep: Option<f64>,
    /// Messages, in the order of the rule's text.
    reasons: Vec<String>,
    /// Outs by name: numbers, truth values, or null for missing.
    #[schema(value_type = Object)]
    out: Outs,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
}

/// Writes what was said of a bar.
pub(super) fn render(bar: SessionBar) -> Result<Box<RawValue>, serde_json::Error> {
    let rule = |(rule, manifest, event): (RuleName, Arc<Manifest>, Event)| SessionRuleView {
        rule: rule.as_str().to_owned(),
        verdict: event.verdict.into(),
        action: event.action.map(Into::into),
        keep: event.keep,
        reasons: event.reasons,
        out: Outs(manifest, event.out),
        fault: event.fault.map(|info| Fault::new(event.bar, info)),
    };
    to_raw_value(&SessionBarView {
        seq: bar.seq,
        time: bar.time.map(|time| time.to_string()),
        verdict: bar.verdict.into(),
        action: bar.action.map(Into::into),
        keep: bar.keep,
        rules: bar.rules.into_iter().map(rule).collect(),
    })
}
