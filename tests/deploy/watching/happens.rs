//! Alerts that are made to happen: the real service does what they are for, the real Prometheus tries the rules, the
//! real Alertmanager has the configuration, and a receiver is told. All that waits goes [`super::FACTOR`] times faster.

mod dependencies;
mod leak;
mod modules;
mod processes;
mod slowness;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rulebox_tests::servers::prometheus::Prometheus;
use rulebox_tests::{Server, SetAtEnd};
use serde_json::Value;
use tempfile::TempDir;

use super::{ALWAYS, FACTOR, Team, faster, rule_files};
use crate::read;

/// What is made to happen here, by the test that does.
const MADE: &[(&str, &str)] = &[
    ("RuleboxCriticalViolation", "modules"),
    ("RuleboxTampering", "modules"),
    ("RuleboxRuleQuarantined", "modules"),
    ("RuleboxAlertPushesFailed", "modules"),
    ("RuleboxAlertPushesLost", "modules"),
    ("RuleboxViolationSpike", "slowness"),
    ("RuleboxLatencyBurnFast", "slowness"),
    ("RuleboxLatencyBurnSlow", "slowness"),
    ("RuleboxCompileQueue", "slowness"),
    ("RuleboxMemoryLeak", "leak"),
    ("RuleboxDependencyDown", "dependencies"),
    ("RuleboxDependencyUnreachable", "dependencies"),
    ("RuleboxServerErrors", "dependencies"),
    ("RuleboxDisconnectSpike", "dependencies"),
    ("RuleboxRestarts", "processes"),
    ("RuleboxAuditChanged", "processes"),
    ("RuleboxBackupTooOld", "processes"),
    ("RuleboxOutboxBacklog", "processes"),
    ("RuleboxCertificateExpiry", "processes"),
    ("RuleboxTargetDown", "processes"),
    ("RuleboxDown", "processes"),
    ("RuleboxWatchdog", "processes"),
];

#[test]
fn every_alert_is_made_to_happen() {
    let text = read("deploy/monitoring/alerts.yaml");
    let all: BTreeSet<_> = text.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let once: BTreeSet<_> = MADE.iter().map(|(name, _)| *name).collect();
    assert_eq!(MADE.len(), once.len(), "one is there twice");
    assert_eq!(once, all, "alerts.yaml and the list differ");
    // By the test that the list says, which waits until somebody is told of it.
    let is_told = |name: &str, module: &str| {
        let source = read(&format!("tests/deploy/watching/happens/{module}.rs"));
        let words: String = source.split_whitespace().collect();
        words.contains(&format!("told(\"{name}\""))
    };
    for (name, module) in MADE {
        assert!(is_told(name, module), "{module} does not wait for {name}");
    }
    assert!(!is_told("RuleboxDown", "modules"));
    println!("{} alerts are made to happen", MADE.len());
}

/// Prometheus, Alertmanager and whom it tells.
struct Watch {
    team: Team,
    prometheus: Prometheus,
    _rules: TempDir,
}

impl Watch {
    /// Watches processes by the addresses of their health ports.
    fn start(targets: &[String]) -> Self {
        let team = Team::start(ALWAYS, str::to_owned);
        let rules = tempfile::tempdir().unwrap();
        let mut files = Vec::new();
        for path in rule_files() {
            let file = rules.path().join(path.file_name().unwrap());
            fs::write(&file, faster(&fs::read_to_string(&path).unwrap())).unwrap();
            files.push(file.display().to_string());
        }
        let settings = serde_json::json!({
            "global": {
                "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s",
                "external_labels": {"region": "eu-1"},
            },
            "rule_files": files,
            "scrape_configs": [{"job_name": "rulebox", "static_configs": [{"targets": targets}]}],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [team.alertmanager.address()]}]}]},
        });
        let prometheus = Prometheus::start_with(&settings.to_string());
        Self { team, prometheus, _rules: rules }
    }

    /// Waits until a process has been scraped twice: a counter that rises is seen to rise by whoever saw it before.
    fn scraped(&self, target: &str) {
        let query = format!("count_over_time(rulebox_build_info{{instance=\"{target}\"}}[1m])");
        until("Prometheus scrapes", || self.prometheus.query(&query).first().is_some_and(|n| *n >= 2.0));
    }

    /// When the process that was scraped last had started.
    fn started(&self, target: &str) -> f64 {
        let query = format!("max_over_time(process_start_time_seconds{{instance=\"{target}\"}}[1m])");
        self.prometheus.query(&query).first().copied().unwrap_or_default()
    }

    /// Waits until this receiver is told of the alert, with this among its labels, and prints the row of the table.
    #[track_caller]
    fn told(&self, alert: &str, label: &str, how: &str, from: Instant, to: &str) {
        let is_it = |sent: &rulebox_tests::receiver::Received| {
            let (receiver, message) = super::Message::read(sent);
            receiver == to
                && message.firing
                && message.text.contains(&format!("{alert}:"))
                && message.text.contains(label)
        };
        let sent = self.team.receiver.wait(&format!("{alert} to {to}"), is_it);
        let seconds = sent.at.saturating_duration_since(from).as_secs_f64();
        println!("{alert} | {how} | {seconds:.1} s, {FACTOR} times faster | {to}");
    }

    /// Waits until Alertmanager has an alert, and holds it back for another's sake.
    #[track_caller]
    fn held_back(&self, alert: &str, how: &str, cause: &str, from: Instant) {
        until(&format!("{alert} is held back"), || {
            self.team.alertmanager.alerts().iter().any(|it| {
                it["labels"]["alertname"] == alert
                    && it["status"]["inhibitedBy"].as_array().is_some_and(|by| !by.is_empty())
            })
        });
        let seconds = from.elapsed().as_secs_f64();
        println!("{alert} | {how} | {seconds:.1} s, {FACTOR} times faster | nobody: {cause} was told");
    }
}

/// Does this again and again, while that waits to be told.
fn meanwhile(again: impl Fn() + Sync, told: impl FnOnce(Instant)) {
    let (began, over) = (Instant::now(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _end = SetAtEnd(&over);
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                again();
            }
        });
        told(began);
    });
}

/// Waits until it is so.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_mins(2), "{what}: not after two minutes");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A service over a directory, whose health port stays the same.
fn serve(directory: &Path, health: &str, watch: &Watch, settings: &[(&str, &str)]) -> Server {
    let alertmanager = format!("http://{}", watch.team.alertmanager.address());
    let mut all = vec![
        ("RULEBOX_HEALTH__LISTEN", health),
        ("RULEBOX_ALERTMANAGER__URLS", &alertmanager),
        ("RULEBOX_TENANT__MODULES", "true"),
    ];
    all.extend(settings);
    Server::try_start(directory, &all).unwrap()
}

/// The answer's status and body.
fn answer(response: reqwest::Result<reqwest::blocking::Response>) -> (u16, Value) {
    let response = response.unwrap();
    let status = response.status().as_u16();
    let text = response.text().unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}
