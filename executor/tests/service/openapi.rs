//! The description of the API.

use reqwest::Method;
use serde_json::Value;

use crate::harness::{Server, send};

/// Every operation of the service. A route that is added belongs here as well.
const OPERATIONS: &[(&str, &str)] = &[
    ("POST", "/v1/rules/check"),
    ("POST", "/v1/rules"),
    ("GET", "/v1/rules"),
    ("GET", "/v1/rules/{name}"),
    ("DELETE", "/v1/rules/{name}"),
    ("POST", "/v1/rules/{name}/versions"),
    ("GET", "/v1/rules/{name}/versions"),
    ("GET", "/v1/rules/{name}/versions/{version}"),
    ("GET", "/v1/rules/{name}/versions/{version}/source"),
    ("GET", "/v1/rules/{name}/versions/{version}/module"),
    ("POST", "/v1/rules/{name}/activate"),
    ("POST", "/v1/rules/{name}/test"),
    ("POST", "/v1/rules/{name}/evaluate"),
    ("POST", "/v1/evaluate"),
    ("GET", "/v1/limits"),
];

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
            assert!(operation["responses"]["401"].is_object(), "{method} {path}");
        }
    }
    let mut expected: Vec<_> = OPERATIONS.iter().map(|&(m, p)| (m.to_owned(), p.to_owned())).collect();
    described.sort();
    expected.sort();
    assert_eq!(described, expected);
}

#[tokio::test]
async fn every_described_operation_is_routed_and_wants_a_key() {
    let server = Server::start().await;
    for (method, path) in OPERATIONS {
        let path = path.replace("{name}", "a").replace("{version}", "1");
        let request = server.anonymous(method.parse().unwrap(), &path);
        send(request).await.problem(401, "unauthenticated");
        let other = send(server.anonymous(Method::PATCH, &path)).await;
        let allow = other.headers["allow"].to_str().unwrap().to_owned();
        assert!(allow.split(',').any(|allowed| allowed == *method), "{method} {path}: {allow}");
        other.problem(405, "method_not_allowed");
    }
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
