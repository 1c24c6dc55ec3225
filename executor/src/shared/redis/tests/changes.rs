//! Changes reach every replica, and a time without connection counts as a change of anything.

use redis::AsyncCommands;
use rulebox_tests::servers::redis::Redis;
use tokio::sync::broadcast::Receiver;

use super::*;
use crate::shared::{Change, Invalidations};

async fn next(changes: &mut Receiver<Change>) -> Change {
    tokio::time::timeout(Duration::from_secs(30), changes.recv()).await.unwrap().unwrap()
}

/// Waits until all of them hear what is published, and have heard all that was before.
async fn listening<const N: usize>(server: &Redis, all: [&mut Receiver<Change>; N]) {
    let mut raw = raw(server).await;
    let mark = Change { tenant: Some(tenant(u128::MAX)) };
    until("they listen", async || {
        let (_, count): (String, usize) =
            redis::cmd("PUBSUB").arg("NUMSUB").arg("rulebox:changes").query_async(&mut raw).await.unwrap();
        count == N
    })
    .await;
    raw.publish::<_, _, ()>("rulebox:changes", tenant(u128::MAX).to_string()).await.unwrap();
    for changes in all {
        // That they listen again is a change of anything, if they were asked in time to see it.
        while next(changes).await != mark {}
    }
}

#[tokio::test]
async fn a_change_reaches_every_replica() {
    let server = Redis::start();
    let (one, other) = (connect(&server, &settings()), connect(&server, &settings()));
    let (mut here, mut there) = (one.subscribe(), other.subscribe());
    listening(&server, [&mut here, &mut there]).await;
    let change = Change { tenant: Some(tenant(5)) };
    let began = Instant::now();
    one.publish(change).await;
    assert_eq!(next(&mut there).await, change);
    println!("a change reached the other replica after {:?}", began.elapsed());
    assert_eq!((next(&mut here).await, next(&mut here).await), (change, change), "at once, and by Redis");
    raw(&server).await.publish::<_, _, ()>("rulebox:changes", &b"\xff\0 no tenant"[..]).await.unwrap();
    assert_eq!(next(&mut there).await, Change { tenant: None }, "what cannot be read may be anything");
}

#[tokio::test]
async fn after_a_time_without_redis_anything_may_have_changed() {
    let mut server = Redis::start();
    let shared = connect(&server, &settings());
    let mut changes = shared.subscribe();
    listening(&server, [&mut changes]).await;
    server.start_again_empty();
    assert_eq!(next(&mut changes).await.tenant, None);
    listening(&server, [&mut changes]).await;
}
