//! Who may do what: every operation with every role and with none, and over another tenant's objects.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, DRAWDOWN, Server, send};

/// An operation, and who may do it. A route that is added belongs here as well.
pub struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    /// The roles that may.
    pub roles: &'static [&'static str],
    /// A body that is taken, if it has one.
    body: fn() -> Value,
}

const ROLES: [&str; 5] = ["author", "engine", "tenant-admin", "security", "admin"];
const READERS: &[&str] = &["author", "engine"];
const AUTHOR: &[&str] = &["author"];
const KEYS: &[&str] = &["tenant-admin", "admin"];
const AUDIT: &[&str] = &["tenant-admin", "admin", "security"];
const ADMIN: &[&str] = &["admin"];
const SECURITY: &[&str] = &["security"];
const HOOKS: &[&str] = &["tenant-admin"];
const REVIEW: &[&str] = &["author", "tenant-admin", "security"];

fn none() -> Value {
    Value::Null
}

fn source() -> Value {
    json!({ "source": DRAWDOWN })
}

fn version() -> Value {
    json!({ "version": 1 })
}

/// A name that stands for nothing: nobody is sent anything.
fn webhook() -> Value {
    json!({"url": "https://hooks.invalid/rulebox"})
}

fn bar() -> Value {
    json!({"inputs": {"equity": 1, "drawdown": 0.01}})
}

const fn op(
    method: &'static str,
    path: &'static str,
    roles: &'static [&'static str],
    body: fn() -> Value,
) -> Operation {
    Operation { method, path, roles, body }
}

/// Every operation of the service.
pub const OPERATIONS: &[Operation] = &[
    op("POST", "/v1/rules/check", READERS, source),
    op("POST", "/v1/rules", AUTHOR, source),
    op("GET", "/v1/rules", READERS, none),
    op("GET", "/v1/rules/{name}", READERS, none),
    op("POST", "/v1/rules/{name}/versions", AUTHOR, source),
    op("GET", "/v1/rules/{name}/versions", READERS, none),
    op("GET", "/v1/rules/{name}/versions/{version}", READERS, none),
    op("GET", "/v1/rules/{name}/versions/{version}/source", READERS, none),
    op("GET", "/v1/rules/{name}/versions/{version}/module", READERS, none),
    op("POST", "/v1/rules/{name}/activate", AUTHOR, version),
    op("POST", "/v1/rules/{name}/test", READERS, none),
    op("POST", "/v1/rules/{name}/evaluate", READERS, bar),
    op("POST", "/v1/evaluate", READERS, || json!({"rules": "*", "inputs": {"equity": 1, "drawdown": 0.01}})),
    op("GET", "/v1/limits", &["author", "engine", "tenant-admin"], none),
    op("POST", "/v1/keys", KEYS, || json!({"roles": ["engine"]})),
    op("GET", "/v1/keys", KEYS, none),
    op("DELETE", "/v1/keys/{id}", KEYS, none),
    op("GET", "/v1/audit", AUDIT, none),
    op("GET", "/v1/usage", &["tenant-admin"], none),
    op("POST", "/v1/tenants", ADMIN, || json!({"name": "made"})),
    op("GET", "/v1/tenants", ADMIN, none),
    op("GET", "/v1/tenants/{tenant}", ADMIN, none),
    op("PATCH", "/v1/tenants/{tenant}", ADMIN, || json!({"limits": {"rules": 100}})),
    op("POST", "/v1/tenants/{tenant}/keys", ADMIN, || json!({"roles": ["engine"]})),
    op("GET", "/v1/tenants/{tenant}/keys", ADMIN, none),
    op("DELETE", "/v1/tenants/{tenant}/keys/{id}", ADMIN, none),
    op("GET", "/v1/tenants/{tenant}/audit", &["admin", "security"], none),
    op("GET", "/v1/tenants/{tenant}/usage", ADMIN, none),
    op("POST", "/v1/sessions", READERS, || json!({"rules": "*"})),
    op("GET", "/v1/sessions/{id}", READERS, none),
    op("POST", "/v1/sessions/{id}/bars", READERS, || json!({"seq": 0, "inputs": {"equity": 1, "drawdown": 0.01}})),
    op("POST", "/v1/sessions/{id}/reset", READERS, none),
    op("GET", "/v1/sessions/{id}/stream", READERS, none),
    op("DELETE", "/v1/sessions/{id}", READERS, none),
    op("GET", "/v1/quarantines", REVIEW, none),
    op("POST", "/v1/rules/{name}/quarantine", SECURITY, || json!({"version": 1, "reason": "a test"})),
    op("POST", "/v1/rules/{name}/release", SECURITY, version),
    op("POST", "/v1/rules/{name}/break-glass", SECURITY, || json!({"version": 1, "reason": "a test"})),
    op("GET", "/v1/violations", REVIEW, none),
    op("GET", "/v1/violations/{id}", REVIEW, none),
    op("GET", "/v1/violations/stream", REVIEW, none),
    op("POST", "/v1/violations/{id}/acknowledge", SECURITY, none),
    op("POST", "/v1/violations/{id}/resolve", SECURITY, || json!({"note": "a test"})),
    op("POST", "/v1/webhooks", HOOKS, webhook),
    op("GET", "/v1/webhooks", HOOKS, none),
    op("GET", "/v1/webhooks/{id}", HOOKS, none),
    op("PATCH", "/v1/webhooks/{id}", HOOKS, || json!({"severity": "high"})),
    op("POST", "/v1/webhooks/{id}/rotate", HOOKS, none),
    op("POST", "/v1/webhooks/{id}/test", HOOKS, none),
    op("GET", "/v1/webhooks/{id}/deliveries", HOOKS, none),
    op("POST", "/v1/webhooks/{id}/deliveries/{delivery}/replay", HOOKS, none),
    op("DELETE", "/v1/webhooks/{id}", HOOKS, none),
    op("DELETE", "/v1/rules/{name}", AUTHOR, none),
];

impl Operation {
    /// The address over objects of the first tenant.
    fn address(&self, key_id: &str) -> String {
        let path = self.path.replace("{name}", "drawdown").replace("{version}", "1");
        let path = path.replace("{tenant}", "default").replace("{id}", key_id);
        if ["/quarantine", "/release", "/break-glass"].iter().any(|end| self.path.ends_with(end)) {
            return format!("{path}?tenant=default");
        }
        path
    }

    async fn send(&self, server: &Server, key: Option<&str>, key_id: &str) -> Answer {
        let method: Method = self.method.parse().unwrap();
        let address = if self.path.starts_with("/v1/sessions/") {
            // A session of the first tenant, which it may end.
            let session = server.post("/v1/sessions", &json!({"rules": "*"})).await.ok();
            self.path.replace("{id}", session["id"].as_str().unwrap())
        } else if self.path.starts_with("/v1/violations/") {
            // One of the first tenant's: a cursor that it has not got here.
            let forged = format!("/v1/rules?cursor={}", "A".repeat(80));
            server.get(&forged).await.problem(400, "invalid_query");
            let list = server.get("/v1/violations?limit=1").await.ok();
            self.path.replace("{id}", list["violations"][0]["id"].as_str().unwrap())
        } else if self.path.starts_with("/v1/webhooks/") {
            // One of the first tenant's, and something that it was sent.
            let list = server.get("/v1/webhooks?limit=1").await.ok();
            let id = match list["webhooks"][0]["id"].as_str() {
                Some(id) => id.to_owned(),
                None => server.post("/v1/webhooks", &webhook()).await.ok()["id"].as_str().unwrap().to_owned(),
            };
            let test = send(server.request(Method::POST, &format!("/v1/webhooks/{id}/test"))).await.ok();
            self.path.replace("{id}", &id).replace("{delivery}", test["id"].as_str().unwrap())
        } else {
            self.address(key_id)
        };
        let mut request = match key {
            Some(key) => server.request_by(key, method, &address),
            None => server.anonymous(method, &address),
        };
        if self.path.ends_with("/activate") || self.method == "DELETE" {
            request = request.header("if-match", "*");
        }
        if self.path.ends_with("/violations/stream") {
            // It would not end by itself.
            request = request.header("last-event-id", "none");
        }
        let body = (self.body)();
        send(if body.is_null() { request } else { request.json(&body) }).await
    }

    fn is_over_an_object(&self) -> bool {
        self.path.contains('{')
    }
}

#[tokio::test]
async fn every_operation_is_for_its_roles_and_no_others() {
    let (server, admin, security) = Server::with_platform_keys(|_| {}).await;
    server.upload(DRAWDOWN).await;
    let mut keys = Vec::new();
    for role in ROLES {
        keys.push(match role {
            "admin" => admin.clone(),
            "security" => security.clone(),
            of_tenant => server.tenant_key(&admin, "default", &[of_tenant]).await,
        });
    }
    let mut cases = 0;
    for operation in OPERATIONS {
        let name = format!("{} {}", operation.method, operation.path);
        // A key to be revoked, of whoever asks.
        let of_tenant = server.get("/v1/keys").await.ok()["keys"][0]["id"].as_str().unwrap().to_owned();
        operation.send(&server, None, &of_tenant).await.problem(401, "unauthenticated");
        cases += 1;
        for (role, key) in ROLES.iter().zip(&keys) {
            let made = server.post_by(&admin, "/v1/keys", &json!({"roles": ["security"]})).await.ok();
            let spare = server.post("/v1/keys", &json!({"roles": ["engine"]})).await.ok();
            let own = if *role == "admin" && !operation.path.contains("{tenant}") { &made } else { &spare };
            let answer = operation.send(&server, Some(key), own["id"].as_str().unwrap()).await;
            cases += 1;
            if operation.roles.contains(role) {
                let let_in = !matches!(answer.status, 401 | 403 | 404) && answer.status < 500;
                assert!(let_in, "{name} as {role}: {answer:#?}");
            } else {
                assert_eq!(answer.status, 403, "{name} as {role}: {answer:#?}");
                answer.problem(403, "forbidden");
            }
        }
    }
    println!("{cases} cases of an operation and a role, {} operations", OPERATIONS.len());
}

#[tokio::test]
async fn another_tenants_object_is_not_there() {
    let (server, admin, _) = Server::with_platform_keys(|_| {}).await;
    server.upload(DRAWDOWN).await;
    let spare = server.post("/v1/keys", &json!({"roles": ["engine"]})).await.ok();
    let id = spare["id"].as_str().unwrap();
    let before = server.get("/v1/rules/drawdown").await.ok();
    let stranger = server.tenant(&admin, "stranger", &["author", "engine", "tenant-admin"]).await;
    let mut cases = 0;
    for operation in OPERATIONS {
        let of_tenant = operation.roles.iter().any(|role| matches!(*role, "author" | "engine" | "tenant-admin"));
        if !of_tenant {
            operation.send(&server, Some(&stranger), id).await.problem(403, "forbidden");
            continue;
        }
        if operation.is_over_an_object() {
            let answer = operation.send(&server, Some(&stranger), id).await;
            assert_eq!(answer.status, 404, "{} {}: {answer:#?}", operation.method, operation.path);
            cases += 1;
        }
    }
    println!("{cases} operations over another tenant's objects");
    assert_eq!(server.get("/v1/rules/drawdown").await.ok(), before);
    assert!(server.get("/v1/keys").await.ok().to_string().contains(id));
    for (list, own) in [("/v1/rules", "drawdown"), ("/v1/keys", id), ("/v1/audit", "drawdown")] {
        let shown = server.get_by(&stranger, list).await.ok().to_string();
        assert!(!shown.contains(own), "{list}: {shown}");
    }
    let all = json!({"rules": "*", "inputs": {"equity": 1, "drawdown": 0.01}});
    // None of its rules knows the columns: it has none.
    server.post_by(&stranger, "/v1/evaluate", &all).await.problem(422, "unknown_column");
}
