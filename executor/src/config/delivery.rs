//! Settings of telling others what happened.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::error::variable;
use super::list::list;
use crate::delivery::tunnel::Proxy;

/// Settings of webhooks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// Whether they may be on this machine, and without TLS: for tests.
    pub allow_loopback: bool,
    /// Webhooks of a tenant.
    pub per_tenant: u64,
    /// Milliseconds of one try.
    pub timeout_ms: u64,
    /// Tries until a delivery is given up.
    pub tries: u32,
    /// Tries at a time.
    pub at_a_time: usize,
    /// Hours that the secret before signs beside a new one.
    pub rotation_hours: u64,
    /// A proxy, `http://host:port`, through which they go, where nothing else reaches the internet.
    pub proxy: Option<Proxy>,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            allow_loopback: false,
            per_tenant: 20,
            timeout_ms: 10_000,
            tries: 20,
            at_a_time: 32,
            rotation_hours: 24,
            proxy: None,
        }
    }
}

impl Webhooks {
    /// Refuses what does not go together: to a proxy elsewhere, "this machine" is its own.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match &self.proxy {
            Some(proxy) if self.allow_loopback && !proxy.is_on_this_machine() => Err(ConfigError::Invalid {
                variable: variable("webhooks.allow_loopback"),
                value: "true".to_owned(),
                reason: "with RULEBOX_WEBHOOKS__PROXY tenants would reach the machine of the proxy; leave it out"
                    .to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Of one try.
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// How long two secrets sign.
    pub const fn rotation(&self) -> Duration {
        Duration::from_secs(self.rotation_hours.saturating_mul(3_600))
    }
}

/// Settings of alerts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alertmanager {
    /// Addresses of Alertmanager, each of which is told of everything; without one, nobody is told but those who ask.
    #[serde(deserialize_with = "list")]
    pub urls: Vec<String>,
    /// Milliseconds of one push.
    pub timeout_ms: u64,
    /// Seconds until an alert that lasts is sent again.
    pub resend_seconds: u64,
}

impl Default for Alertmanager {
    fn default() -> Self {
        Self { urls: Vec::new(), timeout_ms: 5_000, resend_seconds: 60 }
    }
}

impl Alertmanager {
    /// Of one push.
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// Until an alert that lasts is sent again.
    pub const fn resend(&self) -> Duration {
        Duration::from_secs(self.resend_seconds)
    }
}
