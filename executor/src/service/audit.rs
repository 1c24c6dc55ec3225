//! Reading the audit log, and finding out whether somebody changed it.

use std::collections::HashSet;
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

/// Verifies every chain, and gives each to `found`.
///
/// # Errors
/// If the store fails.
pub async fn verify(
    store: &Arc<dyn Store>,
    sealer: &dyn Sealer,
    mut found: impl FnMut(Verified),
) -> Result<(), StoreError> {
    let mut after = None;
    let mut seen = HashSet::new();
    // Before the heads are read: whoever is made later has one, or will be looked at the next time.
    let expected = chains(store).await?;
    loop {
        let heads = store.audit_heads(after, PAGE).await?;
        let Some(last) = heads.last() else { break };
        after = Some(last.chain);
        for head in heads {
            seen.insert(head.chain);
            found(verify_chain(store, sealer, head).await?);
        }
    }
    for chain in expected.into_iter().filter(|chain| !seen.contains(chain)) {
        found(Verified { chain, entries: 0, head: Head::none(chain), broken: Some(Broken::NoHead) });
    }
    Ok(())
}

/// The logs that there must be: making a tenant is the first entry of its own log, and one of the platform's.
async fn chains(store: &Arc<dyn Store>) -> Result<Vec<Chain>, StoreError> {
    let (mut chains, mut after) = (Vec::new(), None);
    loop {
        let page = store.tenants(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.name.clone());
        chains.extend(page.iter().map(|tenant| Chain(Some(tenant.id))));
    }
    if !chains.is_empty() {
        chains.push(Chain(None));
    }
    Ok(chains)
}

async fn verify_chain(store: &Arc<dyn Store>, sealer: &dyn Sealer, head: Head) -> Result<Verified, StoreError> {
    let mut walk = Walk { last: head.removed_seq, seal: head.removed_seal, entries: 0 };
    let proof = Head::removal_bytes(head.chain, head.removed_seq, &head.removed_seal);
    let mut broken = None;
    if head.removed_seq > 0 && !sealer.is_sealed(&proof, &head.removed_proof) {
        broken = Some(Broken::Removal { seq: head.removed_seq });
    }
    while broken.is_none() {
        // What is written meanwhile is past the head that was read, and has its seal too.
        let page = store.audit(head.chain, walk.last, PAGE).await?;
        if page.is_empty() {
            broken = walk.end(&head).err();
            break;
        }
        broken = page.iter().find_map(|entry| walk.step(sealer, entry, &head).err());
    }
    Ok(Verified { chain: head.chain, entries: walk.entries, head, broken })
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
