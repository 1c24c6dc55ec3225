//! Sessions: live runs of rules, bar by bar.

use std::sync::Arc;

use rulebox_abi::Verdict;
use rulebox_dsl::manifest::{Action, Manifest};

use super::at::At;
use super::evaluation::Event;
use super::rule::{RuleName, Runnable};

/// What there is to know of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its name: opaque, of its tenant alone.
    pub id: String,
    /// The versions that it runs, to its end.
    pub rules: Vec<Runnable>,
    /// The number of the next bar.
    pub next_seq: u64,
    /// The first bar whose answer is given again.
    pub oldest_seq: u64,
}

/// What all rules of a session said of a bar.
#[derive(Clone, Debug)]
pub struct SessionBar {
    /// Its number.
    pub seq: u64,
    /// Of the bar.
    pub time: Option<At>,
    /// The most severe of any rule.
    pub verdict: Verdict,
    /// The most severe of any rule.
    pub action: Option<Action>,
    /// The smallest fraction to keep, if that is `reduce`.
    pub keep: Option<f64>,
    /// Each rule, in the order of the session.
    pub rules: Vec<(RuleName, Arc<Manifest>, Event)>,
}

/// Why bars do not continue a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeqError {
    /// Some are missing before them.
    #[error("the session's next bar is {expected}, and these begin at {seq}")]
    Gap {
        /// Of the first.
        seq: u64,
        /// Of the session's next.
        expected: u64,
    },
    /// One was answered before, and had other inputs.
    #[error("bar {seq} was sent before with other inputs")]
    Conflict {
        /// Of the first that differs.
        seq: u64,
        /// Of the session's next.
        expected: u64,
    },
    /// They were answered before, and the answers are gone.
    #[error("bar {seq} was answered, and answers are kept from bar {oldest} on")]
    TooOld {
        /// Of the first.
        seq: u64,
        /// The first that is kept.
        oldest: u64,
        /// Of the session's next.
        expected: u64,
    },
}
