//! Modules that take too much to compile, over HTTP: they are stopped, and nobody waits for them but their tenant.

use std::time::{Duration, Instant};

use reqwest::Method;
use rulebox_sandbox::selftest::frame;
use rulebox_sandbox::with_manifest;
use serde_json::json;

use super::hostile::manifest;
use super::{assert_well, fixture, post_module};
use crate::harness::{Answer, Server, send};

/// Passes the gate's counts, and takes some hundred MiB to compile.
fn large(number: usize) -> Vec<u8> {
    let (operands, calls) = (10_500, 10_500);
    let load = |text: String, i| text + &format!("(i64.load offset={} (i32.const 0))", i * 8);
    let loads = (0..operands).fold(String::new(), load);
    let (calls, sums) = ("(call $f)".repeat(calls), "i64.add ".repeat(operands - 1));
    frame::assemble(&format!("(global i32 (i32.const {number}))(func $f) (func (result i64) {loads} {calls} {sums})"))
        .unwrap()
}

/// With room for common modules, and not for those; and the key of `admin`.
async fn server() -> (Server, String) {
    let (server, admin, _) = Server::with_platform_keys(|config| {
        config.tenant.modules = true;
        config.compile.worker_memory_bytes = 64 << 20;
        config.compile.workers = 2;
        config.compile.tenant_workers = Some(1);
    })
    .await;
    (server, admin)
}

/// Posts a module of the frame, by this key.
async fn post(server: &Server, key: &str, name: &str, module: &[u8]) -> Answer {
    let module = with_manifest(module, &serde_json::to_vec(&manifest()).unwrap()).unwrap();
    let request = server.request_by(key, Method::POST, &format!("/v1/rules?name={name}"));
    send(request.header("content-type", "application/wasm").body(module)).await
}

#[tokio::test]
async fn a_module_that_takes_too_much_is_answered_by_name_and_tried_once() {
    let (server, _) = server().await;
    let problem = post(&server, &server.key, "large", &large(0)).await.problem(422, "compile_killed");
    assert_eq!(problem["kind"], "compile_killed");
    assert!(problem["violation_id"].is_string(), "{problem:#}");
    assert!(problem["detail"].as_str().unwrap().contains("64 MiB"), "{problem:#}");
    let rejected = server.metric("rulebox_compile_rejected_total{reason=\"compile_killed\"}").await;
    assert_eq!(rejected, Some(1.0));
    // The answer is the same, without another try.
    let began = Instant::now();
    post(&server, &server.key, "large", &large(0)).await.problem(422, "compile_killed");
    println!("refused again after {:?}", began.elapsed());
    assert_well(&server).await;
    server.get("/v1/rules/large").await.problem(404, "rule_not_found");
}

#[tokio::test]
async fn others_upload_and_evaluate_while_a_tenant_sends_bombs() {
    let (server, admin) = server().await;
    let other = server.tenant(&admin, "other", &["author", "engine"]).await;
    let quiet = others(&server, &other, 0).await;
    let server = &server;
    let bombs = async {
        let mut number = 0;
        loop {
            // Three at a time, of which one is compiled.
            let [one, two, three] = [number, number + 1, number + 2].map(large);
            let post = |module| async move { post(server, &server.key, "large", module).await };
            let (one, two, three) = tokio::join!(post(&one), post(&two), post(&three));
            for answer in [one, two, three] {
                answer.problem(422, "compile_killed");
            }
            number += 3;
        }
    };
    let busy = tokio::select! {
        () = bombs => unreachable!(),
        busy = others(server, &other, 1_000) => busy,
    };
    println!("p50 and the slowest of 30 (upload, evaluation): quiet {quiet:?}, beside bombs {busy:?}");
}

/// Uploads and evaluations of another tenant, all of which succeed: the times of both.
async fn others(server: &Server, key: &str, from: usize) -> [(Duration, Duration); 2] {
    let (mut uploads, mut evaluations) = (Vec::new(), Vec::new());
    for number in from..from + 30 {
        let began = Instant::now();
        let module = frame::assemble(&format!("(global i32 (i32.const {number}))")).unwrap();
        let name = format!("small{number}");
        post(server, key, &name, &module).await.ok();
        uploads.push(began.elapsed());
        let began = Instant::now();
        let path = format!("/v1/rules/{name}/evaluate");
        let answer = server.post_by(key, &path, &json!({"inputs": {"x": 10}})).await.ok();
        assert_eq!(answer["out"]["sum"], 20.0);
        evaluations.push(began.elapsed());
    }
    [uploads, evaluations].map(|mut times| {
        times.sort();
        (times[15], times[29])
    })
}

#[tokio::test]
async fn without_a_worker_the_answer_is_to_come_back() {
    let server = Server::with(|config| {
        config.tenant.modules = true;
        config.compile.worker_program = Some("/nonexistent".into());
    })
    .await;
    let answer = post_module(&server, "/v1/rules?name=x", fixture("c_drawdown_guard")).await;
    assert!(answer.headers.contains_key("retry-after"));
    answer.problem(503, "overloaded");
}
