//! Says every second that this replica lives, hears how many do, and finds out when Redis is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::Script;
use uuid::Uuid;

use super::link::Link;

/// Between two heartbeats.
const BEAT: Duration = Duration::from_secs(1);
/// A replica that was not heard of for so long counts no more.
const DEAD: Duration = Duration::from_secs(5);
/// After a failure, until the breaker opens.
const AGAIN: Duration = Duration::from_millis(50);

pub(super) async fn keep(link: Arc<Link>, replicas: Arc<AtomicU64>) {
    let script = Script::new(include_str!("heartbeat.lua"));
    let (name, key) = (Uuid::now_v7(), link.key("replicas"));
    loop {
        let beat = link.try_it(async |mut redis| {
            let mut call = script.key(&key);
            call.arg(name.to_string()).arg(DEAD.as_millis().to_string());
            call.invoke_async::<u64>(&mut redis).await
        });
        let pause = match beat.await {
            Some(Ok(alive)) => {
                replicas.store(alive.max(1), Ordering::Relaxed);
                BEAT
            }
            Some(Err(error)) if link.is_up() => {
                tracing::debug!(error = crate::telemetry::chain(&error), "a heartbeat failed");
                AGAIN
            }
            Some(Err(_)) | None => link.rest,
        };
        tokio::time::sleep(pause).await;
    }
}
