//! The description of the API.

use reqwest::Method;
use serde_json::{Value, json};

use crate::access::{OPERATIONS, Operation};
use crate::described;
use crate::harness::{DRAWDOWN, Server, send};

async fn document(server: &Server) -> Value {
    send(server.anonymous(Method::GET, "/openapi.json")).await.ok()
}

#[tokio::test]
async fn every_operation_is_described_and_none_else() {
    let server = Server::start().await;
    let document = document(&server).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut described = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            described.push((method.to_uppercase(), path.clone()));
            assert!(operation["summary"].is_string() && operation["operationId"].is_string(), "{method} {path}");
            for status in ["400", "401", "403", "429", "500", "503"] {
                assert!(operation["responses"][status].is_object(), "{method} {path}: {status}");
            }
            for status in ["408", "413", "415", "422"] {
                let read = operation["requestBody"].is_object();
                assert!(!read || operation["responses"][status].is_object(), "{method} {path}: {status}");
            }
        }
    }
    let mut expected: Vec<_> =
        OPERATIONS.iter().map(|entry| (entry.method.to_owned(), entry.path.to_owned())).collect();
    described.sort();
    expected.sort();
    assert_eq!(described, expected);
}

#[tokio::test]
async fn every_described_operation_is_routed_and_wants_a_key() {
    let server = Server::start().await;
    for Operation { method, path, .. } in OPERATIONS {
        let path = path.replace("{name}", "a").replace("{version}", "1").replace("{tenant}", "a");
        let path = path.replace("{id}", "a").replace("{delivery}", "a");
        let request = server.anonymous(method.parse().unwrap(), &path);
        send(request).await.problem(401, "unauthenticated");
        let other = send(server.anonymous(Method::PUT, &path)).await;
        let allow = other.headers["allow"].to_str().unwrap().to_owned();
        assert!(allow.split(',').any(|allowed| allowed == *method), "{method} {path}: {allow}");
        other.problem(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn bodies_of_another_shape_are_refused_by_the_document_and_by_the_service() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    let (one, several) = ("/v1/rules/drawdown/evaluate", "/v1/evaluate");
    for (path, body) in [
        (one, json!({})),
        (one, json!({"bogus": 1})),
        (one, json!({"inputs": {"equity": 1, "drawdown": 0}, "bogus": 1})),
        (one, json!({"inputs": {"equity": 1, "drawdown": 0}, "rules": "*"})),
        (one, json!({"inputs": null})),
        (one, json!({"inputs": [1, 0]})),
        (one, json!({"inputs": {"equity": "1", "drawdown": 0}})),
        (one, json!({"inputs": {"equity": [1], "drawdown": [0]}})),
        (one, json!({"inputs": {"equity": 1, "drawdown": 0, "time": 0}})),
        (one, json!({"inputs": {"equity": 1, "drawdown": 0}, "time": true})),
        (one, json!({"inputs": {"equity": 1, "drawdown": 0}, "time": [0]})),
        (one, json!({"inputs": {"equity": 1, "drawdown": 0}, "columns": {"equity": [1], "drawdown": [0]}})),
        (one, json!({"inputs": {"equity": 1, "drawdown": 0}, "params": null})),
        (one, json!({"inputs": {"equity": 1, "drawdown": 0}, "params": [0.1]})),
        (one, json!({"inputs": {"equity": 1, "drawdown": 0}, "params": {"limit": null}})),
        (one, json!({"inputs": {"equity": 1, "drawdown": 0}, "params": {"limit": "0.1"}})),
        (one, json!({"columns": {"equity": 1, "drawdown": 0}})),
        (one, json!({"columns": {"equity": ["1"], "drawdown": [0]}})),
        (one, json!({"columns": {"equity": [1], "drawdown": [0]}, "time": 0})),
        (one, json!({"columns": {"equity": [1], "drawdown": [0], "time": 0}})),
        (one, json!({"columns": {"equity": [1], "drawdown": [0], "time": [false]}})),
        (several, json!({"inputs": {"equity": 1, "drawdown": 0}})),
        (several, json!({"rules": "drawdown", "inputs": {"equity": 1, "drawdown": 0}})),
        (several, json!({"rules": [], "inputs": {"equity": 1, "drawdown": 0}})),
        (several, json!({"rules": ["drawdown", "drawdown"], "inputs": {"equity": 1, "drawdown": 0}})),
        (several, json!({"rules": [1], "inputs": {"equity": 1, "drawdown": 0}})),
        (several, json!({"rules": {}, "inputs": {"equity": 1, "drawdown": 0}})),
        (several, json!({"rules": "*", "versions": null, "inputs": {"equity": 1, "drawdown": 0}})),
        (several, json!({"rules": "*", "versions": {"drawdown": "1"}, "inputs": {"equity": 1, "drawdown": 0}})),
        (several, json!({"rules": "*", "versions": {"drawdown": -1}, "inputs": {"equity": 1, "drawdown": 0}})),
        (several, json!({"rules": "*", "versions": {"drawdown": 1.5}, "inputs": {"equity": 1, "drawdown": 0}})),
        (several, json!({"rules": "*", "params": {"limit": 0.1}, "inputs": {"equity": 1, "drawdown": 0}})),
        (several, json!({"rules": "*", "columns": {"equity": [1], "drawdown": [0]}, "bogus": 1})),
        ("/v1/sessions", json!({})),
        ("/v1/sessions", json!({"rules": "drawdown"})),
        ("/v1/sessions", json!({"rules": []})),
        ("/v1/sessions", json!({"rules": "*", "inputs": {}})),
        ("/v1/sessions", json!({"rules": "*", "seq": 0})),
        ("/v1/sessions", json!({"rules": "*", "bogus": 1})),
        ("/v1/sessions", json!({"rules": "*", "params": {"limit": 0.1}})),
        ("/v1/sessions/x/bars", json!({"inputs": {"equity": 1, "drawdown": 0}})),
        ("/v1/sessions/x/bars", json!({"seq": -1, "inputs": {"equity": 1, "drawdown": 0}})),
        ("/v1/sessions/x/bars", json!({"seq": 0.5, "inputs": {"equity": 1, "drawdown": 0}})),
        ("/v1/sessions/x/bars", json!({"seq": "0", "inputs": {"equity": 1, "drawdown": 0}})),
        ("/v1/sessions/x/bars", json!({"seq": 0})),
        ("/v1/sessions/x/bars", json!({"seq": 0, "rules": "*", "inputs": {"equity": 1, "drawdown": 0}})),
        ("/v1/sessions/x/bars", json!({"seq": 0, "params": {}, "inputs": {"equity": 1, "drawdown": 0}})),
        ("/v1/sessions/x/bars", json!({"seq": 0, "time": 0, "columns": {"equity": [1], "drawdown": [0]}})),
        ("/v1/rules", json!({"name": "a"})),
        ("/v1/rules", json!({"source": 1})),
        ("/v1/rules", json!({"source": DRAWDOWN, "nmae": "a"})),
        ("/v1/rules", json!({"source": DRAWDOWN, "name": "A"})),
        ("/v1/rules/check", json!({"source": DRAWDOWN, "bogus": 1})),
        ("/v1/rules/drawdown/versions", json!({"source": DRAWDOWN, "bogus": 1})),
        ("/v1/rules/drawdown/activate", json!({})),
        ("/v1/rules/drawdown/activate", json!({"version": "1"})),
        ("/v1/rules/drawdown/activate", json!({"version": 4_294_967_296_u64})),
        ("/v1/rules/drawdown/activate", json!({"version": 1, "bogus": 1})),
    ] {
        let answer = server.post(path, &body).await;
        assert_eq!(answer.status, 422, "{path} {body}: {answer:#?}");
        assert!(described::takes(&Method::POST, path, &body).is_err(), "the document takes {path} {body}");
    }
}

#[tokio::test]
async fn bodies_of_every_shape_are_taken_by_the_document_and_by_the_service() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    let (one, several) = ("/v1/rules/drawdown/evaluate", "/v1/evaluate");
    for (path, body) in [
        (one, json!({"inputs": {"equity": 1, "drawdown": null}})),
        (one, json!({"inputs": {"equity": 1, "drawdown": 0}, "time": "2026-01-05T15:00Z", "params": {"limit": 0.2}})),
        (one, json!({"inputs": {"equity": 1, "drawdown": 0}, "time": 1_767_625_260_000_i64, "params": {}})),
        (one, json!({"inputs": {"equity": 1, "drawdown": 0}, "time": null})),
        (
            one,
            json!({"columns": {"time": ["2026-01-05T15:00Z", 0, null], "equity": [1, 2, 3], "drawdown": [0, null, 1]}}),
        ),
        (
            several,
            json!({"rules": "*", "inputs": {"equity": 1, "drawdown": 0}, "params": {"drawdown": {"limit": 0.2}}}),
        ),
        (
            several,
            json!({"rules": ["drawdown"], "columns": {"equity": [1], "drawdown": [0]}, "versions": {"drawdown": 1}}),
        ),
        ("/v1/rules/check", json!({"source": DRAWDOWN, "name": null})),
        ("/v1/rules/drawdown/versions", json!({"source": DRAWDOWN, "name": "drawdown"})),
        ("/v1/rules/drawdown/activate", json!({"version": 2})),
    ] {
        // Sending validates the body and the answer.
        server.post(path, &body).await.ok();
        described::takes(&Method::POST, path, &body).unwrap();
    }
}

#[tokio::test]
async fn every_operation_refuses_a_query_parameter_that_it_does_not_describe() {
    let (server, admin, security) = Server::with_platform_keys(|_| {}).await;
    server.upload(DRAWDOWN).await;
    let id = server.get("/v1/keys").await.ok()["keys"][0]["id"].as_str().unwrap().to_owned();
    for Operation { method, path, roles, .. } in OPERATIONS {
        let path = path.replace("{name}", "drawdown").replace("{version}", "1");
        let path = path.replace("{tenant}", "default").replace("{id}", &id).replace("{delivery}", &id);
        let key = match *roles {
            ["admin", ..] => &admin,
            ["security", ..] => &security,
            _ => &server.key,
        };
        for kind in ["application/json", "text/plain"] {
            let request = server.request_by(key, method.parse().unwrap(), &format!("{path}?bogus=1"));
            let problem = send(request.header("content-type", kind).body("{}")).await;
            if (problem.status, kind) == (415, "text/plain") {
                continue;
            }
            let problem = problem.problem(400, "invalid_query");
            assert!(problem["detail"].as_str().unwrap().contains("`bogus`"), "{method} {path}: {problem:#}");
        }
    }
}

#[tokio::test]
async fn words_of_addresses_are_no_names_of_new_rules() {
    let server = Server::start().await;
    let words = OPERATIONS.iter().filter_map(|op| op.path.strip_prefix("/v1/rules/")).flat_map(|p| p.split('/'));
    for word in words.filter(|word| !word.starts_with('{')) {
        let body = json!({"name": word, "source": DRAWDOWN});
        let problem = server.post("/v1/rules", &body).await.problem(422, "invalid_name");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{problem:#}");
        let source = format!("rule {word}(equity) = equity < 1");
        // `test` is a keyword of the language, and no name in it has a `-`: such a text does not even compile.
        let code = if word == "test" || word.contains('-') { "rule_invalid" } else { "invalid_name" };
        server.post("/v1/rules", &json!({ "source": source })).await.problem(422, code);
    }
    assert_eq!(server.get("/v1/rules").await.ok()["rules"], json!([]));
}

#[tokio::test]
async fn the_document_is_the_one_that_was_reviewed() {
    let server = Server::start().await;
    let mut document = document(&server).await;
    document["info"]["version"] = Value::from("[version]");
    insta::assert_json_snapshot!("openapi", document);
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let server = Server::start().await;
    for path in ["/docs/", "/docs/index.html", "/docs/swagger-initializer.js"] {
        let response = server.anonymous(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'self'"), "{policy}");
        let text = response.text().await.unwrap();
        assert!(!text.contains("src=\"http") && !text.contains("href=\"http"), "{path}: {text}");
    }
    let text =
        server.anonymous(Method::GET, "/docs/swagger-initializer.js").send().await.unwrap().text().await.unwrap();
    assert!(text.contains("/openapi.json") && text.contains("\"validatorUrl\": \"none\""), "{text}");
}

#[tokio::test]
async fn a_file_that_the_page_does_not_have_is_a_problem() {
    let server = Server::start().await;
    send(server.anonymous(Method::GET, "/docs/absent.js")).await.problem(404, "not_found");
}

#[tokio::test]
async fn every_code_has_a_page() {
    let server = Server::start().await;
    for code in rulebox::api::problem::Code::ALL {
        let info = code.info();
        let page = send(server.anonymous(Method::GET, &format!("/problems/{}", info.code))).await;
        assert_eq!(page.status, 200);
        assert!(page.json.as_str().unwrap().contains(info.title));
    }
    send(server.anonymous(Method::GET, "/problems/nothing")).await.problem(404, "not_found");
}
