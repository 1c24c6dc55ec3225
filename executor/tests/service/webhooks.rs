//! Webhooks and alerts: what is told, to whom, how it is signed, and what becomes of it when nobody listens.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};

use crate::harness::{Server, send};
use crate::receiver::{Answering, Received, Receiver};

/// With webhooks on this machine.
async fn server() -> Server {
    Server::with(|config| {
        config.webhooks.allow_loopback = true;
        config.webhooks.timeout_ms = 500;
        config.webhooks.tries = 2;
    })
    .await
}

async fn hook(server: &Server, receiver: &Receiver, more: Value) -> Value {
    let mut body = json!({"url": format!("{}/hook", receiver.url)});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.post("/v1/webhooks", &body).await.ok()
}

/// A critical violation of the tenant's: a cursor that it was not given.
async fn violate(server: &Server) {
    let forged = format!("/v1/rules?cursor={}", "A".repeat(80));
    server.get(&forged).await.problem(400, "invalid_query");
}

/// The signature, by another library than the service's.
fn signature(secret: &str, sent: &Received) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let text = format!("{}.{}.{}", sent.header("webhook-id"), sent.header("webhook-timestamp"), sent.body);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), text.as_bytes());
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

async fn test_event(server: &Server, id: &Value) -> String {
    let path = format!("/v1/webhooks/{}/test", id.as_str().unwrap());
    send(server.request(Method::POST, &path)).await.ok()["id"].as_str().unwrap().to_owned()
}

async fn replay(server: &Server, webhook: &Value, delivery: &str) {
    let path = format!("/v1/webhooks/{}/deliveries/{delivery}/replay", webhook.as_str().unwrap());
    assert_eq!(send(server.request(Method::POST, &path)).await.ok()["state"], "pending");
}

/// The delivery, as soon as it is as wanted.
async fn delivery(server: &Server, webhook: &Value, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    let path = format!("/v1/webhooks/{}/deliveries", webhook.as_str().unwrap());
    loop {
        let list = server.get(&path).await.ok();
        let found = list["deliveries"].as_array().unwrap().iter().find(|one| one["id"] == id).cloned();
        if let Some(found) = found.filter(|one| wanted(one)) {
            return found;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{list:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_webhook_is_told_of_a_violation_and_can_tell_who_told_it() {
    let (server, receiver) = (server().await, Receiver::start(Answering::Status(204)).await);
    let made = hook(&server, &receiver, json!({"description": "on call", "severity": "high"})).await;
    let traps = Receiver::start(Answering::Status(204)).await;
    hook(&server, &traps, json!({"kinds": ["trap"]})).await;
    violate(&server).await;
    let sent = receiver.wait("a webhook", |_| true).await;
    let body = sent.json();
    assert_eq!(
        (sent.path.as_str(), &body["type"], &body["data"]["kind"]),
        ("/hook", &json!("violation.opened"), &json!("state_forged"))
    );
    assert_eq!(sent.header("content-type"), "application/json");
    assert_eq!(sent.header("webhook-signature"), signature(made["secret"].as_str().unwrap(), &sent));
    let id = sent.header("webhook-id");
    let told = delivery(&server, &made["id"], &id, |one| one["state"] == "delivered").await;
    assert_eq!((&told["violation_id"], &told["tries"]), (&body["data"]["id"], &json!(0)));
    assert_eq!(traps.received().len(), 0, "it wants traps alone");
    assert_eq!(server.metric("rulebox_webhook_deliveries_total{result=\"delivered\"}").await, Some(1.0));
    // The secret is nowhere else.
    let shown = server.get(&format!("/v1/webhooks/{}", made["id"].as_str().unwrap())).await.ok();
    assert!(shown.get("secret").is_none() && shown["description"] == "on call", "{shown}");
    assert!(!server.get("/v1/audit").await.ok().to_string().contains("whsec_"));
}

#[tokio::test]
async fn two_secrets_sign_while_one_is_replaced() {
    let (server, receiver) = (server().await, Receiver::start(Answering::Status(200)).await);
    let made = hook(&server, &receiver, json!({})).await;
    let path = format!("/v1/webhooks/{}/rotate", made["id"].as_str().unwrap());
    let rotate = async || {
        send(server.request(Method::POST, &path).header("idempotency-key", "one")).await.ok()["secret"].clone()
    };
    let new = rotate().await;
    assert_eq!(rotate().await, new, "sent again, it is the same rotation");
    assert_ne!(new, made["secret"]);
    let id = test_event(&server, &made["id"]).await;
    let sent = receiver.wait("a test event", |one| one.header("webhook-id") == id).await;
    assert_eq!(sent.json()["type"], "webhook.test");
    let both = [&new, &made["secret"]].map(|secret| signature(secret.as_str().unwrap(), &sent)).join(" ");
    assert_eq!(sent.header("webhook-signature"), both);
    // Somebody else has another made: who sends the first request again is given what that made, and nothing later.
    let other = async |key| send(server.request(Method::POST, &path).header("idempotency-key", key)).await;
    let later = other("two").await.ok()["secret"].clone();
    assert!(later != new && rotate().await == new);
    other("three").await.ok();
    other("one").await.problem(422, "invalid_text");
}

#[tokio::test]
async fn what_is_not_taken_is_tried_again_given_up_and_can_be_replayed() {
    let (server, receiver) = (server().await, Receiver::start(Answering::Status(500)).await);
    let made = hook(&server, &receiver, json!({})).await;
    let id = test_event(&server, &made["id"]).await;
    let failed = delivery(&server, &made["id"], &id, |one| one["tries"] == 1).await;
    assert_eq!((&failed["state"], &failed["last_error"]), (&json!("pending"), &json!("answered 500")));
    let dead = delivery(&server, &made["id"], &id, |one| one["state"] == "dead").await;
    assert_eq!((&dead["tries"], dead["done_at"].is_string()), (&json!(2), true));
    assert_eq!(server.metric("rulebox_webhook_deliveries_total{result=\"dead\"}").await, Some(1.0));
    receiver.answer(Answering::Status(200));
    replay(&server, &made["id"], &id).await;
    delivery(&server, &made["id"], &id, |one| one["state"] == "delivered").await;
    let ids: Vec<_> = receiver.received().iter().map(|one| one.header("webhook-id")).collect();
    assert_eq!(ids, [id.as_str(); 3], "the receiver knows it again");
}

#[tokio::test]
async fn receivers_that_misbehave_hold_nobody_up() {
    let server = server().await;
    for (answering, state, error) in [
        (Answering::Never, "pending", json!("no answer in time")),
        (Answering::Redirect, "pending", json!("answered 302: redirects are not followed")),
        (Answering::Status(410), "dead", json!("answered 410")),
        (Answering::Bytes(10 << 20), "delivered", Value::Null),
    ] {
        let receiver = Receiver::start(answering).await;
        let made = hook(&server, &receiver, json!({})).await;
        let id = test_event(&server, &made["id"]).await;
        let ended = |one: &Value| one["tries"] == 1 || one["state"] == "delivered";
        let tried = delivery(&server, &made["id"], &id, ended).await;
        assert_eq!((&tried["state"], &tried["last_error"]), (&json!(state), &error), "{answering:?}");
        assert!(receiver.received().iter().all(|one| one.path == "/hook"), "{answering:?}");
        let shown = server.get(&format!("/v1/webhooks/{}", made["id"].as_str().unwrap())).await.ok();
        assert_eq!(shown["disabled_at"].is_string(), state == "dead", "{answering:?}");
        server.delete(&format!("/v1/webhooks/{}", made["id"].as_str().unwrap())).await;
    }
    // Nobody listens there.
    let gone = hook(&server, &Receiver::start(Answering::Never).await, json!({})).await;
    let id = test_event(&server, &gone["id"]).await;
    let tried = delivery(&server, &gone["id"], &id, |one| one["tries"] == 1).await;
    let errors = ["no connection to a public address", "no answer that could be read"];
    assert!(errors.contains(&tried["last_error"].as_str().unwrap()), "{tried}");
}

#[tokio::test]
async fn a_webhook_that_is_disabled_or_removed_is_sent_nothing() {
    let (server, receiver) = (server().await, Receiver::start(Answering::Status(200)).await);
    let made = hook(&server, &receiver, json!({})).await;
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    let disabled = send(server.request(Method::PATCH, &path).json(&json!({"disabled": true}))).await.ok();
    assert!(disabled["disabled_at"].is_string());
    let id = test_event(&server, &made["id"]).await;
    let dead = delivery(&server, &made["id"], &id, |one| one["state"] == "dead").await;
    assert_eq!(dead["last_error"], "the webhook is disabled");
    assert_eq!(server.delete(&path).await.status, 204);
    server.get(&path).await.problem(404, "webhook_not_found");
    server.get(&format!("{path}/deliveries")).await.problem(404, "webhook_not_found");
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test]
async fn webhooks_are_public_https_addresses_and_not_too_many() {
    let server = Server::with(|config| config.webhooks.per_tenant = 1).await;
    for (url, to_do) in [
        ("http://example.com", "begin it with `https://`"),
        ("https://127.0.0.1", "give an address that the internet reaches"),
        ("https://localhost", "give an address that the internet reaches"),
        ("https://169.254.169.254/latest", "give an address that the internet reaches"),
        ("https://[::ffff:10.0.0.1]", "give an address that the internet reaches"),
        ("https://[64:ff9b::a00:1]", "give an address that the internet reaches"),
        ("https://0x7f.1", "give an address that the internet reaches"),
        ("https://user:password@example.com", "leave them out"),
        ("https://example.com/#x", "leave out what stands behind it"),
        ("nonsense", "write an address such as `https://example.com/hooks`"),
    ] {
        let refused = server.post("/v1/webhooks", &json!({ "url": url })).await.problem(422, "invalid_url");
        assert_eq!(refused["path"], "url", "{url}");
        assert!(refused["detail"].as_str().unwrap().contains(to_do), "{refused}");
    }
    let url = "https://hooks.invalid/";
    for body in [
        json!({"url": url, "kinds": ["no_such"]}),
        json!({"url": url, "severity": "bad"}),
        json!({"url": url, "description": "a\nb"}),
    ] {
        server.post("/v1/webhooks", &body).await.problem(422, "invalid_text");
    }
    let made = server.post("/v1/webhooks", &json!({ "url": url })).await.ok();
    server.post("/v1/webhooks", &json!({ "url": url })).await.problem(409, "webhooks_limit");
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    let inside = json!({"url": "https://10.0.0.1/"});
    send(server.request(Method::PATCH, &path).json(&inside)).await.problem(422, "invalid_url");
    assert_eq!(server.get(&path).await.ok()["url"], url);
}

#[tokio::test]
async fn whoever_is_on_call_is_told_until_it_is_resolved_also_after_being_away() {
    let receiver = Receiver::start(Answering::Status(503)).await;
    let (second, away) = (Receiver::start(Answering::Status(503)).await, "http://127.0.0.1:9");
    let (server, _, security) = Server::with_platform_keys(|config| {
        config.alertmanager.urls = vec![away.to_owned(), receiver.url.clone(), second.url.clone()];
        config.alertmanager.resend_seconds = 1;
    })
    .await;
    violate(&server).await;
    receiver.wait("a push that is not taken", |_| true).await;
    receiver.answer(Answering::Status(200));
    let before = receiver.received().len();
    let began = Instant::now();
    while receiver.received().len() < before + 3 {
        assert!(began.elapsed() < Duration::from_mins(1), "it is sent again and again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    second.answer(Answering::Status(200));
    second.wait("a push to the other", |_| true).await;
    let alert = receiver.received().pop().unwrap();
    assert_eq!(alert.path, "/api/v2/alerts");
    let labels = alert.json()[0]["labels"].clone();
    assert_eq!((&labels["severity"], &labels["kind"]), (&json!("critical"), &json!("state_forged")));
    let id = labels["violation_id"].as_str().unwrap();
    let path = format!("/v1/violations/{id}/resolve");
    server.post_by(&security, &path, &json!({"note": "a test"})).await.ok();
    let over = receiver
        .wait("the end", |one| {
            let alert = one.json()[0].clone();
            let ends = alert["annotations"]["status"] == "resolved";
            ends && alert["labels"] == labels
        })
        .await;
    assert!(over.json()[0]["endsAt"].is_string());
    let began = Instant::now();
    while server.metric("rulebox_outbox_backlog").await != Some(0.0) {
        assert!(began.elapsed() < Duration::from_mins(1), "nothing waits any more");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
