//! The life of a rule.

use reqwest::Method;
use serde_json::json;

use crate::harness::{DRAWDOWN, Server, config, send};

#[tokio::test]
async fn checking_stores_nothing() {
    let server = Server::start().await;
    let checked = server.post("/v1/rules/check", &json!({"source": DRAWDOWN})).await.ok();
    assert_eq!((&checked["manifest"]["name"], &checked["tests"]), (&json!("drawdown"), &json!(1)));
    assert!(checked["manifest"]["cost"]["bar"].as_u64() > Some(0));
    assert_eq!(server.get("/v1/rules").await.ok(), json!({"rules": [], "next": null}));
    let uploaded = server.upload(DRAWDOWN).await;
    assert_eq!((&uploaded["digest"], &uploaded["manifest"]), (&checked["digest"], &checked["manifest"]));
}

#[tokio::test]
async fn versions_are_numbered_activated_and_rolled_back() {
    let server = Server::start().await;
    let created = server.post("/v1/rules", &json!({"name": "floor", "source": "rule any(equity) = equity < 10"})).await;
    assert_eq!((created.status, &created.headers["location"]), (201, &"/v1/rules/floor/versions/1".parse().unwrap()));
    let second = server.post("/v1/rules/floor/versions", &json!({"source": "rule any(equity) = equity < 20"})).await;
    assert_eq!((second.status, &second.json["version"]), (201, &json!(2)));
    let rule = server.get("/v1/rules/floor").await.ok();
    assert_eq!((&rule["active_version"], &rule["latest_version"]), (&json!(1), &json!(2)));
    let verdict = async |query: &str| {
        let answer =
            server.post(&format!("/v1/rules/floor/evaluate{query}"), &json!({"inputs": {"equity": 15}})).await.ok();
        (answer["verdict"].as_str().unwrap().to_owned(), answer["version"].as_u64().unwrap())
    };
    assert_eq!(verdict("").await, ("ok".to_owned(), 1));
    assert_eq!(verdict("?version=2").await, ("breach".to_owned(), 2));
    assert_eq!(server.post("/v1/rules/floor/activate", &json!({"version": 2})).await.ok()["active_version"], 2);
    assert_eq!(verdict("").await, ("breach".to_owned(), 2));
    server.post("/v1/rules/floor/activate", &json!({"version": 1})).await.ok();
    assert_eq!(verdict("").await, ("ok".to_owned(), 1));
    server.post("/v1/rules/floor/activate", &json!({"version": 3})).await.problem(404, "version_not_found");
    server.post("/v1/rules", &json!({"name": "floor", "source": DRAWDOWN})).await.problem(409, "name_taken");
    let other = json!({"name": "roof", "source": DRAWDOWN});
    assert_eq!(server.post("/v1/rules/floor/versions", &other).await.problem(422, "invalid_request")["path"], "name");
}

#[tokio::test]
async fn text_and_module_can_be_fetched_and_are_what_was_uploaded() {
    let server = Server::start().await;
    let text = server.request(Method::POST, "/v1/rules?name=plain").header("content-type", "text/plain").body(DRAWDOWN);
    let uploaded = send(text).await.ok();
    assert_eq!(uploaded["rule"], "plain");
    let source = server.get("/v1/rules/plain/versions/1/source").await;
    assert_eq!(source.json, json!(DRAWDOWN));
    let module = server.request(Method::GET, "/v1/rules/plain/versions/1/module").send().await.unwrap();
    assert_eq!(module.headers()["content-type"], "application/wasm");
    let bytes = module.bytes().await.unwrap();
    assert_eq!(rulebox_sandbox::Digest::of(&bytes).to_string(), uploaded["digest"].as_str().unwrap());
    assert_eq!(server.get("/v1/rules/plain/versions/1").await.ok()["digest"], uploaded["digest"]);
}

#[tokio::test]
async fn the_names_of_a_request_agree() {
    let server = Server::start().await;
    let named = json!({"name": "floor", "source": DRAWDOWN});
    for path in ["/v1/rules/check?name=roof", "/v1/rules?name=roof", "/v1/rules?name=No%20Name"] {
        let problem = server.post(path, &named).await.problem(400, "invalid_query");
        assert!(problem["detail"].as_str().unwrap().contains("contradicts"), "{problem:#}");
    }
    assert_eq!(server.post("/v1/rules?name=floor", &named).await.ok()["rule"], "floor");
    assert_eq!(server.post("/v1/rules?name=roof", &json!({"source": DRAWDOWN})).await.ok()["rule"], "roof");
    let versions = "/v1/rules/floor/versions";
    server.post(&format!("{versions}?name=roof"), &named).await.problem(400, "invalid_query");
    let other = server.post(&format!("{versions}?name=roof"), &json!({"source": DRAWDOWN})).await;
    assert_eq!(other.problem(422, "invalid_request")["path"], "name");
    assert_eq!(server.post(&format!("{versions}?name=floor"), &named).await.ok()["version"], 2);
    server.post("/v1/rules?name=a&name=b", &json!({"source": DRAWDOWN})).await.problem(400, "invalid_query");
}

#[tokio::test]
async fn a_version_has_one_address() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    server.get("/v1/rules/drawdown/versions/1").await.ok();
    for number in ["+1", "%2B1", "01", "1.0", "-1", "0"] {
        for rest in ["", "/source", "/module"] {
            let path = format!("/v1/rules/drawdown/versions/{number}{rest}");
            server.get(&path).await.problem(404, "version_not_found");
        }
    }
}

#[tokio::test]
async fn an_archived_rule_runs_only_by_version() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    assert!(server.delete("/v1/rules/drawdown").await.ok()["archived_at"].is_string());
    assert!(server.delete("/v1/rules/drawdown").await.ok()["archived_at"].is_string());
    let bar = json!({"inputs": {"equity": 1, "drawdown": 0}});
    server.post("/v1/rules/drawdown/evaluate", &bar).await.problem(409, "rule_archived");
    server.post("/v1/rules/drawdown/evaluate?version=1", &bar).await.ok();
    server.post("/v1/rules/drawdown/versions", &json!({"source": DRAWDOWN})).await.problem(409, "rule_archived");
    server.post("/v1/rules/drawdown/activate", &json!({"version": 1})).await.problem(409, "rule_archived");
    server.post("/v1/rules", &json!({"source": DRAWDOWN})).await.problem(409, "name_taken");
    assert_eq!(server.get("/v1/rules").await.ok()["rules"], json!([]));
    assert_eq!(server.get("/v1/rules?archived=true").await.ok()["rules"].as_array().unwrap().len(), 1);
    server.get("/v1/rules/drawdown/versions/1/source").await.ok();
}

#[tokio::test]
async fn a_rules_own_tests_run_in_the_sandbox() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    let report = server.post("/v1/rules/drawdown/test", &json!({})).await.ok();
    assert_eq!((&report["passed"], &report["failed"], &report["version"]), (&json!(1), &json!(0), &json!(1)));
    let wrong =
        format!("{DRAWDOWN}test \"wrong\" {{\n  bar equity=1 drawdown=0 -> ok\n  bar equity=1 drawdown=9% -> ok\n}}\n");
    server.post("/v1/rules/drawdown/versions", &json!({ "source": wrong })).await.ok();
    let report = server.post("/v1/rules/drawdown/test?version=2", &json!({})).await.ok();
    assert_eq!((&report["passed"], &report["failed"]), (&json!(1), &json!(1)));
    let failed = &report["tests"][1];
    assert_eq!((&failed["name"], &failed["passed"], &failed["bars"]), (&json!("wrong"), &json!(false), &json!(2)));
    assert!(failed["failure"].as_str().unwrap().contains("bar 1"), "{failed}");
    server.post("/v1/rules/drawdown/test?version=3", &json!({})).await.problem(404, "version_not_found");
}

#[tokio::test]
async fn lists_come_in_pages_with_links() {
    let server = Server::with(|config| config.api.page_entries = 2).await;
    for name in ["a", "b", "c"] {
        server.post("/v1/rules", &json!({"name": name, "source": DRAWDOWN})).await.ok();
    }
    let first = server.get("/v1/rules").await;
    let cursor = first.json["next"].as_str().unwrap().to_owned();
    assert_eq!(first.headers["link"], format!("</v1/rules?cursor={cursor}>; rel=\"next\""));
    assert_eq!(first.json["rules"].as_array().unwrap().len(), 2);
    let second = server.get(&format!("/v1/rules?cursor={cursor}&limit=2")).await;
    assert!(!second.headers.contains_key("link"));
    assert_eq!((&second.json["next"], &second.json["rules"][0]["name"]), (&json!(null), &json!("c")));
    for _ in 0..3 {
        server.post("/v1/rules/a/versions", &json!({"source": DRAWDOWN})).await.ok();
    }
    let first = server.get("/v1/rules/a/versions?limit=1").await.ok();
    let cursor = first["next"].as_str().unwrap();
    let page = server.get(&format!("/v1/rules/a/versions?cursor={cursor}&limit=2")).await.ok();
    let numbers: Vec<_> = page["versions"].as_array().unwrap().iter().map(|v| v["version"].as_u64().unwrap()).collect();
    assert_eq!((numbers, page["next"].is_string()), (vec![2, 3], true));
}

#[tokio::test]
async fn all_is_there_after_a_restart() {
    let server = Server::start().await;
    let uploaded = server.upload(DRAWDOWN).await;
    let bar = json!({"inputs": {"equity": 1, "drawdown": 0.09}});
    let before = server.post("/v1/rules/drawdown/evaluate", &bar).await.ok();
    let (directory, key) = server.stop().await;
    let settings = config(directory.path());
    let server = Server::over(directory, settings, Some(key)).await;
    assert_eq!(server.get("/v1/rules/drawdown/versions/1").await.ok()["digest"], uploaded["digest"]);
    assert_eq!(server.post("/v1/rules/drawdown/evaluate", &bar).await.ok(), before);
    assert_eq!(server.metric("rulebox_module_cache_requests_total{result=\"miss\",tier=\"memory\"}").await, Some(1.0));
}

#[tokio::test]
async fn uploads_at_once_get_numbers_of_their_own() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    let body = json!({"source": DRAWDOWN});
    let uploads = (0..20).map(|_| server.post("/v1/rules/drawdown/versions", &body));
    let answers = futures_util::future::join_all(uploads).await;
    let mut numbers: Vec<_> = answers.into_iter().map(|answer| answer.ok()["version"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (2..=21).collect::<Vec<_>>());
}
