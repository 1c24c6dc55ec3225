//! Compiled code of all replicas: a hash of entries, and the times of their last use, within so many bytes.
//!
//! One connection is everybody's, so entries are short here; long ones are for a directory.

use std::sync::Arc;
use std::time::Duration;

use redis::RedisResult;
use redis::aio::ConnectionManager;
use tokio::sync::Semaphore;

use super::RedisShared;
use crate::domain::compiled_code::{CodeStore, CodeStoreError};
use crate::shared::SharedError;

/// Bytes of the longest entry: what may hold up the calls behind it.
const LONGEST: usize = 2 << 20;
/// Entries, however small: a script looks at each.
const ENTRIES: usize = 2_000;
/// How long all of it lives without a new entry.
const LIFE: Duration = Duration::from_hours(24 * 30);

/// Compiled code in Redis.
#[derive(Debug)]
pub struct RedisCode {
    shared: Arc<RedisShared>,
    bytes: u64,
    get: redis::Script,
    put: redis::Script,
    turn: Semaphore,
}

impl RedisCode {
    /// Entries of at most so many bytes together.
    pub fn new(shared: Arc<RedisShared>, bytes: u64) -> Self {
        let (get, put) = (include_str!("get_code.lua"), include_str!("put_code.lua"));
        Self { shared, bytes, get: redis::Script::new(get), put: redis::Script::new(put), turn: Semaphore::new(1) }
    }

    /// The entries, and their names by the time of their last use.
    fn keys(&self) -> [String; 2] {
        ["entries", "used"].map(|what| self.shared.link.key(format_args!("code:{what}")))
    }
}

impl RedisCode {
    /// One entry at a time is on its way: the calls of sessions and limits go over the same connection.
    async fn alone<T>(&self, call: impl AsyncFnOnce(ConnectionManager) -> RedisResult<T>) -> Result<T, SharedError> {
        // It is never closed.
        let _turn = self.turn.acquire().await;
        self.shared.link.ask_aside(call).await
    }
}

/// Whatever Redis has, the caller can do without it.
fn failed(error: SharedError) -> CodeStoreError {
    CodeStoreError::Shared(Box::new(error))
}

impl CodeStore for RedisCode {
    fn tier(&self) -> &'static str {
        "redis"
    }

    fn longest(&self) -> usize {
        LONGEST.min(usize::try_from(self.bytes).unwrap_or(usize::MAX))
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, CodeStoreError> {
        let [entries, used] = self.keys();
        let mut call = self.get.key(entries);
        call.key(used).arg(name).arg(self.longest());
        let asked = self.alone(async |mut redis| call.invoke_async(&mut redis).await);
        self.shared.link.block_on(asked).map_err(failed)
    }

    fn put(&self, name: &str, entry: &[u8]) -> Result<(), CodeStoreError> {
        let [entries, used] = self.keys();
        let life = u64::try_from(LIFE.as_millis()).unwrap_or(u64::MAX);
        let mut call = self.put.key(entries);
        call.key(used).arg(name).arg(entry).arg(self.bytes).arg(ENTRIES).arg(life);
        let asked = self.alone(async |mut redis| call.invoke_async::<()>(&mut redis).await);
        self.shared.link.block_on(asked).map_err(failed)
    }

    fn remove(&self, name: &str) -> Result<(), CodeStoreError> {
        let [entries, used] = self.keys();
        let mut call = redis::pipe();
        call.atomic().cmd("HDEL").arg(entries).arg(name).ignore().cmd("ZREM").arg(used).arg(name).ignore();
        let asked = self.alone(async |mut redis| call.query_async::<()>(&mut redis).await);
        self.shared.link.block_on(asked).map_err(failed)
    }
}
