//! `POST /v1/sessions` with an `Idempotency-Key`: one session, however often it is sent.

use reqwest::Method;
use rulebox_tests::servers::redis::Redis;
use serde_json::{Value, json};

use super::{COUNTER, bar, counted};
use crate::harness::{Answer, DRAWDOWN, Server, send};

async fn create(server: &Server, key: &str, body: &Value) -> Answer {
    send(server.request(Method::POST, "/v1/sessions").header("idempotency-key", key).json(body)).await
}

async fn one_session_however_often_it_is_sent(server: &Server) {
    server.upload(COUNTER).await;
    server.upload(DRAWDOWN).await;
    let body = json!({"rules": ["counter"]});
    let tries = futures_util::future::join_all((0..8).map(|_| create(server, "one", &body))).await;
    let first = &tries[0];
    assert_eq!(first.status, 201, "{first:#?}");
    for again in &tries {
        assert_eq!((again.status, &again.json), (201, &first.json));
        assert_eq!(again.headers["location"], first.headers["location"]);
    }
    let id = first.json["id"].as_str().unwrap();
    bar(server, id, 0, 5.0).await.ok();
    // Its versions are those of the first time.
    server.post("/v1/rules/counter/versions", &json!({"source": COUNTER.replace("n > 2", "n > 3")})).await.ok();
    server.post("/v1/rules/counter/activate", &json!({"version": 2})).await.ok();
    let again = create(server, "one", &body).await.ok();
    assert_eq!((&again["id"], &again["next_seq"], &again["rules"][0]["version"]), (&json!(id), &json!(1), &json!(1)));
    server.post(&format!("/v1/sessions/{id}/reset"), &json!({})).await.ok();
    assert_eq!(create(server, "one", &body).await.ok()["next_seq"], 0);
    assert_eq!(counted(&bar(server, id, 0, 7.0).await.ok()), [(1.0, 7.0)]);

    create(server, "one", &json!({"rules": ["drawdown"]})).await.problem(422, "idempotency_key_reused");
    assert_ne!(create(server, "two", &body).await.ok()["id"], json!(id));
    assert_ne!(server.post("/v1/sessions", &body).await.ok()["id"], json!(id));
    for bad in ["", &"k".repeat(256)] {
        create(server, bad, &body).await.problem(400, "invalid_header");
    }
    // What failed made nothing.
    create(server, "three", &json!({"rules": ["absent"]})).await.problem(404, "rule_not_found");
    create(server, "three", &body).await.ok();
    // One that was ended has to be begun anew.
    assert_eq!(server.delete(&format!("/v1/sessions/{id}")).await.status, 204);
    let anew = create(server, "one", &body).await.ok();
    assert_eq!((&anew["next_seq"], &anew["rules"][0]["version"]), (&json!(0), &json!(2)));
}

#[tokio::test]
async fn a_session_is_begun_once_in_process() {
    one_session_however_often_it_is_sent(&Server::start().await).await;
}

#[tokio::test]
async fn a_session_is_begun_once_in_redis() {
    let redis = Redis::start();
    let server = Server::with(|config| {
        config.redis.url = Some(redis.url().into());
        config.redis.timeout_ms = 2_000;
    });
    one_session_however_often_it_is_sent(&server.await).await;
}
