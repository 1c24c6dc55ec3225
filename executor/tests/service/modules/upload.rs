//! A module has the life of a rule.

use reqwest::Method;
use serde_json::json;

use super::{fixture, manifest_beside, post_form, post_module, post_parts, server, text};
use crate::harness::send;

#[tokio::test]
async fn a_module_is_uploaded_evaluated_and_fetched_byte_for_byte() {
    let server = server().await;
    let module = fixture("rust_drawdown_guard");
    let made = post_module(&server, "/v1/rules?name=guard", module.clone()).await.ok();
    assert_eq!((&made["rule"], &made["version"], &made["warnings"]), (&json!("guard"), &json!(1), &json!([])));
    let manifest = &made["manifest"];
    assert_eq!((&manifest["name"], manifest.get("cost")), (&json!("drawdown_guard"), None));
    assert!(manifest["memory_bytes"].as_u64() > Some(0), "filled in: {manifest:#}");
    let rule = server.get("/v1/rules/guard").await.ok();
    assert_eq!((&rule["active_version"], &rule["latest_version"]), (&json!(1), &json!(1)));
    let fetched = server.request(Method::GET, "/v1/rules/guard/versions/1/module").send().await.unwrap();
    assert_eq!(fetched.headers()["content-type"], "application/wasm");
    assert_eq!(fetched.bytes().await.unwrap(), module);

    let columns = json!({"columns": {"equity": [1000, 990, 890, 950]}});
    let answer = server.post("/v1/rules/guard/evaluate", &columns).await.ok();
    assert_eq!(answer["counts"], json!({"ok": 3, "warn": 0, "breach": 1, "fault": 0}));
    let breach = &answer["first"]["breach"];
    assert_eq!(
        (&breach["bar"], &breach["action"], &breach["reasons"]),
        (&json!(2), &json!("liquidate"), &json!(["11.00% under 1000.00"]))
    );
    assert_eq!(answer["digest"], made["digest"]);
    let bar = json!({"inputs": {"equity": 5}, "params": {"limit": 0.5}});
    assert_eq!(server.post("/v1/rules/guard/evaluate", &bar).await.ok()["verdict"], "ok");
    let outside = json!({"inputs": {"equity": 5}, "params": {"limit": 2}});
    server.post("/v1/rules/guard/evaluate", &outside).await.problem(422, "param_out_of_range");

    let told = server.get("/v1/rules/guard/versions/1/source").await.problem(404, "not_found");
    assert!(told["detail"].as_str().unwrap().contains("module"), "{told:#}");
    let told = server.post("/v1/rules/guard/test", &json!({})).await.problem(422, "module_without_tests");
    assert!(told["detail"].as_str().unwrap().contains("`guard`"), "{told:#}");
}

#[tokio::test]
async fn without_a_name_it_takes_that_of_its_manifest() {
    let server = server().await;
    let made = post_module(&server, "/v1/rules", fixture("c_trailing_stop")).await.ok();
    assert_eq!(made["rule"], "trailing_stop");
    post_module(&server, "/v1/rules", fixture("c_trailing_stop")).await.problem(409, "name_taken");
    post_module(&server, "/v1/rules?name=A", fixture("c_trailing_stop")).await.problem(422, "invalid_name");
}

#[tokio::test]
async fn texts_and_modules_are_versions_of_one_rule() {
    let server = server().await;
    server.post("/v1/rules", &json!({"name": "guard", "source": text("drawdown_guard")})).await.ok();
    for name in ["c_drawdown_guard", "rust_drawdown_guard"] {
        post_module(&server, "/v1/rules/guard/versions", fixture(name)).await.ok();
    }
    post_form(&server, "/v1/rules/guard/versions", fixture("as_drawdown_guard"), manifest_beside()).await.ok();
    let columns = json!({"columns": {"equity": [1000, 990, 890, 950, null, 1000]}});
    let mut answers = Vec::new();
    for version in 1..=4 {
        let path = format!("/v1/rules/guard/evaluate?version={version}&series=verdict,out");
        let mut answer = server.post(&path, &columns).await.ok();
        for own in ["version", "digest", "fuel", "fault"] {
            answer.as_object_mut().unwrap().remove(own);
        }
        // Where a fault is in a text, a module has none.
        for event in answer["events"].as_array_mut().unwrap() {
            event.as_object_mut().unwrap().remove("fault");
        }
        answer["first"]["fault"].as_object_mut().unwrap().remove("fault");
        answers.push(answer);
    }
    assert_eq!(answers[0]["counts"], json!({"ok": 3, "warn": 0, "breach": 1, "fault": 2}));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    server.post("/v1/rules/guard/activate", &json!({"version": 3})).await.ok();
    let active = server.post("/v1/rules/guard/evaluate", &columns).await.ok();
    assert_eq!(active["version"], 3);
    let versions = server.get("/v1/rules/guard/versions").await.ok();
    assert_eq!(versions["versions"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_manifest_beside_becomes_a_part_of_the_module() {
    let server = server().await;
    let module = fixture("as_drawdown_guard");
    let none = post_module(&server, "/v1/rules", module.clone()).await.problem(422, "manifest_invalid");
    assert!(none["detail"].as_str().unwrap().contains("rulebox.manifest"), "{none:#}");
    let made = post_form(&server, "/v1/rules", module.clone(), manifest_beside()).await.ok();
    let fetched = server.request(Method::GET, "/v1/rules/drawdown_guard/versions/1/module").send().await.unwrap();
    let fetched = fetched.bytes().await.unwrap().to_vec();
    assert!(fetched.starts_with(&module) && fetched.len() > module.len());
    // What was fetched is whole, and the same.
    let again = post_module(&server, "/v1/rules?name=again", fetched.clone()).await.ok();
    assert_eq!(again["digest"], made["digest"]);
    let two =
        post_form(&server, "/v1/rules?name=two", fetched, manifest_beside()).await.problem(422, "manifest_invalid");
    assert!(two["detail"].as_str().unwrap().contains("beside"), "{two:#}");
}

#[tokio::test]
async fn an_upload_may_be_sent_again() {
    let server = server().await;
    let upload = async |key: &str, name: &str| {
        let request = server.request(Method::POST, "/v1/rules?name=guard").header("idempotency-key", key);
        send(request.header("content-type", "application/wasm").body(fixture(name))).await
    };
    let first = upload("a", "c_drawdown_guard").await.ok();
    assert_eq!(upload("a", "c_drawdown_guard").await.ok(), first);
    upload("a", "rust_drawdown_guard").await.problem(422, "idempotency_key_reused");
    upload("b", "c_drawdown_guard").await.problem(409, "name_taken");
    let stale = server.request(Method::POST, "/v1/rules/guard/versions").header("content-type", "application/wasm");
    send(stale.header("if-match", "\"9\"").body(fixture("c_drawdown_guard"))).await.problem(412, "precondition_failed");
}

#[tokio::test]
async fn a_form_that_is_none_says_what_is_taken() {
    let server = server().await;
    let (module, manifest) = (fixture("c_drawdown_guard"), manifest_beside());
    let none = post_parts(&server, "/v1/rules", &[("manifest", &manifest)]).await.problem(400, "malformed_form");
    assert_eq!(none["path"], "module");
    for other in ["module", "other"] {
        let parts = [("module", &*module), (other, &*module)];
        post_parts(&server, "/v1/rules", &parts).await.problem(400, "malformed_form");
    }
    for (kind, body) in [
        ("multipart/form-data", "--x\r\n"),
        ("multipart/form-data; boundary=x", "--x\r\ncontent-disposition: form-data; name=module\r\n\r\nab"),
        ("multipart/form-data; boundary=x", "nothing"),
    ] {
        let request = server.request(Method::POST, "/v1/rules").header("content-type", kind);
        send(request.body(body)).await.problem(400, "malformed_form");
    }
    let request = server.request(Method::POST, "/v1/rules").header("content-type", "application/octet-stream");
    let told = send(request.body("x")).await.problem(415, "unsupported_media_type");
    assert!(told["detail"].as_str().unwrap().contains("application/wasm"), "{told:#}");
}
