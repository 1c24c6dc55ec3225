//! The alerts on the test of restores, as Prometheus' own tool reads them.

use std::fs;
use std::process::Command;

use rulebox_tests::root;
use rulebox_tests::tools::{run, tried};

use crate::{changed, read, yaml};

const RULES: &str = "deploy/monitoring/backup.yaml";

fn promtool(arguments: &[&str]) -> Command {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(root().join("deploy/monitoring"));
    command
}

#[test]
fn alerts_on_restores_fire_and_do_not() {
    let said = run(&mut promtool(&["check", "rules", "--lint=all", "--lint-fatal", "backup.yaml"]));
    assert!(said.contains("2 rules found"), "{said}");
    let rules = yaml(&read(RULES))["groups"][0]["rules"].as_array().unwrap().clone();
    for rule in &rules {
        let name = rule["alert"].as_str().unwrap();
        let test = format!("tests/{name}.yaml");
        let both = read(&format!("deploy/monitoring/{test}"));
        assert!(both.contains("exp_alerts: []") && both.contains("exp_labels:"), "{test} tries one way only");
        run(&mut promtool(&["test", "rules", &test]));
        let page = read(rule["annotations"]["runbook_url"].as_str().unwrap());
        let (severity, summary) = (&rule["labels"]["severity"], &rule["annotations"]["summary"]);
        let line = format!("`{name}` ({}): {}", severity.as_str().unwrap(), summary.as_str().unwrap());
        let parts = ["## Means", "## Look", "## Do", "## If that does not help"];
        assert!(page.contains(&line) && parts.iter().all(|part| page.contains(part)), "{page}");
    }
    println!("promtool: {} alerts on restores", rules.len());

    // One that never fires is found.
    for (name, from, to) in [
        ("RuleboxRestoreTestFailed", "last_failure_timestamp_seconds) >", "last_failure_timestamp_seconds) > 1e12 +"),
        ("RuleboxRestoreTestTooOld", "> 8 * 86400", "> 80 * 86400"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("tests")).unwrap();
        fs::write(directory.path().join("backup.yaml"), changed(&read(RULES), from, to)).unwrap();
        let test = directory.path().join("tests/test.yaml");
        fs::write(&test, read(&format!("deploy/monitoring/tests/{name}.yaml"))).unwrap();
        let (output, said) = tried(&mut promtool(&["test", "rules", test.to_str().unwrap()]));
        assert!(!output.status.success() && said.contains(name), "{said}");
    }
}
