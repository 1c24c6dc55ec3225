//! Room in memory for request bodies and the bars read from them.

use std::sync::Arc;

use prometheus::IntCounter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::{Code, Problem};

/// Permits are of this many bytes, so that their number fits.
const UNIT_BYTES: usize = 1024;
/// Bodies up to this size have room of their own: a bar of a live engine does not wait for others' backtests.
pub const SMALL_BYTES: usize = 64 << 10;
/// That room is this part of the other.
const SMALL_PART: usize = 8;

/// All the room that there is.
#[derive(Clone, Debug)]
pub struct BodyRooms {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    /// Permits of `large`.
    units: usize,
    refused: IntCounter,
}

impl BodyRooms {
    /// Room for this many bytes; who gets none is counted.
    pub fn new(bytes: usize, refused: IntCounter) -> Self {
        let units = units(bytes).clamp(1, Semaphore::MAX_PERMITS);
        let small = (units / SMALL_PART).max(units_of_small());
        Self { small: Arc::new(Semaphore::new(small)), large: Arc::new(Semaphore::new(units)), units, refused }
    }

    /// No room yet.
    pub fn none(&self) -> BodyRoom {
        BodyRoom { rooms: self.clone(), permit: None, is_small: true }
    }
}

/// The room that one request has, until it is dropped.
#[derive(Debug)]
pub struct BodyRoom {
    rooms: BodyRooms,
    permit: Option<OwnedSemaphorePermit>,
    is_small: bool,
}

impl BodyRoom {
    /// Room for so many bytes in all. No request asks for more than there is: the largest is run alone.
    ///
    /// # Errors
    /// [`Code::OVERLOADED`] if others have it.
    pub fn resize(&mut self, bytes: usize) -> Result<(), Problem> {
        let is_small = bytes <= SMALL_BYTES;
        let wanted = units(bytes).min(if is_small { units_of_small() } else { self.rooms.units });
        // The room of the other kind is given back once there is new room.
        let mut kept = self.permit.take();
        let moved = if self.is_small == is_small { None } else { kept.take() };
        let have = kept.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if let Some(more) = wanted.checked_sub(have).filter(|more| *more > 0) {
            let new = self.take(is_small, more)?;
            match &mut kept {
                Some(kept) => kept.merge(new),
                None => kept = Some(new),
            }
        } else if let Some(kept) = &mut kept {
            drop(kept.split(have - wanted));
        }
        drop(moved);
        (self.permit, self.is_small) = (kept, is_small);
        Ok(())
    }

    fn take(&self, small: bool, units: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let room = if small { &self.rooms.small } else { &self.rooms.large };
        let permit = u32::try_from(units).ok().and_then(|units| Arc::clone(room).try_acquire_many_owned(units).ok());
        permit.ok_or_else(|| {
            self.rooms.refused.inc();
            let problem = Problem::new(Code::OVERLOADED, "too many request bodies are being read");
            Problem { retry_after: Some(1), ..problem }
        })
    }
}

const fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT_BYTES)
}

const fn units_of_small() -> usize {
    units(SMALL_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rooms(bytes: usize) -> BodyRooms {
        BodyRooms::new(bytes, IntCounter::new("refused", "In a test.").unwrap())
    }

    #[test]
    fn large_bodies_leave_room_for_small_ones() {
        let rooms = rooms(1 << 20);
        let (mut large, mut small, mut other) = (rooms.none(), rooms.none(), rooms.none());
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
        let mut room = rooms.none();
        let free = |rooms: &BodyRooms| (rooms.small.available_permits(), rooms.large.available_permits());
        let all = free(&rooms);
        room.resize(2_000).unwrap();
        assert_eq!(free(&rooms), (all.0 - 2, all.1));
        room.resize(100 << 10).unwrap();
        assert_eq!(free(&rooms), (all.0, all.1 - 100));
        room.resize(300 << 10).unwrap();
        assert_eq!(free(&rooms), (all.0, all.1 - 300));
        room.resize(200 << 10).unwrap();
        assert_eq!(free(&rooms), (all.0, all.1 - 200));
        room.resize(usize::MAX).unwrap();
        assert_eq!(free(&rooms), (all.0, 0));
        drop(room);
        assert_eq!(free(&rooms), all);
    }
}
