//! Settings of how long what is over is kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long what is over is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Minutes between two looks, and between two times that the audit log is verified.
    pub every_minutes: u64,
    /// Days since a violation last happened.
    pub violations_days: u64,
    /// Days of the audit log; 0 keeps it for ever.
    pub audit_days: u64,
    /// Hours in which a request with an `Idempotency-Key` may be sent again.
    pub requests_hours: u64,
    /// Days since a key expired or was revoked.
    pub keys_days: u64,
    /// Days of what tenants used.
    pub usage_days: u64,
    /// Days of events in the security feed.
    pub events_days: u64,
    /// Days since what webhooks and alerts tell was taken or given up.
    pub outbox_days: u64,
}

impl Retention {
    /// Of events in the security feed.
    pub const fn events(&self) -> Duration {
        Duration::from_secs(self.events_days.saturating_mul(86_400))
    }

    /// Between two looks.
    pub const fn every(&self) -> Duration {
        Duration::from_secs(self.every_minutes.saturating_mul(60))
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            every_minutes: 60,
            violations_days: 365,
            audit_days: 0,
            requests_hours: 24,
            keys_days: 90,
            usage_days: 400,
            events_days: 30,
            outbox_days: 30,
        }
    }
}
