//! Settings of the second opinion on compiled rules.

use serde::{Deserialize, Serialize};

/// Settings of the second opinion on compiled rules.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Differential {
    /// One in so many evaluations of compiled rules is interpreted as well, behind its answer, and held against it; 0:
    /// none.
    pub one_in: u64,
    /// Checks of uploads and of evaluations that may wait; what finds no place is not checked, and counted. One that
    /// waits has less than a MiB.
    pub queue: usize,
}

impl Default for Differential {
    fn default() -> Self {
        Self { one_in: 1_000, queue: 64 }
    }
}
