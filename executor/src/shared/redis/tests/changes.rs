//! Changes reach every replica, and a time without connection counts as a change of anything.

use redis::AsyncCommands;
use rulebox_tests::servers::redis::Redis;

use super::*;
use crate::shared::{Change, Invalidations};

/// The next change of a tenant, and whether anything may have changed before it.
async fn next(changes: &mut tokio::sync::broadcast::Receiver<Change>) -> Change {
    tokio::time::timeout(Duration::from_secs(30), changes.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_change_reaches_every_replica() {
    let server = Redis::start();
    let (one, other) = (connect(&server, &settings()), connect(&server, &settings()));
    let (mut here, mut there) = (one.subscribe(), other.subscribe());
    let anything = Change { tenant: None };
    assert_eq!((next(&mut here).await, next(&mut there).await), (anything, anything), "once they listen");
    let change = Change { tenant: Some(tenant(5)) };
    let began = Instant::now();
    one.publish(change).await;
    assert_eq!(next(&mut there).await, change);
    println!("a change reached the other replica after {:?}", began.elapsed());
    assert_eq!((next(&mut here).await, next(&mut here).await), (change, change), "at once, and by Redis");
    raw(&server).await.publish::<_, _, ()>("rulebox:changes", &b"\xff\0 no tenant"[..]).await.unwrap();
    assert_eq!(next(&mut there).await, anything, "what cannot be read may be anything");
}

#[tokio::test]
async fn after_a_time_without_redis_anything_may_have_changed() {
    let mut server = Redis::start();
    let shared = connect(&server, &settings());
    let mut changes = shared.subscribe();
    assert_eq!(next(&mut changes).await.tenant, None);
    server.start_again_empty();
    assert_eq!(next(&mut changes).await.tenant, None);
    let change = Change { tenant: Some(tenant(9)) };
    raw(&server).await.publish::<_, _, ()>("rulebox:changes", tenant(9).to_string()).await.unwrap();
    assert_eq!(next(&mut changes).await, change);
}
