//! Metrics and the rules of alerts, as Prometheus' own tool reads them.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rulebox_tests::{Server, root, rule};
use serde_json::json;

fn monitoring() -> PathBuf {
    root().join("deploy/monitoring")
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)).concat()
}

fn promtool(arguments: &[&str]) -> Output {
    let output = Command::new("promtool").args(arguments).current_dir(monitoring()).output();
    output.unwrap_or_else(|error| panic!("promtool, of Debian's package prometheus: {error}"))
}

/// The names that stand behind this word at the beginning of lines.
fn named(text: &str, word: &str) -> BTreeSet<String> {
    let name = |line: &str| Some(line.trim().strip_prefix(word)?.trim().to_owned());
    text.lines().filter_map(name).collect()
}

/// Metrics of what there need not be.
const NOT_ALWAYS: [&str; 3] =
    ["rulebox_memory_limit_bytes", "rulebox_rules_quarantined", "rulebox_certificate_expiry_timestamp_seconds"];

#[test]
fn metrics_are_as_they_should_be() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let key = server.key.clone().unwrap();
    assert!(server.post(&key, "/v1/rules", &json!({"source": rule(7)})).unwrap().status().is_success());
    let bar = json!({"inputs": {"equity": 1, "drawdown": 0}});
    assert!(server.post(&key, "/v1/rules/probe/evaluate", &bar).unwrap().status().is_success());
    let metrics = server.client().get(format!("{}/metrics", server.health)).send().unwrap().text().unwrap();
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    assert!(output.status.success() && said(&output).is_empty(), "{}", said(&output));

    // What alerts ask for is there; the limit of memory, certificates and modules in quarantine only if there are some.
    let rules = std::fs::read_to_string(monitoring().join("alerts.yaml")).unwrap();
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let asked: BTreeSet<_> = words
        .filter(|word| ["rulebox_", "http_server_", "process_"].iter().any(|prefix| word.starts_with(prefix)))
        .filter(|word| !NOT_ALWAYS.contains(word))
        .collect();
    assert!(asked.len() > 8, "{asked:?}");
    for name in asked {
        assert!(metrics.contains(&format!("\n{name}")), "{name} is not there:\n{metrics}");
    }
}

/// Files of rules, by their names: all that have groups.
fn files() -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(monitoring()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let is_yaml = Path::new(&name).extension().is_some_and(|ending| ending == "yaml");
        if is_yaml && std::fs::read_to_string(entry.path()).unwrap().contains("\ngroups:\n") {
            files.push(name);
        }
    }
    files.sort();
    assert!(files.len() >= 4, "{files:?}");
    files
}

#[test]
fn each_alert_fires_and_does_not() {
    let mut tried = 0;
    for group in files() {
        let output = promtool(&["check", "rules", "--lint=all", "--lint-fatal", &group]);
        assert!(output.status.success(), "{}", said(&output));
        let rules = std::fs::read_to_string(monitoring().join(&group)).unwrap();
        for page in named(&rules, "runbook_url:") {
            assert!(root().join(&page).is_file(), "there is no {page}");
        }
        for alert in named(&rules, "- alert:") {
            let file = format!("tests/{alert}.yaml");
            let test =
                std::fs::read_to_string(monitoring().join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_eq!(named(&test, "alertname:"), BTreeSet::from([alert.clone()]), "{file}");
            assert!(test.contains(&format!("../{group}\n")), "{file} is not of {group}");
            // The watchdog always fires.
            let both = alert == "RuleboxWatchdog" || test.contains("exp_alerts: []");
            assert!(both && test.contains("exp_labels:"), "{file} tries one way only");
            let output = promtool(&["test", "rules", &file]);
            assert!(output.status.success(), "{file}: {}", said(&output));
            tried += 1;
        }
    }
    // Nor is there a test of an alert that is gone.
    let tests = std::fs::read_dir(monitoring().join("tests")).unwrap().count();
    assert_eq!(tests, tried, "{tests} tests, and {tried} alerts");
    println!("{tried} alerts of {} files fire and do not", files().len());
    assert!(tried > 30, "{tried}");
}

#[test]
fn a_rule_that_does_not_fire_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let test = std::fs::read_to_string(monitoring().join("tests/RuleboxCriticalViolation.yaml")).unwrap();
    let rules = std::fs::read_to_string(monitoring().join("alerts.yaml")).unwrap();
    // Never so many.
    let broken = rules.replacen("[15m])) > 0", "[15m])) > 1000", 1);
    assert_ne!(rules, broken);
    std::fs::create_dir(directory.path().join("tests")).unwrap();
    std::fs::write(directory.path().join("alerts.yaml"), broken).unwrap();
    let file = directory.path().join("tests/test.yaml");
    std::fs::write(&file, test).unwrap();
    assert!(!promtool(&["test", "rules", file.to_str().unwrap()]).status.success());
}
