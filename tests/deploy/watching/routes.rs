//! Who is told of each alert, as Alertmanager's own tool reads the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use rulebox_tests::tools::tried;

use super::{alerts, written};
use crate::{changed, read};

/// Each alert, labels that it has beside its name and severity, and who is told of it. Of those with several labels each
/// is a row.
const TOLD: &[(&str, &[&str], &str)] = &[
    // Security.
    ("RuleboxCriticalViolation", &["kind=cost_over_bound"], "security"),
    ("RuleboxCriticalViolation", &["kind=differential_mismatch"], "security"),
    ("RuleboxCriticalViolation", &["kind=cache_tampered"], "on-call,security"),
    ("RuleboxCriticalViolation", &["kind=state_forged"], "on-call,security"),
    ("RuleboxCriticalViolation", &["kind=cross_tenant"], "on-call,security"),
    ("RuleboxTampering", &["kind=cache_tampered"], "on-call,security"),
    ("RuleboxTampering", &["kind=state_forged"], "on-call,security"),
    ("RuleboxTampering", &["kind=cross_tenant"], "on-call,security"),
    ("RuleboxAuditChanged", &[], "on-call,security"),
    ("RuleboxRuleQuarantined", &["tenant=acme"], "security-chat"),
    ("RuleboxViolationSpike", &[], "security-chat"),
    ("RuleboxKeysRefused", &[], "security-chat"),
    // What pages who is on call.
    ("RuleboxLatencyBurnFast", &[], "on-call"),
    ("RuleboxServerErrors", &[], "on-call"),
    ("RuleboxDependencyDown", &["dependency=redis"], "on-call"),
    ("RuleboxBackupTooOld", &[], "on-call"),
    ("RuleboxDown", &[], "on-call"),
    ("RuleboxRestoreTestFailed", &[], "on-call"),
    ("RuleboxStoreDown", &[], "on-call"),
    ("RuleboxPostgresqlNoStandby", &[], "on-call"),
    ("RuleboxPostgresqlArchiving", &[], "on-call"),
    ("RuleboxVolumeFull", &[], "on-call"),
    ("RuleboxPgbouncerWaiting", &[], "on-call"),
    ("RuleboxRedisEvictions", &[], "on-call"),
    ("RuleboxRedisPersistence", &[], "on-call"),
    ("RuleboxAlertPushesLost", &[], "on-call"),
    ("RuleboxNotificationsDropped", &["instance=prometheus-0:9090"], "on-call"),
    ("RuleboxPanic", &[], "on-call"),
    // Whichever of the two gets through.
    ("RuleboxNotificationsFailed", &["integration=pagerduty"], "on-call,on-call-chat"),
    ("RuleboxNotificationsFailed", &["integration=slack"], "on-call,on-call-chat"),
    // What waits for working hours.
    ("RuleboxLatencyBurnSlow", &[], "on-call-chat"),
    ("RuleboxRestarts", &["instance=a:9090"], "on-call-chat"),
    ("RuleboxMemoryLeak", &["instance=a:9090"], "on-call-chat"),
    ("RuleboxDisconnectSpike", &[], "on-call-chat"),
    ("RuleboxCompileQueue", &["instance=a:9090"], "on-call-chat"),
    ("RuleboxTargetDown", &["instance=a:9090"], "on-call-chat"),
    ("RuleboxCertificateExpiry", &["certificate=executors"], "on-call-chat"),
    ("RuleboxRestoreTestTooOld", &[], "on-call-chat"),
    ("RuleboxRedisCopyTooOld", &[], "on-call-chat"),
    ("RuleboxFuelOverBudget", &[], "on-call-chat"),
    ("RuleboxPodHoursOverBudget", &[], "on-call-chat"),
    ("RuleboxExporterDown", &[], "on-call-chat"),
    ("RuleboxExporterMissing", &["job=rulebox-redis"], "on-call-chat"),
    ("RuleboxDependencyUnreachable", &["dependency=redis", "instance=a:9090"], "on-call-chat"),
    ("RuleboxAlertPushesFailed", &[], "on-call-chat"),
    ("RuleboxOutboxBacklog", &[], "on-call-chat"),
    ("RuleboxNotificationsRefused", &["instance=prometheus-0:9090"], "on-call-chat"),
    ("RuleboxConfigurationRefused", &["job=alertmanager"], "on-call-chat"),
    ("RuleboxTelemetryDown", &["job=loki"], "on-call-chat"),
    ("RuleboxTelemetryLost", &["job=otel-collector"], "on-call-chat"),
    ("RuleboxLogsAway", &[], "on-call-chat"),
    ("RuleboxPostgresqlConnections", &[], "on-call-chat"),
    ("RuleboxPostgresqlReplicationLag", &[], "on-call-chat"),
    ("RuleboxPostgresqlLongTransaction", &[], "on-call-chat"),
    ("RuleboxPostgresqlDeadlocks", &[], "on-call-chat"),
    ("RuleboxPostgresqlRollbacks", &[], "on-call-chat"),
    ("RuleboxPostgresqlWraparound", &[], "on-call-chat"),
    ("RuleboxPostgresqlLogKept", &[], "on-call-chat"),
    ("RuleboxPgbouncerClients", &[], "on-call-chat"),
    ("RuleboxRedisMemory", &[], "on-call-chat"),
    ("RuleboxRedisRejected", &[], "on-call-chat"),
    ("RuleboxRedisReplica", &[], "on-call-chat"),
    ("RuleboxWatchdog", &[], "heartbeat"),
];

/// What comes from elsewhere than the rules: pushed by the service, or of nobody.
const OTHERS: &[(&[&str], &str)] = &[
    (&["alertname=RuleboxViolation", "severity=high", "kind=abi_breach", "tenant=acme"], "security-chat"),
    (&["alertname=RuleboxViolation", "severity=critical", "kind=cost_over_bound", "tenant=acme"], "security"),
    (&["alertname=RuleboxViolation", "severity=critical", "kind=state_forged", "tenant=acme"], "on-call,security"),
    (
        &["alertname=RuleboxViolation", "severity=critical", "kind=cache_tampered", "tenant=platform"],
        "on-call,security",
    ),
    (&["alertname=SomethingElse"], "on-call"),
    (&["alertname=SomethingElse", "severity=critical"], "on-call"),
    (&["alertname=SomethingElse", "severity=warning"], "on-call-chat"),
];

/// Whom Alertmanager would tell of an alert with these labels.
fn receivers(configuration: &Path, labels: &[String]) -> String {
    let file = format!("--config.file={}", configuration.display());
    let mut amtool = Command::new("amtool");
    let (output, said) = tried(amtool.args(["config", "routes", "test", &file]).args(labels));
    assert!(output.status.success(), "{labels:?}: {said}");
    // In the order of routes, which says nothing.
    let mut told: Vec<_> = std::str::from_utf8(&output.stdout).unwrap().trim().split(',').collect();
    told.sort_unstable();
    told.join(",")
}

/// What is told to others than the table says.
fn faults(configuration: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let file = written(directory.path(), configuration);
    let severities: BTreeMap<_, _> = alerts().into_iter().map(|alert| (alert.name, alert.severity)).collect();
    let of_rules = TOLD.iter().filter_map(|(name, more, expected)| {
        let mut labels = vec![format!("alertname={name}"), format!("severity={}", severities.get(*name)?)];
        labels.extend(more.iter().map(|&label| label.to_owned()));
        Some((labels, *expected))
    });
    let of_others = OTHERS.iter().map(|(labels, expected)| (labels.iter().map(|&l| l.to_owned()).collect(), *expected));
    let rows: Vec<(Vec<String>, &str)> = of_rules.chain(of_others).collect();
    assert_eq!(rows.len(), TOLD.len() + OTHERS.len(), "a row is of no alert");
    let told = |(labels, expected): &(Vec<String>, &str)| {
        let told = receivers(&file, labels);
        (told != *expected).then(|| format!("{labels:?}: '{told}' is told, and not '{expected}'"))
    };
    rows.iter().filter_map(told).collect()
}

/// The rule of the table: every alert has a row, and every row an alert.
fn without_row<'a>(names: &BTreeSet<&'a str>) -> Vec<&'a str> {
    names.iter().filter(|name| !TOLD.iter().any(|(row, ..)| row == *name)).copied().collect()
}

#[test]
fn every_alert_is_told_to_whom_it_should_be() {
    let alerts = alerts();
    let names: BTreeSet<_> = alerts.iter().map(|alert| alert.name.as_str()).collect();
    assert_eq!(without_row(&names), Vec::<&str>::new(), "say in TOLD who is to be told of them");
    let gone: Vec<_> = TOLD.iter().filter(|(name, ..)| !names.contains(name)).collect();
    assert!(gone.is_empty(), "there is no such alert: {gone:?}");
    assert_eq!(without_row(&BTreeSet::from(["RuleboxNew"])), ["RuleboxNew"]);

    let text = read("deploy/monitoring/alertmanager.yaml");
    assert_eq!(faults(&text), Vec::<String>::new());
    for (name, more, receivers) in TOLD {
        println!("{name} {}: {receivers}", more.join(" "));
    }
    println!("amtool: {} alerts by {} rows", names.len(), TOLD.len() + OTHERS.len());

    // Each route is needed by a row.
    for (from, to) in [
        ("|RuleboxRuleQuarantined", ""),
        ("alertname=\"RuleboxWatchdog\"", "alertname=\"RuleboxWatch\""),
        ("kind=~\"cache_tampered|", "kind=~\""),
        ("      continue: true\n      routes:\n", "      routes:\n"),
        ("- matchers: [alertname=\"RuleboxAuditChanged\"]", "- matchers: [alertname=\"RuleboxAudit\"]"),
        ("        - matchers: [severity=\"critical\"]", "        - matchers: [severity=\"none\"]"),
        ("    - matchers: [severity=\"warning\"]", "    - matchers: [severity=\"low\"]"),
        ("  receiver: on-call\n", "  receiver: on-call-chat\n"),
        ("|RuleboxKeysRefused", ""),
        ("integration]\n      continue: true\n", "integration]\n"),
        (
            "    - matchers: [alertname=\"RuleboxNotificationsFailed\"]\n      receiver: on-call-chat\n      \
             group_by: [alertname, region, integration]\n      continue: true\n",
            "",
        ),
    ] {
        assert!(!faults(&changed(&text, from, to)).is_empty(), "{from:?} may be {to:?}, and no row differs");
    }
}

#[test]
fn amtool_finds_nothing_in_the_configuration() {
    let text = read("deploy/monitoring/alertmanager.yaml");
    let check = |text: &str| {
        let directory = tempfile::tempdir().unwrap();
        tried(Command::new("amtool").arg("check-config").arg(written(directory.path(), text)))
    };
    let (output, said) = check(&text);
    assert!(output.status.success() && said.contains("5 receivers") && said.contains("1 templates"), "{said}");
    for (from, to, fault) in [
        ("receiver: heartbeat", "receiver: hartbeat", "undefined receiver"),
        ("active_time_intervals: [working-hours]", "active_time_intervals: [nights]", "undefined time interval"),
        ("kind=~\"cache_tampered", "kind=~\"(cache_tampered", "error parsing regexp"),
    ] {
        let (output, said) = check(&changed(&text, from, to));
        assert!(!output.status.success() && said.contains(fault), "{to}: {said}");
    }
    // A template that is not there is an empty page.
    for word in ["rulebox.title", "rulebox.text", "rulebox.severity"] {
        assert!(text.contains(&format!("template \"{word}\"")));
        assert!(read("deploy/monitoring/alertmanager.tmpl").contains(&format!("define \"{word}\"")), "{word}");
    }
    // Secrets are files: nothing that a repository shows.
    for word in ["routing_key:", "api_url:", "credentials:", "password:", "service_key:"] {
        assert!(!text.contains(word), "{word} is in the text");
    }
}
