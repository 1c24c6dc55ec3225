//! What modules may use: they have no proof of what they need.

use rulebox_sandbox::selftest::frame;
use serde_json::json;

use super::hostile::manifest;
use super::{fixture, post_form, post_module, server};
use crate::harness::{DRAWDOWN, Server};

#[tokio::test]
async fn a_bar_may_use_what_a_rule_may_be_proved_to_use() {
    let server = Server::with(|config| (config.tenant.modules, config.compile.bar_fuel) = (true, 10_000)).await;
    // About 700 units for each unit of its input.
    let text = r#"(func (export "rulebox_eval") (param $rows i32) (result i32) (local $left i32)
        (local.set $left (i32.trunc_sat_f64_u (f64.mul (f64.load (i32.const 4096)) (f64.const 100))))
        (loop $again
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br_if $again (i32.gt_s (local.get $left) (i32.const 0))))
        (i32.const 0))"#;
    let manifest = serde_json::to_vec(&manifest()).unwrap();
    post_form(&server, "/v1/rules?name=busy", frame::assemble(text).unwrap(), manifest).await.ok();
    let evaluate = async |body| server.post("/v1/rules/busy/evaluate", &body).await;
    let answer = evaluate(json!({"inputs": {"x": 5}})).await.ok();
    assert!((1_000..10_000).contains(&answer["fuel"].as_u64().unwrap()), "{answer:#}");
    let problem = evaluate(json!({"inputs": {"x": 50}})).await.problem(422, "sandbox_violation");
    assert_eq!(problem["kind"], "fuel_exhausted");
    assert!(problem["detail"].as_str().unwrap().contains("10000 units"), "{problem:#}");
    // Ten bars may use ten times as much, however it is spread.
    evaluate(json!({"columns": {"x": [50, 1, 1, 1, 1, 1, 1, 1, 1, 1]}})).await.ok();
}

#[tokio::test]
async fn many_bars_at_a_time_find_enough_fuel() {
    let server = server().await;
    post_module(&server, "/v1/rules?name=guard", fixture("rust_drawdown_guard")).await.ok();
    let bar = json!({"inputs": {"equity": 100}});
    let calls = (0..64).map(|_| server.post("/v1/rules/guard/evaluate", &bar));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.ok()["verdict"], "ok");
    }
}

#[tokio::test]
async fn modules_and_rules_share_the_fuel_of_a_request() {
    let server = Server::with(|config| (config.tenant.modules, config.evaluation.fuel) = (true, 20_000)).await;
    server.upload(DRAWDOWN).await;
    for name in ["a", "b", "c"] {
        post_module(&server, &format!("/v1/rules?name={name}"), fixture("c_drawdown_guard")).await.ok();
    }
    let all = |rows: usize| json!({"rules": "*", "columns": {"equity": vec![100; rows], "drawdown": vec![0; rows]}});
    let answer = server.post("/v1/evaluate", &all(5)).await.ok();
    assert_eq!((&answer["counts"]["ok"], answer["rules"].as_array().unwrap().len()), (&json!(5), 4));
    let problem = server.post("/v1/evaluate", &all(1_000)).await.problem(422, "cost_limit");
    assert!(problem["detail"].as_str().unwrap().contains("20000"), "{problem:#}");
}
