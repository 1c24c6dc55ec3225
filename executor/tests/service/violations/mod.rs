//! Violations: recorded, counted, reviewed, told of; modules that stop themselves.

mod code_cache;
mod differential;
mod loops;
mod overrun;
mod quarantine;
mod raised;
mod review;
mod stream;

use serde_json::{Value, json};

use crate::harness::{Answer, DRAWDOWN, Server};

/// A service in which every run breaks its limit of memory, with the keys of `admin` and `security`.
async fn tight(violations: u64) -> (Server, String, String) {
    let (server, admin, security) = Server::with_platform_keys(|config| {
        config.evaluation.memory_bytes = 1;
        config.quarantine.violations = violations;
    })
    .await;
    server.upload(DRAWDOWN).await;
    (server, admin, security)
}

/// Runs the rule over some bars: for a single one it has no memory.
async fn run(server: &Server) -> Answer {
    let bars = json!({"columns": {"equity": [1, 1], "drawdown": [0, 0]}});
    server.post("/v1/rules/drawdown/evaluate", &bars).await
}

/// The violations that a key lists.
async fn list(server: &Server, key: &str, query: &str) -> Vec<Value> {
    server.get_by(key, &format!("/v1/violations{query}")).await.ok()["violations"].as_array().unwrap().clone()
}

fn id(violation: &Value) -> &str {
    violation["id"].as_str().unwrap()
}
