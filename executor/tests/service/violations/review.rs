//! Review: lists with filters, evidence, acknowledging, resolving, and the text of a rule behind glass.

use serde_json::json;

use super::{id, list, run, tight};
use crate::harness::{DRAWDOWN, Server};

#[tokio::test]
async fn violations_are_listed_shown_acknowledged_and_resolved() {
    let (server, admin, security) = tight(1_000_000_000).await;
    let problem = run(&server).await.problem(422, "sandbox_violation");
    let stranger = server.tenant(&admin, "stranger", &["author", "tenant-admin"]).await;
    let found = list(&server, &security, "").await;
    let [violation] = found.try_into().unwrap();
    assert_eq!(id(&violation), problem["violation_id"]);
    for (field, value) in [
        ("tenant", json!("default")),
        ("rule", json!("drawdown")),
        ("version", json!(1)),
        ("kind", json!("memory_limit")),
        ("severity", json!("high")),
        ("status", json!("open")),
        ("count", json!(1)),
        ("memory_limit", json!(1)),
        ("request_id", problem["request_id"].clone()),
        ("trace_id", problem["trace_id"].clone()),
    ] {
        assert_eq!(violation[field], value, "{field}");
    }
    assert!(violation["digest"].is_string() && violation["key_id"].is_string());
    let path = format!("/v1/violations/{}", id(&violation));
    assert_eq!(server.get_by(&security, &path).await.ok(), violation);
    assert_eq!(server.get(&path).await.ok(), violation);
    server.get_by(&stranger, &path).await.problem(404, "violation_not_found");
    assert_eq!(list(&server, &stranger, "").await.len(), 0);

    let acknowledge = format!("{path}/acknowledge");
    let resolve = format!("{path}/resolve");
    let post = async |path: &str| {
        let request = server.request_by(&security, reqwest::Method::POST, path);
        crate::harness::send(request).await
    };
    let seen = post(&acknowledge).await.ok();
    assert_eq!(seen["status"], "acknowledged");
    assert!(seen["changed_by"].as_str().unwrap().starts_with("key rbx_live_") && seen["changed_at"].is_string());
    assert_eq!(post(&acknowledge).await.ok(), seen);
    for bad in ["", "  ", "a\u{7}b", &"x".repeat(1_001)] {
        server.post_by(&security, &resolve, &json!({"note": bad})).await.problem(422, "invalid_text");
    }
    server.post_by(&security, &resolve, &json!({"note": "x", "bogus": 1})).await.problem(422, "invalid_request");
    let done = server.post_by(&security, &resolve, &json!({"note": "a rule\nwith too large a window"})).await.ok();
    assert_eq!((&done["status"], &done["note"]), (&json!("resolved"), &json!("a rule\nwith too large a window")));
    post(&acknowledge).await.problem(409, "violation_resolved");
    let own = server.get(&path).await.ok();
    assert_eq!((&own["status"], &own["note"], &own["changed_by"]), (&json!("resolved"), &json!(null), &json!(null)));
    for action in ["violation.acknowledge", "violation.resolve"] {
        let log = server.get("/v1/audit").await.ok().to_string();
        assert_eq!(log.matches(action).count(), 1, "{log}");
        // What reviewers tell one another is not the tenant's to read.
        assert!(!log.contains("too large a window"), "{log}");
        let of_platform = server.get_by(&admin, "/v1/audit").await.ok().to_string();
        assert_eq!(of_platform.matches(action).count(), 1, "{of_platform}");
        assert!(of_platform.contains("too large a window"), "{of_platform}");
    }
    // It happens again: that is another one.
    let again = run(&server).await.problem(422, "sandbox_violation");
    assert_ne!(again["violation_id"], problem["violation_id"]);
}

#[tokio::test]
async fn lists_are_filtered_and_come_in_pages() {
    let (server, admin, security) = tight(1_000_000_000).await;
    run(&server).await.problem(422, "sandbox_violation");
    let forged = "A".repeat(80);
    server.get(&format!("/v1/rules?cursor={forged}")).await.problem(400, "invalid_query");
    let stranger = server.tenant(&admin, "stranger", &["author", "engine"]).await;
    server.get_by(&stranger, &format!("/v1/rules?cursor={forged}")).await.problem(400, "invalid_query");
    let all = list(&server, &security, "").await;
    assert_eq!(all.len(), 3);
    for (query, n) in [
        ("?kind=memory_limit", 1),
        ("?kind=state_forged", 2),
        ("?kind=trap", 0),
        ("?severity=critical", 2),
        ("?severity=high", 1),
        ("?tenant=stranger", 1),
        ("?tenant=default&severity=critical", 1),
        ("?rule=drawdown", 1),
        ("?rule=another", 0),
        ("?status=open", 3),
        ("?status=resolved", 0),
        ("?from=2020-01-01T00:00:00Z", 3),
        ("?from=2100-01-01T00:00:00%2B01:00", 0),
        ("?to=2020-01-01T00:00:00Z", 0),
        ("?from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z&status=open&severity=high&kind=memory_limit", 1),
    ] {
        assert_eq!(list(&server, &security, query).await.len(), n, "{query}");
    }
    assert_eq!(list(&server, &server.key, "?tenant=default").await.len(), 2);
    let (mut paged, mut query) = (Vec::new(), "?limit=1&status=open".to_owned());
    loop {
        let page = server.get_by(&security, &format!("/v1/violations{query}")).await;
        let link = page.headers.get("link").map(|link| link.to_str().unwrap().to_owned());
        let page = page.ok();
        paged.extend(page["violations"].as_array().unwrap().clone());
        let Some(link) = link else { break };
        query = link.split_once("/v1/violations").unwrap().1.split_once('>').unwrap().0.to_owned();
    }
    assert_eq!(paged, all);
}

#[tokio::test]
async fn hostile_filters_are_refused() {
    let (server, admin, security) = Server::with_platform_keys(|_| {}).await;
    server.tenant(&admin, "stranger", &["author"]).await;
    for query in [
        "?bogus=1",
        "?kind=",
        "?kind=Trap",
        "?kind=trap&kind=trap",
        "?severity=worst",
        "?status=closed",
        "?rule=",
        "?rule=%00",
        "?rule=../..",
        "?from=yesterday",
        "?to=2026-13-01T00:00:00Z",
        "?limit=0",
        "?limit=100000",
        "?limit=-1",
        "?cursor=x",
        "?kind=trap'%20or%201=1",
    ] {
        server.get_by(&security, &format!("/v1/violations{query}")).await.problem(400, "invalid_query");
    }
    for query in ["?tenant=nobody", "?tenant=", "?tenant=A%20B"] {
        server.get_by(&security, &format!("/v1/violations{query}")).await.problem(404, "tenant_not_found");
    }
    server.get("/v1/violations?tenant=stranger").await.problem(404, "tenant_not_found");
    for bad in ["x", "00000000-0000-0000-0000-000000000000", "%7B%7D", "STREAM"] {
        let answer = server.get_by(&security, &format!("/v1/violations/{bad}")).await;
        answer.problem(404, "violation_not_found");
    }
    // A cursor of one filter is none of another.
    for name in ["one", "two"] {
        let key = server.tenant(&admin, name, &["author"]).await;
        let forged = format!("/v1/rules?cursor={}", "A".repeat(80));
        server.get_by(&key, &forged).await.problem(400, "invalid_query");
    }
    let page = server.get_by(&security, "/v1/violations?limit=1&severity=critical").await.ok();
    let next = page["next"].as_str().unwrap();
    let other = format!("/v1/violations?limit=1&severity=critical&status=open&cursor={next}");
    server.get_by(&security, &other).await.problem(400, "invalid_query");
}

#[tokio::test]
async fn the_text_of_a_rule_is_shown_to_who_says_why_and_is_written_down() {
    let (server, admin, security) = Server::with_platform_keys(|_| {}).await;
    server.upload(DRAWDOWN).await;
    let path = "/v1/rules/drawdown/break-glass?tenant=default";
    let asked = json!({"version": 1, "reason": "incident 7"});
    let shown = server.post_by(&security, path, &asked).await;
    assert_eq!(shown.headers["cache-control"], "no-store");
    assert_eq!(shown.ok()["source"], DRAWDOWN);
    let log = server.get("/v1/audit").await.ok();
    let entry = log["entries"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&entry["action"], &entry["object"]), (&json!("rule.break_glass"), &json!("drawdown")));
    assert_eq!((&entry["detail"]["reason"], &entry["detail"]["version"]), (&json!("incident 7"), &json!(1)));
    assert!(!log.to_string().contains("equity"), "no text of a rule");
    let own = server.get_by(&security, "/v1/audit").await.ok().to_string();
    assert!(own.contains("rule.break_glass"));
    server.post_by(&security, path, &json!({"version": 1, "reason": " "})).await.problem(422, "invalid_text");
    server.post_by(&security, path, &json!({"version": 9, "reason": "x"})).await.problem(404, "version_not_found");
    let nobody = "/v1/rules/drawdown/break-glass?tenant=nobody";
    server.post_by(&security, nobody, &asked).await.problem(404, "tenant_not_found");
    let none = "/v1/rules/none/break-glass?tenant=default";
    server.post_by(&security, none, &asked).await.problem(404, "rule_not_found");
    server.post_by(&admin, path, &asked).await.problem(403, "forbidden");
    let after = server.get("/v1/audit").await.ok();
    assert_eq!(after, log, "what was not shown is not written down");
}
