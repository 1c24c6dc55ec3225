//! A bounded pool for work that keeps a thread busy: so many at a time, so many waiting, and the rest is told to come
//! back. Owners take turns, and none takes all the places.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prometheus::IntCounter;

use super::fair::{Bounds, Fair, Owner, Turn};
use super::places::{Placed, Places};
use super::threads::{Threads, Undone};

/// Why work was not done.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The queue is full. Nothing was started.
    #[error("the {pool} queue is full")]
    Full {
        /// Name of the pool.
        pool: &'static str,
        /// When to come back.
        retry_after: Duration,
    },
    /// The work panicked.
    #[error("work on the {pool} pool panicked: {detail}")]
    Panicked {
        /// Name of the pool.
        pool: &'static str,
        /// What it said.
        detail: String,
    },
    /// The system has no thread for it. Nothing was started.
    #[error("the system has no thread for the {pool} pool")]
    NoThread {
        /// Name of the pool.
        pool: &'static str,
        /// What it said.
        source: std::io::Error,
    },
}

/// So many threads and so many places to wait, both taken in turn by their owners.
#[derive(Clone, Debug)]
pub struct Pool {
    name: &'static str,
    /// One for each that runs or waits.
    places: Places,
    fair: Fair,
    threads: Threads,
    waiting: Arc<AtomicUsize>,
    /// Counts those who found no place.
    refused: Option<IntCounter>,
}

/// Counts one that waits, for as long as it is alive: a caller who gives up leaves the queue.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Long work that may be beside the turns, of one owner and of all, for each turn that there is.
const LONG: usize = 8;

impl Pool {
    /// A pool of `threads`, where `queue` may wait. Of the places to wait, one owner has half at most.
    pub fn new(name: &'static str, threads: usize, queue: usize) -> Self {
        let places = threads.saturating_add(queue);
        Self {
            name,
            places: Places::new(places, places.div_ceil(2).max(threads.saturating_add(1))),
            fair: Fair::new(Bounds { turns: threads, of_owner: threads.max(2), of_all: Self::most_at_a_time(threads) }),
            threads: Threads::new(name),
            waiting: Arc::default(),
            refused: None,
        }
    }

    /// Work that a pool of so many threads has begun at a time, at most.
    pub fn most_at_a_time(threads: usize) -> usize {
        threads.saturating_mul(LONG)
    }

    /// No work beside the turns: what takes long keeps its turn, and the others wait.
    #[must_use]
    pub fn strict(mut self) -> Self {
        let Bounds { turns, of_owner, .. } = self.fair.bounds();
        self.fair = Fair::new(Bounds { of_all: turns, of_owner: of_owner.min(turns), turns });
        self
    }

    /// Threads that get less of the processor than all others: for work that nobody waits for.
    #[must_use]
    pub fn slow(mut self) -> Self {
        self.threads = self.threads.slow();
        self
    }

    /// Work of one owner at a time: so much, where else it is as much as there are threads, and two at least.
    #[must_use]
    pub fn of_each_owner(mut self, most: usize) -> Self {
        self.fair = Fair::new(Bounds { of_owner: most, ..self.fair.bounds() });
        self
    }

    /// Counts those who find no place.
    #[must_use]
    pub fn counting(mut self, refused: IntCounter) -> Self {
        self.refused = Some(refused);
        self
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How many wait or work.
    pub fn in_flight(&self) -> usize {
        self.places.taken()
    }

    /// Takes a place: whoever has one waits for threads, and is not refused any more.
    ///
    /// # Errors
    /// [`PoolError::Full`].
    pub fn place(&self, owner: impl Into<Owner>) -> Result<Place, PoolError> {
        let owner = owner.into();
        let placed = self.places.take(owner).ok_or_else(|| self.full())?;
        Ok(self.placed(owner, placed))
    }

    fn placed(&self, owner: Owner, placed: Placed) -> Place {
        Place { pool: self.clone(), owner, held: Arc::new(placed) }
    }

    fn full(&self) -> PoolError {
        if let Some(refused) = &self.refused {
            refused.inc();
        }
        PoolError::Full { pool: self.name, retry_after: Duration::from_secs(1) }
    }

    /// Waits for a place, after those who came before: for those who have begun, and whom nobody refuses any more.
    ///
    /// # Errors
    /// None while the pool lives.
    pub async fn place_in_turn(&self, owner: impl Into<Owner>) -> Result<Place, PoolError> {
        let owner = owner.into();
        let placed = self.places.take_in_turn(owner).await.ok_or_else(|| self.full())?;
        Ok(self.placed(owner, placed))
    }

    /// Does the work on a thread of the pool. A caller who goes away while waiting gives up its place; work that has
    /// begun runs to its end, and keeps its thread until then.
    ///
    /// # Errors
    /// [`PoolError::Full`] at once, [`PoolError::Panicked`], [`PoolError::NoThread`].
    pub async fn run<T: Send + 'static>(
        &self,
        owner: impl Into<Owner>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        self.place(owner)?.run(work).await
    }
}

/// A place in a pool, for a request that works in several steps.
#[derive(Clone, Debug)]
pub struct Place {
    pool: Pool,
    owner: Owner,
    held: Arc<Placed>,
}

impl Place {
    /// The same place, for a step of the work that another pool does: nobody refuses it there any more.
    #[must_use]
    pub fn at(&self, pool: &Pool) -> Self {
        Self { pool: pool.clone(), owner: self.owner, held: Arc::clone(&self.held) }
    }

    /// Waits for a thread.
    pub async fn thread(&self) -> Thread {
        self.pool.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.pool.waiting);
        Thread { turn: self.pool.fair.turn(self.owner).await, place: self.clone() }
    }

    /// Waits for a thread and does the work on it.
    ///
    /// # Errors
    /// [`PoolError::Panicked`], [`PoolError::NoThread`].
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PoolError> {
        self.thread().await.run(work).await
    }
}

/// A thread of a pool, for one piece of work.
#[derive(Debug)]
pub struct Thread {
    turn: Turn,
    place: Place,
}

impl Thread {
    /// Does the work. It runs to its end, whether or not somebody waits for it.
    ///
    /// # Errors
    /// [`PoolError::Panicked`], [`PoolError::NoThread`].
    pub async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PoolError> {
        let Self { turn, place } = self;
        let (span, threads, pool) = (tracing::Span::current(), place.pool.threads.clone(), place.pool.name);
        let work = move || {
            let _place = place;
            span.in_scope(work)
        };
        threads.run(turn, work).await.map_err(|undone| match undone {
            Undone::Panicked(detail) => PoolError::Panicked { pool, detail },
            Undone::NoThread(source) => PoolError::NoThread { pool, source },
        })
    }
}

/// Who does a piece of work: a thread of a pool, or whoever asks, at once: for work that takes less than handing it over
/// and waiting for it.
#[derive(Debug)]
pub struct Worker(Option<Thread>);

impl Worker {
    /// Whoever asks.
    pub const CALLER: Self = Self(None);

    /// Does the work. It runs to its end, whether or not somebody waits for it.
    ///
    /// # Errors
    /// As [`Thread::run`].
    pub async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PoolError> {
        match self.0 {
            None => Ok(work()),
            Some(thread) => thread.run(work).await,
        }
    }
}

impl From<Thread> for Worker {
    fn from(thread: Thread) -> Self {
        Self(Some(thread))
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::sync::mpsc;
    use std::task::{Context, Waker};

    use super::*;

    const ONE: Owner = Owner(uuid::Uuid::from_u128(1));

    #[tokio::test]
    async fn what_does_not_fit_is_refused_at_once_and_places_come_back() {
        let pool = Pool::new("test", 1, 1);
        let (release, gate) = mpsc::channel::<()>();
        let (began, has_begun) = tokio::sync::oneshot::channel();
        let running = tokio::spawn({
            let pool = pool.clone();
            async move {
                pool.run(ONE, move || {
                    began.send(()).unwrap();
                    gate.recv().unwrap();
                    1
                })
                .await
            }
        });
        has_begun.await.unwrap();
        let waits = pool.run(ONE, || 2);
        tokio::pin!(waits);
        // Polled once, it has taken the last place.
        assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(pool.waiting(), 1);
        assert!(matches!(pool.run(ONE, || 3).await, Err(PoolError::Full { pool: "test", .. })));
        release.send(()).unwrap();
        assert_eq!(running.await.unwrap().unwrap(), 1);
        assert_eq!(waits.await.unwrap(), 2);
        assert_eq!((pool.run(ONE, || 4).await.unwrap(), pool.waiting()), (4, 0));
    }

    #[tokio::test]
    async fn one_who_gives_up_leaves_the_queue() {
        let pool = Pool::new("test", 1, 1);
        let busy = pool.place(ONE).unwrap().thread().await;
        {
            let gives_up = pool.run(ONE, || 1);
            tokio::pin!(gives_up);
            assert!(gives_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(pool.waiting(), 0);
        drop(busy);
        assert_eq!(pool.run(ONE, || 2).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn who_has_a_place_is_not_refused_at_the_next_step() {
        let pool = Pool::new("test", 1, 0);
        let place = pool.place(ONE).unwrap();
        assert!(matches!(pool.run(ONE, || 0).await, Err(PoolError::Full { .. })));
        assert_eq!((place.run(|| 1).await.unwrap(), place.run(|| 2).await.unwrap()), (1, 2));
        drop(place);
        assert_eq!(pool.run(ONE, || 3).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_pool_goes_on() {
        let pool = Pool::new("test", 1, 0);
        assert!(matches!(pool.run(ONE, || panic!("on purpose")).await, Err(PoolError::Panicked { .. })));
        assert_eq!(pool.run(ONE, || 2).await.unwrap(), 2);
    }
}
