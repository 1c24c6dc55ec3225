//! Lines of JSON, in and out.

use serde_json::{Value, json};

use super::{ARROW, JSON, LINES, stream};
use crate::harness::{DRAWDOWN, Server};

const PATH: &str = "/v1/rules/drawdown/evaluate";
const BARS: &str = concat!(
    r#"{"time": "2026-01-05T15:00Z", "equity": 1, "drawdown": 0.01}"#,
    "\n",
    r#"{"drawdown": 0.085, "equity": 2, "time": 1767625260000}"#,
    "\n\n",
    r#"{"equity": 3, "drawdown": 0.1}"#,
    "\r\n",
    r#"{"equity": 4, "drawdown": 12.5, "time": "soon"}"#,
);

async fn server() -> Server {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    server
}

#[tokio::test]
async fn every_line_is_answered_with_a_line_and_the_last_is_the_trailer() {
    let server = server().await;
    let (lines, trailer) = stream(&server, PATH, LINES, None, BARS).await.lines();
    let room = lines[1]["out"]["room"].clone();
    assert_eq!(
        lines[1],
        json!({
            "bar": 1, "time": "2026-01-05T15:01:00Z", "verdict": "warn", "action": null,
            "reasons": ["drawdown 8.50% near 10.00%"], "out": {"room": room},
        })
    );
    assert!((room.as_f64().unwrap() - 0.015).abs() < 1e-12);
    let said: Vec<_> = lines.iter().map(|line| (line["verdict"].as_str().unwrap(), &line["time"])).collect();
    let times = [json!("2026-01-05T15:00:00Z"), json!("2026-01-05T15:01:00Z"), json!(null), json!(null)];
    assert_eq!(said, ["ok", "warn", "breach", "fault"].into_iter().zip(&times).collect::<Vec<_>>());
    assert_eq!((&lines[2]["action"], &lines[3]["fault"]["span"]["line"]), (&json!("liquidate"), &json!(2)));
    assert_eq!(trailer["counts"], json!({"ok": 1, "warn": 1, "breach": 1, "fault": 1}));
    assert_eq!((&trailer["first"]["breach"], &trailer["first"]["fault"]["bar"]), (&lines[2], &json!(3)));
    assert_eq!((&trailer["rule"], &trailer["version"], &trailer["bars"]), (&json!("drawdown"), &json!(1), &json!(4)));
    assert!(trailer["fuel"].as_u64() > Some(0) && trailer["digest"].as_str().unwrap().starts_with("sha256:"));
    assert!(trailer.get("error").is_none());
    assert_eq!(server.metric("rulebox_bars_evaluated_total{mode=\"stream\"}").await, Some(4.0));
}

#[tokio::test]
async fn params_and_version_stand_in_the_query() {
    let server = server().await;
    let tighter = DRAWDOWN.replace("10% in", "5% in");
    server.post("/v1/rules/drawdown/versions", &json!({ "source": tighter })).await.ok();
    let bar = r#"{"equity": 1, "drawdown": 0.07}"#;
    let verdict = async |query: &str| {
        let (lines, trailer) = stream(&server, &format!("{PATH}?{query}"), LINES, None, bar).await.lines();
        (lines[0]["verdict"].as_str().unwrap().to_owned(), trailer["version"].as_u64().unwrap())
    };
    assert_eq!(verdict("").await, ("ok".to_owned(), 1));
    assert_eq!(verdict("version=2").await, ("breach".to_owned(), 2));
    assert_eq!(verdict("params=%7B%22limit%22:0.06%7D").await, ("breach".to_owned(), 1));
    for (query, status, code, path) in [
        ("version=3", 404, "version_not_found", None),
        ("params=limit", 400, "invalid_query", Some("params")),
        ("params=[]", 400, "invalid_query", Some("params")),
        ("params=%7B%22limt%22:1%7D", 422, "unknown_param", Some("params.limt")),
        ("params=%7B%22limit%22:9%7D", 422, "param_out_of_range", Some("params.limit")),
        ("params=%7B%22limit%22:%22x%22%7D", 422, "param_type", Some("params.limit")),
        ("series=out", 400, "invalid_query", None),
        ("parms=1", 400, "invalid_query", None),
    ] {
        let problem = stream(&server, &format!("{PATH}?{query}"), LINES, None, bar).await.problem(status, code);
        assert_eq!(problem["path"].as_str(), path, "{query}: {problem:#}");
    }
    stream(&server, "/v1/rules/absent/evaluate", LINES, None, bar).await.problem(404, "rule_not_found");
    let single = json!({"inputs": {"equity": 1, "drawdown": 0}});
    server.post(&format!("{PATH}?params=%7B%7D"), &single).await.problem(400, "invalid_query");
}

#[tokio::test]
async fn the_answer_has_the_form_that_is_wanted() {
    let server = server().await;
    let lines = stream(&server, PATH, LINES, Some("*/*"), BARS).await.lines();
    let (batches, trailer) = stream(&server, PATH, LINES, Some(ARROW), BARS).await.arrow();
    assert_eq!((batches.iter().map(arrow_array::RecordBatch::num_rows).sum::<usize>(), &trailer), (4, &lines.1));
    let summary = stream(&server, PATH, LINES, Some(JSON), BARS).await.json();
    assert_eq!((&summary["bars"], &summary["counts"]), (&json!(4), &trailer["counts"]));
    assert_eq!(summary["events"].as_array().unwrap().len(), 3);
    stream(&server, PATH, LINES, Some("text/csv"), BARS).await.problem(406, "not_acceptable");
    let single = r#"{"inputs": {"equity": 1, "drawdown": 0}}"#;
    stream(&server, PATH, JSON, Some(LINES), single).await.problem(406, "not_acceptable");
    stream(&server, PATH, JSON, Some("text/html, */*"), single).await.json();
    stream(&server, "/v1/evaluate", LINES, None, BARS).await.problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_first_line_that_is_wrong_is_a_problem_with_its_place() {
    let server = server().await;
    for (line, status, code, path) in [
        ("nonsense", 400, "malformed_json", None),
        (r#"{"equity": 1, "drawdown": NaN}"#, 400, "malformed_json", Some("drawdown")),
        (r#"{"equity": 1, "drawdown": 1e999}"#, 400, "malformed_json", Some("drawdown")),
        (r#"{"equity": 1"#, 400, "malformed_json", Some("equity")),
        (r#"{"equity": 1, "drawdown": 0} x"#, 400, "malformed_json", None),
        (r#"{"equity": 1, "drawdown": 0}{}"#, 400, "malformed_json", None),
        ("[1, 0]", 422, "invalid_request", None),
        ("1", 422, "invalid_request", None),
        (r#"{"equity": 1, "equity": 2, "drawdown": 0}"#, 422, "invalid_request", Some("equity")),
        (r#"{"time": 1, "time": 2}"#, 422, "invalid_request", Some("time")),
        (r#"{"equity": 1}"#, 422, "missing_column", Some("drawdown")),
        ("{}", 422, "missing_column", Some("equity")),
        (r#"{"equity": 1, "drawdown": 0, "cash": 1}"#, 422, "unknown_column", Some("cash")),
        (r#"{"equity": "1", "drawdown": 0}"#, 422, "column_type", Some("equity")),
        (r#"{"equity": true, "drawdown": 0}"#, 422, "column_type", Some("equity")),
        (r#"{"equity": [1], "drawdown": 0}"#, 422, "column_type", Some("equity")),
        (r#"{"equity": 1, "drawdown": 0, "time": true}"#, 422, "column_type", Some("time")),
    ] {
        let problem = stream(&server, PATH, LINES, None, format!("\n{line}\n")).await.problem(status, code);
        assert_eq!((problem["path"].as_str(), &problem["line"]), (path, &json!(2)), "{line}: {problem:#}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with("line 2: ") && !detail.contains("line 1"), "{detail}");
    }
    for nothing in ["", "\n", " \r\n\n \n"] {
        stream(&server, PATH, LINES, None, nothing).await.problem(422, "no_rows");
    }
    let deep = "[".repeat(500_000);
    stream(&server, PATH, LINES, None, deep).await.problem(422, "invalid_request");
    let bomb = format!(r#"{{"equity": {}"#, "[".repeat(500_000));
    stream(&server, PATH, LINES, None, bomb).await.problem(422, "column_type");
}

#[tokio::test]
async fn what_came_before_a_wrong_line_is_answered_whatever_the_pieces() {
    let server = server().await;
    let good = r#"{"equity": 1, "drawdown": 0.09}"#;
    let text = format!("{good}\n{good}\n\n{}\n{good}\n", r#"{"equity": 1, "drawdown": "0"}"#);
    let mut dice = super::Dice(3);
    for most in [1, 10, 50, 1_000] {
        let (lines, trailer) = stream(&server, PATH, LINES, None, dice.pieces(text.as_bytes(), most)).await.lines();
        assert_eq!((lines.len(), &trailer["bars"]), (2, &json!(2)), "{most}");
        let error = &trailer["error"];
        assert_eq!((&error["code"], &error["path"]), (&json!("column_type"), &json!("drawdown")));
        assert_eq!((&error["line"], &error["status"]), (&json!(4), &json!(422)));
        assert!(error["request_id"].is_string() && error["detail"].as_str().unwrap().starts_with("line 4: "));
    }
    // A summary has not gone out yet: there it is a problem.
    stream(&server, PATH, LINES, Some(JSON), text).await.problem(422, "column_type");
    assert!(server.metric("rulebox_requests_refused_total{reason=\"streams\"}").await == Some(0.0));
}

#[tokio::test]
async fn lines_and_rows_are_bounded() {
    let server = Server::with(|config| {
        (config.api.small_body_bytes, config.evaluation.stream_rows) = (1_000, 3);
    })
    .await;
    server.upload("rule low(equity) = equity < 1").await;
    let path = "/v1/rules/low/evaluate";
    let row = "{\"equity\": 1}\n";
    let long = format!("{{\"equity\": {}1}}", " ".repeat(990));
    let problem = stream(&server, path, LINES, None, long.clone()).await.problem(413, "body_too_large");
    assert_eq!(problem["line"], 1);
    let (lines, trailer) = stream(&server, path, LINES, None, format!("{row}{long}")).await.lines();
    assert_eq!((lines.len(), &trailer["error"]["line"]), (1, &json!(2)));
    let (lines, trailer) = stream(&server, path, LINES, None, row.repeat(3) + "\n\n").await.lines();
    assert_eq!((lines.len(), trailer.get("error")), (3, None));
    let (lines, trailer) = stream(&server, path, LINES, None, row.repeat(4)).await.lines();
    assert_eq!((lines.len(), &trailer["error"]["code"]), (3, &json!("too_many_values")));
    let limits = server.get("/v1/limits").await.ok();
    assert_eq!(
        (&limits["request"]["stream_rows"], &limits["request"]["stream_line_bytes"]),
        (&json!(3), &json!(1_000))
    );
}

#[tokio::test]
async fn a_bar_that_may_cost_too_much_is_not_begun() {
    let server = Server::with(|config| config.evaluation.fuel = 10).await;
    server.upload(DRAWDOWN).await;
    stream(&server, PATH, LINES, None, BARS).await.problem(422, "cost_limit");
}

#[tokio::test]
async fn a_violation_is_recorded_before_it_is_told() {
    let server = Server::with(|config| config.evaluation.memory_bytes = 1).await;
    server.upload(DRAWDOWN).await;
    let problem = stream(&server, PATH, LINES, None, BARS).await.problem(422, "sandbox_violation");
    assert!(problem["kind"] == "memory_limit" && problem["violation_id"].is_string(), "{problem:#}");
    let metric = "rulebox_sandbox_violations_total{kind=\"memory_limit\",severity=\"high\"}";
    assert_eq!(server.metric(metric).await, Some(1.0));
    let _: Value = server.get("/v1/limits").await.ok();
}
