//! States are saved once, end, and are never believed blindly.

use std::sync::Arc;

use bytes::Bytes;
use redis::AsyncCommands;
use rulebox_tests::servers::redis::Redis;

use super::*;
use crate::shared::{Saved, SessionStore, SharedError};

#[tokio::test]
async fn a_state_is_kept_and_replaced_by_whoever_knows_the_last() {
    let server = Redis::start();
    let (one, other) = (connect(&server, &settings()), connect(&server, &settings()));
    assert_eq!(one.load(id(1)).await.unwrap(), None);
    assert_eq!(one.save(id(1), 0, 1, Bytes::new(), HOUR).await.unwrap(), Saved::Gone);
    let state = Bytes::from((0..=255).collect::<Vec<u8>>());
    one.create(id(1), state.clone(), HOUR).await.unwrap();
    let again = other.create(id(1), Bytes::new(), HOUR).await.unwrap();
    assert_eq!(again, Saved::Conflict { revision: 0 }, "an id is used once");
    let stored = other.load(id(1)).await.unwrap().unwrap();
    assert_eq!((stored.revision, &stored.bytes), (0, &state));
    let far = (1 << 53) + 1;
    assert_eq!(other.save(id(1), 0, far, Bytes::new(), HOUR).await.unwrap(), Saved::Done);
    assert_eq!(one.save(id(1), 0, 1, state.clone(), HOUR).await.unwrap(), Saved::Conflict { revision: far });
    assert_eq!(one.save(id(1), far - 1, 1, state.clone(), HOUR).await.unwrap(), Saved::Conflict { revision: far });
    assert_eq!(one.save(id(1), far, u64::MAX, state, HOUR).await.unwrap(), Saved::Done);
    assert_eq!(one.load(id(1)).await.unwrap().unwrap().revision, u64::MAX);
    assert!(other.delete(id(1)).await.unwrap() && !one.delete(id(1)).await.unwrap());
    assert_eq!(one.load(id(1)).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_save_at_once_one_wins() {
    let server = Redis::start();
    let replicas: Vec<_> = (0..4).map(|_| Arc::new(connect(&server, &settings()))).collect();
    replicas[0].create(id(1), Bytes::new(), HOUR).await.unwrap();
    for revision in 0..50 {
        let savers = replicas.iter().enumerate().map(|(n, replica)| {
            let (replica, bytes) = (Arc::clone(replica), Bytes::from(format!("{revision} {n}")));
            tokio::spawn(async move { replica.save(id(1), revision, revision + 1, bytes, HOUR).await.unwrap() })
        });
        let mut won = Vec::new();
        for (n, saver) in savers.collect::<Vec<_>>().into_iter().enumerate() {
            match saver.await.unwrap() {
                Saved::Done => won.push(n),
                other => assert_eq!(other, Saved::Conflict { revision: revision + 1 }),
            }
        }
        assert_eq!(won.len(), 1, "{won:?}");
        let stored = replicas[0].load(id(1)).await.unwrap().unwrap();
        assert_eq!((stored.revision, stored.bytes), (revision + 1, Bytes::from(format!("{revision} {}", won[0]))));
    }
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_a_save_lets_it_live() {
    let server = Redis::start();
    let shared = connect(&server, &settings());
    shared.create(id(1), Bytes::new(), Duration::from_millis(300)).await.unwrap();
    shared.create(id(2), Bytes::new(), Duration::from_millis(300)).await.unwrap();
    assert_eq!(shared.save(id(2), 0, 1, Bytes::new(), HOUR).await.unwrap(), Saved::Done);
    until("the session ends", async || shared.load(id(1)).await.unwrap().is_none()).await;
    assert_eq!(shared.save(id(1), 0, 1, Bytes::new(), HOUR).await.unwrap(), Saved::Gone);
    let ttl: i64 = raw(&server).await.pttl(format!("rulebox:session:{}", id(2).id)).await.unwrap();
    assert!(ttl > 3_000_000, "{ttl}");
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error() {
    let server = Redis::start();
    let shared = connect(&server, &settings());
    let mut raw = raw(&server).await;
    let key = format!("rulebox:session:{}", id(1).id);
    let malformed = |result: Result<_, SharedError>| matches!(result, Err(SharedError::Malformed { .. }));
    raw.set::<_, _, ()>(&key, "a text").await.unwrap();
    assert!(malformed(shared.load(id(1)).await.map(drop)));
    assert!(malformed(shared.save(id(1), 0, 1, Bytes::new(), HOUR).await.map(drop)));
    raw.del::<_, ()>(&key).await.unwrap();
    raw.hset::<_, _, _, ()>(&key, "state", "alone").await.unwrap();
    assert!(malformed(shared.load(id(1)).await.map(drop)));
    for revision in [&b""[..], b"-1", b"1.5", b"18446744073709551616", b" 1", b"\xff", b"1\0"] {
        raw.hset::<_, _, _, ()>(&key, "revision", revision).await.unwrap();
        assert!(malformed(shared.load(id(1)).await.map(drop)), "{revision:?}");
        assert!(malformed(shared.save(id(1), 7, 8, Bytes::new(), HOUR).await.map(drop)), "{revision:?}");
    }
    assert!(shared.delete(id(1)).await.unwrap(), "and can be thrown away");
    assert_eq!(shared.up(), Some(true));
}

#[tokio::test]
async fn a_tenant_fills_its_own_room_and_nobody_elses() {
    let server = Redis::start();
    let (one, other) = (connect(&server, &settings()), connect(&server, &settings()));
    let kilobyte = || Bytes::from(vec![7; 1 << 10]);
    let full =
        |result: Result<Saved, SharedError>| matches!(result, Err(SharedError::TenantFull { limit: TENANT_BYTES }));
    // With what Redis needs beside it, five have room in eight.
    for n in 0..5 {
        let replica = if n % 2 == 0 { &one } else { &other };
        assert_eq!(replica.create(id(n), kilobyte(), HOUR).await.unwrap(), Saved::Done);
    }
    assert!(full(one.create(id(5), kilobyte(), HOUR).await) && one.load(id(5)).await.unwrap().is_none());
    let larger = Bytes::from(vec![7; 2 << 10]);
    assert!(full(other.save(id(0), 0, 1, larger.clone(), HOUR).await));
    assert_eq!(one.load(id(0)).await.unwrap().unwrap().revision, 0, "and is as it was");
    assert_eq!(one.save(id(0), 0, 1, kilobyte(), HOUR).await.unwrap(), Saved::Done, "in its own place");
    let neighbour = SessionId { tenant: tenant(2), id: Uuid::from_u128(100) };
    assert_eq!(one.create(neighbour, larger.clone(), HOUR).await.unwrap(), Saved::Done);

    assert!(one.delete(id(1)).await.unwrap());
    assert_eq!(other.save(id(0), 1, 2, larger, HOUR).await.unwrap(), Saved::Done);
    // One that ends by itself makes room too.
    assert_eq!(one.save(id(2), 0, 1, kilobyte(), Duration::from_millis(200)).await.unwrap(), Saved::Done);
    until("there is room again", async || matches!(one.create(id(6), kilobyte(), HOUR).await, Ok(Saved::Done))).await;

    // What somebody else puts there costs the count, and nothing more.
    let mut raw = raw(&server).await;
    for what in ["ends", "bytes"] {
        let key = format!("rulebox:sessions:{}:{what}", tenant(1));
        assert!(raw.exists::<_, bool>(&key).await.unwrap());
        raw.set::<_, _, ()>(&key, "a text").await.unwrap();
        assert_eq!(one.create(id(7), kilobyte(), HOUR).await.unwrap(), Saved::Done);
        raw.set::<_, _, ()>(&key, "a text").await.unwrap();
        assert!(one.delete(id(7)).await.unwrap());
    }
}

#[tokio::test]
async fn what_redis_threw_out_or_let_end_takes_no_room() {
    let server = Redis::start();
    let shared = connect(&server, &settings());
    let mut raw = raw(&server).await;
    let kilobyte = || Bytes::from(vec![7; 1 << 10]);
    let bytes = format!("rulebox:sessions:{}:bytes", tenant(1));
    for n in 0..5 {
        assert_eq!(shared.create(id(n), kilobyte(), HOUR).await.unwrap(), Saved::Done);
    }
    // Thrown out by Redis, which was out of memory: whoever goes on with it finds out.
    raw.del::<_, ()>(format!("rulebox:session:{}", id(0).id)).await.unwrap();
    assert!(shared.create(id(5), kilobyte(), HOUR).await.is_err());
    assert_eq!(shared.save(id(0), 0, 1, kilobyte(), HOUR).await.unwrap(), Saved::Gone);
    assert_eq!(shared.create(id(5), kilobyte(), HOUR).await.unwrap(), Saved::Done);
    // One with less time to live does not end the count of the others.
    let short = Duration::from_secs(1);
    assert_eq!(shared.save(id(5), 0, 1, kilobyte(), short).await.unwrap(), Saved::Done);
    let ttl: i64 = raw.pttl(&bytes).await.unwrap();
    assert!(ttl > 3_000_000, "{ttl}");
    // Who is refused before anything was kept leaves nothing that never ends.
    let other = SessionId { tenant: tenant(2), id: Uuid::from_u128(200) };
    assert!(shared.create(other, Bytes::from(vec![7; 2 * TENANT_BYTES]), HOUR).await.is_err());
    assert!(!raw.exists::<_, bool>(format!("rulebox:sessions:{}:bytes", tenant(2))).await.unwrap());
    let sum: usize = raw.hget(&bytes, "sum").await.unwrap();
    assert_eq!(sum, 5 * ((1 << 10) + 512));
}
