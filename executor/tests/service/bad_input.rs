//! Bad input: each gets a clear problem, and nothing is stored.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{DRAWDOWN, Server, send};

const EVALUATE: &str = "/v1/rules/drawdown/evaluate";

async fn server() -> Server {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    server
}

#[tokio::test]
async fn texts_that_are_no_rules_are_refused_with_diagnostics() {
    let server = server().await;
    let deep = format!("rule r(x) = {}x{} > 1", "(".repeat(10_000), ")".repeat(10_000));
    for (what, source) in [
        ("empty", ""),
        ("blank", " \n\t"),
        ("deep", deep.as_str()),
        ("near miss", "rule r(equity) = equty > 1"),
        ("wrong types", "rule r(a: bool) = a > 1"),
        ("missing", "rule r(x) = x[1] < x"),
        ("window 0", "rule r(x) = (sma(x, 0) ?? 0) > 1"),
        ("window too large", "rule r(x) = (sma(x, 100000) ?? 0) > 1"),
        ("twice", "rule r(x, x) = x > 1"),
        ("keyword", "rule r(if) = if > 1"),
        ("unterminated", "rule r(x) { if x > 1 { breach \"oh } }"),
        ("infinite", "rule r(x) = x > 1e999"),
        ("nul", "rule r(x) = x > 1\0"),
    ] {
        for path in ["/v1/rules/check", "/v1/rules", "/v1/rules/drawdown/versions"] {
            let problem = server.post(path, &json!({ "source": source })).await.problem(422, "rule_invalid");
            let first = &problem["diagnostics"][0];
            assert!(
                first["code"].as_str().unwrap().starts_with('E') && first["severity"] == "error",
                "{what}: {first}"
            );
            assert!(first["spans"][0]["line"].as_u64() >= Some(1), "{what}: {first}");
        }
    }
    let problem = server
        .post("/v1/rules/check", &json!({"source": "rule r(equity) = equty > 1"}))
        .await
        .problem(422, "rule_invalid");
    assert!(problem["diagnostics"][0].to_string().contains("equity"), "suggests the near miss: {problem:#}");
    let several = "rule r(a) {\n  let x = b\n  let y = c\n  if a > 1 { breach \"x\" }\n}";
    let problem = server.post("/v1/rules/check", &json!({ "source": several })).await.problem(422, "rule_invalid");
    assert!(problem["diagnostics"].as_array().unwrap().len() >= 2, "{problem:#}");
    assert_eq!(server.get("/v1/rules").await.ok()["rules"].as_array().unwrap().len(), 1);
    assert_eq!(server.get("/v1/rules/drawdown").await.ok()["latest_version"], 1);
}

#[tokio::test]
async fn plain_text_may_be_any_bytes() {
    let server = server().await;
    let post = |body: Vec<u8>| {
        server.request(Method::POST, "/v1/rules/check").header("content-type", "text/plain; charset=utf-8").body(body)
    };
    send(post(DRAWDOWN.as_bytes().to_vec())).await.ok();
    let problem = send(post(b"rule r(x) = x > 1 # \xff".to_vec())).await.problem(422, "rule_invalid");
    assert!(problem["diagnostics"][0]["spans"][0]["start"].as_u64() == Some(20), "{problem:#}");
    send(post(Vec::new())).await.problem(422, "rule_invalid");
    send(post(vec![b'#'; 100_000])).await.problem(422, "rule_invalid");
    send(post(vec![b'#'; 10 << 20])).await.problem(413, "body_too_large");
}

#[tokio::test]
async fn a_body_that_is_not_json_says_where() {
    let server = server().await;
    for (body, path) in [
        (r#"{"columns": {"equity": [1, 2"#, "columns.equity[2]"),
        (r#"{"columns": {"equity": [1, NaN]}}"#, "columns.equity[1]"),
        (r#"{"columns": {"equity": [Infinity]}}"#, "columns.equity[0]"),
        (r#"{"columns": {"equity": [1, 2, 1e999]}}"#, "columns.equity[2]"),
        (r#"{"inputs": {"equity": -1e999}}"#, "inputs.equity"),
    ] {
        let problem = server.post_text(EVALUATE, body).await.problem(400, "malformed_json");
        assert_eq!(problem["path"], path, "{body}");
        assert!(problem["line"] == 1 && problem["column"].as_u64() > Some(1), "{problem:#}");
        let missing = problem["detail"].as_str().unwrap().contains("write null");
        assert_eq!(missing, body.contains("NaN") || body.contains("Inf") || body.contains("999"), "{problem:#}");
    }
    for body in ["", "{", "nonsense", "\u{feff}{}"] {
        server.post_text(EVALUATE, body).await.problem(400, "malformed_json");
        server.post_text("/v1/rules", body).await.problem(400, "malformed_json");
    }
    server.post_text("/v1/rules", &b"{\"source\": \"\xff\"}"[..]).await.problem(400, "malformed_json");
    server.post_text("/v1/rules", "[".repeat(500_000)).await.problem(422, "invalid_request");
    server.post_text(EVALUATE, "[".repeat(500_000)).await.problem(422, "invalid_request");
    let bomb = format!(r#"{{"columns": {{"equity": {}"#, "[".repeat(500_000));
    server.post_text(EVALUATE, bomb).await.problem(422, "column_type");
}

#[tokio::test]
async fn columns_that_do_not_fit_say_which_and_where() {
    let server = server().await;
    for (body, code, path) in [
        (json!({"columns": {"equity": [1, 2], "drawdown": [0]}}), "column_lengths", "columns.equity"),
        (json!({"columns": {"equity": [1, "2"], "drawdown": [0, 0]}}), "column_type", "columns.equity[1]"),
        (json!({"columns": {"equity": [1, "NaN"], "drawdown": [0, 0]}}), "column_type", "columns.equity[1]"),
        (json!({"columns": {"equity": [1, 2, 3, true], "drawdown": [0, 0, 0, 0]}}), "column_type", "columns.equity[3]"),
        (json!({"columns": {"equity": 1, "drawdown": [0]}}), "invalid_request", "columns.equity"),
        (json!({"columns": {"equity": [1]}}), "missing_column", "columns.drawdown"),
        (json!({"columns": {"equity": [1], "drawdown": [0], "cash": [1]}}), "unknown_column", "columns.cash"),
        (json!({"inputs": {"equity": 1}}), "missing_column", "inputs.drawdown"),
        (json!({"inputs": {"equity": 1, "drawdown": true}}), "column_type", "inputs.drawdown"),
        (json!({"inputs": {"equity": 1, "drawdown": 0}, "params": {"limt": 0.1}}), "unknown_param", "params.limt"),
        (
            json!({"inputs": {"equity": 1, "drawdown": 0}, "params": {"limit": 0.6}}),
            "param_out_of_range",
            "params.limit",
        ),
        (json!({"inputs": {"equity": 1, "drawdown": 0}, "params": {"limit": "0.1"}}), "param_type", "params.limit"),
        (json!({"inputs": {"equity": 1, "drawdown": 0}, "params": {"limit": true}}), "param_type", "params.limit"),
        (json!({"input": {"equity": 1, "drawdown": 0}}), "invalid_request", "input"),
        (json!({"columns": {}, "inputs": {}}), "invalid_request", ""),
        (json!({}), "invalid_request", ""),
        (json!({"columns": {"equity": [], "drawdown": []}}), "no_rows", ""),
        (json!({"columns": {}}), "no_rows", ""),
    ] {
        let problem = server.post(EVALUATE, &body).await.problem(422, code);
        assert_eq!(problem["path"].as_str().unwrap_or_default(), path, "{body}: {problem:#}");
    }
    let twice = r#"{"columns": {"equity": [1], "equity": [2], "drawdown": [0]}}"#;
    assert_eq!(server.post_text(EVALUATE, twice).await.problem(422, "invalid_request")["path"], "columns.equity");
    assert_eq!(
        server.post_text(EVALUATE, r#"{"inputs": {}, "inputs": {}}"#).await.problem(422, "invalid_request")["path"],
        "inputs"
    );
}

#[tokio::test]
async fn small_bodies_say_where_they_are_wrong() {
    let server = server().await;
    for (path, body, at) in [
        ("/v1/rules", json!({"name": "a"}), json!("source")),
        ("/v1/rules", json!(["a", "rule a(x) = x > 1"]), Value::Null),
        ("/v1/rules/drawdown/activate", json!([1]), Value::Null),
        ("/v1/rules", json!({"source": 1}), json!("source")),
        ("/v1/rules", json!({"source": "", "nmae": "a"}), json!("nmae")),
        ("/v1/rules/drawdown/activate", json!({"version": -1}), json!("version")),
        ("/v1/rules/drawdown/activate", json!({"version": "1"}), json!("version")),
        ("/v1/rules/drawdown/activate", json!({}), json!("version")),
    ] {
        let problem = server.post(path, &body).await.problem(422, "invalid_request");
        assert_eq!(problem["path"], at, "{path} {body}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(!["u32", "struct", "integer", "sequence"].iter().any(|word| detail.contains(word)), "{detail}");
    }
    server.post_text("/v1/rules", r#"{"source": "", "source": ""}"#).await.problem(422, "invalid_request");
    for name in ["", "A", "a b", "../a", &"a".repeat(65)] {
        server.post("/v1/rules", &json!({"name": name, "source": DRAWDOWN})).await.problem(422, "invalid_name");
    }
}

#[tokio::test]
async fn types_sizes_methods_and_addresses_have_problems_too() {
    let server = server().await;
    for kind in ["text/csv", "application/xml", "application/wasm", ""] {
        let request = server.request(Method::POST, EVALUATE).header("content-type", kind).body("{}");
        send(request).await.problem(415, "unsupported_media_type");
    }
    send(server.request(Method::POST, EVALUATE).body("{}")).await.problem(415, "unsupported_media_type");
    let large = vec![b' '; 65 << 20];
    server.post_text(EVALUATE, large).await.problem(413, "body_too_large");
    let stream = futures_util::stream::iter((0..70).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1 << 20])));
    server.post_text(EVALUATE, reqwest::Body::wrap_stream(stream)).await.problem(413, "body_too_large");
    let answer = server.get(EVALUATE).await;
    assert_eq!(answer.headers["allow"], "POST");
    answer.problem(405, "method_not_allowed");
    server.get("/v2/rules").await.problem(404, "not_found");
    server.get("/v1/rules/absent").await.problem(404, "rule_not_found");
    server.get("/v1/rules/No%20Name").await.problem(404, "rule_not_found");
    server.get("/v1/rules/drawdown/versions/2").await.problem(404, "version_not_found");
    server.get("/v1/rules/drawdown/versions/x").await.problem(404, "version_not_found");
    server.get("/v1/rules?limt=3").await.problem(400, "invalid_query");
    server.get("/v1/rules?limit=0").await.problem(400, "invalid_query");
    server.get("/v1/rules?limit=x").await.problem(400, "invalid_query");
    let bar = json!({"inputs": {"equity": 1, "drawdown": 0}});
    server.post(&format!("{EVALUATE}?series=verdicts"), &bar).await.problem(400, "invalid_query");
    server.post(&format!("{EVALUATE}?version=x"), &bar).await.problem(400, "invalid_query");
    server.post(&format!("{EVALUATE}?version=7"), &bar).await.problem(404, "version_not_found");
}

#[tokio::test]
async fn problems_look_like_this() {
    let server = server().await;
    let redacted = |mut problem: Value| {
        for field in ["request_id", "trace_id"] {
            problem[field] = json!(format!("[{field}]"));
        }
        problem
    };
    let source = "rule r(equity: num) {\n  if equty < 1 { breach \"x\" }\n}";
    insta::assert_json_snapshot!(
        "rule_invalid",
        redacted(server.post("/v1/rules/check", &json!({ "source": source })).await.json)
    );
    let body = json!({"columns": {"equity": [1, null, "x"]}});
    insta::assert_json_snapshot!("column_type", redacted(server.post(EVALUATE, &body).await.json));
    insta::assert_json_snapshot!(
        "malformed_json",
        redacted(server.post_text(EVALUATE, "{\"columns\":\n{\"equity\": [1e999]}}").await.json)
    );
    insta::assert_json_snapshot!("rule_not_found", redacted(server.get("/v1/rules/absent").await.json));
}

#[tokio::test]
async fn an_answer_is_short_whatever_was_sent() {
    let server = server().await;
    let long = "x".repeat(600_000);
    for body in [
        json!({"columns": {&long: [1]}}),
        json!({"columns": {"equity": [1], &long: [1, 2]}}),
        json!({"inputs": {"equity": 1, "drawdown": 0}, "params": {&long: 1}}),
        json!({ &long: 1 }),
        json!(long),
    ] {
        let problem = server.post(EVALUATE, &body).await.json;
        assert!(problem.to_string().len() < 10_000 && problem["code"].is_string(), "{}", problem["code"]);
    }
    for body in [json!({"source": "", &long: 1}), json!(long), json!({"version": long})] {
        let problem = server.post("/v1/rules/drawdown/activate", &body).await.json;
        assert!(problem.to_string().len() < 10_000 && problem["code"].is_string(), "{}", problem["code"]);
    }
}

#[tokio::test]
async fn errors_say_what_is_meant() {
    let server = server().await;
    let both = json!({"columns": {"equity": [1]}, "inputs": {"equity": 1}});
    let problem = server.post(EVALUATE, &both).await.problem(422, "invalid_request");
    assert!(problem["detail"].as_str().unwrap().contains("exclude each other"), "{problem:#}");
    let problem = server.post_text(EVALUATE, "").await.problem(400, "malformed_json");
    assert_eq!((&problem["line"], &problem["column"]), (&json!(1), &json!(1)));
    assert!(problem["detail"].as_str().unwrap().contains("empty"), "{problem:#}");
}
