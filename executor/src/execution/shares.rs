//! What each owner holds of places that there are so many of: none takes those of all the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fair::Owner;

/// Places of one kind, by owner. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shares {
    /// Of one owner.
    most: usize,
    /// Of all.
    places: usize,
    /// The last of these, for owners who hold none.
    kept: usize,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    of: HashMap<Owner, usize>,
}

/// One that an owner holds, until it is dropped.
#[derive(Debug)]
pub struct Share {
    of: Shares,
    owner: Owner,
}

impl Shares {
    /// Each owner may hold so many; somebody else bounds how many there are.
    pub fn new(most: usize) -> Self {
        Self { most, places: usize::MAX, kept: 0, held: Arc::default() }
    }

    /// So many places. Each owner may hold half of them, and the last quarter is for owners who hold none.
    pub fn among(places: usize) -> Self {
        Self::within(places, places.div_ceil(2))
    }

    /// So many places. Each owner may hold so many of them, and the last quarter is for owners who hold none.
    pub fn within(places: usize, most: usize) -> Self {
        Self { most, places, kept: places / 4, held: Arc::default() }
    }

    /// As many as one may hold.
    pub const fn most(&self) -> usize {
        self.most
    }

    /// One more for an owner; `None` if he holds as many as he may, or there is none for him.
    pub fn take(&self, owner: Owner) -> Option<Share> {
        let mut held = self.held();
        let count = held.of.get(&owner).copied().unwrap_or_default();
        let left = self.places.saturating_sub(held.all);
        if count >= self.most || left == 0 || (count > 0 && left <= self.kept) {
            return None;
        }
        Some(self.hold(&mut held, owner))
    }

    /// One more for an owner, whatever he holds: for one who has waited for it.
    pub fn add(&self, owner: Owner) -> Share {
        self.hold(&mut self.held(), owner)
    }

    fn hold(&self, held: &mut Held, owner: Owner) -> Share {
        *held.of.entry(owner).or_default() += 1;
        held.all += 1;
        Share { of: self.clone(), owner }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.of.held();
        held.all -= 1;
        match held.of.get_mut(&self.owner) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(held.of.remove(&self.owner)),
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
        assert_eq!(shares.held().of.len(), 1, "who holds none is forgotten");
        let _again = shares.take(one).unwrap();
        assert!(shares.take(one).is_none());
    }
    #[test]
    fn of_so_many_places_an_owner_has_half_and_the_last_quarter_is_for_who_has_none() {
        let [one, other, third, fourth] = [1, 2, 3, 4].map(|n| Owner(Uuid::from_u128(n)));
        let shares = Shares::among(8);
        let mut held: Vec<_> = (0..4).map(|_| shares.take(one).unwrap()).collect();
        assert!(shares.take(one).is_none(), "half is his");
        held.extend((0..2).map(|_| shares.take(other).unwrap()));
        assert!(shares.take(other).is_none(), "what is left is for who has none");
        held.extend([third, fourth].map(|owner| shares.take(owner).unwrap()));
        assert!(shares.take(Owner::NOBODY).is_none(), "there are no more");
        held.pop();
        assert!(shares.take(Owner::NOBODY).is_some());
        let single = Shares::among(1);
        let _only = single.take(one).unwrap();
        assert!(single.take(other).is_none());
    }
}
