//! Sessions, in process and in Redis, by calls and over a WebSocket.

mod calls;
mod same_bits;
mod sent_again;
mod shared;
pub mod socket;
mod socket_ends;

use serde_json::{Value, json};

use crate::harness::{Answer, Server};

/// Counts its bars, so that one that is lost or doubled is seen.
pub const COUNTER: &str = r#"edition 1
rule counter(equity) {
  let n = cum_sum(1)
  let total = cum_sum(equity)
  out count = n
  out sum = total
  if n > 2 { warn "bar {n:.0}" }
}
"#;

/// A session of these rules.
pub async fn begin(server: &Server, rules: Value) -> String {
    let session = server.post("/v1/sessions", &json!({ "rules": rules })).await;
    assert_eq!(session.status, 201, "{session:#?}");
    let id = session.json["id"].as_str().unwrap().to_owned();
    assert_eq!(session.headers["location"], format!("/v1/sessions/{id}"));
    id
}

/// Sends one bar.
pub async fn bar(server: &Server, id: &str, seq: u64, equity: f64) -> Answer {
    let body = json!({"seq": seq, "inputs": {"equity": equity}});
    server.post(&format!("/v1/sessions/{id}/bars"), &body).await
}

/// Sends several bars.
pub async fn bars(server: &Server, id: &str, seq: u64, equity: &[f64]) -> Answer {
    let body = json!({"seq": seq, "columns": {"equity": equity}});
    server.post(&format!("/v1/sessions/{id}/bars"), &body).await
}

/// `count` and `sum` of each bar of an answer of [`COUNTER`].
pub fn counted(answer: &Value) -> Vec<(f64, f64)> {
    let outs = answer["bars"].as_array().unwrap().iter().map(|bar| &bar["rules"][0]["out"]);
    outs.map(|out| (out["count"].as_f64().unwrap(), out["sum"].as_f64().unwrap())).collect()
}
