//! Several rules over the same bars.

use serde_json::json;

use crate::harness::{DRAWDOWN, Server};

const FLOOR: &str =
    "rule floor(equity) {\n  param at: num = 50\n  if equity < at { breach block \"equity {equity}\" }\n}";
const HALVE: &str = "rule halve(equity) {\n  if equity < 80 { breach reduce(equity / 100) \"halve\" }\n}";
const RATIO: &str = "rule ratio(b) = 1 / b > 2";

#[tokio::test]
async fn the_combined_verdict_is_the_most_severe_of_each_bar() {
    let server = Server::start().await;
    for source in [DRAWDOWN, FLOOR, HALVE, RATIO] {
        server.upload(source).await;
    }
    let body = json!({
        "rules": ["floor", "halve", "ratio"],
        "columns": {"equity": [100, 70, 40, 100], "b": [1, 1, 1, 0]},
    });
    let answer = server.post("/v1/evaluate?series=verdict", &body).await.ok();
    assert_eq!(answer["series"]["verdict"], json!(["ok", "breach", "breach", "fault"]));
    assert_eq!(answer["counts"], json!({"ok": 1, "warn": 0, "breach": 2, "fault": 1}));
    let events = answer["events"].as_array().unwrap();
    assert_eq!(events.len(), 2, "bars 1 and 3; bar 2 is as severe as bar 1: {events:#?}");
    assert_eq!(
        (&events[0]["action"], &events[0]["keep"], &events[0]["rules"]),
        (&json!("reduce"), &json!(0.7), &json!(["halve"]))
    );
    assert_eq!(
        (&events[1]["verdict"], &events[1]["action"], &events[1]["rules"]),
        (&json!("fault"), &json!(null), &json!(["ratio"]))
    );
    let names: Vec<_> = answer["rules"].as_array().unwrap().iter().map(|rule| rule["rule"].as_str().unwrap()).collect();
    assert_eq!(names, ["floor", "halve", "ratio"]);
    let fuel: u64 = answer["rules"].as_array().unwrap().iter().map(|rule| rule["fuel"].as_u64().unwrap()).sum();
    assert_eq!(answer["fuel"], fuel);
    assert_eq!(answer["rules"][2]["fault"]["bar"], 3);
}

#[tokio::test]
async fn one_bar_of_all_active_rules_with_params_by_rule() {
    let server = Server::start().await;
    for source in [DRAWDOWN, FLOOR] {
        server.upload(source).await;
    }
    let bar =
        |params: serde_json::Value| json!({"rules": "*", "inputs": {"equity": 60, "drawdown": 0.08}, "params": params});
    let answer = server.post("/v1/evaluate", &bar(json!({}))).await.ok();
    assert_eq!((&answer["verdict"], &answer["action"]), (&json!("warn"), &json!(null)));
    let answer = server.post("/v1/evaluate", &bar(json!({"floor": {"at": 70}}))).await.ok();
    assert_eq!((&answer["verdict"], &answer["action"]), (&json!("breach"), &json!("block")));
    assert_eq!(answer["rules"][0]["rule"], "drawdown");
    assert_eq!(answer["rules"][1]["reasons"], json!(["equity 60"]));
    server.delete("/v1/rules/floor").await.ok();
    let answer = server.post("/v1/evaluate", &bar(json!({}))).await.ok();
    assert_eq!(answer["rules"].as_array().unwrap().len(), 1);
    let problem = server.post("/v1/evaluate", &bar(json!({"floor": {}}))).await.problem(422, "invalid_request");
    assert_eq!(problem["path"], "params.floor");
}

#[tokio::test]
async fn versions_can_be_pinned_and_columns_are_unknown_only_to_all() {
    let server = Server::start().await;
    server.upload(FLOOR).await;
    server.post("/v1/rules/floor/versions", &json!({"source": "rule floor(equity) = equity < 90"})).await.ok();
    let body = json!({"rules": ["floor"], "versions": {"floor": 2}, "inputs": {"equity": 60}});
    assert_eq!(server.post("/v1/evaluate", &body).await.ok()["verdict"], "breach");
    let body = json!({"rules": ["floor"], "inputs": {"equity": 60}});
    assert_eq!(server.post("/v1/evaluate", &body).await.ok()["verdict"], "ok");
    let body = json!({"rules": ["floor"], "inputs": {"equity": 60, "b": 1}});
    assert_eq!(server.post("/v1/evaluate", &body).await.problem(422, "unknown_column")["path"], "inputs.b");
    let body = json!({"rules": ["floor", "absent"], "inputs": {"equity": 60}});
    server.post("/v1/evaluate", &body).await.problem(404, "rule_not_found");
    for (body, path) in [
        (json!({"rules": ["floor", "A"], "inputs": {"equity": 60}}), "rules[1]"),
        (json!({"rules": ["floor"], "versions": {"A": 1}, "inputs": {"equity": 60}}), "versions.A"),
        (json!({"rules": ["floor"], "params": {"A": {}}, "inputs": {"equity": 60}}), "params.A"),
    ] {
        let problem = server.post("/v1/evaluate", &body).await.problem(404, "rule_not_found");
        assert_eq!((&problem["path"], &problem["detail"]), (&json!(path), &json!("there is no rule `A`")));
    }
    let body = json!({"rules": ["floor"], "versions": {"floor": 9}, "inputs": {"equity": 60}});
    server.post("/v1/evaluate", &body).await.problem(404, "version_not_found");
    let body = json!({"rules": ["floor"], "params": {"floor": {"at": true}}, "inputs": {"equity": 60}});
    assert_eq!(server.post("/v1/evaluate", &body).await.problem(422, "param_type")["path"], "params.floor.at");
}
