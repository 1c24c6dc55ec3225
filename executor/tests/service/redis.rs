//! The service beside a real Redis that goes and comes.

use std::time::{Duration, Instant};

use rulebox_tests::servers::redis::Redis;
use serde_json::json;

use crate::harness::{DRAWDOWN, Server};

/// Waits for the last line of `/readyz`, and says how long it took.
async fn until_ready_says(server: &Server, said: &str) {
    let began = Instant::now();
    loop {
        let (status, text) = server.health("/readyz?verbose").await;
        if text.lines().last() == Some(said) {
            assert_eq!(status, 200, "{text}");
            return println!("{said} after {:?}", began.elapsed());
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{text}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn with_redis_away_the_service_is_degraded_and_evaluates() {
    let mut redis = Redis::start();
    let server = Server::with(|config| config.redis.url = Some(redis.url().into())).await;
    server.upload(DRAWDOWN).await;
    until_ready_says(&server, "ok").await;
    assert_eq!(server.metric("rulebox_dependency_up{dependency=\"redis\"}").await, Some(1.0));

    redis.kill();
    until_ready_says(&server, "degraded").await;
    let (_, text) = server.health("/readyz?verbose").await;
    assert!(text.contains("[-] redis: away"), "{text}");
    assert_eq!(server.health("/readyz").await, (200, "degraded\n".to_owned()));
    assert_eq!(server.metric("rulebox_dependency_up{dependency=\"redis\"}").await, Some(0.0));
    let bar = json!({"inputs": {"equity": 92_000, "drawdown": 0.08}});
    assert_eq!(server.post("/v1/rules/drawdown/evaluate", &bar).await.ok()["verdict"], "warn");

    redis.start_again_empty();
    until_ready_says(&server, "ok").await;
    assert_eq!(server.metric("rulebox_dependency_up{dependency=\"redis\"}").await, Some(1.0));
}
