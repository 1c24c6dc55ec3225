//! Tenants, keys and limits.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{DRAWDOWN, Server, send};

#[tokio::test]
async fn a_tenant_is_made_limited_suspended_and_let_in_again() {
    let (server, admin, _) = Server::with_platform_keys(|_| {}).await;
    let made = server.post_by(&admin, "/v1/tenants", &json!({"name": "acme", "limits": {"rules": 1}})).await;
    assert_eq!(made.headers["location"], "/v1/tenants/acme");
    let made = made.ok();
    assert_eq!((&made["limits"], &made["limits_in_force"]["rules"]), (&json!({"rules": 1}), &json!(1)));
    server.post_by(&admin, "/v1/tenants", &json!({"name": "acme"})).await.problem(409, "tenant_taken");
    for bad in ["", "A", "a b", "-a", &"a".repeat(64)] {
        server.post_by(&admin, "/v1/tenants", &json!({"name": bad})).await.problem(422, "invalid_name");
    }
    server
        .post_by(&admin, "/v1/tenants", &json!({"name": "b", "limits": {"bogus": 1}}))
        .await
        .problem(422, "invalid_request");
    let key = server.tenant_key(&admin, "acme", &["author", "engine"]).await;
    server.post_by(&key, "/v1/rules", &json!({ "source": DRAWDOWN })).await.ok();
    let second = json!({"source": DRAWDOWN, "name": "second"});
    server.post_by(&key, "/v1/rules", &second).await.problem(409, "rules_limit");
    let patch =
        async |body: Value| send(server.request_by(&admin, Method::PATCH, "/v1/tenants/acme").json(&body)).await.ok();
    assert_eq!(patch(json!({"limits": {"fuel_per_call": 10}})).await["limits"], json!({"fuel_per_call": 10}));
    server.post_by(&key, "/v1/rules", &second).await.ok();
    let bar = json!({"inputs": {"equity": 1, "drawdown": 0.01}});
    server.post_by(&key, "/v1/rules/drawdown/evaluate", &bar).await.problem(422, "cost_limit");
    patch(json!({"limits": {"rows_per_call": 1, "upload_bytes": 20}})).await;
    let two = json!({"columns": {"equity": [1, 1], "drawdown": [0, 0]}});
    server.post_by(&key, "/v1/rules/drawdown/evaluate", &bar).await.ok();
    server.post_by(&key, "/v1/rules/drawdown/evaluate", &two).await.problem(422, "too_many_values");
    let long =
        server.post_by(&key, "/v1/rules/check", &json!({ "source": DRAWDOWN })).await.problem(422, "rule_invalid");
    assert_eq!(long["diagnostics"][0]["code"], "E0101");
    let limits = server.get_by(&key, "/v1/limits").await.ok();
    assert_eq!((&limits["request"]["rows"], &limits["rule"]["source_bytes"]), (&json!(1), &json!(20)));

    assert!(patch(json!({"suspended": true})).await["suspended_at"].is_string());
    server.get_by(&key, "/v1/rules").await.problem(401, "unauthenticated");
    assert!(patch(json!({"suspended": false})).await["suspended_at"].is_null());
    server.get_by(&key, "/v1/rules").await.ok();
    server.get_by(&admin, "/v1/tenants/nobody").await.problem(404, "tenant_not_found");
    server.get_by(&admin, "/v1/tenants/NOBODY").await.problem(404, "tenant_not_found");
}

#[tokio::test]
async fn keys_are_made_listed_expired_and_revoked() {
    let server = Server::start().await;
    let soon = time_in(Duration::from_hours(1));
    let asked = json!({"name": "backtests", "roles": ["engine"], "expires_at": soon});
    let made = server.post("/v1/keys", &asked).await;
    assert_eq!(made.headers["cache-control"], "no-store");
    let made = made.ok();
    let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert!(key.starts_with(made["prefix"].as_str().unwrap()));
    server.get_by(key, "/v1/rules").await.ok();
    server.post_by(key, "/v1/rules", &json!({ "source": DRAWDOWN })).await.problem(403, "forbidden");

    let listed = server.get("/v1/keys?limit=1").await;
    assert!(listed.headers["link"].to_str().unwrap().contains("rel=\"next\""));
    let listed = listed.ok();
    let next = format!("/v1/keys?cursor={}", listed["next"].as_str().unwrap());
    let page = server.get(&next).await.ok();
    assert_eq!((&page["keys"][0]["id"], &page["keys"][0]["name"]), (&json!(id), &json!("backtests")));
    assert!(!page.to_string().contains(key));

    let revoked = server.delete(&format!("/v1/keys/{id}")).await.ok();
    assert!(revoked["revoked_at"].is_string());
    assert_eq!(server.delete(&format!("/v1/keys/{id}")).await.ok(), revoked);
    server.get_by(key, "/v1/rules").await.problem(401, "unauthenticated");
    for (body, code) in [
        (json!({"roles": []}), "invalid_roles"),
        (json!({"roles": ["admin"]}), "invalid_roles"),
        (json!({"roles": ["engine", "security"]}), "invalid_roles"),
        (json!({"roles": ["root"]}), "invalid_request"),
        (json!({"roles": ["engine"], "name": "a\nb"}), "invalid_text"),
        (json!({"roles": ["engine"], "name": "a".repeat(101)}), "invalid_text"),
        (json!({"roles": ["engine"], "expires_at": "2020-01-01T00:00:00Z"}), "invalid_text"),
        (json!({"roles": ["engine"], "expires_at": "tomorrow"}), "invalid_text"),
    ] {
        server.post("/v1/keys", &body).await.problem(422, code);
    }
    server.delete("/v1/keys/not-an-id").await.problem(404, "key_not_found");
}

#[tokio::test]
async fn an_expired_key_is_refused_when_its_time_has_come() {
    let server = Server::start().await;
    let asked = json!({"roles": ["engine"], "expires_at": time_in(Duration::from_secs(2))});
    let made = server.post("/v1/keys", &asked).await.ok();
    let key = made["key"].as_str().unwrap();
    server.get_by(key, "/v1/rules").await.ok();
    let began = Instant::now();
    while server.get_by(key, "/v1/rules").await.status == 200 {
        assert!(began.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.get_by(key, "/v1/rules").await.problem(401, "unauthenticated");
}

fn time_in(time: Duration) -> String {
    let at = rulebox::domain::at::At::now().0 + i64::try_from(time.as_millis()).unwrap();
    rulebox::domain::at::At(at).to_string()
}

#[tokio::test]
async fn requests_are_limited_and_say_so() {
    let (server, admin, _) = Server::with_platform_keys(|_| {}).await;
    let limits = json!({"name": "slow", "limits": {"requests_per_second": 2}});
    server.post_by(&admin, "/v1/tenants", &limits).await.ok();
    let key = server.tenant_key(&admin, "slow", &["engine"]).await;
    let first = server.get_by(&key, "/v1/rules").await;
    assert!(first.headers["ratelimit-policy"].to_str().unwrap().starts_with("\"requests\";q=2;w=1, \"fuel\";q="));
    assert!(first.headers["ratelimit"].to_str().unwrap().starts_with("\"requests\";r=1;t="));
    first.ok();
    let mut refused = None;
    for _ in 0..50 {
        let answer = server.get_by(&key, "/v1/rules").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("2 requests a second are fewer than these");
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    assert!(refused.headers["ratelimit"].to_str().unwrap().starts_with("\"requests\";r=0;"));
    refused.problem(429, "rate_limited");
    assert!(
        server.metric("rulebox_ratelimit_decisions_total{decision=\"refused\",policy=\"requests\"}").await > Some(0.0)
    );
    // Another tenant does not notice.
    server.get("/v1/rules").await.ok();
}

#[tokio::test]
async fn fuel_is_taken_at_its_maximum_and_given_back() {
    let (server, admin, _) = Server::with_platform_keys(|_| {}).await;
    server.upload(DRAWDOWN).await;
    let columns = json!({"columns": {"equity": vec![90_000; 1_000], "drawdown": vec![0.01; 1_000]}});
    let used = server.post("/v1/rules/drawdown/evaluate", &columns).await.ok()["fuel"].as_u64().unwrap();
    // As much a second as three such calls may need at most; they use less, so more than three go through at once.
    let own = json!({"name": "frugal", "limits": {"fuel_per_second": used * 4, "fuel_per_call": used * 4}});
    server.post_by(&admin, "/v1/tenants", &own).await.ok();
    let key = server.tenant_key(&admin, "frugal", &["author", "engine"]).await;
    server.post_by(&key, "/v1/rules", &json!({ "source": DRAWDOWN })).await.ok();
    let mut answered = Vec::new();
    for _ in 0..200 {
        let answer = server.post_by(&key, "/v1/rules/drawdown/evaluate", &columns).await;
        answered.push(answer.status);
        if answer.status == 429 {
            answer.problem(429, "rate_limited");
            break;
        }
    }
    assert_eq!(answered.last(), Some(&429), "{answered:?}");
    assert!(answered.len() > 2, "{answered:?}");
}
