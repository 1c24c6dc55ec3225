//! With Redis gone, hung, and back.

use bytes::Bytes;
use rulebox_tests::servers::redis::Redis;

use super::*;
use crate::shared::{Decision, Limiter, Policy, SessionStore, SharedError, Source};

async fn take(shared: &RedisShared, cost: u64) -> Decision {
    shared.take(tenant(1), Policy::Fuel, cost, QUOTA).await
}

#[tokio::test]
async fn without_redis_each_replica_keeps_to_its_share_and_then_all_is_as_before() {
    let mut server = Redis::start();
    let (one, other) = (connect(&server, &settings()), connect(&server, &settings()));
    until("each knows of the other", async || one.parts() == 2 && other.parts() == 2).await;
    let id = id(1);
    one.create(id, Bytes::new(), HOUR).await.unwrap();
    let before = take(&one, 40).await;
    assert_eq!((before.source, before.remaining), (Source::Shared, 60));

    server.kill();
    until_up(&one, false).await;
    until_up(&other, false).await;
    // Of 100, 40 are taken: a share of 50 had 20 taken.
    let refused = take(&one, 51).await;
    assert_eq!((refused.source, refused.allowed, refused.retry_after), (Source::Local, false, Duration::MAX));
    assert!(!take(&one, 45).await.allowed && take(&one, 30).await.allowed);
    one.give_back(tenant(1), Policy::Fuel, 1_000, QUOTA).await;
    let left = take(&one, 0).await.remaining;
    assert!((30..50).contains(&left), "only what was taken here is given back: {left}");
    assert!(take(&other, 50).await.allowed, "it has not seen this tenant");
    for error in [
        one.load(id).await.map(drop),
        one.create(id, Bytes::new(), HOUR).await.map(drop),
        one.delete(id).await.map(drop),
    ] {
        assert!(matches!(error, Err(SharedError::Unavailable { .. })), "{error:?}");
    }

    let began = Instant::now();
    for _ in 0..1_000 {
        take(&one, 0).await;
    }
    println!("a limit without Redis takes {:?}", began.elapsed() / 1_000);

    server.start_again_empty();
    until_up(&one, true).await;
    until_up(&other, true).await;
    let after = take(&one, 100).await;
    assert_eq!((after.source, after.allowed), (Source::Shared, true), "an empty Redis has empty buckets");
    assert!(!take(&other, 10).await.allowed);
    assert_eq!(one.load(id).await.unwrap(), None, "and no sessions");
    until("they are counted again", async || one.parts() == 2).await;
}

#[tokio::test]
async fn a_replica_starts_without_redis_with_the_share_it_was_told() {
    let mut server = Redis::start();
    server.kill();
    let settings = config::Redis { replicas: 4, ..settings() };
    let shared = connect(&server, &settings);
    let decision = take(&shared, 26).await;
    assert_eq!((decision.source, decision.allowed), (Source::Local, false));
    assert!(take(&shared, 25).await.allowed);
    server.start_again_empty();
    until("Redis is found", async || take(&shared, 1).await.source == Source::Shared).await;
}

#[tokio::test]
async fn a_redis_that_hangs_costs_a_few_calls_their_time_and_the_others_none() {
    let server = Redis::start();
    let settings = config::Redis { timeout_ms: 200, breaker_failures: 3, breaker_rest_ms: 200, ..settings() };
    let shared = connect(&server, &settings);
    until("Redis answers", async || take(&shared, 0).await.source == Source::Shared).await;
    server.freeze();
    let (mut waited, mut slow) = (Duration::ZERO, 0);
    for _ in 0..2_000 {
        let began = Instant::now();
        assert_eq!(take(&shared, 0).await.source, Source::Local);
        waited += began.elapsed();
        slow += u32::from(began.elapsed() >= settings.timeout());
    }
    println!("of 2,000 calls {slow} waited; all together waited {waited:?}");
    // One after the other, each that waits is a failure: the breaker opens at the third.
    assert!(slow <= 3, "{slow}");
    server.thaw();
    until("Redis answers again", async || take(&shared, 0).await.source == Source::Shared).await;
}

#[tokio::test]
async fn a_replica_that_is_busy_does_not_take_redis_for_away() {
    let server = Redis::start();
    let settings = config::Redis { timeout_ms: 300, ..settings() };
    let shared = connect(&server, &settings);
    until("Redis answers", async || take(&shared, 0).await.source == Source::Shared).await;
    for _ in 0..3 {
        // After the question has been asked, the only thread of this test has other things to do than to listen.
        let busy = async { std::thread::sleep(settings.timeout() * 5) };
        let (decision, ()) = tokio::join!(take(&shared, 0), busy);
        assert_eq!(decision.source, Source::Shared, "Redis answered long ago");
    }
}
