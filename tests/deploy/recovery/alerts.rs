//! The alerts on the test of restores and on copies of Redis, as Prometheus' own tool reads them.

use std::fs;
use std::process::Command;

use rulebox_tests::root;
use rulebox_tests::tools::{run, tried};

use crate::{changed, read, yaml};

/// The files, and how many alerts are in each.
const FILES: [(&str, usize); 2] = [("backup.yaml", 2), ("redis-backup.yaml", 1)];

fn promtool(arguments: &[&str]) -> Command {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(root().join("deploy/monitoring"));
    command
}

#[test]
fn alerts_on_backups_fire_and_do_not() {
    for (file, alerts) in FILES {
        let said = run(&mut promtool(&["check", "rules", "--lint=all", "--lint-fatal", file]));
        assert!(said.contains(&format!("{alerts} rules found")), "{said}");
        let rules = yaml(&read(&format!("deploy/monitoring/{file}")))["groups"][0]["rules"].as_array().unwrap().clone();
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
    }
    println!("promtool: {} alerts on backups", FILES.iter().map(|(_, alerts)| alerts).sum::<usize>());

    // One that never fires is found.
    for (file, name, from, to) in [
        (
            "backup.yaml",
            "RuleboxRestoreTestFailed",
            "last_failure_timestamp_seconds) >",
            "last_failure_timestamp_seconds) > 1e12 +",
        ),
        ("backup.yaml", "RuleboxRestoreTestTooOld", "> 8 * 86400", "> 80 * 86400"),
        ("redis-backup.yaml", "RuleboxRedisCopyTooOld", "> 3 * 3600", "> 30 * 3600"),
        // Of one that has never succeeded, and of one that nobody knows.
        ("redis-backup.yaml", "RuleboxRedisCopyTooOld", " or kube_cronjob_created{", " unless kube_cronjob_created{"),
        ("redis-backup.yaml", "RuleboxRedisCopyTooOld", "or absent(", "or vector(0) > absent("),
    ] {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("tests")).unwrap();
        let rules = changed(&read(&format!("deploy/monitoring/{file}")), from, to);
        fs::write(directory.path().join(file), rules).unwrap();
        let test = directory.path().join("tests/test.yaml");
        fs::write(&test, read(&format!("deploy/monitoring/tests/{name}.yaml"))).unwrap();
        let (output, said) = tried(&mut promtool(&["test", "rules", test.to_str().unwrap()]));
        assert!(!output.status.success() && said.contains(name), "{said}");
    }
}
