//! What each owner holds of places that there are so many of: none takes those of all the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fair::Owner;

/// Places of one kind, by owner. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shares {
    most: usize,
    held: Arc<Mutex<HashMap<Owner, usize>>>,
}

/// One that an owner holds, until it is dropped.
#[derive(Debug)]
pub struct Share {
    of: Shares,
    owner: Owner,
}

impl Shares {
    /// Each owner may hold so many.
    pub fn new(most: usize) -> Self {
        Self { most, held: Arc::default() }
    }

    /// As many as one may hold.
    pub const fn most(&self) -> usize {
        self.most
    }

    /// Whether an owner holds any.
    pub fn holds(&self, owner: Owner) -> bool {
        self.held().contains_key(&owner)
    }

    /// One more for an owner; `None` if he holds as many as he may.
    pub fn take(&self, owner: Owner) -> Option<Share> {
        let mut held = self.held();
        let count = held.get(&owner).copied().unwrap_or_default();
        if count >= self.most {
            return None;
        }
        held.insert(owner, count + 1);
        Some(Share { of: self.clone(), owner })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Owner, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.of.held();
        match held.get_mut(&self.owner) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(held.remove(&self.owner)),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_owner_holds_his_share_and_leaves_the_others_theirs() {
        let [one, other] = [1, 2].map(|n| Owner(Uuid::from_u128(n)));
        let shares = Shares::new(2);
        let (first, _second) = (shares.take(one).unwrap(), shares.take(one).unwrap());
        assert!(shares.take(one).is_none());
        let others = shares.take(other).unwrap();
        drop((first, others));
        assert_eq!(shares.held().len(), 1, "who holds none is forgotten");
        let _again = shares.take(one).unwrap();
        assert!(shares.take(one).is_none());
    }
}
