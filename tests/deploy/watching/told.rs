//! The configuration in a real Alertmanager: who is told, in how many messages, and of what nobody is told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rulebox_tests::receiver::Received;
use serde_json::{Value, json};

use super::{ALWAYS, Message, NEVER, Team, counts};

/// Alerts that last, to be posted together: without an end they would be over after `resolve_timeout`, sixty times faster.
fn post(team: &Team, alerts: &[Value]) {
    let alerts: Vec<_> = alerts
        .iter()
        .map(|labels| {
            json!({"labels": labels, "endsAt": "2199-01-01T00:00:00Z", "annotations": {
                "summary": format!("of {}", labels["alertname"].as_str().unwrap()),
                "runbook_url": "deploy/monitoring/runbooks/page.md",
            }})
        })
        .collect();
    let url = format!("http://{}/api/v2/alerts", team.alertmanager.address());
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.post(url).json(&alerts).send().unwrap().status().as_u16(), 200);
}

fn team(working: &str) -> Team {
    Team::start(working, str::to_owned)
}

/// What was told to a receiver that fires.
fn firing(team: &Team, to: &str) -> Vec<Message> {
    team.told().into_iter().filter(|(receiver, message)| *receiver == to && message.firing).map(|(_, it)| it).collect()
}

/// The states of alerts in Alertmanager, by name.
fn suppressed(team: &Team, alert: &str) -> Option<bool> {
    let alerts = team.alertmanager.alerts();
    let found = alerts.iter().find(|it| it["labels"]["alertname"] == alert)?;
    Some(found["status"]["inhibitedBy"].as_array().is_some_and(|by| !by.is_empty()))
}

/// Something that is told last, since its group waits the longest: what was posted before has been told or is not.
fn settle(team: &Team) {
    std::thread::sleep(Duration::from_millis(600));
    post(team, &[json!({"alertname": "Last", "severity": "critical"})]);
    team.wait("on-call", "Last");
}

/// The incidents that a pager has of these alerts, each with a title of one of its messages.
fn incidents(team: &Team, pager: &str, alert: &str) -> BTreeMap<String, String> {
    let of = firing(team, pager).into_iter().filter(|message| message.text.contains(&format!("{alert}:")));
    of.map(|message| (message.incident, message.title)).collect()
}

/// A critical violation as the service pushes it.
fn pushed(kind: &str, tenant: &str, n: usize) -> Value {
    json!({
        "alertname": "RuleboxViolation", "service": "rulebox", "severity": "critical", "kind": kind,
        "tenant": tenant, "violation_id": format!("{tenant}{n}"),
    })
}

/// As Prometheus tells of the same.
fn scraped(kind: &str) -> [Value; 2] {
    ["RuleboxCriticalViolation", "RuleboxTampering"]
        .map(|name| json!({"alertname": name, "severity": "critical", "kind": kind, "region": "eu-1"}))
}

#[test]
fn one_event_is_one_page_and_tampering_is_told_to_both() {
    let team = team(NEVER);
    let began = Instant::now();
    // A tenant does it again and again, and the same is scraped.
    post(&team, &(0..20).map(|n| pushed("state_forged", "acme", n)).collect::<Vec<_>>());
    let first = team.wait("security", "RuleboxViolation");
    println!("security was paged {:?} after the push: {}", began.elapsed(), first.title);
    team.wait("on-call", "RuleboxViolation");
    post(&team, &scraped("state_forged"));
    settle(&team);
    for pager in ["security", "on-call"] {
        assert_eq!(incidents(&team, pager, "RuleboxViolation").len(), 1, "{pager}: {:#?}", team.told());
        assert!(incidents(&team, pager, "RuleboxTampering").is_empty(), "{pager}: {:#?}", team.told());
        assert!(incidents(&team, pager, "RuleboxCriticalViolation").is_empty(), "{pager}: {:#?}", team.told());
    }
    assert_eq!(suppressed(&team, "RuleboxTampering"), Some(true));
    // While nobody has reviewed it, another tenant does the same.
    post(&team, &[pushed("state_forged", "umbrella", 0)]);
    until_incidents(&team, "RuleboxViolation", 2);
    let counts = counts(&team.told());
    assert!(!counts.contains_key("security-chat") && !counts.contains_key("on-call-chat"), "{counts:?}");
    println!("23 alerts of two tenants: two incidents each of two pagers, {counts:?} messages");
}

/// Waits until each pager has so many incidents of this alert.
#[track_caller]
fn until_incidents(team: &Team, alert: &str, many: usize) {
    let began = Instant::now();
    while ["security", "on-call"].iter().any(|pager| incidents(team, pager, alert).len() < many) {
        assert!(began.elapsed() < Duration::from_mins(1), "{alert}: {:#?}", team.told());
        std::thread::sleep(Duration::from_millis(50));
    }
    for pager in ["security", "on-call"] {
        assert_eq!(incidents(team, pager, alert).len(), many, "{pager}");
    }
}

#[test]
fn what_is_scraped_pages_if_nothing_was_pushed() {
    let team = team(NEVER);
    // Of another kind, and one of this kind that is not critical.
    let mut other = pushed("state_forged", "acme", 1);
    other["severity"] = json!("high");
    post(&team, &[pushed("cost_over_bound", "acme", 0), other]);
    post(&team, &scraped("state_forged"));
    until_incidents(&team, "RuleboxTampering", 1);
    // Both in one.
    until_incidents(&team, "RuleboxCriticalViolation", 1);
    let [one, other] = ["RuleboxTampering", "RuleboxCriticalViolation"].map(|it| incidents(&team, "security", it));
    assert!(one.keys().eq(other.keys()), "{one:?} {other:?}");
}

#[test]
fn a_second_outage_pages_although_the_first_is_known() {
    let of = |alert: &str, label: &str, value: &str| {
        let mut labels = json!({"alertname": alert, "severity": "critical", "region": "eu-1"});
        if label == "instance" {
            labels["job"] = json!("rulebox-redis");
        }
        labels[label] = json!(value);
        labels
    };
    let pairs = [
        ("RuleboxStoreDown", "job", ["rulebox-redis", "rulebox-postgresql"]),
        ("RuleboxDependencyDown", "dependency", ["redis", "store"]),
        ("RuleboxVolumeFull", "persistentvolumeclaim", ["data-rulebox-redis-0", "data-rulebox-postgresql-0"]),
        ("RuleboxRedisPersistence", "instance", ["rulebox-redis-replica-0:6379", "rulebox-redis-0:6379"]),
        ("RuleboxNotificationsFailed", "integration", ["slack", "pagerduty"]),
    ];
    let merging = ["job, ", "dependency, ", ", persistentvolumeclaim"];
    let incidents_of = |team: &Team| {
        for n in [0, 1] {
            post(team, &pairs.map(|(alert, label, values)| of(alert, label, values[n])));
            for (_, label, values) in pairs {
                let line = format!("  {label}: {}\n", values[n]);
                team.receiver.wait(&line, |sent: &Received| {
                    let (to, message) = Message::read(sent);
                    to == "on-call" && message.text.contains(&line)
                });
            }
        }
        pairs.map(|(alert, ..)| incidents(team, "on-call", alert).len())
    };
    assert_eq!(incidents_of(&team(NEVER)), [2; 5]);
    // Without any of these labels the second is of the first's incident.
    let without = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("  group_by: ")).unwrap();
        let fewer = merging.iter().fold(line.to_owned(), |line, label| crate::changed(&line, label, ""));
        let text = crate::changed(text, line, &fewer);
        assert_eq!((text.matches(", job, instance]").count(), text.matches(", integration]").count()), (1, 2));
        text.replace(", job, instance]", "]").replace(", integration]", "]")
    };
    assert_eq!(incidents_of(&Team::start(NEVER, without)), [1; 5]);
}

#[test]
fn what_one_process_lacks_is_the_cause_of_nothing() {
    let team = team(ALWAYS);
    let alone = json!({
        "alertname": "RuleboxDependencyUnreachable", "severity": "warning", "region": "eu-1",
        "dependency": "redis", "instance": "canary:9090",
    });
    let errors = json!({"alertname": "RuleboxServerErrors", "severity": "critical", "region": "eu-1"});
    post(&team, &[alone, errors]);
    team.wait("on-call-chat", "RuleboxDependencyUnreachable");
    team.wait("on-call", "RuleboxServerErrors");
}

#[test]
fn a_pager_that_fails_is_told_by_chat_at_night_too() {
    let team = team(NEVER);
    post(
        &team,
        &[json!({"alertname": "RuleboxNotificationsFailed", "severity": "critical", "integration": "pagerduty"})],
    );
    team.wait("on-call-chat", "RuleboxNotificationsFailed");
    team.wait("on-call", "RuleboxNotificationsFailed");
}

#[test]
fn modules_of_a_tenant_are_one_message_and_those_of_another_are_another() {
    let team = team(NEVER);
    let breach = |n: usize, tenant: &str| {
        json!({
            "alertname": "RuleboxViolation", "service": "rulebox", "severity": "high", "kind": "abi_breach",
            "tenant": tenant, "violation_id": format!("{tenant}{n}"),
        })
    };
    let mut all: Vec<_> = (0..20).map(|n| breach(n, "acme")).collect();
    all.push(breach(0, "umbrella"));
    post(&team, &all);
    team.wait("security-chat", "RuleboxViolation");
    settle(&team);
    let told = firing(&team, "security-chat");
    let mut titles: Vec<_> = told.iter().map(|message| message.title.as_str()).collect();
    titles.sort_unstable();
    assert_eq!(
        titles,
        ["RuleboxViolation: of RuleboxViolation", "RuleboxViolation: of RuleboxViolation (of 20 alerts)"]
    );
    // Nobody's telephone rang for it but by the one that came last.
    assert_eq!(counts(&team.told()).get("on-call"), Some(&1));
    assert_eq!(counts(&team.told()).get("security"), None);
}

#[test]
fn what_follows_from_a_cause_is_not_told_and_security_always_is() {
    let of = |name: &str, severity: &str, more: Value| {
        let mut labels = json!({"alertname": name, "severity": severity, "region": "eu-1"});
        labels.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        labels
    };
    let security = [
        of("RuleboxCriticalViolation", "critical", json!({"kind": "cost_over_bound"})),
        of("RuleboxTampering", "critical", json!({"kind": "cache_tampered"})),
        of("RuleboxAuditChanged", "critical", json!({})),
        of("RuleboxRuleQuarantined", "warning", json!({"tenant": "acme"})),
        of("RuleboxViolationSpike", "warning", json!({})),
        json!({"alertname": "RuleboxViolation", "severity": "high", "kind": "abi_breach", "tenant": "acme"}),
    ];
    let effects = [
        of("RuleboxServerErrors", "critical", json!({})),
        of("RuleboxLatencyBurnFast", "critical", json!({})),
        of("RuleboxLatencyBurnSlow", "warning", json!({})),
        of("RuleboxDisconnectSpike", "warning", json!({})),
        of("RuleboxCompileQueue", "warning", json!({"instance": "a:9090"})),
    ];
    let elsewhere = json!({"alertname": "RuleboxServerErrors", "severity": "critical", "region": "us-1"});
    let mut inhibited = 0;
    for cause in [
        of("RuleboxDown", "critical", json!({})),
        of("RuleboxDependencyDown", "critical", json!({"dependency": "redis"})),
    ] {
        let team = team(ALWAYS);
        let name = cause["alertname"].as_str().unwrap();
        post(&team, &[std::slice::from_ref(&cause), &security[..]].concat());
        post(&team, &effects);
        post(&team, &[elsewhere.clone(), of("RuleboxBackupTooOld", "critical", json!({}))]);
        team.wait("on-call", name);
        team.wait("on-call", "RuleboxBackupTooOld");
        team.wait("security", "RuleboxCriticalViolation");
        team.wait("security", "RuleboxAuditChanged");
        team.wait("security-chat", "RuleboxRuleQuarantined");
        team.wait("security-chat", "RuleboxViolationSpike");
        team.wait("security-chat", "RuleboxViolation");
        settle(&team);
        for effect in &effects {
            let effect = effect["alertname"].as_str().unwrap();
            assert_eq!(suppressed(&team, effect), Some(true), "{effect} beside {name}");
            let told = team.told().into_iter().filter(|(_, it)| it.text.contains(&format!("{effect}:")));
            let here: Vec<_> = told.filter(|(_, it)| it.text.contains("region: eu-1")).collect();
            assert!(here.is_empty(), "{effect} beside {name}: {here:#?}");
            inhibited += 1;
        }
        // The other region has troubles of its own.
        assert!(firing(&team, "on-call").iter().any(|it| it.title.starts_with("RuleboxServerErrors in us-1")));
        for alert in &security {
            assert_eq!(suppressed(&team, alert["alertname"].as_str().unwrap()), Some(false), "{alert}");
        }
    }
    println!("{inhibited} effects were not told beside their causes; {} alerts of security were", 2 * security.len());
}

#[test]
fn the_slow_burn_is_told_unless_the_fast_one_is() {
    let slow = json!({"alertname": "RuleboxLatencyBurnSlow", "severity": "warning"});
    let alone = team(ALWAYS);
    post(&alone, std::slice::from_ref(&slow));
    alone.wait("on-call-chat", "RuleboxLatencyBurnSlow");
    let both = team(ALWAYS);
    post(&both, &[json!({"alertname": "RuleboxLatencyBurnFast", "severity": "critical"}), slow]);
    both.wait("on-call", "RuleboxLatencyBurnFast");
    settle(&both);
    assert_eq!(counts(&both.told()).get("on-call-chat"), None);
}

#[test]
fn warnings_wait_for_working_hours_and_pages_do_not() {
    let alerts = [
        json!({"alertname": "RuleboxRestarts", "severity": "warning", "instance": "a:9090"}),
        json!({"alertname": "RuleboxServerErrors", "severity": "critical"}),
        json!({"alertname": "RuleboxViolationSpike", "severity": "warning"}),
    ];
    let night = team(NEVER);
    post(&night, &alerts);
    night.wait("on-call", "RuleboxServerErrors");
    night.wait("security-chat", "RuleboxViolationSpike");
    settle(&night);
    assert_eq!(counts(&night.told()).get("on-call-chat"), None);
    let day = team(ALWAYS);
    post(&day, &alerts);
    let told = day.wait("on-call-chat", "RuleboxRestarts");
    assert!(told.text.contains("instance: a:9090"), "{told:?}");
}

#[test]
fn the_heartbeat_is_told_again_and_again_and_nobody_else() {
    let team = team(ALWAYS);
    post(&team, &[json!({"alertname": "RuleboxWatchdog", "severity": "none"})]);
    let began = Instant::now();
    while counts(&team.told()).get("heartbeat").copied().unwrap_or_default() < 3 {
        assert!(began.elapsed() < Duration::from_mins(1), "{:?}", counts(&team.told()));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(counts(&team.told()).len(), 1);
}

#[test]
fn a_fault_in_the_configuration_is_seen() {
    // Security by inhibition: the pattern that the file does not have.
    let pattern = "target_matchers: [alertname=~\"Rulebox.*\"]\n    ";
    let team = Team::start(ALWAYS, |text| {
        let from = text.find("target_matchers:").unwrap();
        let end = text[from..].find("equal:").unwrap();
        text.replacen(&text[from..from + end], pattern, 1)
    });
    post(&team, &[json!({"alertname": "RuleboxDown", "severity": "critical"})]);
    team.wait("on-call", "RuleboxDown");
    post(&team, &[json!({"alertname": "RuleboxAuditChanged", "severity": "critical"})]);
    settle(&team);
    assert_eq!(suppressed(&team, "RuleboxAuditChanged"), Some(true));
    assert_eq!(counts(&team.told()).get("security"), None);
}
