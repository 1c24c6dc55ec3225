//! Prometheus' and Alertmanager's files. What each alert fires on is tried in `end_to_end::telemetry::alerts`.

use std::fs;
use std::path::Path;
use std::process::Command;

use rulebox_tests::root;
use rulebox_tests::tools::{run, tried};
use tempfile::TempDir;

use crate::{changed, read, yaml};

/// A directory with these files.
fn directory_of(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

/// The block of YAML of a page that begins so.
fn block(page: &str, beginning: &str) -> String {
    let text = read(page);
    let mut blocks = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let found = blocks.find(|block| block.starts_with(beginning));
    found.unwrap_or_else(|| panic!("{page} has no block that begins with {beginning:?}")).to_owned()
}

fn promtool(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(directory);
    command
}

#[test]
fn promtool_finds_nothing_in_the_rules() {
    let check = ["check", "rules", "--lint=all", "--lint-fatal", "alerts.yaml"];
    let said = run(&mut promtool(&root().join("deploy/monitoring"), &check));
    println!("promtool: {}", said.trim().replace('\n', " "));
    assert!(said.contains("rules found") && !said.contains("0 rules found"), "{said}");

    let rules = read("deploy/monitoring/alerts.yaml");
    let group = yaml(&rules)["groups"][0]["rules"][0].clone();
    let twice = serde_json::json!({"groups": [{"name": "twice", "rules": [group, group]}]}).to_string();
    let (output, said) = tried(&mut promtool(directory_of(&[("alerts.yaml", &twice)]).path(), &check));
    assert!(!output.status.success() && said.contains("duplicate rule"), "{said}");
}

#[test]
fn promtool_finds_nothing_in_the_configurations() {
    let names = ["alerts", "backup", "cost", "exporters", "recording"].map(|name| format!("{name}.yaml"));
    let rules = names.each_ref().map(|name| read(&format!("deploy/monitoring/{name}")));
    let beside: Vec<_> = names.iter().map(String::as_str).zip(rules.iter().map(String::as_str)).collect();
    let compose = read("deploy/compose/prometheus.yaml");
    // Where the container has it mounted.
    let compose = changed(&compose, "/etc/prometheus/alerts.yaml", "alerts.yaml");
    let page = block("deploy/monitoring/README.md", "rule_files:");
    // A laptop has no exporters, no budget and no test of restores.
    for (text, files) in [(&compose, 1), (&page, names.len())] {
        let directory = directory_of(&[&beside[..], &[("prometheus.yaml", text)]].concat());
        let said = run(&mut promtool(directory.path(), &["check", "config", "prometheus.yaml"]));
        assert!(said.contains(&format!("{files} rule files found")) && said.contains("rules found"), "{said}");
        // The alerts ask for this job.
        assert_eq!(yaml(text)["scrape_configs"][0]["job_name"], "rulebox");
    }
    println!("promtool: 2 configurations");
    let broken = changed(&compose, "type: A", "type: B");
    let directory = directory_of(&[&beside[..], &[("prometheus.yaml", &broken)]].concat());
    let (output, said) = tried(&mut promtool(directory.path(), &["check", "config", "prometheus.yaml"]));
    assert!(!output.status.success() && said.contains("invalid DNS-SD records type"), "{said}");
    // What it mounts where it looks.
    let mounts = yaml(&read("deploy/compose/compose.yaml"))["services"]["prometheus"]["volumes"].to_string();
    assert!(mounts.contains("../monitoring/alerts.yaml:/etc/prometheus/alerts.yaml:ro"), "{mounts}");
}

#[test]
fn amtool_finds_nothing_and_alerts_reach_whom_they_should() {
    let compose = read("deploy/compose/alertmanager.yaml");
    let amtool = |text: &str, arguments: &[&str]| {
        let directory = directory_of(&[("alertmanager.yaml", text)]);
        tried(Command::new("amtool").args(arguments).current_dir(directory.path()))
    };
    let check = ["check-config", "alertmanager.yaml"];
    let mut routes = 0;
    let (output, said) = amtool(&compose, &check);
    assert!(output.status.success() && said.contains("SUCCESS"), "{said}");
    let test = ["config", "routes", "test", "--config.file=alertmanager.yaml"];
    for labels in [
        &["alertname=RuleboxViolation", "severity=critical", "tenant=a"][..],
        &["alertname=RuleboxViolation", "severity=high", "tenant=platform"],
        &["alertname=RuleboxBackupTooOld", "severity=warning"],
        &["alertname=SomethingElse"],
    ] {
        let (output, said) = amtool(&compose, &[&test[..], &["--verify.receivers=nobody"], labels].concat());
        assert!(output.status.success(), "{labels:?}: {said}");
        routes += 1;
    }
    println!("amtool: the laptop's configuration, {routes} routes; the other is tried in `watching`");

    let (output, said) = amtool(&changed(&compose, "receiver: nobody", "receiver: somebody"), &check);
    assert!(!output.status.success() && said.contains("undefined receiver"), "{said}");
    let wrong = amtool(&compose, &[&test[..], &["--verify.receivers=on-call", "a=b"]].concat());
    assert!(!wrong.0.status.success(), "a wrong receiver is not found");
}
