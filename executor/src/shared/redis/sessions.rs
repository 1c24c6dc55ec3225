//! Session states: a hash of a revision and the state, compared and set by a script.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::cmd;

use super::RedisShared;
use crate::domain::caller::TenantId;
use crate::shared::{Saved, SessionId, SessionStore, SharedError, Stored};

impl RedisShared {
    fn session(&self, session: SessionId) -> String {
        self.link.key(format_args!("session:{}", session.id))
    }

    /// The sessions of a tenant by the ends of their lives, and their bytes.
    fn sessions_of(&self, tenant: TenantId) -> [String; 2] {
        ["ends", "bytes"].map(|what| self.link.key(format_args!("sessions:{tenant}:{what}")))
    }

    /// What the script says: a word, and for `conflict` a revision.
    async fn put(
        &self,
        id: SessionId,
        expected: &str,
        next: u64,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<Saved, SharedError> {
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 53);
        let [ends, sizes] = self.sessions_of(id.tenant);
        let mut call = self.save.key(self.session(id));
        call.key(ends).key(sizes).arg(expected).arg(next.to_string()).arg(bytes).arg(ttl);
        call.arg(id.id.to_string()).arg(self.tenant_bytes);
        let said: Vec<Vec<u8>> = self.link.ask(async |mut redis| call.invoke_async(&mut redis).await).await?;
        let mut words = said.iter().map(Vec::as_slice);
        match (words.next(), words.next()) {
            (Some(b"done"), None) => Ok(Saved::Done),
            (Some(b"gone"), None) => Ok(Saved::Gone),
            (Some(b"full"), None) => Err(SharedError::TenantFull { limit: self.tenant_bytes }),
            (Some(b"conflict"), Some(found)) => Ok(Saved::Conflict { revision: revision(found)? }),
            _ => Err(SharedError::Malformed { source: None }),
        }
    }
}

fn revision(text: &[u8]) -> Result<u64, SharedError> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or(SharedError::Malformed { source: None })
}

#[async_trait]
impl SessionStore for RedisShared {
    async fn create(&self, id: SessionId, bytes: Bytes, ttl: Duration) -> Result<Saved, SharedError> {
        self.put(id, "", 0, &bytes, ttl).await
    }

    async fn load(&self, id: SessionId) -> Result<Option<Stored>, SharedError> {
        let key = self.session(id);
        let (found, state): (Option<Vec<u8>>, Option<Vec<u8>>) = self
            .link
            .ask(async |mut redis| cmd("HMGET").arg(key).arg("revision").arg("state").query_async(&mut redis).await)
            .await?;
        match (found, state) {
            (None, None) => Ok(None),
            (Some(found), Some(state)) => Ok(Some(Stored { revision: revision(&found)?, bytes: state.into() })),
            _ => Err(SharedError::Malformed { source: None }),
        }
    }

    async fn save(
        &self,
        id: SessionId,
        expected: u64,
        next: u64,
        bytes: Bytes,
        ttl: Duration,
    ) -> Result<Saved, SharedError> {
        self.put(id, &expected.to_string(), next, &bytes, ttl).await
    }

    async fn delete(&self, id: SessionId) -> Result<bool, SharedError> {
        let [ends, sizes] = self.sessions_of(id.tenant);
        let mut call = self.forget.key(self.session(id));
        call.key(ends).key(sizes).arg(id.id.to_string());
        let deleted: u64 = self.link.ask(async |mut redis| call.invoke_async(&mut redis).await).await?;
        Ok(deleted > 0)
    }
}
