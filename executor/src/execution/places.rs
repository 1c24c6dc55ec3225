//! Places that there are so many of, shared by owners so that none takes those of all the others.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::fair::Owner;
use super::shares::{Share, Shares};

/// So many places. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Places {
    /// What each owner has of them.
    shares: Shares,
    size: usize,
    free: Arc<Semaphore>,
}

/// One that is taken, until it is dropped.
#[derive(Debug)]
pub struct Placed {
    _share: Share,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// So many, of which one owner may have `most`; the last quarter is for owners who have none.
    pub fn new(size: usize, most: usize) -> Self {
        let size = size.min(Semaphore::MAX_PERMITS);
        Self { shares: Shares::within(size, most), size, free: Arc::new(Semaphore::new(size)) }
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.size.saturating_sub(self.free.available_permits())
    }

    /// Takes one, if there is one for this owner.
    pub fn take(&self, owner: Owner) -> Option<Placed> {
        let share = self.shares.take(owner)?;
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Placed { _share: share, _permit: permit })
    }

    /// Waits for one, after those who came before, whatever the owner has. `None` never while there are places.
    pub async fn take_in_turn(&self, owner: Owner) -> Option<Placed> {
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        Some(Placed { _share: self.shares.add(owner), _permit: permit })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn owner(n: u128) -> Owner {
        Owner(Uuid::from_u128(n))
    }

    #[tokio::test]
    async fn owners_leave_places_to_others() {
        let places = Places::new(8, 4);
        let mut held: Vec<_> = (0..4).map(|_| places.take(owner(1)).unwrap()).collect();
        assert!(places.take(owner(1)).is_none(), "half is his");
        held.extend((0..2).map(|_| places.take(owner(2)).unwrap()));
        assert!(places.take(owner(2)).is_none(), "the last quarter is for who has none");
        held.extend([3, 4].map(|n| places.take(owner(n)).unwrap()));
        assert!(places.take(owner(5)).is_none(), "there are no more");
        assert_eq!(places.taken(), 8);
        held.pop();
        assert_eq!(places.taken(), 7);
        assert!(places.take_in_turn(owner(1)).await.is_some());
        drop(held);
        assert!(places.take(owner(1)).is_some());
    }
}
