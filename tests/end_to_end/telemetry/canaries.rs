//! What belongs to tenants is in no log line and on no span, however much the service is told to write.

use rulebox_tests::Server;
use serde_json::{Value, json};

use super::super::hostile;
use super::collector::Collector;

const MASTER: &str = "canary of the master secret, of 32 bytes or more";
const HEADER: &str = "canary-of-the-collectors-key";
/// In a comment, a message and a name of a param.
const SOURCE: &str = r#"edition 1
# canary_of_a_comment
rule probe(equity: num in 0..1e15) {
  param canary_of_a_param: num = 10 in 1..8191347
  if equity < canary_of_a_param { breach liquidate "canary_of_a_message {equity:.2}" }
}
"#;
/// Of equity and of a param: numbers that nothing else has.
const INPUT: &str = "7.0718293645";
const PARAM: &str = "8191346.25";

#[test]
fn nothing_of_tenants_is_in_logs_and_traces_of_a_whole_run() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let headers = format!("x-key: {HEADER}");
    let settings = [
        ("RULEBOX_MASTER_SECRET", MASTER),
        ("RULEBOX_TELEMETRY__OTLP_ENDPOINT", collector.endpoint.as_str()),
        ("RULEBOX_TELEMETRY__OTLP_HEADERS", headers.as_str()),
        ("RULEBOX_TENANT__MODULES", "true"),
        ("RULEBOX_LOG__FILTER", "trace"),
        ("RULEBOX_LOG__FORMAT", "json"),
    ];
    let mut server = Server::try_start(directory.path(), &settings).unwrap();
    let key = server.key.clone().unwrap();
    let post = |path: &str, body: &Value| {
        let answer = server.post(&key, path, body).unwrap();
        (answer.status().as_u16(), answer.text().unwrap())
    };
    let (status, made) = post("/v1/rules", &json!({ "source": SOURCE }));
    assert_eq!(status, 201, "{made}");
    // A text with a mistake is shown to its author alone.
    assert_eq!(post("/v1/rules", &json!({ "source": format!("{SOURCE} canary_of_a_mistake") })).0, 422);
    let (input, param): (f64, f64) = (INPUT.parse().unwrap(), PARAM.parse().unwrap());
    let params = json!({ "canary_of_a_param": param });
    let (status, said) = post("/v1/rules/probe/evaluate", &json!({"inputs": {"equity": input}, "params": params}));
    assert!(status == 200 && said.contains("canary_of_a_message"), "{said}");
    let (status, said) = post("/v1/rules/probe/evaluate", &json!({"columns": {"equity": [input, input]}}));
    assert_eq!(status, 200, "{said}");
    // What cannot be read.
    assert_eq!(post("/v1/rules/probe/evaluate", &json!({"inputs": {"equity": "canary_of_a_cell"}})).0 / 100, 4);
    let (status, session) = post("/v1/sessions", &json!({"rules": ["probe"]}));
    assert_eq!(status, 201, "{session}");
    let session: Value = serde_json::from_str(&session).unwrap();
    let path = format!("/v1/sessions/{}/bars", session["id"].as_str().unwrap());
    let (status, said) = post(&path, &json!({"seq": 0, "columns": {"equity": [input]}}));
    assert_eq!(status, 200, "{said}");
    hostile::upload(&server, &key, "endless", hostile::ENDLESS);
    assert!(post("/v1/rules/endless/evaluate", &json!({"inputs": {}})).0 >= 400);
    let (status, other) = post("/v1/keys", &json!({"roles": ["engine"]}));
    assert_eq!(status, 201);
    let other: Value = serde_json::from_str(&other).unwrap();
    let other = other["key"].as_str().unwrap().to_owned();
    assert_eq!(server.get("canary of a bad key", "/v1/rules").unwrap().status().as_u16(), 401);
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");

    // Lines are JSON, with their fields by name.
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answered = lines.iter().find(|line| line["message"] == "answered").unwrap();
    for field in ["timestamp", "level", "target", "method", "route", "status", "milliseconds"] {
        assert!(!answered[field].is_null(), "{field}: {answered}");
    }
    for field in ["request_id", "trace_id"] {
        assert!(answered["span"][field].is_string(), "{field}: {answered}");
    }
    assert!(lines.iter().any(|line| line["message"] == "violation" && line["kind"].is_string()));

    let spans = format!("{:?}", collector.spans());
    assert!(spans.contains("evaluation") && spans.contains("violation"), "{spans}");
    let hidden = [MASTER, HEADER, INPUT, PARAM, &key, &other, "canary"];
    for canary in hidden {
        let found: Vec<_> = log.lines().filter(|line| line.contains(canary)).take(3).collect();
        assert!(found.is_empty(), "{canary} is in the log: {found:#?}");
        assert!(!spans.contains(canary), "{canary} is in the traces");
    }
}
