//! Follows a violation all the way: row, counters, span event, feed, webhook, alert; and later its log line.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use rulebox_tests::receiver::Received;
use serde_json::{Value, json};

use super::table::{Entry, Names, Of, When, World};
use super::world::{Answer, Site, Told, until};
use crate::telemetry::collector::{attributes, hex};

/// All kinds, by severity.
pub const KINDS: &str = "rulebox_sandbox_violations_total";
/// Those of tenants, by severity.
const TENANTS: &str = "rulebox_tenant_violations_total";

/// By how much series have grown.
fn grown(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let by = |name: &String, n: &u64| n - before.get(name).copied().unwrap_or(0);
    now.iter().map(|(name, n)| (name.clone(), by(name, n))).filter(|(_, n)| *n > 0).collect()
}

/// Brings a violation about and follows it. Gives its row.
pub fn follow(world: &World, entry: &Entry) -> Value {
    let site = if entry.when == When::Executors { &world.near } else { &world.main };
    let before = [KINDS, TENANTS].map(|name| site.metric(name));
    let answer = (entry.raise)(world);
    let id = found(site, entry, answer.as_ref());
    let row = site.get_by(&site.security, &format!("/v1/violations/{id}"));
    assert_eq!(row.status, 200, "{}", row.body);
    check_row(&row.body, entry, answer.as_ref());

    // What nobody waits for is counted a moment after it can be read.
    let mut now = [const { Vec::new() }; 2];
    until("it is counted", || {
        let grown_since = |n: usize, name| grown(&before[n], &site.metric(name));
        now = [grown_since(0, KINDS), grown_since(1, TENANTS)];
        !now[0].is_empty() && (entry.of == Of::Platform || !now[1].is_empty())
    });
    let [kinds, of_tenants] = now;
    let series = format!("kind=\"{}\",severity=\"{}\"", entry.kind, entry.severity);
    assert_eq!(kinds, [(series, 1)]);
    match (entry.of, &of_tenants[..]) {
        (Of::Platform, []) => {}
        (Of::Tenant, [(labels, 1)]) if labels.contains(&format!("severity=\"{}\"", entry.severity)) => {}
        _ => panic!("{}: {of_tenants:?}", entry.kind),
    }

    check_span(&world.told, &row.body);
    is_told(&world.told, site, &row.body);
    row.body
}

/// The id of the violation that this was.
fn found(site: &Site, entry: &Entry, answer: Option<&Answer>) -> String {
    if let Some(id) = answer.and_then(|answer| answer.body["violation_id"].as_str()) {
        assert_eq!(answer.map(|answer| &answer.body["kind"]), Some(&json!(entry.kind)));
        return id.to_owned();
    }
    let rows = || site.violations().into_iter().filter(|row| row["kind"] == entry.kind).collect::<Vec<_>>();
    // What is recorded for an answer is there when it comes.
    if answer.is_none() || entry.behind {
        until("it is recorded", || !rows().is_empty());
    }
    let rows = rows();
    assert_eq!(rows.len(), 1, "{rows:#?}");
    rows[0]["id"].as_str().unwrap().to_owned()
}

fn check_row(row: &Value, entry: &Entry, answer: Option<&Answer>) {
    let tenant = if entry.of == Of::Tenant { json!("default") } else { json!(null) };
    for (field, expected) in [
        ("kind", json!(entry.kind)),
        ("severity", json!(entry.severity)),
        ("tenant", tenant),
        ("status", json!("open")),
        ("trap", json!(entry.trap)),
        ("count", json!(1)),
    ] {
        assert_eq!(row[field], expected, "{field}: {row:#}");
    }
    let names = entry.names;
    for (field, wanted) in [
        ("rule", matches!(names, Names::Version | Names::Upload)),
        ("version", names == Names::Version),
        ("digest", names != Names::Nothing),
        ("key_id", entry.caller),
        ("at", true),
        ("last_at", true),
    ] {
        assert_eq!(!row[field].is_null(), wanted, "{field}: {row:#}");
    }
    if entry.run {
        for field in ["fuel_limit", "memory_peak", "memory_limit", "elapsed_us"] {
            assert!(row[field].as_u64().unwrap() > 0, "{field}: {row:#}");
        }
    }
    let detail: Vec<_> = row["detail"].as_object().unwrap().keys().collect();
    assert_eq!(detail, entry.detail, "{row:#}");
    // It leads to the request and to its trace; what was found beside requests, to a trace of its own.
    let (request, trace) = (row["request_id"].as_str().unwrap(), row["trace_id"].as_str().unwrap());
    assert!(trace.len() == 32 && trace.bytes().any(|b| b != b'0'), "{row:#}");
    match answer {
        Some(answer) => assert_eq!((request, trace), (answer.request_id.as_str(), answer.trace_id.as_str())),
        None => assert_eq!(request, "", "{row:#}"),
    }
}

/// The event on a span of the trace that the row names.
fn check_span(told: &Told, row: &Value) {
    let mut seen = Vec::new();
    until("a span with the violation", || {
        let spans = told.collector.spans();
        let events = spans.iter().flat_map(|span| span.events.iter().map(move |event| (hex(&span.trace_id), event)));
        let violations = events.filter(|(_, event)| event.name == "violation");
        let said = violations.map(|(trace, event)| (trace, attributes(&event.attributes)));
        seen = said.filter(|(_, said)| said["violation_id"] == row["id"]).collect();
        !seen.is_empty()
    });
    assert_eq!(seen.len(), 1, "{seen:?}");
    let (trace, said) = &seen[0];
    assert_eq!(json!(trace), row["trace_id"]);
    for field in ["kind", "severity", "fuel_used", "fuel_limit", "memory_peak", "memory_limit", "elapsed_us"] {
        assert_eq!(said[field], row[field], "{field}");
    }
    for field in ["rule", "version", "digest", "trap"] {
        assert_eq!(said.get(field).unwrap_or(&Value::Null), &row[field], "{field}");
    }
}

/// The feed tells of it.
fn is_in_feed(site: &Site, row: &Value) {
    let id = row["id"].as_str().unwrap();
    until("the feed tells of it", || site.feed.opened().iter().any(|opened| opened == id));
    let told_by_feed = site.feed.events().into_iter().find(|(_, event)| event["data"]["id"] == id).unwrap().1;
    check_told(&told_by_feed["data"], row);
}

/// The feed, the tenant's webhook and Alertmanager hear of it.
pub fn is_told(told: &Told, site: &Site, row: &Value) {
    let id = row["id"].as_str().unwrap();
    is_in_feed(site, row);
    if !row["tenant"].is_null() {
        let of = |sent: &Received| sent.json()["data"]["id"] == id;
        until("the webhook is told", || told.hooks.received().iter().any(of));
        let sent = told.hooks.received().into_iter().find(of).unwrap();
        assert_eq!(sent.json()["type"], "violation.opened");
        check_told(&sent.json()["data"], row);
        check_signature(&sent, &site.hook_secret);
    }
    if is_alerted(row) {
        let of = |sent: &Received| sent.json()[0]["labels"]["violation_id"] == id;
        until("Alertmanager is told", || told.alerts.received().iter().any(of));
        let sent = told.alerts.received().into_iter().find(of).unwrap();
        assert_eq!(sent.path, "/api/v2/alerts");
        let alert = sent.json()[0].clone();
        let tenant = row["tenant"].as_str().unwrap_or("platform");
        assert_eq!(alert["labels"]["tenant"], tenant);
        for label in ["kind", "severity"] {
            assert_eq!(alert["labels"][label], row[label], "{alert:#}");
        }
        assert_eq!((&alert["annotations"]["trace_id"], &alert["startsAt"]), (&row["trace_id"], &row["at"]));
    }
}

/// Whether somebody on call hears of it.
pub fn is_alerted(row: &Value) -> bool {
    row["severity"] == "high" || row["severity"] == "critical"
}

fn check_told(told: &Value, row: &Value) {
    // Where the platform runs what is told to none that a tenant may be among.
    assert!(told["detail"].get("executor").is_none(), "{told:#}");
    for field in ["kind", "severity", "tenant", "rule", "version", "digest", "trap", "request_id", "trace_id", "at"] {
        assert_eq!(told[field], row[field], "{field}: {told:#}");
    }
}

/// By Standard Webhooks.
fn check_signature(sent: &Received, secret: &str) {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let text = format!("{}.{}.{}", sent.header("webhook-id"), sent.header("webhook-timestamp"), sent.body);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), text.as_bytes());
    let expected = format!("v1,{}", STANDARD.encode(tag.as_ref()));
    assert_eq!(sent.header("webhook-signature"), expected);
}

/// The one log line of it, which belongs to the same request and trace.
pub fn check_log(lines: &[Value], row: &Value) {
    let of = |line: &&Value| line["message"] == "violation" && line["violation_id"] == row["id"];
    let found: Vec<_> = lines.iter().filter(of).collect();
    assert_eq!(found.len(), 1, "{found:#?} of {row:#}");
    let line = found[0];
    for field in [
        "kind",
        "severity",
        "rule",
        "version",
        "digest",
        "trap",
        "fuel_used",
        "memory_peak",
        "elapsed_us",
        "request_id",
        "trace_id",
    ] {
        assert_eq!(line[field], row[field], "{field}: {line:#}");
    }
    // Lines of the request itself are found by the same.
    if !line["span"]["request_id"].is_null() {
        assert_eq!(line["span"]["trace_id"], row["trace_id"], "{line:#}");
    }
}
