//! Tokens of an issuer on loopback, in the place of keys.

use reqwest::Method;
use rulebox::config::Issuer;
use rulebox_tests::servers::idp::{Idp, Key, now};
use serde_json::{Value, json};

use crate::harness::{DRAWDOWN, Server, send};

const BAR: &str = r#"{"inputs": {"equity": 1, "drawdown": 0}}"#;

/// A service that takes the issuer's tokens for its one tenant.
async fn server(idp: &Idp) -> Server {
    let issuer = Issuer {
        issuer: idp.issuer.clone(),
        audience: vec!["rulebox".to_owned()],
        tenants: vec!["default".to_owned()],
        refresh_seconds: 1,
        ..Issuer::default()
    };
    let server = Server::with(|config| config.oidc = vec![issuer]).await;
    server.upload(DRAWDOWN).await;
    server
}

fn claims(idp: &Idp, roles: &[&str], changes: &Value) -> Value {
    let mut claims = idp.claims(&json!({"tenant": "default", "roles": roles}));
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

async fn evaluate(server: &Server, token: &str) -> crate::harness::Answer {
    let request = server.request_by(token, Method::POST, "/v1/rules/drawdown/evaluate");
    send(request.header("content-type", "application/json").body(BAR)).await
}

#[tokio::test]
async fn a_token_may_do_what_its_roles_may_and_nothing_else() {
    let key = Key::p256("one");
    let idp = Idp::start(&[&key]).await;
    let server = server(&idp).await;
    let engine = key.sign(&claims(&idp, &["engine"], &json!({})));
    assert_eq!(evaluate(&server, &engine).await.ok()["verdict"], "ok");
    server.post_by(&engine, "/v1/rules", &json!({"source": DRAWDOWN, "name": "b"})).await.problem(403, "forbidden");
    let admin = key.sign(&claims(&idp, &["tenant-admin"], &json!({})));
    let made = server.post_by(&admin, "/v1/keys", &json!({"roles": ["engine"]})).await.ok();
    let audit = server.get_by(&admin, "/v1/audit").await.ok();
    let entries = audit["entries"].as_array().unwrap();
    let who = format!("user {} alice", idp.issuer);
    assert!(entries.iter().any(|entry| entry["actor"] == who.as_str()), "{audit:#}");
    assert_eq!(evaluate(&server, made["key"].as_str().unwrap()).await.status, 200);
    for (what, token) in [
        ("expired", key.sign(&claims(&idp, &["engine"], &json!({"exp": now() - 120})))),
        ("for somebody else", key.sign(&claims(&idp, &["engine"], &json!({"aud": "other"})))),
        ("of another issuer", key.sign(&claims(&idp, &["engine"], &json!({"iss": "https://login.example.com"})))),
        ("for another tenant", key.sign(&claims(&idp, &["engine"], &json!({"tenant": "other"})))),
        ("unsigned", format!("eyJhbGciOiJub25lIn0.{}.", engine.split('.').nth(1).unwrap())),
    ] {
        println!("{what}");
        evaluate(&server, &token).await.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn keys_of_an_issuer_are_replaced_while_the_service_runs() {
    let (old, new) = (Key::ed25519("old"), Key::p256("new"));
    let idp = Idp::start(&[&old]).await;
    let server = server(&idp).await;
    let [by_old, by_new] = [&old, &new].map(|key| key.sign(&claims(&idp, &["engine"], &json!({}))));
    evaluate(&server, &by_old).await.ok();
    evaluate(&server, &by_new).await.problem(401, "unauthenticated");
    idp.publish(&[&new]);
    let began = std::time::Instant::now();
    while evaluate(&server, &by_new).await.status != 200 || evaluate(&server, &by_old).await.status != 401 {
        assert!(began.elapsed().as_secs() < 60, "the keys are not read anew");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    println!("the new key was taken and the old one refused after {:?}", began.elapsed());
}
