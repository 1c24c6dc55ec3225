//! Limits: shown, proved before a run, and recorded when something breaks them.

use serde_json::json;

use crate::harness::{DRAWDOWN, Server};

#[tokio::test]
async fn limits_are_shown() {
    let server = Server::with(|config| config.evaluation.fuel = 12_345).await;
    let limits = server.get("/v1/limits").await.ok();
    assert_eq!((&limits["run"]["fuel"], &limits["request"]["rows"]), (&json!(12_345), &json!(1_000_000)));
    assert!(limits["rule"]["source_bytes"].as_u64() > Some(0));
}

#[tokio::test]
async fn a_run_that_may_cost_too_much_is_not_begun() {
    let server = Server::with(|config| config.evaluation.fuel = 2_000).await;
    server.upload(DRAWDOWN).await;
    let columns = |rows: usize| json!({"columns": {"equity": vec![1; rows], "drawdown": vec![0; rows]}});
    server.post("/v1/rules/drawdown/evaluate", &columns(2)).await.ok();
    let problem = server.post("/v1/rules/drawdown/evaluate", &columns(1_000)).await.problem(422, "cost_limit");
    assert!(
        problem["detail"].as_str().unwrap().contains("2000") && problem.get("violation_id").is_none(),
        "{problem:#}"
    );
}

#[tokio::test]
async fn a_rule_that_may_cost_too_much_is_not_stored() {
    let server = Server::with(|config| config.compile.bar_fuel = 300).await;
    server.post("/v1/rules", &json!({"name": "small", "source": "rule small(x) = x > 1"})).await.ok();
    let large = json!({"source": "rule large(x) = (sma(x, 500) ?? 0) > 1"});
    assert!(server.post("/v1/rules/check", &large).await.problem(422, "cost_limit").get("violation_id").is_none());
    let problem = server.post("/v1/rules", &large).await.problem(422, "cost_limit");
    assert!(problem["violation_id"].is_string() && problem["kind"] == "cost_limit");
    server.get("/v1/rules/large").await.problem(404, "rule_not_found");
    let name = "rulebox_sandbox_violations_total{kind=\"cost_limit\",severity=\"low\"}";
    assert_eq!(server.metric(name).await, Some(1.0));
}

#[tokio::test]
async fn a_violation_is_recorded_counted_and_told() {
    let server = Server::with(|config| config.evaluation.memory_bytes = 1).await;
    server.upload(DRAWDOWN).await;
    let metric = "rulebox_sandbox_violations_total{kind=\"memory_limit\",severity=\"high\"}";
    assert_eq!(server.metric(metric).await, Some(0.0));
    let bars = json!({"columns": {"equity": [1, 1], "drawdown": [0, 0]}});
    let first = server.post("/v1/rules/drawdown/evaluate", &bars).await.problem(422, "sandbox_violation");
    assert_eq!(first["kind"], "memory_limit");
    let second = server.post("/v1/rules/drawdown/evaluate", &bars).await.problem(422, "sandbox_violation");
    assert_eq!(first["violation_id"], second["violation_id"], "a repeat within a minute");
    assert_eq!(server.metric(metric).await, Some(2.0));
    // For a single bar a rule has no memory, and so no limit of it to break.
    let bar = json!({"inputs": {"equity": 1, "drawdown": 0}});
    server.post("/v1/rules/drawdown/evaluate", &bar).await.ok();
    let body = json!({"rules": "*", "columns": bars["columns"]});
    let joint = server.post("/v1/evaluate", &body).await.ok();
    assert_eq!(joint["counts"]["fault"], 2);
    assert_eq!(joint["rules"][0]["error"]["kind"], "memory_limit");
    assert_eq!(joint["rules"][0]["error"]["violation_id"], first["violation_id"]);
}

#[tokio::test]
async fn rows_columns_and_rules_are_bounded() {
    let server = Server::with(|config| {
        (config.evaluation.rows, config.evaluation.rules) = (3, 1);
    })
    .await;
    server.upload(DRAWDOWN).await;
    let columns = |rows: usize| json!({"columns": {"equity": vec![1; rows], "drawdown": vec![0; rows]}});
    server.post("/v1/rules/drawdown/evaluate", &columns(3)).await.ok();
    let problem = server.post("/v1/rules/drawdown/evaluate", &columns(4)).await.problem(422, "too_many_values");
    assert!(problem["path"].as_str().unwrap().ends_with("[3]"));
    let bar = json!({"equity": 1, "drawdown": 0});
    server.post("/v1/evaluate", &json!({"rules": "*", "inputs": bar})).await.ok();
    server.post("/v1/evaluate", &json!({"rules": ["a", "b"], "inputs": bar})).await.problem(422, "too_many_rules");
    server.post("/v1/rules", &json!({"name": "second", "source": DRAWDOWN})).await.ok();
    server.post("/v1/evaluate", &json!({"rules": "*", "inputs": bar})).await.problem(422, "too_many_rules");
}

#[tokio::test]
async fn what_a_tenant_keeps_is_bounded() {
    let (server, admin, _) = Server::with_platform_keys(|config| config.tenant.versions = 2).await;
    server.upload(DRAWDOWN).await;
    let versions = "/v1/rules/drawdown/versions";
    let source = json!({ "source": DRAWDOWN });
    server.post(versions, &source).await.ok();
    let problem = server.post(versions, &source).await.problem(409, "storage_limit");
    assert!(problem["detail"].as_str().unwrap().contains("2 versions"), "{problem:#}");
    // Before the work: what is wrong with the text is not looked for.
    server.post(versions, &json!({"source": "rule"})).await.problem(409, "storage_limit");
    server.post("/v1/rules", &json!({"source": DRAWDOWN, "name": "second"})).await.problem(409, "storage_limit");
    let limits = json!({"limits": {"versions": 3, "stored_bytes": 1 << 20}});
    let set = async |limits| server.set_limits(&admin, "default", &limits).await;
    assert_eq!(set(limits).await["limits_in_force"]["stored_bytes"], json!(1 << 20));
    assert_eq!(server.get("/v1/limits").await.ok()["tenant"]["versions"], 3);
    server.post(versions, &source).await.ok();
    set(json!({"limits": {"versions": 9, "stored_bytes": 1}})).await;
    let problem = server.post(versions, &source).await.problem(409, "storage_limit");
    assert!(problem["detail"].as_str().unwrap().contains("1 bytes"), "{problem:#}");
    // What is there is kept, and runs.
    let bar = json!({"inputs": {"equity": 1, "drawdown": 0}});
    server.post("/v1/rules/drawdown/evaluate?version=2", &bar).await.ok();
}
