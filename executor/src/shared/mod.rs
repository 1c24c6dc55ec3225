//! What replicas share beside the store: limits, session states, and the word that something has changed.
//!
//! Two implementations: [`in_process`], for one process with nothing else, and [`redis`], for any number. Nothing here
//! is the only copy of what must not be lost: a session that is gone is told as such, a limit starts anew, and a lost
//! word costs one poll of the store.

mod buckets;
mod gcra;
pub mod in_process;
pub mod redis;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::domain::caller::TenantId;

/// What is limited, each by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Requests.
    Requests,
    /// Units of fuel.
    Fuel,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 2] = [Self::Requests, Self::Fuel];

    /// Its name in answers, metrics and keys.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Fuel => "fuel",
        }
    }
}

/// How much of something a tenant may take. Both count at most 2^53; a rate of 0 counts as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What comes back in a second.
    pub per_second: u64,
    /// The most that can be taken at once.
    pub burst: u64,
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// All replicas together (one process is all of them).
    Shared,
    /// This replica alone, by its share.
    Local,
}

/// Whether something may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// It may, and has been.
    pub allowed: bool,
    /// What may still be taken at once.
    pub remaining: u64,
    /// When the same will be allowed, if nothing else is taken; zero if it was, [`Duration::MAX`] if never.
    pub retry_after: Duration,
    /// When all of the burst will be there again, if nothing is taken.
    pub reset_after: Duration,
    /// Who decided.
    pub source: Source,
}

/// Why something shared could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SharedError {
    /// It does not answer, or was not asked because it has not answered lately.
    #[error("the shared state is away: {reason}")]
    Unavailable {
        /// What happened.
        reason: &'static str,
        /// What the client said.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// It holds something that this service did not put there.
    #[error("the shared state holds what cannot be read under a key of this service")]
    Malformed {
        /// What the client said.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// There is no room for another state.
    #[error("the states of sessions fill their {limit} bytes")]
    Full {
        /// Bytes.
        limit: usize,
    },
    /// What is shared has no room for more.
    #[error("what keeps the shared state is out of memory")]
    OutOfMemory {
        /// What the client said.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The tenant has no room for another state.
    #[error("the sessions of the tenant fill its {limit} bytes")]
    TenantFull {
        /// Bytes.
        limit: usize,
    },
}

/// Limits what tenants take, over all replicas.
#[async_trait]
pub trait Limiter: Send + Sync {
    /// Takes `cost` of what the tenant may take, or nothing. Fuel is taken at its maximum, before the run; a cost over
    /// the burst is refused with [`Duration::MAX`]. Never fails: without Redis, this replica decides by its share.
    async fn take(&self, tenant: TenantId, policy: Policy, cost: u64, quota: Quota) -> Decision;

    /// Gives back what was taken and not used. Never more than makes the bucket empty.
    async fn give_back(&self, tenant: TenantId, policy: Policy, cost: u64, quota: Quota);
}

/// A session, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId {
    /// Its tenant: what it keeps is a part of what that may keep.
    pub tenant: TenantId,
    /// Which of its sessions.
    pub id: Uuid,
}

/// A session's state as it was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What the next save must name.
    pub revision: u64,
    /// The state.
    pub bytes: Bytes,
}

/// How a save went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It is saved.
    Done,
    /// Somebody else saved before; nothing was changed.
    Conflict {
        /// What is there.
        revision: u64,
    },
    /// There is no such session any more.
    Gone,
}

/// States of sessions. Opaque bytes here: whoever saves them sees to it that they cannot be forged.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Keeps the state of a new session, at revision 0: [`Saved::Done`], or [`Saved::Conflict`] if there is one of that
    /// id, which stays as it is.
    ///
    /// # Errors
    /// If it is away or full.
    async fn create(&self, id: SessionId, bytes: Bytes, ttl: Duration) -> Result<Saved, SharedError>;

    /// The state, or nothing if there is no such session any more.
    ///
    /// # Errors
    /// If it is away.
    async fn load(&self, id: SessionId) -> Result<Option<Stored>, SharedError>;

    /// Compares and sets: replaces the state if it is still at `expected`, and starts its time to live anew. After an
    /// error the state may have been saved or not.
    ///
    /// # Errors
    /// If it is away or full.
    async fn save(
        &self,
        id: SessionId,
        expected: u64,
        next: u64,
        bytes: Bytes,
        ttl: Duration,
    ) -> Result<Saved, SharedError>;

    /// Forgets a session; whether there was one.
    ///
    /// # Errors
    /// If it is away.
    async fn delete(&self, id: SessionId) -> Result<bool, SharedError>;
}

/// Something of a tenant's has changed in the store: what was read before must be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose; `None`: anything may have changed, as after a time without connection.
    pub tenant: Option<TenantId>,
}

/// Spreads the word of changes. Best effort: whoever must not miss one polls the store too.
#[async_trait]
pub trait Invalidations: Send + Sync {
    /// Tells every replica, this one too.
    async fn publish(&self, change: Change);

    /// Hears of changes from here on. Who lags behind has to take it as a change of anything.
    fn subscribe(&self) -> broadcast::Receiver<Change>;
}

/// Whether the shared state can be had.
pub trait Health: Send + Sync {
    /// Whether Redis answers; `None` if there is none.
    fn up(&self) -> Option<bool>;
}

/// All that is shared, in one of its implementations. Cheap to clone.
#[derive(Clone)]
pub struct Shared {
    /// Limits of tenants.
    pub limiter: Arc<dyn Limiter>,
    /// States of sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// The word of changes.
    pub invalidations: Arc<dyn Invalidations>,
    /// Whether it can be had.
    pub health: Arc<dyn Health>,
}

impl Shared {
    /// All of one implementation.
    pub fn of<T: Limiter + SessionStore + Invalidations + Health + 'static>(all: &Arc<T>) -> Self {
        Self {
            limiter: Arc::clone(all) as Arc<dyn Limiter>,
            sessions: Arc::clone(all) as Arc<dyn SessionStore>,
            invalidations: Arc::clone(all) as Arc<dyn Invalidations>,
            health: Arc::clone(all) as Arc<dyn Health>,
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("up", &self.health.up()).finish_non_exhaustive()
    }
}
