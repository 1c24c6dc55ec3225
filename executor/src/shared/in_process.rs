//! All that is shared, for one process with nothing else: gone when it ends.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;

use super::buckets::Buckets;
use super::{
    Change, Decision, Health, Invalidations, Limiter, Policy, Quota, Saved, SessionId, SessionStore, SharedError,
    Source, Stored,
};
use crate::domain::caller::TenantId;

/// Changes that a subscriber may lag behind.
pub(super) const CHANGES: usize = 1_024;

/// Bytes of a session beside its state.
const ENTRY_BYTES: usize = 128;

/// How often sessions are looked through for those whose time is over.
const SWEEP: Duration = Duration::from_secs(30);
/// Sessions that are looked through in no time.
const FEW: usize = 1_000;
/// How often at most, if there is no room and there are more.
const SWEEP_IF_FULL: Duration = Duration::from_secs(1);

/// Limits, sessions and changes of one process.
#[derive(Debug)]
pub struct InProcess {
    buckets: Buckets,
    changes: broadcast::Sender<Change>,
    sessions: Mutex<Sessions>,
}

#[derive(Debug)]
struct Sessions {
    kept: HashMap<SessionId, Entry>,
    bytes: usize,
    limit: usize,
    of_tenant: HashMap<TenantId, usize>,
    tenant_limit: usize,
    swept: Instant,
}

#[derive(Debug)]
struct Entry {
    revision: u64,
    bytes: Bytes,
    expires_at: Instant,
}

impl Entry {
    const fn size(&self) -> usize {
        self.bytes.len() + ENTRY_BYTES
    }
}

impl InProcess {
    /// With room for so many bytes of sessions, and for so many of one tenant's.
    pub fn new(session_bytes: usize, tenant_bytes: usize) -> Self {
        let sessions = Sessions {
            kept: HashMap::new(),
            bytes: 0,
            limit: session_bytes,
            of_tenant: HashMap::new(),
            tenant_limit: tenant_bytes,
            swept: Instant::now(),
        };
        Self { buckets: Buckets::new(), changes: broadcast::Sender::new(CHANGES), sessions: Mutex::new(sessions) }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions {
    /// Finds a session whose time is not over.
    fn find(&mut self, id: SessionId, now: Instant) -> Option<&mut Entry> {
        self.kept.get_mut(&id).filter(|entry| entry.expires_at > now)
    }

    /// Puts a state in the place of the one before. A live session is never thrown out for another.
    fn put(&mut self, id: SessionId, entry: Entry, now: Instant) -> Result<(), SharedError> {
        let before = self.kept.get(&id).map_or(0, Entry::size);
        let since = now.duration_since(self.swept);
        // Whoever is refused again and again does not have all of very many be looked through each time.
        let soon = since >= SWEEP_IF_FULL || self.kept.len() <= FEW;
        if since >= SWEEP || soon && self.room(id, before, entry.size()).is_err() {
            self.sweep(now, id);
        }
        (self.bytes, *self.of_tenant.entry(id.tenant).or_default()) = self.room(id, before, entry.size())?;
        self.kept.insert(id, entry);
        Ok(())
    }

    /// The bytes of all and of the tenant with `size` instead of `before`.
    fn room(&self, id: SessionId, before: usize, size: usize) -> Result<(usize, usize), SharedError> {
        let of_tenant = self.of_tenant.get(&id.tenant).copied().unwrap_or_default() - before + size;
        if of_tenant > self.tenant_limit {
            return Err(SharedError::TenantFull { limit: self.tenant_limit });
        }
        let bytes = self.bytes - before + size;
        if bytes > self.limit { Err(SharedError::Full { limit: self.limit }) } else { Ok((bytes, of_tenant)) }
    }

    fn sweep(&mut self, now: Instant, but: SessionId) {
        self.kept.retain(|id, entry| *id == but || entry.expires_at > now);
        self.of_tenant.clear();
        for (id, entry) in &self.kept {
            *self.of_tenant.entry(id.tenant).or_default() += entry.size();
        }
        self.bytes = self.of_tenant.values().sum();
        self.swept = now;
    }

    fn remove(&mut self, id: SessionId) -> Option<Entry> {
        let entry = self.kept.remove(&id)?;
        self.bytes -= entry.size();
        if let Some(bytes) = self.of_tenant.get_mut(&id.tenant) {
            *bytes -= entry.size();
        }
        Some(entry)
    }
}

#[async_trait]
impl Limiter for InProcess {
    async fn take(&self, tenant: TenantId, policy: Policy, cost: u64, quota: Quota) -> Decision {
        self.buckets.take((tenant, policy), cost, quota.into(), Source::Shared)
    }

    async fn give_back(&self, tenant: TenantId, policy: Policy, cost: u64, quota: Quota) {
        self.buckets.give_back((tenant, policy), cost, quota.into());
    }
}

#[async_trait]
impl SessionStore for InProcess {
    async fn create(&self, id: SessionId, bytes: Bytes, ttl: Duration) -> Result<Saved, SharedError> {
        let now = Instant::now();
        let mut sessions = self.sessions();
        if let Some(entry) = sessions.find(id, now) {
            return Ok(Saved::Conflict { revision: entry.revision });
        }
        sessions.put(id, Entry { revision: 0, bytes, expires_at: now + ttl }, now)?;
        Ok(Saved::Done)
    }

    async fn load(&self, id: SessionId) -> Result<Option<Stored>, SharedError> {
        let mut sessions = self.sessions();
        let found = sessions.find(id, Instant::now());
        Ok(found.map(|entry| Stored { revision: entry.revision, bytes: entry.bytes.clone() }))
    }

    async fn save(
        &self,
        id: SessionId,
        expected: u64,
        next: u64,
        bytes: Bytes,
        ttl: Duration,
    ) -> Result<Saved, SharedError> {
        let now = Instant::now();
        let mut sessions = self.sessions();
        match sessions.find(id, now) {
            None => Ok(Saved::Gone),
            Some(entry) if entry.revision != expected => Ok(Saved::Conflict { revision: entry.revision }),
            Some(_) => {
                sessions.put(id, Entry { revision: next, bytes, expires_at: now + ttl }, now)?;
                Ok(Saved::Done)
            }
        }
    }

    async fn delete(&self, id: SessionId) -> Result<bool, SharedError> {
        let removed = self.sessions().remove(id);
        Ok(removed.is_some_and(|entry| entry.expires_at > Instant::now()))
    }
}

#[async_trait]
impl Invalidations for InProcess {
    async fn publish(&self, change: Change) {
        // Nobody listens: nobody has read anything.
        let _ = self.changes.send(change);
    }

    fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}

impl Health for InProcess {
    fn up(&self) -> Option<bool> {
        None
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    /// A session of the first tenant.
    fn id(n: u128) -> SessionId {
        of(1, n)
    }

    fn of(tenant: u128, n: u128) -> SessionId {
        SessionId { tenant: TenantId::from_store(Uuid::from_u128(tenant)), id: Uuid::from_u128(n) }
    }

    fn state(len: usize) -> Bytes {
        vec![7; len].into()
    }

    #[tokio::test]
    async fn sessions_take_no_more_room_than_there_is_and_none_is_thrown_out_for_another() {
        let shared = InProcess::new(10 * (100 + ENTRY_BYTES), usize::MAX);
        for n in 0..10 {
            shared.create(id(n), state(100), HOUR).await.unwrap();
        }
        assert!(matches!(shared.create(id(10), state(0), HOUR).await, Err(SharedError::Full { .. })));
        let more = shared.save(id(0), 0, 1, state(101), HOUR).await;
        assert!(matches!(more, Err(SharedError::Full { .. })));
        assert_eq!(shared.load(id(0)).await.unwrap().unwrap().revision, 0, "and is as it was");
        assert_eq!(shared.save(id(0), 0, 1, state(100), HOUR).await.unwrap(), Saved::Done, "in its own place");
        assert!(shared.delete(id(9)).await.unwrap());
        assert!(!shared.delete(id(9)).await.unwrap());
        shared.create(id(10), state(100), HOUR).await.unwrap();
        for n in [0, 1, 2, 3, 4, 5, 6, 7, 8, 10] {
            assert!(shared.load(id(n)).await.unwrap().is_some(), "{n}");
        }
    }

    #[tokio::test]
    async fn a_tenant_fills_its_own_room_and_nobody_elses() {
        let shared = InProcess::new(10 * (100 + ENTRY_BYTES), 4 * (100 + ENTRY_BYTES));
        for n in 0..4 {
            shared.create(id(n), state(100), HOUR).await.unwrap();
        }
        assert!(matches!(shared.create(id(4), state(0), HOUR).await, Err(SharedError::TenantFull { .. })));
        assert!(matches!(shared.save(id(0), 0, 1, state(101), HOUR).await, Err(SharedError::TenantFull { .. })));
        assert_eq!(shared.save(id(0), 0, 1, state(100), HOUR).await.unwrap(), Saved::Done);
        assert_eq!(shared.create(of(2, 0), state(300), HOUR).await.unwrap(), Saved::Done);
        assert!(shared.delete(id(1)).await.unwrap());
        // One that has ended makes room too.
        assert_eq!(shared.save(id(2), 0, 1, state(1), Duration::ZERO).await.unwrap(), Saved::Done);
        for n in 5..7 {
            shared.create(id(n), state(100), HOUR).await.unwrap();
        }
        assert!(matches!(shared.create(id(7), state(0), HOUR).await, Err(SharedError::TenantFull { .. })));
        let sessions = shared.sessions();
        assert_eq!(sessions.bytes, sessions.kept.values().map(Entry::size).sum::<usize>());
        assert_eq!(sessions.bytes, sessions.of_tenant.values().sum::<usize>());
    }

    #[tokio::test]
    async fn a_session_whose_time_is_over_is_gone_and_its_room_is_free() {
        let shared = InProcess::new(100 + ENTRY_BYTES, usize::MAX);
        shared.create(id(1), state(100), Duration::ZERO).await.unwrap();
        assert_eq!(shared.load(id(1)).await.unwrap(), None);
        assert_eq!(shared.save(id(1), 0, 1, state(1), HOUR).await.unwrap(), Saved::Gone);
        shared.create(id(2), state(100), HOUR).await.unwrap();
        assert!(!shared.sessions().kept.contains_key(&id(1)));
    }

    #[tokio::test]
    async fn of_two_who_save_one_wins() {
        let shared = InProcess::new(1 << 20, usize::MAX);
        shared.create(id(1), state(1), HOUR).await.unwrap();
        assert_eq!(shared.save(id(1), 0, 1, state(2), HOUR).await.unwrap(), Saved::Done);
        assert_eq!(shared.save(id(1), 0, 1, state(3), HOUR).await.unwrap(), Saved::Conflict { revision: 1 });
        assert_eq!(shared.load(id(1)).await.unwrap().unwrap().bytes.len(), 2);
        assert_eq!(shared.save(id(2), 0, 1, state(3), HOUR).await.unwrap(), Saved::Gone);
    }

    #[tokio::test]
    async fn changes_reach_all_who_listen() {
        let shared = InProcess::new(0, 0);
        let change = Change { tenant: Some(TenantId::from_store(Uuid::from_u128(3))) };
        shared.publish(change).await;
        let mut listeners = [shared.subscribe(), shared.subscribe()];
        shared.publish(change).await;
        for listener in &mut listeners {
            assert_eq!(listener.try_recv().unwrap(), change);
            assert!(listener.try_recv().is_err(), "only from then on");
        }
        assert_eq!(shared.up(), None);
    }
}
