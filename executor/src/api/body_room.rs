//! Room in memory for request bodies and the bars read from them. No tenant takes all of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntCounter;

use super::problem::{Code, Problem};
use crate::execution::fair::Owner;

/// Bodies up to this size have room of their own: a bar of a live engine does not wait for others' backtests.
pub const SMALL_BYTES: usize = 64 << 10;
/// That room is this part of the other.
const SMALL_PART: usize = 8;

/// All the room that there is.
#[derive(Clone, Debug)]
pub struct BodyRooms {
    small: Arc<Space>,
    large: Arc<Space>,
    refused: IntCounter,
}

/// Bytes, of which each owner has some.
#[derive(Debug)]
struct Space {
    bytes: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    of: HashMap<Owner, usize>,
}

impl BodyRooms {
    /// Room for this many bytes; who gets none is counted.
    pub fn new(bytes: usize, refused: IntCounter) -> Self {
        let bytes = bytes.max(SMALL_BYTES);
        let small = (bytes / SMALL_PART).max(SMALL_BYTES);
        Self { small: Arc::new(Space::new(small)), large: Arc::new(Space::new(bytes)), refused }
    }

    /// No room yet, of a request of this owner.
    pub fn none(&self, owner: Owner) -> BodyRoom {
        BodyRoom { rooms: self.clone(), owner, bytes: 0, is_small: true }
    }

    fn space(&self, small: bool) -> &Space {
        if small { &self.small } else { &self.large }
    }
}

impl Space {
    fn new(bytes: usize) -> Self {
        Self { bytes, held: Mutex::default() }
    }

    /// More for a request that has `mine`. The only request of an owner may have all that is free; those of one who has
    /// several have half, and leave the last quarter to the others.
    fn take(&self, owner: Owner, mine: usize, more: usize) -> bool {
        let mut held = self.held();
        let Some(free) = self.bytes.saturating_sub(held.all).checked_sub(more) else { return false };
        let before = held.of.get(&owner).copied().unwrap_or_default();
        let after = before.saturating_add(more);
        if before > mine && (after > self.bytes / 2 || free < self.bytes / 4) {
            return false;
        }
        held.all = held.all.saturating_add(more);
        held.of.insert(owner, after);
        true
    }

    fn give_back(&self, owner: Owner, bytes: usize) {
        let mut held = self.held();
        held.all = held.all.saturating_sub(bytes);
        match held.of.get(&owner).copied().unwrap_or_default().saturating_sub(bytes) {
            0 => drop(held.of.remove(&owner)),
            rest => drop(held.of.insert(owner, rest)),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room that one request has, until it is dropped.
#[derive(Debug)]
pub struct BodyRoom {
    rooms: BodyRooms,
    owner: Owner,
    bytes: usize,
    is_small: bool,
}

impl BodyRoom {
    /// Room for so many bytes in all. No request asks for more than there is: the largest is run alone.
    ///
    /// # Errors
    /// [`Code::OVERLOADED`] if others have it, or others of the same owner have his part.
    pub fn resize(&mut self, bytes: usize) -> Result<(), Problem> {
        let is_small = bytes <= SMALL_BYTES;
        let space = self.rooms.space(is_small);
        let wanted = bytes.min(space.bytes);
        let mine = if self.is_small == is_small { self.bytes } else { 0 };
        if let Some(more) = wanted.checked_sub(mine).filter(|more| *more > 0)
            && !space.take(self.owner, mine, more)
        {
            self.rooms.refused.inc();
            let problem = Problem::new(Code::OVERLOADED, "too many request bodies are being read");
            return Err(Problem { retry_after: Some(1), ..problem });
        }
        // The room of the other kind is given back once there is new room.
        let back = if self.is_small == is_small { mine.saturating_sub(wanted) } else { self.bytes };
        self.rooms.space(self.is_small).give_back(self.owner, back);
        (self.bytes, self.is_small) = (wanted, is_small);
        Ok(())
    }
}

impl Drop for BodyRoom {
    fn drop(&mut self) {
        self.rooms.space(self.is_small).give_back(self.owner, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ONE: Owner = Owner(Uuid::from_u128(1));
    const OTHER: Owner = Owner(Uuid::from_u128(2));

    fn rooms(bytes: usize) -> BodyRooms {
        BodyRooms::new(bytes, IntCounter::new("refused", "In a test.").unwrap())
    }

    fn free(rooms: &BodyRooms) -> (usize, usize) {
        let free = |space: &Space| space.bytes - space.held().all;
        (free(&rooms.small), free(&rooms.large))
    }

    #[test]
    fn large_bodies_leave_room_for_small_ones() {
        let rooms = rooms(1 << 20);
        let (mut large, mut small, mut other) = (rooms.none(ONE), rooms.none(OTHER), rooms.none(OTHER));
        large.resize(1 << 20).unwrap();
        small.resize(SMALL_BYTES).unwrap();
        assert_eq!(other.resize(SMALL_BYTES + 1).unwrap_err().code, Code::OVERLOADED);
        assert_eq!(rooms.refused.get(), 1);
        drop(large);
        other.resize(SMALL_BYTES + 1).unwrap();
    }

    #[test]
    fn room_grows_shrinks_and_comes_back() {
        let rooms = rooms(1 << 20);
        let mut room = rooms.none(ONE);
        let all = free(&rooms);
        room.resize(2_000).unwrap();
        assert_eq!(free(&rooms), (all.0 - 2_000, all.1));
        for large in [100 << 10, 300 << 10, 200 << 10] {
            room.resize(large).unwrap();
            assert_eq!(free(&rooms), (all.0, all.1 - large));
        }
        room.resize(usize::MAX).unwrap();
        assert_eq!(free(&rooms), (all.0, 0));
        drop(room);
        assert_eq!(free(&rooms), all);
        assert!(rooms.large.held().of.is_empty(), "who holds none is forgotten");
    }

    #[test]
    fn the_bodies_of_one_tenant_leave_room_for_those_of_the_others() {
        let rooms = rooms(1 << 20);
        let body = 100 << 10;
        let taken = |owner| {
            let mut room = rooms.none(owner);
            room.resize(body).map(|()| room)
        };
        let held: Vec<_> = std::iter::from_fn(|| taken(ONE).ok()).collect();
        assert_eq!(held.len(), 5, "half is his");
        let others: Vec<_> = std::iter::from_fn(|| taken(OTHER).ok()).collect();
        assert_eq!(others.len(), 2, "the last quarter is for who has none");
        let _third = taken(Owner(Uuid::from_u128(3))).unwrap();
        // One that grows bit by bit is held to the same.
        drop((held, others));
        let mut rooms_of_one = [rooms.none(ONE), rooms.none(ONE)];
        let mut steps = 0;
        while rooms_of_one.iter_mut().all(|room| room.resize(SMALL_BYTES + 1 + steps * 1_024).is_ok()) {
            steps += 1;
        }
        assert!(rooms_of_one.iter().map(|room| room.bytes).sum::<usize>() <= (1 << 20) / 2);
        taken(OTHER).unwrap();
    }
}
