//! Settings of counting what tenants use.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of counting what tenants use.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Seconds between two times that a replica writes what it has counted: so much of it a kill loses at most.
    pub flush_seconds: u64,
}

impl Default for Usage {
    fn default() -> Self {
        Self { flush_seconds: 5 }
    }
}

impl Usage {
    /// Between two times that a replica writes what it has counted.
    pub const fn flush(&self) -> Duration {
        Duration::from_secs(self.flush_seconds)
    }
}
