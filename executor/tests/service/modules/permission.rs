//! Who may upload modules: nobody, until somebody says so.

use reqwest::Method;
use serde_json::json;

use super::fixture;
use crate::harness::{Answer, Server, send};

async fn upload_by(server: &Server, key: &str, path: &str) -> Answer {
    let request = server.request_by(key, Method::POST, path).header("content-type", "application/wasm");
    send(request.header("if-match", "*").body(fixture("c_drawdown_guard"))).await
}

async fn permit(server: &Server, admin: &str, modules: bool) {
    let limits = json!({"limits": {"modules": modules}});
    let changed = send(server.request_by(admin, Method::PATCH, "/v1/tenants/acme").json(&limits)).await.ok();
    assert_eq!(
        (&changed["limits"]["modules"], &changed["limits_in_force"]["modules"]),
        (&json!(modules), &json!(modules))
    );
}

#[tokio::test]
async fn a_tenant_may_upload_modules_once_an_admin_says_so_and_what_is_there_runs_on() {
    let (server, admin, _) = Server::with_platform_keys(|_| {}).await;
    let acme = server.tenant(&admin, "acme", &["author", "engine"]).await;
    let told = upload_by(&server, &acme, "/v1/rules?name=guard").await.problem(403, "modules_forbidden");
    assert!(told["detail"].as_str().unwrap().contains("permit"), "{told:#}");
    assert_eq!(server.get_by(&acme, "/v1/limits").await.ok()["rule"]["module_bytes"], 0);

    permit(&server, &admin, true).await;
    assert_eq!(server.get_by(&acme, "/v1/limits").await.ok()["rule"]["module_bytes"], 1 << 20);
    upload_by(&server, &acme, "/v1/rules?name=guard").await.ok();
    upload_by(&server, &acme, "/v1/rules/guard/versions").await.ok();
    upload_by(&server, &server.key, "/v1/rules?name=guard").await.problem(403, "modules_forbidden");

    permit(&server, &admin, false).await;
    upload_by(&server, &acme, "/v1/rules/guard/versions").await.problem(403, "modules_forbidden");
    upload_by(&server, &acme, "/v1/rules?name=other").await.problem(403, "modules_forbidden");
    let bar = json!({"inputs": {"equity": 100}});
    assert_eq!(server.post_by(&acme, "/v1/rules/guard/evaluate", &bar).await.ok()["verdict"], "ok");
    let activate = server.request_by(&acme, Method::POST, "/v1/rules/guard/activate").header("if-match", "*");
    send(activate.json(&json!({"version": 2}))).await.ok();
    let audit = server.get_by(&admin, "/v1/tenants/acme/audit").await.ok().to_string();
    assert!(audit.contains(r#""modules":true"#) && audit.contains(r#""modules":false"#), "{audit}");
}

#[tokio::test]
async fn nothing_of_a_module_is_read_before_the_permission() {
    let server = Server::start().await;
    let request = server.request(Method::POST, "/v1/rules").header("content-type", "application/wasm");
    send(request.body(vec![0; 8 << 20])).await.problem(403, "modules_forbidden");
}

#[tokio::test]
async fn a_module_is_no_larger_than_the_tenants_uploads() {
    let (server, admin, _) = Server::with_platform_keys(|config| config.tenant.modules = true).await;
    let acme = server.tenant(&admin, "acme", &["author", "engine"]).await;
    let limits = json!({"limits": {"upload_bytes": 1_000}});
    send(server.request_by(&admin, Method::PATCH, "/v1/tenants/acme").json(&limits)).await.ok();
    upload_by(&server, &acme, "/v1/rules").await.problem(413, "body_too_large");
    assert_eq!(server.get_by(&acme, "/v1/limits").await.ok()["rule"]["module_bytes"], 1_000);
}

#[tokio::test]
async fn a_setting_permits_it_to_all_tenants_and_a_limit_forbids_it_to_one() {
    let (server, admin, _) = Server::with_platform_keys(|config| config.tenant.modules = true).await;
    let acme = server.tenant(&admin, "acme", &["author", "engine"]).await;
    upload_by(&server, &acme, "/v1/rules").await.ok();
    permit(&server, &admin, false).await;
    upload_by(&server, &acme, "/v1/rules?name=other").await.problem(403, "modules_forbidden");
}

#[tokio::test]
async fn another_tenants_module_is_not_there() {
    let (server, admin, _) = Server::with_platform_keys(|config| config.tenant.modules = true).await;
    let acme = server.tenant(&admin, "acme", &["author", "engine"]).await;
    upload_by(&server, &server.key, "/v1/rules?name=guard").await.ok();
    let bar = json!({"inputs": {"equity": 100}});
    server.post_by(&acme, "/v1/rules/guard/evaluate", &bar).await.problem(404, "rule_not_found");
    server.get_by(&acme, "/v1/rules/guard/versions/1/module").await.problem(404, "rule_not_found");
    upload_by(&server, &acme, "/v1/rules/guard/versions").await.problem(404, "rule_not_found");
    // The same module, of its own.
    upload_by(&server, &acme, "/v1/rules?name=guard").await.ok();
    assert_eq!(server.post_by(&acme, "/v1/rules/guard/evaluate", &bar).await.ok()["verdict"], "ok");
}

#[tokio::test]
async fn a_key_without_the_right_to_write_uploads_nothing() {
    let (server, admin, _) = Server::with_platform_keys(|config| config.tenant.modules = true).await;
    let engine = server.tenant(&admin, "acme", &["engine"]).await;
    upload_by(&server, &engine, "/v1/rules").await.problem(403, "forbidden");
}
