//! Texts that a module has of its own.

use serde_json::{Value, json};

use super::{account, fixture, post_module, server, text};
use crate::harness::Server;
use crate::streams::{LINES, stream};

async fn with_streak() -> Server {
    let server = server().await;
    post_module(&server, "/v1/rules", fixture("c_losing_streak")).await.ok();
    server.post("/v1/rules", &json!({"name": "plain", "source": text("losing_streak")})).await.ok();
    server
}

/// Three falls, a fourth, a rise.
fn bars() -> Value {
    json!({"equity": [100, 99, 98, 97, 96, 97, 96, 95, 94]})
}

#[tokio::test]
async fn a_text_of_the_module_stands_for_that_of_its_manifest() {
    let server = with_streak().await;
    let body = json!({"columns": bars()});
    let answer = server.post("/v1/rules/losing_streak/evaluate", &body).await.ok();
    let breach = json!(["three falling bars in a row"]);
    assert_eq!(answer["first"]["breach"]["reasons"], breach);
    assert_eq!(answer["events"][0]["reasons"], breach);
    assert_eq!(answer["events"][2]["reasons"], breach, "{answer:#}");
    // Thirteen have no name: the manifest's text.
    let many = (0..14).map(|bar| format!("{{\"equity\": {}}}\n", 100 - bar)).collect::<Vec<_>>().concat();
    let (rows, _) = stream(&server, "/v1/rules/losing_streak/evaluate", LINES, None, many).await.lines();
    assert_eq!(rows[12]["reasons"], json!(["twelve falling bars in a row"]));
    assert_eq!(rows[13]["reasons"], json!(["13 falling bars in a row"]));
}

#[tokio::test]
async fn streams_and_sessions_have_the_text_of_every_bar() {
    let server = with_streak().await;
    let bars = bars();
    let values = bars["equity"].as_array().unwrap();
    let expected = |bar: usize| match bar {
        3 | 8 => json!(["three falling bars in a row"]),
        4 => json!(["four falling bars in a row"]),
        _ => json!([]),
    };
    let lines: String =
        values.iter().flat_map(|value| [json!({ "equity": value }).to_string(), "\n".to_owned()]).collect();
    let (rows, _) = stream(&server, "/v1/rules/losing_streak/evaluate", LINES, None, lines).await.lines();
    let session = server.post("/v1/sessions", &json!({"rules": ["losing_streak"]})).await.ok();
    let path = format!("/v1/sessions/{}/bars", session["id"].as_str().unwrap());
    for (bar, (value, row)) in values.iter().zip(&rows).enumerate() {
        assert_eq!(row["reasons"], expected(bar), "bar {bar}");
        let answer = server.post(&path, &json!({"seq": bar, "inputs": {"equity": value}})).await.ok();
        assert_eq!(answer["bars"][0]["rules"][0]["reasons"], expected(bar), "bar {bar}");
    }
}

#[tokio::test]
async fn beside_its_texts_it_says_what_the_rule_says() {
    let server = with_streak().await;
    for data in ["goog_daily", "eurusd_hourly"] {
        let body = json!({"columns": account(data, &["equity"])});
        let mut answers = Vec::new();
        for rule in ["losing_streak", "plain"] {
            let path = format!("/v1/rules/{rule}/evaluate?series=verdict,out");
            let answer = server.post(&path, &body).await.ok();
            answers.push((answer["counts"].clone(), answer["series"].clone()));
        }
        assert!(answers[0].0["breach"].as_u64() > Some(20), "{data}: {}", answers[0].0);
        assert_eq!(answers[0], answers[1], "{data}");
    }
}
