//! Runs that were not stopped: texts that were cut, and more fuel than was proved.

use rulebox_sandbox::selftest::frame;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::list;
use crate::harness::{Server, config};
use crate::modules::hostile::manifest;
use crate::modules::post_form;
use crate::sessions::{COUNTER, bar, bars, begin};
use crate::streams::{LINES, stream};

/// A text of 5,000 bytes, for sums over 100.
const TALKER: &str = r#"(func (export "rulebox_message") (param i32) (result i64) (i64.const 0x0001117000001388))"#;

#[tokio::test]
async fn a_text_that_was_cut_is_recorded_wherever_it_was_asked_for() {
    let server = Server::with(|config| config.tenant.modules = true).await;
    let metric = "rulebox_sandbox_violations_total{kind=\"output_limit\",severity=\"low\"}";
    let manifest = serde_json::to_vec(&manifest()).unwrap();
    post_form(&server, "/v1/rules?name=talker", frame::assemble(TALKER).unwrap(), manifest).await.ok();
    let evaluate = "/v1/rules/talker/evaluate";
    server.post(evaluate, &json!({"inputs": {"x": 1}})).await.ok();
    assert_eq!(server.metric(metric).await, Some(0.0), "nothing was said");

    let answer = server.post(evaluate, &json!({"inputs": {"x": 100}})).await.ok();
    assert!(answer["verdict"] == "breach" && answer["reasons"][0].as_str().unwrap().ends_with('…'), "{answer:#}");
    let found = list(&server, &server.key, "").await;
    assert_eq!((found.len(), &found[0]["kind"], &found[0]["severity"]), (1, &json!("output_limit"), &json!("low")));
    assert_eq!((&found[0]["rule"], &found[0]["version"]), (&json!("talker"), &json!(1)));
    assert_eq!(found[0]["detail"], json!({"texts_cut": 1, "most_bytes": 1024}));
    assert!(found[0]["fuel_used"].as_u64() > Some(0) && found[0]["memory_limit"].as_u64() > Some(0), "{found:#?}");

    let session = begin(&server, json!(["talker"])).await;
    let next = json!({"seq": 0, "inputs": {"x": 100}});
    server.post(&format!("/v1/sessions/{session}/bars"), &next).await.ok();
    let (rows, _) = stream(&server, evaluate, LINES, None, "{\"x\": 100}\n").await.lines();
    assert_eq!(rows[0]["verdict"], "breach");
    assert_eq!(server.metric(metric).await, Some(3.0));
    assert_eq!(list(&server, &server.key, "").await.len(), 1, "repeats within a minute");
}

/// A store in which every version was proved to cost next to nothing.
async fn weaken(server: Server, violations: u64) -> Server {
    let (directory, key) = server.stop().await;
    let file = SqliteConnectOptions::new().filename(directory.path().join("rulebox.db"));
    let mut db = file.connect().await.unwrap();
    for statement in [
        "drop trigger versions_are_immutable",
        "update versions set manifest = json_set(manifest, '$.cost.bar', 1, '$.cost.call', 0)",
    ] {
        sqlx::query(statement).execute(&mut db).await.unwrap();
    }
    db.close().await.unwrap();
    let mut settings = config(directory.path());
    settings.quarantine.violations = violations;
    Server::over(directory, settings, Some(key)).await
}

#[tokio::test]
async fn a_run_that_used_more_than_was_proved_gives_no_results() {
    let server = Server::start().await;
    server.upload(COUNTER).await;
    let evaluate = "/v1/rules/counter/evaluate";
    server.post(evaluate, &json!({"inputs": {"equity": 1}})).await.ok();
    let session = begin(&server, json!(["counter"])).await;
    bar(&server, &session, 0, 1.0).await.ok();
    let metric = "rulebox_sandbox_violations_total{kind=\"cost_over_bound\",severity=\"critical\"}";
    assert_eq!(server.metric(metric).await, Some(0.0), "what was compiled keeps to its proof");

    let server = weaken(server, 4).await;
    let problem = server.post(evaluate, &json!({"inputs": {"equity": 1}})).await.problem(422, "sandbox_violation");
    assert_eq!(problem["kind"], "cost_over_bound");
    let session = begin(&server, json!(["counter"])).await;
    let problem = bars(&server, &session, 0, &[1.0, 2.0]).await.problem(422, "sandbox_violation");
    assert_eq!(problem["kind"], "cost_over_bound");
    let joint = server.post("/v1/evaluate", &json!({"rules": "*", "inputs": {"equity": 1}})).await.ok();
    assert_eq!((&joint["verdict"], &joint["rules"][0]["error"]["kind"]), (&json!("fault"), &json!("cost_over_bound")));
    let columns = json!({"columns": {"equity": [1, 2, 3]}});
    server.post(evaluate, &columns).await.problem(422, "sandbox_violation");
    assert_eq!(server.metric(metric).await, Some(4.0));
    let found = list(&server, &server.key, "").await;
    assert_eq!((found.len(), &found[0]["severity"], &found[0]["fuel_limit"]), (1, &json!("critical"), &json!(1)));
    assert_eq!(found[0]["detail"], json!({"bars": 1}));
    assert!(found[0]["fuel_used"].as_u64() > Some(1), "{found:#?}");
    server.post(evaluate, &columns).await.problem(423, "rule_quarantined");
}
