//! Hears of changes over a connection of its own, and makes another when that is gone.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use redis::{Msg, RedisError};
use tokio::sync::broadcast;
use tokio::time::timeout;
use uuid::Uuid;

use super::link::Link;
use crate::domain::caller::TenantId;
use crate::shared::Change;

/// The first wait after a connection is lost; it doubles up to [`MOST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(50);
const MOST_WAIT: Duration = Duration::from_secs(1);
/// After so much silence Redis is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(1);

/// Why there is no subscription.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("no answer in time")]
    Late(#[from] tokio::time::error::Elapsed),
    #[error("Redis closed the connection")]
    Closed,
}

/// Never ends.
pub(super) async fn listen(link: Arc<Link>, changes: broadcast::Sender<Change>) {
    let mut wait = FIRST_WAIT;
    loop {
        let mut subscribed = false;
        let Err(lost) = hear(&link, &changes, &mut subscribed).await;
        tracing::debug!(error = crate::telemetry::chain(&lost), "changes are not heard of");
        if subscribed {
            wait = FIRST_WAIT;
        }
        // Replicas that lost Redis at the same time do not all come back at the same time.
        tokio::time::sleep(wait.mul_f64(rand::random_range(0.5..1.0))).await;
        wait = (wait * 2).min(MOST_WAIT);
    }
}

async fn hear(
    link: &Link,
    changes: &broadcast::Sender<Change>,
    subscribed: &mut bool,
) -> Result<std::convert::Infallible, Lost> {
    let connection = timeout(link.timeout, link.client().get_async_pubsub()).await??;
    let (mut sink, mut messages) = connection.split();
    timeout(link.timeout, sink.subscribe(channel(link))).await??;
    *subscribed = true;
    // Whatever was said before was said to nobody.
    let _ = changes.send(Change { tenant: None });
    loop {
        match timeout(SILENCE, messages.next()).await {
            Ok(Some(message)) => {
                let _ = changes.send(read(&message));
            }
            Ok(None) => return Err(Lost::Closed),
            Err(_) => {
                timeout(link.timeout, sink.ping::<redis::Value>()).await??;
            }
        }
    }
}

/// Where changes are told.
pub(super) fn channel(link: &Link) -> String {
    link.key("changes")
}

/// A change as it is told.
pub(super) fn write(change: Change) -> String {
    change.tenant.map_or_else(|| "*".to_owned(), |tenant| tenant.to_string())
}

/// What cannot be read may have been about anything.
fn read(message: &Msg) -> Change {
    let id = std::str::from_utf8(message.get_payload_bytes()).ok().and_then(|text| Uuid::parse_str(text).ok());
    Change { tenant: id.map(TenantId::from_store) }
}
