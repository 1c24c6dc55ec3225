//! Long runs: who waits for whom, and what becomes of those that nobody waits for.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::Server;

/// Bars of a run that takes seconds.
const BARS: usize = 40_000;

/// A rule whose bars are about as dear as they may be.
fn heavy(name: &str) -> Value {
    let sum: Vec<_> = (0..20).map(|at| format!("(stdev(equity + {at}, 1000, min: 1))")).collect();
    json!({"name": name, "source": format!("rule heavy(equity) = {} < 0", sum.join(" + "))})
}

fn columns() -> Value {
    json!({"columns": {"equity": vec![1.5; BARS]}})
}

fn cancelled() -> &'static str {
    "rulebox_evaluations_total{mode=\"columns\",outcome=\"cancelled\",tenant="
}

/// The sum of the metrics whose name and labels begin like this.
async fn sum(server: &Server, start: &str) -> u64 {
    let (_, text) = server.health("/metrics").await;
    let values = text.lines().filter(|line| line.starts_with(start));
    values.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

async fn wait_for(server: &Server, metric: &str, least: u64) -> Duration {
    let began = Instant::now();
    while sum(server, metric).await < least {
        assert!(began.elapsed() < Duration::from_mins(1), "{metric} has not reached {least}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    began.elapsed()
}

#[tokio::test]
async fn a_run_whose_client_is_gone_ends_and_is_counted() {
    let server = Server::start().await;
    server.post("/v1/rules", &heavy("heavy")).await.ok();
    let (fuel, loads) = ("rulebox_fuel_consumed_total", "rulebox_module_cache_requests_total");
    let loaded = sum(&server, loads).await;
    let request = server.request(reqwest::Method::POST, "/v1/rules/heavy/evaluate").json(&columns());
    let client = tokio::spawn(request.send());
    wait_for(&server, loads, loaded + 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(sum(&server, fuel).await, 0, "the run is over: it takes too little to be abandoned");
    client.abort();
    let took = wait_for(&server, cancelled(), 1).await;
    println!("ended {took:?} after its client had gone");
    assert!(sum(&server, fuel).await > 0);
}

#[tokio::test]
async fn a_stop_ends_runs_that_outlive_the_time_to_drain() {
    let server = Server::with(|config| config.api.drain_seconds = 0).await;
    server.post("/v1/rules", &heavy("heavy")).await.ok();
    let request = server.request(reqwest::Method::POST, "/v1/rules/heavy/evaluate").json(&columns());
    let client = tokio::spawn(request.send());
    wait_for(&server, "rulebox_module_cache_requests_total", 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    server.stop().await;
    println!("stopped after {:?}", began.elapsed());
    assert!(!client.await.unwrap().is_ok_and(|answer| answer.status().is_success()), "the run was let end");
}

#[tokio::test]
async fn single_bars_do_not_wait_for_columns() {
    let server = Server::with(|config| config.evaluation.threads = 1).await;
    server.post("/v1/rules", &heavy("heavy")).await.ok();
    server.upload("rule low(equity) = equity < 1").await;
    let request = server.request(reqwest::Method::POST, "/v1/rules/heavy/evaluate").json(&columns());
    let long = tokio::spawn(request.send());
    wait_for(&server, "rulebox_module_cache_requests_total", 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let bar = server.post("/v1/rules/low/evaluate", &json!({"inputs": {"equity": 0}})).await.ok();
    assert_eq!(bar["verdict"], "breach");
    assert!(!long.is_finished(), "the long run was over before the bar was answered");
    assert!(long.await.unwrap().unwrap().status().is_success());
}

#[tokio::test]
async fn what_a_request_may_cost_does_not_grow_with_its_rules() {
    let server = Server::start().await;
    for name in ["a", "b", "c"] {
        server.post("/v1/rules", &heavy(name)).await.ok();
    }
    let mut body = columns();
    body["rules"] = "*".into();
    let problem = server.post("/v1/evaluate", &body).await.problem(422, "cost_limit");
    assert!(problem["detail"].as_str().unwrap().contains("the 3 rules"), "{problem:#}");
}

#[tokio::test]
async fn results_are_bounded_before_the_run() {
    let server = Server::with(|config| config.evaluation.cells = 100).await;
    let outs: Vec<_> = (0..16).map(|at| format!("out o{at} = x")).collect();
    server.upload(&format!("rule wide(x) {{ {} if x > 1 {{ breach \"x\" }} }}", outs.join(" "))).await;
    let body = |rows: usize| json!({"columns": {"x": vec![0; rows]}});
    let path = "/v1/rules/wide/evaluate?series=out,verdict";
    server.post(path, &body(5)).await.ok();
    let problem = server.post(path, &body(6)).await.problem(422, "too_many_values");
    assert!(problem["detail"].as_str().unwrap().contains("102 values"), "{problem:#}");
    server.post("/v1/rules/wide/evaluate", &body(6)).await.ok();
}

#[tokio::test]
async fn versions_are_pinned_beside_all_that_are_active() {
    let server = Server::start().await;
    server.post("/v1/rules", &json!({"name": "a", "source": "rule a(x) = x > 1"})).await.ok();
    server.post("/v1/rules/a/versions", &json!({"source": "rule a(x) = x > 2"})).await.ok();
    server.post("/v1/rules", &json!({"name": "b", "source": "rule b(x) = x > 3"})).await.ok();
    let with = |versions: Value| json!({"rules": "*", "inputs": {"x": 1.5}, "versions": versions});
    let pinned = server.post("/v1/evaluate", &with(json!({"a": 2}))).await.ok();
    assert_eq!((&pinned["verdict"], &pinned["rules"][0]["version"]), (&json!("ok"), &json!(2)));
    assert_eq!(server.post("/v1/evaluate", &with(json!({"a": 1}))).await.ok()["verdict"], "breach");
    server.post("/v1/evaluate", &with(json!({"a": 7}))).await.problem(404, "version_not_found");
    server.delete("/v1/rules/b").await.ok();
    let problem = server.post("/v1/evaluate", &with(json!({"b": 1}))).await.problem(422, "invalid_request");
    assert_eq!(problem["path"], "versions.b");
}

#[tokio::test]
async fn a_limit_that_a_test_meets_is_a_violation_and_no_failed_test() {
    let server = Server::with(|config| config.evaluation.memory_bytes = 1).await;
    server.upload(crate::harness::DRAWDOWN).await;
    let problem = server.post("/v1/rules/drawdown/test", &json!({})).await.problem(422, "sandbox_violation");
    assert!(problem["kind"] == "memory_limit" && problem["violation_id"].is_string(), "{problem:#}");
    assert_eq!(sum(&server, "rulebox_sandbox_violations_total{kind=\"memory_limit\"").await, 1);
}

#[tokio::test]
async fn a_module_that_many_ask_for_at_once_is_loaded_once() {
    let server = Server::start().await;
    server.post("/v1/rules", &heavy("heavy")).await.ok();
    let (directory, key) = server.stop().await;
    let settings = crate::harness::config(directory.path());
    let server = Server::over(directory, settings, Some(key)).await;
    let bar = json!({"inputs": {"equity": 1}});
    let requests: Vec<_> = (0..16)
        .map(|_| server.request(reqwest::Method::POST, "/v1/rules/heavy/evaluate").json(&bar))
        .map(|request| tokio::spawn(request.send()))
        .collect();
    for request in requests {
        assert!(request.await.unwrap().unwrap().status().is_success());
    }
    assert_eq!(sum(&server, "rulebox_compile_duration_seconds_count{result=\"ok\",stage=\"load\"").await, 1);
}
