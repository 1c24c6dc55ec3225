//! Settings of when a module is stopped by itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::quarantine::Thresholds;

/// Settings of when a module is stopped by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {
    /// So many violations of a module, of kinds that count,
    pub violations: u64,
    /// or so many executors that died while they ran it,
    pub deaths: u64,
    /// within so many minutes.
    pub minutes: u64,
}

impl Default for Quarantine {
    fn default() -> Self {
        Self { violations: 5, deaths: 2, minutes: 10 }
    }
}

impl Quarantine {
    /// As the store takes it.
    pub const fn thresholds(&self) -> Thresholds {
        let within = Duration::from_secs(self.minutes.saturating_mul(60));
        Thresholds { violations: self.violations, deaths: self.deaths, within }
    }
}
