//! The region that stands by: of its alerts, those that would always be told are not, until it takes over.

use std::process::Command;
use std::time::Duration;

use rulebox_tests::servers::prometheus::Alertmanager;
use rulebox_tests::tools::run;
use serde_json::{Value, json};

use crate::read;

/// The command of the plan that begins so, as it stands there, for this Alertmanager.
fn command(readme: &str, ends: &str, alertmanager: &Alertmanager) -> String {
    let blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let found = blocks.filter(|block| block.trim_start().starts_with("amtool") && block.contains(ends));
    let found: Vec<_> = found.collect();
    assert_eq!(found.len(), 1, "{ends}: {found:?}");
    found[0].replace("http://alertmanager-b:9093", &format!("http://{}", alertmanager.address()))
}

fn shell(command: &str) {
    // Who silences is written down: here nobody is logged in.
    run(Command::new("bash").args(["-euo", "pipefail", "-c", command]).env("USER", "tests"));
}

/// Alerts of a region, all of the rules' names: which of them are silenced.
fn silenced(alertmanager: &Alertmanager, region: &str, names: &[String]) -> Vec<String> {
    let alerts: Vec<_> = names
        .iter()
        .map(|name| json!({"labels": {"alertname": name, "severity": "critical", "region": region}}))
        .collect();
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/api/v2/alerts", alertmanager.address());
    assert!(client.post(url).json(&alerts).send().unwrap().status().is_success());
    let here = |alert: &&Value| alert["labels"]["region"] == region;
    for _ in 0..200 {
        let told = alertmanager.alerts();
        let told: Vec<_> = told.iter().filter(here).collect();
        // Each is looked at once it has come, and `unprocessed` until then.
        if told.len() == names.len() && told.iter().all(|alert| alert["status"]["state"] != "unprocessed") {
            let is_silent = |alert: &&&Value| !alert["status"]["silencedBy"].as_array().unwrap().is_empty();
            let mut silent: Vec<_> = told
                .iter()
                .filter(is_silent)
                .map(|it| it["labels"]["alertname"].as_str().unwrap().to_owned())
                .collect();
            silent.sort();
            return silent;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("Alertmanager does not take the alerts: {:?}", alertmanager.alerts());
}

#[test]
fn a_region_that_stands_by_is_silent_of_itself_alone() {
    let files = ["alerts", "backup", "exporters", "cost"];
    let texts: Vec<_> = files.iter().map(|name| read(&format!("deploy/monitoring/{name}.yaml"))).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    let names: Vec<_> = lines.filter_map(|line| line.trim().strip_prefix("- alert: ")).map(str::to_owned).collect();
    // What says that the service does not serve, or has made no backup.
    let mut expected = [
        "RuleboxBackupTooOld",
        "RuleboxDependencyDown",
        "RuleboxDown",
        "RuleboxRestarts",
        "RuleboxRestoreTestTooOld",
        "RuleboxTargetDown",
    ]
    .map(str::to_owned);
    expected.sort();
    assert!(expected.iter().all(|name| names.contains(name)), "{names:?}");

    let readme = read("deploy/recovery/README.md");
    let alertmanager = Alertmanager::start("http://127.0.0.1:9/");
    assert_eq!(silenced(&alertmanager, "eu-2", &names), Vec::<String>::new());
    shell(&command(&readme, "silence add", &alertmanager));
    let alertmanager_says = silenced(&alertmanager, "eu-2", &names);
    assert_eq!(alertmanager_says, expected, "of {names:?}");
    assert_eq!(silenced(&alertmanager, "eu-1", &names), Vec::<String>::new(), "the other region serves");
    // It takes over: all is told.
    shell(&command(&readme, "silence expire", &alertmanager));
    assert_eq!(silenced(&alertmanager, "eu-2", &names), Vec::<String>::new());
    println!("a region that stands by: {} of {} alerts are silenced", expected.len(), names.len());
}
