//! Compiled code is found by all replicas, within its bounds.

use std::sync::Arc;

use redis::AsyncCommands;
use rulebox_tests::servers::redis::Redis;
use tokio::task::spawn_blocking;

use super::*;
use crate::domain::compiled_code::CodeStore;
use crate::shared::redis::RedisCode;

const ENTRIES: &str = "rulebox:code:entries";
const USED: &str = "rulebox:code:used";

fn code(server: &Redis, bytes: u64) -> Arc<RedisCode> {
    Arc::new(RedisCode::new(Arc::new(connect(server, &settings())), bytes))
}

/// Calls it where calls may wait.
async fn with<T: Send + 'static>(code: &Arc<RedisCode>, call: impl FnOnce(&RedisCode) -> T + Send + 'static) -> T {
    let code = Arc::clone(code);
    spawn_blocking(move || call(&code)).await.unwrap()
}

async fn get(code: &Arc<RedisCode>, name: &'static str) -> Option<Vec<u8>> {
    with(code, move |code| code.get(name).unwrap()).await
}

async fn put(code: &Arc<RedisCode>, name: &'static str, entry: Vec<u8>) {
    with(code, move |code| code.put(name, &entry).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_compiled_another_finds() {
    let server = Redis::start();
    let (one, other) = (code(&server, 1 << 20), code(&server, 1 << 20));
    assert_eq!(get(&one, "a").await, None);
    let entry: Vec<u8> = (0..=255).collect();
    put(&one, "a", entry.clone()).await;
    assert_eq!(get(&other, "a").await, Some(entry));
    put(&other, "a", vec![7]).await;
    assert_eq!(get(&one, "a").await, Some(vec![7]));
    let mut raw = raw(&server).await;
    for key in [ENTRIES, USED] {
        let life: i64 = raw.pttl(key).await.unwrap();
        assert!(life > 86_400_000, "{key}: {life}");
    }
    with(&other, |code| code.remove("a").unwrap()).await;
    with(&other, |code| code.remove("a").unwrap()).await;
    assert_eq!(get(&one, "a").await, None);
    let left: i64 = raw.zcard(USED).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_used_for_the_longest_makes_room() {
    let server = Redis::start();
    // Of three entries of 1,000 bytes, with what Redis needs beside them.
    let code = code(&server, 4_000);
    let mut raw = raw(&server).await;
    for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
        put(&code, name, vec![1; 1_000]).await;
        raw.zadd::<_, _, _, ()>(USED, name, at).await.unwrap();
    }
    assert!(get(&code, "a").await.is_some());
    put(&code, "d", vec![1; 1_000]).await;
    let mut names: Vec<String> = raw.hkeys(ENTRIES).await.unwrap();
    names.sort();
    assert_eq!(names, ["a", "c", "d"]);
    let known: i64 = raw.zcard(USED).await.unwrap();
    assert_eq!(known, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_put_there_does_no_harm() {
    let server = Redis::start();
    let code = code(&server, 1 << 30);
    let mut raw = raw(&server).await;
    // Longer than an entry may be: it is not even sent.
    let long = code.longest() + 1;
    raw.hset::<_, _, _, ()>(ENTRIES, "a", vec![0_u8; long]).await.unwrap();
    assert_eq!(get(&code, "a").await, None);
    // Nobody knows when it was used: it would stay for ever.
    put(&code, "b", vec![1]).await;
    let there: bool = raw.hexists(ENTRIES, "a").await.unwrap();
    assert!(!there);
    for key in [ENTRIES, USED] {
        raw.set::<_, _, ()>(key, "a text").await.unwrap();
        if key == ENTRIES {
            assert!(with(&code, |code| code.get("b").is_err()).await);
        }
        put(&code, "b", vec![2]).await;
        assert_eq!(get(&code, "b").await, Some(vec![2]));
    }
}
