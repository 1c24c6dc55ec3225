//! Rules that are uploaded as modules.

mod compile;
mod fuel;
pub mod hostile;
mod manifest;
mod permission;
mod same_bits;
mod texts;
mod upload;

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Server, send};

/// A file of the guest SDK.
pub fn sdk(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-sdk").join(path)
}

/// A prebuilt module.
pub fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(sdk("fixtures").join(format!("{name}.wasm"))).unwrap()
}

/// The text of the same rule.
pub fn text(name: &str) -> String {
    std::fs::read_to_string(sdk("examples/dsl").join(format!("{name}.rule"))).unwrap()
}

/// The manifest of the module that carries none.
pub fn manifest_beside() -> Vec<u8> {
    std::fs::read(sdk("examples/assemblyscript/drawdown_guard.json")).unwrap()
}

/// A service whose tenant may upload modules.
pub async fn server() -> Server {
    Server::with(|config| config.tenant.modules = true).await
}

/// Posts a module.
pub async fn post_module(server: &Server, path: &str, module: impl Into<reqwest::Body>) -> Answer {
    let request = server.request(Method::POST, path).header("content-type", "application/wasm");
    send(request.header("if-match", "*").body(module)).await
}

/// Posts a module with its manifest beside it.
pub async fn post_form(server: &Server, path: &str, module: Vec<u8>, manifest: Vec<u8>) -> Answer {
    post_parts(server, path, &[("module", &module), ("manifest", &manifest)]).await
}

/// Posts a form of these parts.
pub async fn post_parts(server: &Server, path: &str, parts: &[(&str, &[u8])]) -> Answer {
    let mut body = Vec::new();
    for (name, content) in parts {
        let head = format!("--of-a-test\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--of-a-test--\r\n");
    let request = server.request(Method::POST, path).header("if-match", "*");
    send(request.header("content-type", "multipart/form-data; boundary=of-a-test").body(body)).await
}

/// The service is as it was: it evaluates a good module.
pub async fn assert_well(server: &Server) {
    let path = "/v1/rules/well/evaluate";
    let bar = json!({"inputs": {"equity": 100}});
    let mut answer = server.post(path, &bar).await;
    if answer.status == 404 {
        post_module(server, "/v1/rules?name=well", fixture("c_drawdown_guard")).await.ok();
        answer = server.post(path, &bar).await;
    }
    let answer = answer.ok();
    assert_eq!((&answer["verdict"], &answer["out"]["drawdown"]), (&json!("ok"), &json!(0.0)), "{answer:#}");
}

/// Bars of an account of the demonstration, as columns of JSON.
pub fn account(name: &str, columns: &[&str]) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("demo/{name}.csv"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let rows: Vec<_> = lines.collect();
    let column = |name: &&str| {
        let at = header.iter().position(|cell| cell == name).unwrap();
        let cell =
            |row: &Vec<&str>| if *name == "time" { json!(row[at]) } else { json!(row[at].parse::<f64>().unwrap()) };
        ((*name).to_owned(), Value::Array(rows.iter().map(cell).collect()))
    };
    Value::Object(columns.iter().map(column).collect())
}
