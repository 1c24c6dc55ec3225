//! Sessions in Redis: lost, hidden, and forged.

use redis::AsyncCommands;
use rulebox_tests::servers::redis::Redis;
use serde_json::json;

use super::{COUNTER, bar, begin, counted};
use crate::harness::Server;

async fn beside(redis: &Redis) -> Server {
    let server = Server::with(|config| {
        config.redis.url = Some(redis.url().into());
        config.redis.timeout_ms = 2_000;
    })
    .await;
    server.upload(COUNTER).await;
    server
}

async fn raw(redis: &Redis) -> redis::aio::MultiplexedConnection {
    redis::Client::open(redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test]
async fn a_session_that_redis_lost_is_told_as_lost_and_another_can_begin() {
    let mut redis = Redis::start();
    let server = beside(&redis).await;
    let id = begin(&server, json!("*")).await;
    bar(&server, &id, 0, 1.0).await.ok();
    redis.kill();
    let away = bar(&server, &id, 1, 1.0).await;
    assert_eq!(away.headers["retry-after"], "1");
    away.problem(503, "sessions_unavailable");
    server.post("/v1/sessions", &json!({"rules": "*"})).await.problem(503, "sessions_unavailable");
    redis.start_again_empty();
    let began = std::time::Instant::now();
    let lost = loop {
        let answer = bar(&server, &id, 1, 1.0).await;
        if answer.status != 503 {
            break answer;
        }
        assert!(began.elapsed().as_secs() < 30);
    };
    lost.problem(410, "session_lost");
    let id = begin(&server, json!("*")).await;
    assert_eq!(counted(&bar(&server, &id, 0, 1.0).await.ok()), [(1.0, 1.0)]);
}

#[tokio::test]
async fn an_error_of_redis_forges_nothing_and_loses_nothing() {
    // A command that this Redis does not know: as from a proxy before it, or one that is being upgraded.
    let redis = Redis::start_without("HMGET");
    let server = beside(&redis).await;
    let id = begin(&server, json!("*")).await;
    for _ in 0..3 {
        bar(&server, &id, 0, 1.0).await.problem(503, "sessions_unavailable");
    }
    let forged = "rulebox_sandbox_violations_total{kind=\"state_forged\",severity=\"critical\"}";
    assert_eq!(server.metric(forged).await, Some(0.0));
    let keys: Vec<String> = raw(&redis).await.keys("rulebox:session:*").await.unwrap();
    assert_eq!(keys.len(), 1, "the session is still there");
}

#[tokio::test]
async fn the_sessions_of_a_tenant_have_their_room() {
    let redis = Redis::start();
    let server = Server::with(|config| {
        config.redis.url = Some(redis.url().into());
        config.redis.timeout_ms = 2_000;
        config.sessions.tenant_bytes = 1 << 20;
    })
    .await;
    server.upload(COUNTER).await;
    let mut sessions = Vec::new();
    let refused = loop {
        let made = server.post("/v1/sessions", &json!({"rules": "*"})).await;
        match made.status {
            201 => sessions.push(made.json["id"].as_str().unwrap().to_owned()),
            _ => break made,
        }
    };
    refused.problem(409, "sessions_limit");
    println!("{} sessions have room in 1 MiB", sessions.len());
    assert_eq!(server.delete(&format!("/v1/sessions/{}", sessions[0])).await.status, 204);
    begin(&server, json!("*")).await;
}

#[tokio::test]
async fn a_state_that_was_tampered_with_is_recorded_and_never_run() {
    let redis = Redis::start();
    let server = beside(&redis).await;
    let mut raw = raw(&redis).await;
    let (one, other) = (begin(&server, json!("*")).await, begin(&server, json!("*")).await);
    bar(&server, &one, 0, 1.0).await.ok();
    let keys: Vec<String> = raw.keys("rulebox:session:*").await.unwrap();
    assert_eq!(keys.len(), 2);
    let states: Vec<(String, Vec<u8>)> = {
        let mut states = Vec::new();
        for key in &keys {
            states.push(raw.hmget(key, &["revision", "state"]).await.unwrap());
        }
        states
    };
    let newer = usize::from(states[1].0 == "1");
    let (key, (revision, state)) = (&keys[newer], &states[newer]);
    let mut flipped = state.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut forged = 0.0;
    for (revision, state) in [
        (revision.as_str(), flipped),
        (revision.as_str(), state[..40].to_vec()),
        (revision.as_str(), Vec::new()),
        ("2", state.clone()),
        ("0", states[1 - newer].1.clone()),
        ("x", state.clone()),
    ] {
        raw.hset_multiple::<_, _, _, ()>(key, &[("revision", revision.as_bytes()), ("state", &state)]).await.unwrap();
        bar(&server, &one, 1, 1.0).await.problem(410, "session_lost");
        forged += 1.0;
        let counted =
            server.metric("rulebox_sandbox_violations_total{kind=\"state_forged\",severity=\"critical\"}").await;
        assert_eq!(counted, Some(forged));
        assert!(!raw.exists::<_, bool>(key).await.unwrap(), "and is forgotten, so that it is recorded once");
    }
    bar(&server, &other, 0, 1.0).await.ok();
    raw.hset_multiple::<_, _, _, ()>(key, &[("revision", revision.as_bytes()), ("state", state)]).await.unwrap();
    assert_eq!(counted(&bar(&server, &one, 1, 1.0).await.ok()), [(2.0, 2.0)], "the state itself is still good");
}
