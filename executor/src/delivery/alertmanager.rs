//! Alerts for whoever is on call, pushed to Alertmanager (its API v2). It forgets what is not sent again: an alert is
//! pushed for as long as it lasts, each time with the end that it has if nothing more comes.
//!
//! Of several that know each other, each is told of everything: they leave it to whom they hear of something to tell the
//! others that somebody has been notified of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Client, Url, redirect};
use serde::Deserialize;
use serde_json::{Value, json};

use super::NotTaken;
use crate::domain::at::At;
use crate::telemetry::metrics::Metrics;

/// An alert lasts so many times as long as it takes until it is sent again: what Prometheus does.
const LASTS: u32 = 4;
/// One that did not take a push is left out for so long: those beside it must not wait for it each time.
const LEFT_OUT: Duration = Duration::from_secs(5);

/// Pushes alerts.
#[derive(Clone, Debug)]
pub struct Alertmanagers {
    client: Client,
    all: Arc<[Alertmanager]>,
    resend: Duration,
    metrics: Metrics,
}

#[derive(Debug)]
struct Alertmanager {
    url: Url,
    failed_at: Mutex<Option<Instant>>,
}

/// Why there is no Alertmanager to push to.
#[derive(Debug, thiserror::Error)]
pub enum AlertmanagerError {
    /// The setting is no address.
    #[error(
        "address {0} of RULEBOX_ALERTMANAGER__URLS is none: `http://alertmanager:9093`, several with commas between them"
    )]
    Address(usize),
    /// There is no TLS.
    #[error("there can be no connections to Alertmanager")]
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

/// An event to push: as an alert that lasts, or as one that is over.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// JSON: type, timestamp, data.
    pub payload: &'a str,
    /// Whether it is over.
    pub over: bool,
}

impl Alertmanagers {
    /// Pushes to those with these addresses.
    ///
    /// # Errors
    /// If one is no address of an Alertmanager.
    pub fn new(
        urls: &[String],
        timeout: Duration,
        resend: Duration,
        metrics: Metrics,
    ) -> Result<Self, AlertmanagerError> {
        let urls = (1..).zip(urls).map(|(n, url)| address(url).ok_or(AlertmanagerError::Address(n)));
        let all = urls.map(|url| Ok(Alertmanager { url: url?, failed_at: Mutex::new(None) }));
        let all = all.collect::<Result<_, AlertmanagerError>>()?;
        let client = Client::builder().timeout(timeout).redirect(redirect::Policy::none()).no_proxy().build()?;
        Ok(Self { client, all, resend, metrics })
    }

    /// Whether there is nobody to tell.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How long until an alert is sent again.
    pub const fn resend(&self) -> Duration {
        self.resend
    }

    /// Pushes events to every Alertmanager but those that failed a moment ago.
    ///
    /// # Errors
    /// Why not one of them took the events.
    pub async fn push(&self, events: &[Event<'_>], now: At) -> Result<(), NotTaken> {
        let lasts = now.plus(self.resend.saturating_mul(LASTS));
        let ends = |over| if over { now } else { lasts };
        let alerts: Vec<_> = events.iter().map(|event| alert(event.payload, event.over, ends(event.over))).collect();
        let mut told: Vec<_> = self.all.iter().filter(|one| !one.is_left_out()).collect();
        if told.is_empty() {
            told.extend(self.all.iter());
        }
        let pushed = join_all(told.iter().map(|one| self.push_to(one, &alerts))).await;
        pushed.into_iter().reduce(Result::or).unwrap_or(Ok(()))
    }

    async fn push_to(&self, one: &Alertmanager, alerts: &[Value]) -> Result<(), NotTaken> {
        let response = self.client.post(one.url.clone()).json(alerts).send().await;
        let taken =
            response.map_err(NotTaken::of).and_then(|response| NotTaken::unless_success(response.status().as_u16()));
        let result = if taken.is_ok() { "taken" } else { "failed" };
        self.metrics.alert_pushes.with_label_values(&[result]).inc();
        one.ended(&taken);
        taken
    }
}

impl Alertmanager {
    fn is_left_out(&self) -> bool {
        let failed = *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|at| at.elapsed() < LEFT_OUT)
    }

    fn ended(&self, taken: &Result<(), NotTaken>) {
        if let Err(why) = taken {
            let cause = std::error::Error::source(why).map(ToString::to_string).unwrap_or_default();
            let host = self.url.host_str();
            tracing::warn!(host, error = %why, cause, "Alertmanager did not take alerts; they are sent again");
        }
        let failed = taken.is_err().then(Instant::now);
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }
}

fn address(text: &str) -> Option<Url> {
    let url = Url::parse(&format!("{}/api/v2/alerts", text.trim_end_matches('/'))).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.host_str().is_some()).then_some(url)
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
        for bad in ["", "alertmanager:9093", "ftp://alertmanager"] {
            assert_eq!(address(bad), None, "{bad}");
        }
        let there = address("http://alertmanager:9093/prefix/").unwrap();
        assert_eq!(there.as_str(), "http://alertmanager:9093/prefix/api/v2/alerts");
    }

    #[test]
    fn one_that_failed_is_left_out_until_it_takes_a_push() {
        let one = Alertmanager { url: address("http://alertmanager").unwrap(), failed_at: Mutex::new(None) };
        assert!(!one.is_left_out());
        one.ended(&Err(NotTaken::Slow));
        assert!(one.is_left_out());
        one.ended(&Ok(()));
        assert!(!one.is_left_out());
    }
}
