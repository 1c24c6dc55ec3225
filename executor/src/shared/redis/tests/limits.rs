//! The script and the function are one arithmetic.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::AsyncCommands;
use rulebox_tests::servers::redis::Redis;

use super::*;
use crate::shared::gcra::{Bucket, Rate};
use crate::shared::{Limiter, Policy, SharedError, Source};

#[derive(Clone, Debug)]
enum Step {
    Take(u64),
    GiveBack(u64),
}

/// Microseconds forward, or back.
type Timed = (i64, Step);

fn step(burst: u64) -> impl Strategy<Value = Timed> {
    let later = prop_oneof![Just(0), 0_i64..100, 0_i64..5_000_000, 0_i64..(1 << 40), (-5_000_000_i64)..0];
    let cost = prop_oneof![0..=burst.saturating_mul(2), 0..=burst.min(10), Just(burst), Just(u64::MAX)];
    let step = prop_oneof![3 => cost.clone().prop_map(Step::Take), 1 => cost.prop_map(Step::GiveBack)];
    (later, step)
}

fn story() -> impl Strategy<Value = (Quota, Vec<Timed>)> {
    let rate = || prop_oneof![1_u64..100, 1_u64..1_000_000_000_000, Just(0), Just(u64::MAX)];
    (rate(), rate()).prop_flat_map(|(per_second, burst)| {
        (Just(Quota { per_second, burst }), prop::collection::vec(step(burst), 1..30))
    })
}

fn signed(cost: u64) -> i64 {
    i64::try_from(cost.min(1 << 53)).unwrap()
}

#[test]
fn the_script_decides_as_the_function_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = Redis::start();
    let shared = runtime.block_on(async { connect(&server, &settings()) });
    let mut runner = TestRunner::new(Config { cases: 300, ..Config::default() });
    let (cases, refused) = (Cell::new(0_u128), Cell::new(0));
    let result = runner.run(&story(), |(quota, steps)| {
        cases.set(cases.get() + 1);
        let tenant = tenant(cases.get());
        let (mut bucket, rate) = (Bucket::default(), Rate::from(quota));
        let mut now = 1_790_000_000_000_000_u64;
        for (later, step) in steps {
            now = now.checked_add_signed(later).unwrap();
            let pour = |cost| runtime.block_on(shared.pour(tenant, Policy::Fuel, cost, quota, Some(now))).unwrap();
            let (said, expected) = match step {
                Step::Take(cost) => (pour(signed(cost)), bucket.take(now, cost, rate, Source::Shared)),
                Step::GiveBack(0) => continue,
                Step::GiveBack(cost) => {
                    bucket.give_back(now, cost, rate);
                    // To look at it takes nothing.
                    (pour(-signed(cost)), bucket.take(now, 0, rate, Source::Shared))
                }
            };
            refused.set(refused.get() + u32::from(!expected.allowed));
            prop_assert_eq!(said, expected);
        }
        Ok(())
    });
    result.unwrap();
    assert!(refused.get() > 100, "{refused:?} refusals in {cases:?} cases");
}

#[tokio::test]
async fn by_redis_clock_a_burst_passes_and_no_more_over_all_replicas() {
    let server = Redis::start();
    let replicas = [connect(&server, &settings()), connect(&server, &settings())];
    let mut passed = 0;
    for n in 0..300 {
        let decision = replicas[n % 2].take(tenant(1), Policy::Requests, 1, QUOTA).await;
        assert_eq!(decision.source, Source::Shared);
        passed += u64::from(decision.allowed);
    }
    // What has leaked meanwhile, on a slow machine.
    assert!((100..=160).contains(&passed), "{passed}");
    let refused = replicas[0].take(tenant(1), Policy::Requests, 50, QUOTA).await;
    assert!(!refused.allowed && refused.retry_after > Duration::from_secs(40), "{refused:?}");
    replicas[1].give_back(tenant(1), Policy::Requests, 60, QUOTA).await;
    assert!(replicas[0].take(tenant(1), Policy::Requests, 50, QUOTA).await.allowed);
    assert!(replicas[0].take(tenant(2), Policy::Requests, 100, QUOTA).await.allowed, "another tenant");
    assert!(replicas[0].take(tenant(1), Policy::Fuel, 100, QUOTA).await.allowed, "another policy");
}

#[tokio::test]
async fn keys_bear_their_tenant_and_end() {
    let server = Redis::start();
    let shared = connect(&server, &settings());
    shared.take(tenant(7), Policy::Fuel, 10, QUOTA).await;
    let mut raw = raw(&server).await;
    let key = format!("rulebox:limit:fuel:{}", tenant(7));
    let ttl: i64 = raw.pttl(&key).await.unwrap();
    assert!((60_000..=70_000).contains(&ttl), "{ttl}");
    shared.give_back(tenant(7), Policy::Fuel, 11, QUOTA).await;
    assert!(!raw.exists::<_, bool>(&key).await.unwrap(), "an empty bucket takes no room");
    until("all keys end", async || {
        let keys: Vec<String> = raw.keys("*").await.unwrap();
        let mut ends = !keys.is_empty();
        for key in keys {
            ends &= raw.pttl::<_, i64>(&key).await.unwrap() != -1;
        }
        ends
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_and_this_replica_decides() {
    let server = Redis::start();
    let shared = connect(&server, &settings());
    let mut raw = raw(&server).await;
    let key = format!("rulebox:limit:fuel:{}", tenant(1));
    for hostile in [
        &b""[..],
        b"x",
        b"1",
        b"1 ",
        b" 1",
        b"-1 0",
        b"nan 0",
        b"inf 0",
        b"1e999 0",
        b"0x10 0",
        b"1 -1",
        b"1 1e3",
        b"1 99999999999999999999",
        b"1 1 1",
        b"1\n1",
        b"\xff\xfe 1",
        b"1 1\0",
        b"1.2.3 4",
        b"e 1",
        b"+-1 1",
    ] {
        raw.set::<_, _, ()>(&key, hostile).await.unwrap();
        let said = shared.pour(tenant(1), Policy::Fuel, 1, QUOTA, None).await;
        assert!(matches!(said, Err(SharedError::Malformed { .. })), "{:?} {said:?}", String::from_utf8_lossy(hostile));
    }
    raw.del::<_, ()>(&key).await.unwrap();
    raw.rpush::<_, _, ()>(&key, "a list").await.unwrap();
    let said = shared.pour(tenant(1), Policy::Fuel, 1, QUOTA, None).await;
    assert!(matches!(said, Err(SharedError::Malformed { .. })), "{said:?}");
    let decision = shared.take(tenant(1), Policy::Fuel, 101, QUOTA).await;
    assert_eq!((decision.source, decision.allowed), (Source::Local, false));
    assert!(shared.take(tenant(1), Policy::Fuel, 1, QUOTA).await.allowed);
    shared.give_back(tenant(1), Policy::Fuel, 5, QUOTA).await;
    assert_eq!(shared.up(), Some(true), "Redis answers");
}
