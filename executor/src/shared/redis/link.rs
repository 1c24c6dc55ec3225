//! The connection to Redis. Every call has an end, and none is made while Redis is known to be away.

use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, ErrorKind, RedisError, RedisResult};

use super::breaker::{Breaker, Turned};
use super::thread::Inside;
use crate::config;
use crate::shared::SharedError;

/// Calls that may wait to be written.
const WAITING_CALLS: usize = 1_024;

/// Redis cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address cannot be one. Says nothing of it: it may hold a password.
    #[error(
        "RULEBOX_REDIS__URL (or REDIS_URL) is not an address of Redis: it must be like `redis://host:6379` or \
         `rediss://user:password@host:6379/0` ({category})"
    )]
    Address {
        /// What the client says of it.
        category: String,
    },
    /// There is no thread for the connections.
    #[error("no thread can be started for the connections to Redis: {0}")]
    Thread(#[from] std::io::Error),
}

impl OpenError {
    fn of(error: &RedisError) -> Self {
        Self::Address { category: error.category().to_owned() }
    }
}

/// One connection, which all calls share.
pub(super) struct Link {
    client: Client,
    inside: Inside,
    manager: RwLock<ConnectionManager>,
    /// How long a call may take.
    pub timeout: Duration,
    breaker: Breaker,
    /// Between two tries while Redis is away.
    pub rest: Duration,
    prefix: String,
}

impl Link {
    pub fn open(settings: &config::Redis, url: &str, inside: Inside) -> Result<Self, OpenError> {
        let client = Client::open(url).map_err(|error| OpenError::of(&error))?;
        let (timeout, rest) = (settings.timeout(), settings.breaker_rest());
        let manager = connect(&client, timeout).map_err(|error| OpenError::of(&error))?;
        let breaker = Breaker::new(settings.breaker_failures, rest);
        let prefix = settings.key_prefix.clone();
        Ok(Self { client, inside, manager: RwLock::new(manager), timeout, breaker, rest, prefix })
    }

    /// A key of this service.
    pub fn key(&self, name: impl fmt::Display) -> String {
        format!("{}{name}", self.prefix)
    }

    /// For subscriptions, which need a connection of their own.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Whether Redis answers, as far as is known.
    pub fn is_up(&self) -> bool {
        self.breaker.is_closed()
    }

    /// Makes a call, unless Redis is known to be away.
    pub async fn ask<T>(&self, call: impl AsyncFnOnce(ConnectionManager) -> RedisResult<T>) -> Result<T, SharedError> {
        if !self.breaker.is_closed() {
            return Err(SharedError::Unavailable { reason: "Redis has not answered lately", source: None });
        }
        self.call(call).await
    }

    /// Makes a call that others can do without, unless Redis is known to be away. That it takes too long says nothing of
    /// Redis: what it carries may be large.
    pub async fn ask_aside<T>(
        &self,
        call: impl AsyncFnOnce(ConnectionManager) -> RedisResult<T>,
    ) -> Result<T, SharedError> {
        if !self.breaker.is_closed() {
            return Err(SharedError::Unavailable { reason: "Redis has not answered lately", source: None });
        }
        self.answer(call).await
    }

    /// Waits for a call on a thread that belongs to no runtime.
    pub fn block_on<T>(&self, call: impl Future<Output = T>) -> T {
        self.inside.block_on(call)
    }

    /// Makes the one call that finds out whether Redis is back. Nothing if it is too early for that.
    pub async fn try_it<T>(
        &self,
        call: impl AsyncFnOnce(ConnectionManager) -> RedisResult<T>,
    ) -> Option<Result<T, SharedError>> {
        if !self.breaker.may_try(Instant::now()) {
            return None;
        }
        let result = self.call(call).await;
        if matches!(result, Err(SharedError::Unavailable { .. })) {
            self.begin_anew();
        }
        Some(result)
    }

    async fn answer<T>(&self, call: impl AsyncFnOnce(ConnectionManager) -> RedisResult<T>) -> Result<T, SharedError> {
        let manager = self.manager.read().unwrap_or_else(PoisonError::into_inner).clone();
        let asked = async { tokio::time::timeout(self.timeout, call(manager)).await };
        match self.inside.wait(asked).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(classify(error)),
            Err(_) => Err(SharedError::Unavailable { reason: "Redis has not answered in time", source: None }),
        }
    }

    async fn call<T>(&self, call: impl AsyncFnOnce(ConnectionManager) -> RedisResult<T>) -> Result<T, SharedError> {
        let result = self.answer(call).await;
        let turned = match &result {
            Err(SharedError::Unavailable { .. }) => self.breaker.failed(Instant::now()),
            // What cannot be read is an answer all the same.
            Ok(_) | Err(_) => self.breaker.succeeded(),
        };
        match (turned, &result) {
            (Some(Turned::Open), Err(error)) => {
                tracing::warn!(
                    error = crate::telemetry::chain(error),
                    "Redis is away: limits go by share, sessions wait"
                );
            }
            (Some(Turned::Closed), _) => tracing::info!("Redis is back"),
            _ => {}
        }
        result
    }

    /// Leaves a connection that gave no answer: it may be to a host that is not there any more.
    fn begin_anew(&self) {
        match connect(&self.client, self.timeout) {
            Ok(fresh) => *self.manager.write().unwrap_or_else(PoisonError::into_inner) = fresh,
            Err(error) => tracing::error!(%error, "no new connection to Redis can be made"),
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("breaker", &self.breaker).finish_non_exhaustive()
    }
}

/// A connection that will be made by its first call.
fn connect(client: &Client, timeout: Duration) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(Some(timeout))
        // Who waits for a second try has been told no already.
        .set_number_of_retries(0)
        .set_pipeline_buffer_size(WAITING_CALLS);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

/// Tells what Redis holds from what Redis is.
pub(super) fn classify(error: RedisError) -> SharedError {
    // Any other word of the server, or of a proxy before it, may be said of what is right.
    let of_data =
        error.kind() == ErrorKind::UnexpectedReturnType || matches!(error.code(), Some("WRONGTYPE" | "MALFORMED"));
    // It answers, and takes back what is no longer needed: that is no reason to stop asking.
    let full = error.code() == Some("OOM");
    let source = Some(error.into());
    if full {
        SharedError::OutOfMemory { source }
    } else if of_data {
        SharedError::Malformed { source }
    } else {
        SharedError::Unavailable { reason: "Redis fails", source }
    }
}
