//! Alerts for whoever is on call, pushed to Alertmanager (its API v2). It forgets what is not sent again: an alert is
//! pushed for as long as it lasts, each time with the end that it has if nothing more comes.

use std::time::Duration;

use reqwest::{Client, Url, redirect};
use serde::Deserialize;
use serde_json::{Value, json};

use super::NotTaken;
use crate::domain::at::At;

/// An alert lasts so many times as long as it takes until it is sent again: what Prometheus does.
const LASTS: u32 = 4;

/// Pushes alerts.
#[derive(Clone, Debug)]
pub struct Alertmanager {
    client: Client,
    url: Url,
    resend: Duration,
}

/// Why there is no Alertmanager to push to.
#[derive(Debug, thiserror::Error)]
pub enum AlertmanagerError {
    /// The setting is no address.
    #[error("RULEBOX_ALERTMANAGER__URL is not an address: `http://alertmanager:9093`")]
    Address,
    /// There is no TLS.
    #[error("there can be no connections to webhooks or Alertmanager")]
    Client(#[from] reqwest::Error),
}

/// What an event of the outbox says, as far as an alert has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    timestamp: String,
    data: Facts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Facts {
    id: String,
    tenant: Option<String>,
    rule: Option<String>,
    version: Option<u32>,
    digest: Option<String>,
    kind: String,
    severity: String,
    trap: Option<String>,
    request_id: String,
    trace_id: String,
    at: String,
}

impl Alertmanager {
    /// Pushes to the Alertmanager there.
    ///
    /// # Errors
    /// If it is no address of one.
    pub fn new(url: &str, timeout: Duration, resend: Duration) -> Result<Self, AlertmanagerError> {
        let url = Url::parse(&format!("{}/api/v2/alerts", url.trim_end_matches('/')));
        let url = url.map_err(|_| AlertmanagerError::Address)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(AlertmanagerError::Address);
        }
        let client = Client::builder().timeout(timeout).redirect(redirect::Policy::none()).no_proxy().build()?;
        Ok(Self { client, url, resend })
    }

    /// How long until an alert is sent again.
    pub const fn resend(&self) -> Duration {
        self.resend
    }

    /// Pushes an event as an alert that lasts, or as one that is over.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn push(&self, payload: &str, over: bool, now: At) -> Result<(), NotTaken> {
        let ends = if over { now } else { later(now, self.resend.saturating_mul(LASTS)) };
        let response = self.client.post(self.url.clone()).json(&json!([alert(payload, over, ends)])).send().await;
        NotTaken::unless_success(response.map_err(NotTaken::of)?.status().as_u16())
    }
}

fn later(at: At, by: Duration) -> At {
    At(at.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}

/// The labels tell an alert from every other: they are the same while it lasts and when it is over.
fn alert(payload: &str, over: bool, ends: At) -> Value {
    // The store has taken it as JSON that we have written.
    let Told { timestamp, data } = serde_json::from_str(payload).unwrap_or_default();
    let tenant = data.tenant.as_deref().unwrap_or("platform");
    let of = match (&data.rule, data.version) {
        (Some(rule), Some(version)) => format!("version {version} of rule `{rule}` of tenant `{tenant}`"),
        (Some(rule), None) => format!("rule `{rule}` of tenant `{tenant}`"),
        (None, _) if data.tenant.is_some() => format!("tenant `{tenant}`"),
        (None, _) => "the service".to_owned(),
    };
    let starts = if data.at.is_empty() { &timestamp } else { &data.at };
    json!({
        "labels": {
            "alertname": "RuleboxViolation",
            "service": "rulebox",
            "severity": data.severity,
            "kind": data.kind,
            "tenant": tenant,
            "violation_id": data.id,
        },
        "annotations": {
            "summary": format!("{}: {of}", data.kind),
            "rule": data.rule.unwrap_or_default(),
            "digest": data.digest.unwrap_or_default(),
            "trap": data.trap.unwrap_or_default(),
            "request_id": data.request_id,
            "trace_id": data.trace_id,
            "status": if over { "resolved" } else { "open" },
        },
        "startsAt": starts,
        "endsAt": ends,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_has_the_same_labels_until_it_is_over() {
        let event = |kind: &str, status: &str| {
            json!({"type": kind, "timestamp": "2026-01-05T15:00:01Z", "data": {
                "id": "7", "tenant": "a", "rule": "r", "version": 3, "kind": "abi_breach", "severity": "high",
                "status": status, "trap": null, "at": "2026-01-05T15:00:00Z", "count": 4, "detail": {},
            }})
            .to_string()
        };
        let open = alert(&event("violation.opened", "open"), false, At(1_767_625_440_000));
        let over = alert(&event("violation.resolved", "resolved"), true, At(1_767_625_300_000));
        assert_eq!(open["labels"], over["labels"]);
        assert_eq!(open["labels"]["violation_id"], "7");
        assert_eq!(
            (&open["startsAt"], &open["endsAt"]),
            (&json!("2026-01-05T15:00:00Z"), &json!("2026-01-05T15:04:00Z"))
        );
        assert_eq!(open["annotations"]["summary"], "abi_breach: version 3 of rule `r` of tenant `a`");
        assert!(open["labels"].as_object().unwrap().values().all(Value::is_string));
        assert_ne!(open["endsAt"], over["endsAt"]);
    }

    #[test]
    fn what_is_no_address_of_an_alertmanager_is_refused() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let second = Duration::from_secs(1);
        for bad in ["", "alertmanager:9093", "ftp://alertmanager"] {
            assert!(matches!(Alertmanager::new(bad, second, second), Err(AlertmanagerError::Address)), "{bad}");
        }
        let there = Alertmanager::new("http://alertmanager:9093/prefix/", second, second).unwrap();
        assert_eq!(there.url.as_str(), "http://alertmanager:9093/prefix/api/v2/alerts");
    }
}
