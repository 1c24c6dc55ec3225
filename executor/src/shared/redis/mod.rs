//! What is shared through Redis, by any number of replicas.
//!
//! Redis may go at any time, and nothing is worse for it than must be: limits are then kept by this replica's share,
//! sessions say that they cannot be had, changes are found by those who poll the store. Everything kept there has an
//! end to its life.

mod breaker;
mod code;
mod keeper;
mod limits;
mod link;
mod listener;
mod sessions;
#[cfg(test)]
mod tests;
mod thread;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use tokio::sync::broadcast;
use tokio_util::task::AbortOnDropHandle;

use super::buckets::Buckets;
use super::in_process::CHANGES;
use super::{Change, Health, Invalidations};
use crate::config;
pub use code::RedisCode;
use link::Link;
pub use link::OpenError;
use thread::Thread;

/// Limits, sessions and changes of all replicas of one Redis.
#[derive(Debug)]
pub struct RedisShared {
    link: Arc<Link>,
    /// What is left of this replica's share while Redis is away.
    local: Buckets,
    /// How many there are, this one too, as Redis last said.
    replicas: Arc<AtomicU64>,
    changes: broadcast::Sender<Change>,
    limit: redis::Script,
    save: redis::Script,
    forget: redis::Script,
    /// Of all sessions of one tenant.
    tenant_bytes: usize,
    _keeper: AbortOnDropHandle<()>,
    _listener: AbortOnDropHandle<()>,
    _thread: Thread,
}

impl RedisShared {
    /// Begins to connect, and does not wait for it: a replica can start while Redis is away. The sessions of a tenant
    /// may have so many bytes.
    ///
    /// # Errors
    /// If the address cannot be one of Redis, or there is no thread for its connections.
    pub fn open(settings: &config::Redis, url: &str, tenant_bytes: usize) -> Result<Self, OpenError> {
        let thread = Thread::start()?;
        let link = Arc::new(Link::open(settings, url, thread.inside().clone())?);
        let replicas = Arc::new(AtomicU64::new(settings.replicas.max(1)));
        let changes = broadcast::Sender::new(CHANGES);
        let keeper = thread.spawn(keeper::keep(Arc::clone(&link), Arc::clone(&replicas)));
        let listener = thread.spawn(listener::listen(Arc::clone(&link), changes.clone()));
        Ok(Self {
            link,
            local: Buckets::new(),
            replicas,
            changes,
            limit: redis::Script::new(include_str!("limit.lua")),
            save: redis::Script::new(include_str!("save.lua")),
            forget: redis::Script::new(include_str!("forget.lua")),
            tenant_bytes,
            _keeper: keeper,
            _listener: listener,
            _thread: thread,
        })
    }
}

#[async_trait]
impl Invalidations for RedisShared {
    async fn publish(&self, change: Change) {
        // Those of this process hear of it whatever becomes of Redis; that they hear of it twice does no harm.
        let _ = self.changes.send(change);
        let (channel, text) = (listener::channel(&self.link), listener::write(change));
        let told = self
            .link
            .ask(async |mut redis| redis::cmd("PUBLISH").arg(channel).arg(text).query_async::<i64>(&mut redis).await);
        if let Err(error) = told.await {
            tracing::warn!(
                error = crate::telemetry::chain(&error),
                "a change was not published; replicas find it when they poll"
            );
        }
    }

    fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}

impl Health for RedisShared {
    fn up(&self) -> Option<bool> {
        Some(self.link.is_up())
    }
}
