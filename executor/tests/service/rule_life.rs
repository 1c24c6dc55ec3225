//! Changing rules: who has seen what, requests that are sent again, and the audit log.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, DRAWDOWN, Server, send};

async fn activate(server: &Server, version: u32, tag: Option<&str>) -> Answer {
    let request = server.request(Method::POST, "/v1/rules/drawdown/activate");
    let request = match tag {
        Some(tag) => request.header("if-match", tag),
        None => request,
    };
    send(request.json(&json!({ "version": version }))).await
}

#[tokio::test]
async fn a_change_says_what_it_changes() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    let seen = server.get("/v1/rules/drawdown").await.headers["etag"].to_str().unwrap().to_owned();
    activate(&server, 1, None).await.problem(428, "precondition_required");
    activate(&server, 1, Some("r1")).await.problem(400, "invalid_header");
    activate(&server, 1, Some(&format!("W/{seen}"))).await.problem(412, "precondition_failed");
    server.post("/v1/rules/drawdown/versions", &json!({ "source": DRAWDOWN })).await.ok();
    activate(&server, 2, Some(&seen)).await.problem(412, "precondition_failed");
    let now = server.get("/v1/rules/drawdown").await.headers["etag"].to_str().unwrap().to_owned();
    let active = activate(&server, 2, Some(&format!("{seen}, {now}"))).await;
    let after = active.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(active.ok()["active_version"], 2);
    assert_ne!(after, now);
    let stale = server.request(Method::POST, "/v1/rules/drawdown/versions").header("if-match", &now);
    send(stale.json(&json!({ "source": DRAWDOWN }))).await.problem(412, "precondition_failed");
    let archive = |tag: Option<String>| {
        let request = server.request(Method::DELETE, "/v1/rules/drawdown");
        send(match tag {
            Some(tag) => request.header("if-match", tag),
            None => request,
        })
    };
    archive(None).await.problem(428, "precondition_required");
    archive(Some(now)).await.problem(412, "precondition_failed");
    assert!(archive(Some(after)).await.ok()["archived_at"].is_string());
}

async fn upload(server: &Server, key: &str, body: &Value) -> Answer {
    let request = server.request(Method::POST, "/v1/rules").header("idempotency-key", key);
    send(request.json(body)).await
}

#[tokio::test]
async fn a_request_with_a_key_is_done_once_and_answered_the_same() {
    let server = Server::start().await;
    // With a warning, which the second answer has as well.
    let body = json!({"source": "rule unused(equity) = { let half = equity / 2\n equity < 5 }"});
    let body =
        if server.post("/v1/rules/check", &body).await.status == 200 { body } else { json!({ "source": DRAWDOWN }) };
    let first = upload(&server, "one", &body).await;
    assert_eq!(first.status, 201, "{first:#?}");
    for _ in 0..3 {
        let again = upload(&server, "one", &body).await;
        assert_eq!((again.status, &again.json), (201, &first.json));
        assert_eq!(again.headers["location"], first.headers["location"]);
    }
    upload(&server, "one", &json!({ "source": DRAWDOWN, "name": "other" }))
        .await
        .problem(422, "idempotency_key_reused");
    upload(&server, "two", &body).await.problem(409, "name_taken");
    // What failed made nothing, and may be sent again under its key.
    upload(&server, "two", &body).await.problem(409, "name_taken");
    for bad in ["", &"k".repeat(256)] {
        upload(&server, bad, &body).await.problem(400, "invalid_header");
    }
    let name = first.json["rule"].as_str().unwrap().to_owned();
    let version = |key: &str| {
        let path = format!("/v1/rules/{name}/versions");
        send(server.request(Method::POST, &path).header("idempotency-key", key).json(&body))
    };
    let second = version("three").await.ok();
    assert_eq!(second["version"], 2);
    assert_eq!(version("three").await.ok(), second);
    assert_eq!(version("four").await.ok()["version"], 3);

    let keys = |key: &str| {
        let request = server.request(Method::POST, "/v1/keys").header("idempotency-key", key);
        send(request.json(&json!({"roles": ["engine"]})))
    };
    let made = keys("five").await.ok();
    assert_eq!(keys("five").await.ok(), made, "the key is the same");
    server.get_by(made["key"].as_str().unwrap(), "/v1/rules").await.ok();
    assert_ne!(keys("six").await.ok()["key"], made["key"]);
    // Another of the tenant's administrators is not told what was for the first one alone.
    let other = server.post("/v1/keys", &json!({"roles": ["tenant-admin"]})).await.ok();
    let request = server.request_by(other["key"].as_str().unwrap(), Method::POST, "/v1/keys");
    send(request.header("idempotency-key", "five").json(&json!({"roles": ["engine"]})))
        .await
        .problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn many_tries_at_once_make_one_rule() {
    let server = Server::start().await;
    let body = json!({ "source": DRAWDOWN });
    let tries = futures_util::future::join_all((0..16).map(|_| upload(&server, "same", &body))).await;
    let mut made = 0;
    for answer in tries {
        match answer.status {
            201 => made += 1,
            _ => drop(answer.problem(409, "request_in_flight")),
        }
    }
    assert!(made >= 1);
    assert_eq!(server.get("/v1/rules/drawdown/versions").await.ok()["versions"].as_array().unwrap().len(), 1);
    assert_eq!(upload(&server, "same", &body).await.status, 201);
}

#[tokio::test]
async fn cursors_are_of_one_list_and_one_caller() {
    let (server, admin, _) = Server::with_platform_keys(|_| {}).await;
    for name in ["first_rule", "second_rule", "third_rule"] {
        server.post("/v1/rules", &json!({"source": DRAWDOWN, "name": name})).await.ok();
    }
    let page = server.get("/v1/rules?limit=2").await.ok();
    let cursor = page["next"].as_str().unwrap().to_owned();
    let rest = server.get(&format!("/v1/rules?cursor={cursor}")).await.ok();
    assert_eq!((rest["rules"][0]["name"].as_str(), &rest["next"]), (Some("third_rule"), &Value::Null));
    let mut forged = cursor.clone().into_bytes();
    forged[3] = if forged[3] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    for bad in [forged.as_str(), "b", "", "%00", &"A".repeat(600)] {
        server.get(&format!("/v1/rules?cursor={bad}")).await.problem(400, "invalid_query");
    }
    server.get(&format!("/v1/rules?archived=true&cursor={cursor}")).await.problem(400, "invalid_query");
    server.get(&format!("/v1/keys?cursor={cursor}")).await.problem(400, "invalid_query");
    let stranger = server.tenant(&admin, "stranger", &["author"]).await;
    server.get_by(&stranger, &format!("/v1/rules?cursor={cursor}")).await.problem(400, "invalid_query");
}

#[tokio::test]
async fn who_did_what_is_in_the_log() {
    let (server, admin, security) = Server::with_platform_keys(|_| {}).await;
    server.upload(DRAWDOWN).await;
    let changed = server.post("/v1/rules/drawdown/activate", &json!({"version": 1})).await;
    let request = changed.headers["x-request-id"].to_str().unwrap().to_owned();
    changed.ok();
    let log = server.get("/v1/audit").await.ok();
    let actions: Vec<_> = log["entries"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["tenant.create", "key.create", "rule.create", "rule.activate"]);
    let last = &log["entries"][3];
    assert_eq!((&last["object"], &last["request_id"]), (&json!("drawdown"), &json!(request)));
    assert!(last["actor"].as_str().unwrap().starts_with("key rbx_live_"));
    assert!(!log.to_string().contains("drawdown >= limit"), "no text of rules");
    for key in [&admin, &security] {
        assert_eq!(server.get_by(key, "/v1/tenants/default/audit").await.ok(), log);
    }
    let own = server.get_by(&admin, "/v1/audit").await.ok();
    assert_eq!(own["entries"][0]["action"], "key.create");
    assert_eq!(own["entries"][0]["actor"], "command line");
}

#[tokio::test]
async fn a_stopped_module_does_not_run_until_it_is_let_go() {
    let (server, admin, security) = Server::with_platform_keys(|_| {}).await;
    server.upload(DRAWDOWN).await;
    let bar = json!({"inputs": {"equity": 1, "drawdown": 0.01}});
    server.post("/v1/rules/drawdown/evaluate", &bar).await.ok();
    let stop = json!({"version": 1, "reason": "it was seen to misbehave"});
    let stopped = server.post_by(&security, "/v1/rules/drawdown/quarantine?tenant=default", &stop).await.ok();
    assert_eq!(stopped["reason"], "it was seen to misbehave");
    let problem = server.post("/v1/rules/drawdown/evaluate", &bar).await.problem(423, "rule_quarantined");
    assert!(problem["detail"].as_str().unwrap().contains("version 1 of rule `drawdown`"));
    server.post("/v1/rules/drawdown/test", &Value::Null).await.problem(423, "rule_quarantined");
    // The same text under another name is the same module.
    server.post("/v1/rules", &json!({"source": DRAWDOWN, "name": "copy"})).await.ok();
    server.post("/v1/rules/copy/evaluate", &bar).await.problem(423, "rule_quarantined");
    let all = json!({"rules": "*", "inputs": {"equity": 1, "drawdown": 0.01}});
    server.post("/v1/evaluate", &all).await.problem(423, "rule_quarantined");
    // Another tenant's is another matter.
    let other = server.tenant(&admin, "other", &["author", "engine"]).await;
    server.post_by(&other, "/v1/rules", &json!({ "source": DRAWDOWN })).await.ok();
    server.post_by(&other, "/v1/rules/drawdown/evaluate", &bar).await.ok();
    let release = "/v1/rules/drawdown/release?tenant=default";
    server.post_by(&security, release, &json!({"version": 1})).await.ok();
    server.post_by(&security, release, &json!({"version": 1})).await.problem(404, "not_quarantined");
    server.post("/v1/rules/copy/evaluate", &bar).await.ok();
    let missing = "/v1/rules/drawdown/quarantine?tenant=nobody";
    server.post_by(&security, missing, &stop).await.problem(404, "tenant_not_found");
    server.post_by(&security, "/v1/rules/drawdown/quarantine", &stop).await.problem(400, "invalid_query");
    let path = "/v1/rules/drawdown/quarantine?tenant=default";
    for reason in [" ", "a\0b", "a\u{1b}b"] {
        let bad = json!({"version": 1, "reason": reason});
        server.post_by(&security, path, &bad).await.problem(422, "invalid_text");
    }
}
