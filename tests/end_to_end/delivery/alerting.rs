//! From a hostile module to whoever is on call, by the real Prometheus and the real Alertmanager, both ways: pushed by
//! the service, and scraped from its metrics.

use std::time::{Duration, Instant};

use rulebox_tests::Server;
use rulebox_tests::receiver::{Answering, Received, Receiver};
use rulebox_tests::servers::prometheus::{Alertmanager, Prometheus};
use serde_json::{Value, json};

use super::{breach, forge, platform_key, until};
use crate::replicas::body;

const MODULES: usize = 5;
/// Of the default settings: so many violations of a module stop it.
const STOPPED_BY: usize = 5;

/// Whether Alertmanager tells of an alert with these labels.
fn tells(sent: &Received, status: &str, labels: &Value) -> bool {
    sent.json()["alerts"].as_array().unwrap().iter().any(|alert| {
        let has = |(name, value): (&String, &Value)| alert["labels"][name] == *value;
        alert["status"] == status && labels.as_object().unwrap().iter().all(has)
    })
}

/// How long after `from` Alertmanager told of it.
fn told(receiver: &Receiver, from: Instant, status: &str, labels: &Value) -> Duration {
    let sent = receiver.wait(&format!("{status} {labels}"), |sent| tells(sent, status, labels));
    sent.at.saturating_duration_since(from)
}

#[test]
fn a_hostile_module_calls_whoever_is_on_call_by_both_ways_until_it_is_resolved() {
    let directory = tempfile::tempdir().unwrap();
    let security = platform_key(directory.path(), "security");
    let on_call = Receiver::start(Answering::Status(200));
    let alertmanager = Alertmanager::start(&format!("{}/on-call", on_call.url));
    let url = format!("http://{}", alertmanager.address());
    let settings = [("RULEBOX_TENANT__MODULES", "true"), ("RULEBOX_ALERTMANAGER__URLS", url.as_str())];
    let server = Server::try_start(directory.path(), &settings).unwrap();
    let key = server.key.clone().unwrap();
    let prometheus = Prometheus::start(server.health.trim_start_matches("http://"), &alertmanager.address());
    // A counter that rises is seen to rise by whoever has seen it before.
    until("Prometheus scrapes", || {
        prometheus.query("count_over_time(rulebox_build_info[1m])").first().is_some_and(|n| *n >= 2.0)
    });
    // But for the alert that always fires.
    let watchdog = json!({"alertname": "RuleboxWatchdog"});
    let before = on_call.received();
    assert!(before.iter().all(|sent| tells(sent, "firing", &watchdog)), "{before:#?}");

    // High: pushed.
    let mut pushed = Vec::new();
    let mut violation = Value::Null;
    for n in 0..MODULES {
        let name = format!("breach_{n}");
        breach::upload(&server, &key, &name);
        let problem = breach::run(&server, &key, &name);
        let answered = Instant::now();
        violation = problem["violation_id"].clone();
        let labels = json!({
            "alertname": "RuleboxViolation", "service": "rulebox", "severity": "high", "kind": "abi_breach",
            "violation_id": violation,
        });
        pushed.push(told(&on_call, answered, "firing", &labels));
    }
    println!("abi_breach, high: Alertmanager's webhook was told by push {pushed:.2?} after the answer");

    // The fifth stops the module: scraped.
    for _ in 1..STOPPED_BY {
        breach::run(&server, &key, "breach_0");
    }
    let answered = Instant::now();
    let scraped = told(&on_call, answered, "firing", &json!({"alertname": "RuleboxRuleQuarantined"}));
    println!("quarantine: told by scrape, rule and Alertmanager {scraped:.2?} after the answer of the {STOPPED_BY}th");

    // Critical, the first ever: pushed and scraped.
    forge(&server, &key);
    let answered = Instant::now();
    let labels = json!({"alertname": "RuleboxViolation", "severity": "critical", "kind": "state_forged"});
    let pushed = told(&on_call, answered, "firing", &labels);
    let labels = json!({"alertname": "RuleboxCriticalViolation", "severity": "critical", "kind": "state_forged"});
    let scraped = told(&on_call, answered, "firing", &labels);
    println!("state_forged, critical: told by push {pushed:.2?}, by scrape {scraped:.2?} after the answer");

    // A reviewer is done with one: its alert is over, and the others last.
    let path = format!("/v1/violations/{}/resolve", violation.as_str().unwrap());
    body(server.post(&security, &path, &json!({"note": "the module was removed"})), 200);
    let answered = Instant::now();
    let over = told(&on_call, answered, "resolved", &json!({"violation_id": violation}));
    println!("resolved: told {over:.2?} after the answer");
    let lasting = alertmanager.alerts();
    let ids: Vec<_> = lasting.iter().filter_map(|alert| alert["labels"]["violation_id"].as_str()).collect();
    // Those of the modules but for one, and the forged cursor.
    assert_eq!(ids.len(), MODULES, "{lasting:#?}");
    assert!(!ids.contains(&violation.as_str().unwrap()), "{ids:?}");
}
