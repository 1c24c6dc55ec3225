//! The configuration in a real Alertmanager: who is told, in how many messages, and of what nobody is told.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{ALWAYS, Message, NEVER, Team, counts};

/// Alerts that last, to be posted together.
fn post(team: &Team, alerts: &[Value]) {
    let alerts: Vec<_> = alerts
        .iter()
        .map(|labels| {
            json!({"labels": labels, "annotations": {
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

#[test]
fn one_event_is_one_page_and_tampering_is_told_to_both() {
    let team = team(NEVER);
    let began = Instant::now();
    // As the service pushes it, once for each violation, and as Prometheus tells of the same.
    let pushed: Vec<_> = (0..20)
        .map(|n| {
            json!({
                "alertname": "RuleboxViolation", "service": "rulebox", "severity": "critical", "kind": "state_forged",
                "tenant": format!("t{}", n % 3), "violation_id": format!("v{n}"),
            })
        })
        .collect();
    post(&team, &pushed);
    let first = team.wait("security", "RuleboxViolation");
    println!("security was paged {:?} after the push: {}", began.elapsed(), first.title);
    let scraped = ["RuleboxCriticalViolation", "RuleboxTampering"]
        .map(|name| json!({"alertname": name, "severity": "critical", "kind": "state_forged", "region": "eu-1"}));
    post(&team, &scraped);
    let later = team.wait("security", "RuleboxTampering");
    assert!(later.text.contains("RuleboxCriticalViolation: ") && later.text.contains("runbook: deploy/"), "{later:?}");
    assert!(later.title.contains("(of 22 alerts)"), "{later:?}");
    team.wait("on-call", "RuleboxTampering");
    settle(&team);
    // However many messages: they are one incident of each pager.
    for pager in ["security", "on-call"] {
        let mut incidents: Vec<_> = firing(&team, pager).into_iter().filter(|it| !it.text.contains("Last:")).collect();
        assert!(incidents.len() <= 4, "{incidents:?}");
        incidents.dedup_by_key(|message| message.incident.clone());
        assert_eq!(incidents.len(), 1, "{pager}: {incidents:#?}");
    }
    let counts = counts(&team.told());
    assert!(!counts.contains_key("security-chat") && !counts.contains_key("on-call-chat"), "{counts:?}");
    println!("22 alerts of one event: one incident each of two pagers, {counts:?} messages");
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
