//! Connections that have not asked for anything yet. They take no place of those that have: who opens many and asks nothing
//! keeps nobody out, and is the first to go.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Those that have not said anything, the oldest first. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Newcomers {
    most: usize,
    /// Places of those that have.
    room: Arc<Semaphore>,
    silent: Arc<Mutex<Silent>>,
}

#[derive(Debug, Default)]
struct Silent {
    next: u64,
    connections: BTreeMap<u64, CancellationToken>,
}

/// What one connection has: nothing until its first request, and then a place, until it ends.
#[derive(Debug)]
pub struct Guest {
    of: Newcomers,
    id: u64,
    shown_out: CancellationToken,
    has_spoken: AtomicBool,
    place: OnceCell<Option<OwnedSemaphorePermit>>,
}

impl Newcomers {
    /// At most so many; those who speak share the room.
    pub fn new(most: usize, room: Arc<Semaphore>) -> Self {
        Self { most, room, silent: Arc::default() }
    }

    /// One more. If there are too many, the oldest goes.
    pub fn enter(&self) -> Guest {
        let shown_out = CancellationToken::new();
        let mut silent = self.silent();
        let id = silent.next;
        silent.next += 1;
        silent.connections.insert(id, shown_out.clone());
        while silent.connections.len() > self.most {
            let Some((_, oldest)) = silent.connections.pop_first() else { break };
            oldest.cancel();
        }
        drop(silent);
        Guest { of: self.clone(), id, shown_out, has_spoken: AtomicBool::new(false), place: OnceCell::new() }
    }

    fn silent(&self) -> MutexGuard<'_, Silent> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// Whether there has been a request.
    pub fn has_spoken(&self) -> bool {
        self.has_spoken.load(Ordering::Relaxed)
    }

    /// There is a request: it is no newcomer's any more, and waits for a place if it is the first.
    pub async fn speaks(&self) {
        if !self.has_spoken.swap(true, Ordering::Relaxed) {
            self.of.silent().connections.remove(&self.id);
        }
        // It is never closed.
        self.place.get_or_init(|| async { Arc::clone(&self.of.room).acquire_owned().await.ok() }).await;
    }

    /// Until it has to go.
    pub async fn shown_out(&self) {
        self.shown_out.cancelled().await;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.of.silent().connections.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_that_says_nothing_goes_and_who_speaks_stays() {
        let room = Arc::new(Semaphore::new(1));
        let newcomers = Newcomers::new(2, Arc::clone(&room));
        let (first, second) = (newcomers.enter(), newcomers.enter());
        first.speaks().await;
        first.speaks().await;
        assert_eq!(room.available_permits(), 0);
        let (third, fourth) = (newcomers.enter(), newcomers.enter());
        second.shown_out().await;
        assert!([&first, &third, &fourth].iter().all(|guest| !guest.shown_out.is_cancelled()));
        assert!(tokio::time::timeout(std::time::Duration::from_millis(50), third.speaks()).await.is_err());
        drop(first);
        third.speaks().await;
        assert!(third.has_spoken() && !fourth.has_spoken());
        drop((second, third, fourth));
        assert!(newcomers.silent().connections.is_empty() && room.available_permits() == 1);
    }
}
