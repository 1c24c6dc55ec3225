//! A bounded pool for work that keeps a thread busy: so many at a time, so many waiting, and the rest is told to come
//! back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prometheus::IntCounter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
        /// What the runtime said.
        detail: String,
    },
}

/// So many threads and so many places to wait.
#[derive(Clone, Debug)]
pub struct Pool {
    name: &'static str,
    /// One permit for each that runs or waits.
    places: Arc<Semaphore>,
    /// One permit for each that runs.
    threads: Arc<Semaphore>,
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

impl Pool {
    /// A pool of `threads`, where `queue` may wait.
    pub fn new(name: &'static str, threads: usize, queue: usize) -> Self {
        let places = threads.saturating_add(queue).min(Semaphore::MAX_PERMITS);
        Self {
            name,
            places: Arc::new(Semaphore::new(places)),
            threads: Arc::new(Semaphore::new(threads.min(Semaphore::MAX_PERMITS))),
            waiting: Arc::default(),
            refused: None,
        }
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

    /// Takes a place: whoever has one waits for threads, and is not refused any more.
    ///
    /// # Errors
    /// [`PoolError::Full`].
    pub fn place(&self) -> Result<Place, PoolError> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(Place { pool: self.clone(), permit: Arc::new(permit) });
        }
        if let Some(refused) = &self.refused {
            refused.inc();
        }
        Err(PoolError::Full { pool: self.name, retry_after: Duration::from_secs(1) })
    }

    /// Waits for a place, in turn: for those who have begun, and whom nobody refuses any more.
    ///
    /// # Errors
    /// None while the pool lives.
    pub async fn place_in_turn(&self) -> Result<Place, PoolError> {
        match Arc::clone(&self.places).acquire_owned().await {
            Ok(permit) => Ok(Place { pool: self.clone(), permit: Arc::new(permit) }),
            Err(_) => Err(PoolError::Full { pool: self.name, retry_after: Duration::from_secs(1) }),
        }
    }

    /// Does the work on a thread of the pool. A caller who goes away while waiting gives up its place; work that has
    /// begun runs to its end, and keeps its thread until then.
    ///
    /// # Errors
    /// [`PoolError::Full`] at once, or [`PoolError::Panicked`].
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PoolError> {
        self.place()?.run(work).await
    }
}

/// A place in a pool, for a request that works in several steps.
#[derive(Clone, Debug)]
pub struct Place {
    pool: Pool,
    permit: Arc<OwnedSemaphorePermit>,
}

impl Place {
    /// Waits for a thread.
    ///
    /// # Errors
    /// None while the pool lives.
    pub async fn thread(&self) -> Result<Thread, PoolError> {
        self.pool.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.pool.waiting);
        match Arc::clone(&self.pool.threads).acquire_owned().await {
            Ok(permit) => Ok(Thread { pool: self.pool.name, permits: (Arc::clone(&self.permit), permit) }),
            Err(_) => Err(PoolError::Full { pool: self.pool.name, retry_after: Duration::from_secs(1) }),
        }
    }

    /// Waits for a thread and does the work on it.
    ///
    /// # Errors
    /// [`PoolError::Panicked`].
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PoolError> {
        self.thread().await?.run(work).await
    }
}

/// A thread of a pool, for one piece of work.
#[derive(Debug)]
pub struct Thread {
    pool: &'static str,
    permits: (Arc<OwnedSemaphorePermit>, OwnedSemaphorePermit),
}

impl Thread {
    /// Does the work. It runs to its end, whether or not somebody waits for it.
    ///
    /// # Errors
    /// [`PoolError::Panicked`].
    pub async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PoolError> {
        let span = tracing::Span::current();
        let done = tokio::task::spawn_blocking(move || {
            let _permits = self.permits;
            span.in_scope(work)
        });
        done.await.map_err(|e| PoolError::Panicked { pool: self.pool, detail: e.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::sync::mpsc;
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_is_refused_at_once_and_places_come_back() {
        let pool = Pool::new("test", 1, 1);
        let (release, gate) = mpsc::channel::<()>();
        let (began, has_begun) = tokio::sync::oneshot::channel();
        let running = tokio::spawn({
            let pool = pool.clone();
            async move {
                pool.run(move || {
                    began.send(()).unwrap();
                    gate.recv().unwrap();
                    1
                })
                .await
            }
        });
        has_begun.await.unwrap();
        let waits = pool.run(|| 2);
        tokio::pin!(waits);
        // Polled once, it has taken the last place.
        assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(pool.waiting(), 1);
        assert!(matches!(pool.run(|| 3).await, Err(PoolError::Full { pool: "test", .. })));
        release.send(()).unwrap();
        assert_eq!(running.await.unwrap().unwrap(), 1);
        assert_eq!(waits.await.unwrap(), 2);
        assert_eq!((pool.run(|| 4).await.unwrap(), pool.waiting()), (4, 0));
    }

    #[tokio::test]
    async fn one_who_gives_up_leaves_the_queue() {
        let pool = Pool::new("test", 1, 1);
        let busy = Arc::clone(&pool.threads).acquire_owned().await.unwrap();
        {
            let gives_up = pool.run(|| 1);
            tokio::pin!(gives_up);
            assert!(gives_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(pool.waiting(), 0);
        drop(busy);
        assert_eq!(pool.run(|| 2).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn who_has_a_place_is_not_refused_at_the_next_step() {
        let pool = Pool::new("test", 1, 0);
        let place = pool.place().unwrap();
        assert!(matches!(pool.run(|| 0).await, Err(PoolError::Full { .. })));
        assert_eq!((place.run(|| 1).await.unwrap(), place.run(|| 2).await.unwrap()), (1, 2));
        drop(place);
        assert_eq!(pool.run(|| 3).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_pool_goes_on() {
        let pool = Pool::new("test", 1, 0);
        assert!(matches!(pool.run(|| panic!("on purpose")).await, Err(PoolError::Panicked { .. })));
        assert_eq!(pool.run(|| 2).await.unwrap(), 2);
    }
}
