//! What pages of backups tell people to type: values that the chart has, and Jobs that can be made twice.

use std::fs;

use rulebox_tests::root;
use serde_json::Value;

use crate::{changed, files_under, read, short, yaml};

/// Parts of the chart's values that are of backups.
const PARTS: [&str; 4] = ["backup", "prune", "redisBackup", "restoreTest"];

/// What is wrong with a page.
fn faults(page: &str, values: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '.';
    // What is quoted in a line, and is no path: in blocks are names of files.
    let lines: String = page.split("```").step_by(2).collect();
    let quoted = lines.split('`').skip(1).step_by(2).flat_map(|text| text.split(' ').collect::<Vec<_>>());
    for word in quoted.filter(|word| word.chars().all(is_of_a_name)) {
        let named = PARTS.iter().any(|part| word.strip_prefix(part).is_some_and(|rest| rest.starts_with('.')));
        if named && values.pointer(&format!("/{}", word.replace('.', "/"))).is_none() {
            faults.push(format!("the chart has no {word}"));
        }
    }
    for (at, _) in page.match_indices("kubectl create job ") {
        let command = page[at..].split(['\n', '`']).next().unwrap();
        if !command.contains("--namespace ") {
            faults.push(format!("it is in another namespace: {command}"));
        }
        if !command.contains("$(date ") {
            faults.push(format!("a second one has the name of the first: {command}"));
        }
        let cron = command.split("cronjob/rulebox-").nth(1).unwrap_or_default().split(' ').next().unwrap();
        if !["backup", "prune", "redis-backup", "restore-test"].contains(&cron) {
            faults.push(format!("there is no such CronJob: {command}"));
        }
    }
    faults
}

#[test]
fn pages_of_backups_name_values_and_jobs_that_there_are() {
    let values = yaml(&read("deploy/chart/values.yaml"));
    let mut files = files_under(&root().join("deploy/monitoring/runbooks"));
    files.extend(
        ["deploy/backup/README.md", "deploy/chart/README.md", "deploy/scripts/README.md"].map(|it| root().join(it)),
    );
    let mut wrong = Vec::new();
    for file in &files {
        let found = faults(&fs::read_to_string(file).unwrap(), &values);
        wrong.extend(found.into_iter().map(|fault| format!("{}: {fault}", short(file))));
    }
    assert_eq!(wrong, Vec::<String>::new());
    println!("{} pages name values and Jobs of backups that there are", files.len());

    let page = read("deploy/monitoring/runbooks/restore-test-failed.md");
    for (from, to) in [
        ("restoreTest.scratchSize", "restoreTest.scratch.size"),
        ("kubectl create job --namespace rulebox", "kubectl create job"),
        ("\"restore-test-$(date +%s)\"", "now"),
        ("cronjob/rulebox-restore-test", "cronjob/…-restore-test"),
    ] {
        assert_eq!(faults(&changed(&page, from, to), &values).len(), 1, "{to:?} is not found");
    }
}
