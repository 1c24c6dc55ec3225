//! Reading the audit log, and finding out whether somebody changed it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Service, ServiceError};
use crate::domain::audit::{Chain, Entry, Head, Seal, Sealer};
use crate::store::{Store, StoreError};

/// Entries that are read at a time.
const PAGE: u32 = 1_000;

/// What is wrong with a chain of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// An entry is not what was sealed, or does not follow the one before it.
    #[error("entry {seq} was changed, or does not follow the one before it")]
    Entry {
        /// Its number.
        seq: u64,
    },
    /// An entry has the seal of a key that is not there.
    #[error(
        "entry {seq} was sealed with a master secret that is not given, if its seal was not changed: \
         RULEBOX_PREVIOUS_MASTER_SECRET takes those of before, one a line"
    )]
    Stranger {
        /// Its number.
        seq: u64,
    },
    /// Entries are missing.
    #[error("entry {expected} is missing: the next is {found}")]
    Missing {
        /// The number that should be there.
        expected: u64,
        /// The number that is.
        found: u64,
    },
    /// The end is missing.
    #[error("the log ends at entry {last}, and should end at {head}")]
    End {
        /// The last entry that is there.
        last: u64,
        /// Where the head says that it ends.
        head: u64,
    },
    /// The head's seal is not that of the entry where it says that the log ended.
    #[error("the seal of entry {seq}, the last, is not the one that the head has")]
    Head {
        /// The entry.
        seq: u64,
    },
    /// Nothing says where the log ends.
    #[error("the log has no head: it, or all of the log, was removed")]
    NoHead,
    /// Entries before this were removed by somebody else than the service.
    #[error("the entries up to {seq} were not removed by the service")]
    Removal {
        /// The last that is gone.
        seq: u64,
    },
}

/// How a chain was found.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The chain.
    pub chain: Chain,
    /// Entries that were read.
    pub entries: u64,
    /// Where it ends: to be compared with what was written down elsewhere.
    pub head: Head,
    /// The first thing that is wrong.
    pub broken: Option<Broken>,
}

impl Service {
    /// A page of entries from the oldest on, and whether there are more.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn audit(&self, chain: Chain, after: u64, limit: u32) -> Result<(Vec<Entry>, bool), ServiceError> {
        let page = self.store.audit(chain, after, limit.saturating_add(1)).await?;
        Ok(super::page(page, limit))
    }
}

/// Verifies every chain from its beginning, and gives each to `found`.
///
/// # Errors
/// If the store fails.
pub async fn verify(
    store: &Arc<dyn Store>,
    sealer: &Arc<dyn Sealer>,
    found: impl FnMut(Verified) + Send,
) -> Result<(), StoreError> {
    Verifier::new(Arc::clone(store), Arc::clone(sealer)).verify(found).await
}

/// Verifies again and again: the first time from the beginning, then what has come since, until it is to begin anew.
#[derive(Debug)]
pub struct Verifier {
    store: Arc<dyn Store>,
    sealer: Arc<dyn Sealer>,
    /// Where chains that were whole ended. An end that was seen must stay there, whatever the head says later.
    seen: HashMap<Chain, (u64, Seal)>,
    /// Whether the next time is from the beginning, by way of what was seen.
    anew: bool,
}

impl Verifier {
    /// One that has seen nothing.
    pub fn new(store: Arc<dyn Store>, sealer: Arc<dyn Sealer>) -> Self {
        Self { store, sealer, seen: HashMap::new(), anew: false }
    }

    /// Has the next time begin at the beginning: somebody may have changed what was whole the last time.
    pub const fn begin_anew(&mut self) {
        self.anew = true;
    }

    /// Verifies every chain, and gives each to `found`.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn verify(&mut self, mut found: impl FnMut(Verified) + Send) -> Result<(), StoreError> {
        let mut after = None;
        let mut heads_of = HashSet::new();
        // Before the heads are read: whoever is made later has one, or will be looked at the next time.
        let mut expected = chains(&self.store).await?;
        expected.extend(self.seen.keys());
        loop {
            let heads = self.store.audit_heads(after, PAGE).await?;
            let Some(last) = heads.last() else { break };
            after = Some(last.chain);
            for head in heads {
                heads_of.insert(head.chain);
                found(self.verify_whole(head).await?);
            }
        }
        for chain in expected.into_iter().filter(|chain| !heads_of.contains(chain)) {
            found(Verified { chain, entries: 0, head: Head::none(chain), broken: Some(Broken::NoHead) });
        }
        self.anew = false;
        Ok(())
    }

    /// Of a chain that retention shortens meanwhile, as often as it does.
    async fn verify_whole(&mut self, mut head: Head) -> Result<Verified, StoreError> {
        loop {
            let removed = head.removed_seq;
            let verified = self.verify_chain(head).await?;
            if verified.broken.is_none() {
                return Ok(verified);
            }
            match self.head(verified.chain).await? {
                Some(now) if now.removed_seq > removed => head = now,
                _ => return Ok(verified),
            }
        }
    }

    /// Where a chain ends now.
    async fn head(&self, chain: Chain) -> Result<Option<Head>, StoreError> {
        let mut after = None;
        loop {
            let heads = self.store.audit_heads(after, PAGE).await?;
            let Some(last) = heads.last() else { return Ok(None) };
            after = Some(last.chain);
            if let Some(found) = heads.into_iter().find(|head| head.chain == chain) {
                return Ok(Some(found));
            }
        }
    }

    async fn verify_chain(&mut self, head: Head) -> Result<Verified, StoreError> {
        let sealer = &*self.sealer;
        // What was removed as too old since then need not be there.
        let seen = self.seen.get(&head.chain).copied().filter(|(seq, _)| *seq > head.removed_seq);
        let beginning = (head.removed_seq, head.removed_seal);
        let (last, seal) = seen.filter(|_| !self.anew).unwrap_or(beginning);
        let seen_seq = seen.map_or(last, |(seq, _)| seq);
        let mut walk = Walk { last, seal, entries: 0 };
        let proof = Head::removal_bytes(head.chain, head.removed_seq, &head.removed_seal);
        let mut broken = None;
        if head.removed_seq > 0 && !sealer.is_sealed(&proof, &head.removed_proof) {
            broken = Some(Broken::Removal { seq: head.removed_seq });
        } else if head.seq < seen_seq {
            broken = Some(Broken::End { last: head.seq, head: seen_seq });
        }
        while broken.is_none() {
            // What is written meanwhile is past the head that was read, and has its seal too.
            let page = self.store.audit(head.chain, walk.last, PAGE).await?;
            if page.is_empty() {
                broken = walk.end(&head).err();
                break;
            }
            let is_other = |entry: &Entry| seen.is_some_and(|(seq, seal)| entry.seq == seq && entry.seal != seal);
            broken = page.iter().find_map(|entry| match walk.step(sealer, entry, &head) {
                Ok(()) => is_other(entry).then_some(Broken::Entry { seq: entry.seq }),
                Err(broken) => Some(broken),
            });
        }
        if broken.is_none() {
            self.seen.insert(head.chain, (walk.last, walk.seal));
        }
        Ok(Verified { chain: head.chain, entries: walk.entries, head, broken })
    }
}

/// The logs that there must be: making a tenant is the first entry of its own log, and one of the platform's.
async fn chains(store: &Arc<dyn Store>) -> Result<HashSet<Chain>, StoreError> {
    let (mut chains, mut after) = (HashSet::new(), None);
    loop {
        let page = store.tenants(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.name.clone());
        chains.extend(page.iter().map(|tenant| Chain(Some(tenant.id))));
    }
    if !chains.is_empty() {
        chains.insert(Chain(None));
    }
    Ok(chains)
}

struct Walk {
    last: u64,
    seal: Seal,
    entries: u64,
}

impl Walk {
    fn step(&mut self, sealer: &dyn Sealer, entry: &Entry, head: &Head) -> Result<(), Broken> {
        let expected = self.last + 1;
        if entry.seq != expected {
            return Err(Broken::Missing { expected, found: entry.seq });
        }
        if !sealer.has_key_of(&entry.seal) {
            return Err(Broken::Stranger { seq: entry.seq });
        }
        if !sealer.is_sealed(&entry.sealed_bytes(&self.seal), &entry.seal) {
            return Err(Broken::Entry { seq: entry.seq });
        }
        if entry.seq == head.seq && entry.seal != head.seal {
            return Err(Broken::Head { seq: head.seq });
        }
        *self = Self { last: entry.seq, seal: entry.seal, entries: self.entries + 1 };
        Ok(())
    }

    fn end(&self, head: &Head) -> Result<(), Broken> {
        if self.last < head.seq {
            return Err(Broken::End { last: self.last, head: head.seq });
        }
        // Of a log whose every entry has been removed as too old.
        if self.last == head.seq && self.seal != head.seal {
            return Err(Broken::Head { seq: head.seq });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::domain::tenant::{TenantLimits, TenantName};
    use crate::store::contract::{NoSecret, change};
    use crate::store::sqlite::{OpenOptions, SqliteStore};

    async fn open(directory: &Path) -> Arc<dyn Store> {
        let options = OpenOptions {
            directory: directory.to_path_buf(),
            connections: 1,
            busy: Duration::from_secs(5),
            survives_power_loss: false,
        };
        Arc::new(SqliteStore::open(&options).await.unwrap())
    }

    async fn broken(verifier: &mut Verifier) -> Vec<Broken> {
        let mut broken = Vec::new();
        verifier.verify(|found| broken.extend(found.broken)).await.unwrap();
        broken
    }

    #[tokio::test]
    async fn an_end_that_was_seen_is_missed_when_an_older_log_stands_there() {
        let [directory, older] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let store = open(directory.path()).await;
        let (name, limits) = (TenantName::new("acme").unwrap(), TenantLimits::default());
        let tenant = store.create_tenant(&name, &limits, &change()).await.unwrap().id;
        store.close().await;
        drop(store);
        std::fs::copy(directory.path().join(SqliteStore::FILE), older.path().join(SqliteStore::FILE)).unwrap();
        let store = open(directory.path()).await;
        let mut verifier = Verifier::new(Arc::clone(&store), Arc::new(NoSecret));
        assert_eq!(broken(&mut verifier).await, []);
        store.set_limits(tenant, &limits, &change()).await.unwrap();
        assert_eq!(broken(&mut verifier).await, [], "it goes on from where it was");
        verifier.store = open(older.path()).await;
        // In the tenant's log, and in the platform's: of the same change.
        assert_eq!(broken(&mut verifier).await, vec![Broken::End { last: 1, head: 2 }; 2]);
        // Whoever has not seen the end does not miss it.
        let mut newcomer = Verifier::new(Arc::clone(&verifier.store), Arc::new(NoSecret));
        assert_eq!(broken(&mut newcomer).await, []);
    }

    #[tokio::test]
    async fn what_is_changed_behind_an_end_that_was_seen_is_found_when_it_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path()).await;
        let (name, limits) = (TenantName::new("acme").unwrap(), TenantLimits::default());
        let tenant = store.create_tenant(&name, &limits, &change()).await.unwrap().id;
        let mut verifier = Verifier::new(Arc::clone(&store), Arc::new(NoSecret));
        assert_eq!(broken(&mut verifier).await, []);
        store.set_limits(tenant, &limits, &change()).await.unwrap();
        verifier.begin_anew();
        assert_eq!(broken(&mut verifier).await, [], "by way of what was seen");
        // As if somebody had written another log, with seals that are right.
        let (seq, seal) = verifier.seen[&Chain(Some(tenant))];
        assert_eq!(seq, 2);
        let other = Seal::from_bytes(&seal.0.map(|byte| !byte)).unwrap();
        verifier.seen.insert(Chain(Some(tenant)), (1, other));
        assert_eq!(broken(&mut verifier).await.len(), 1, "it does not follow what was seen");
        verifier.seen.insert(Chain(Some(tenant)), (2, other));
        assert_eq!(broken(&mut verifier).await, [Broken::Head { seq: 2 }]);
        verifier.seen.insert(Chain(Some(tenant)), (1, other));
        verifier.begin_anew();
        assert_eq!(broken(&mut verifier).await, [Broken::Entry { seq: 1 }]);
    }
}
