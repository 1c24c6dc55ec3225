//! A thread of its own for the connections to Redis.
//!
//! In a rush, the threads of requests are slow to look at what has arrived. If Redis' answers waited for their turn
//! among requests, a replica would take its own slowness for a Redis that is away: sessions would be refused, and limits
//! go by share, with a Redis that has long answered.

use std::future::{Future, poll_fn};
use std::pin::pin;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::task::AbortOnDropHandle;

/// The thread. What lives on it ends with it.
#[derive(Debug)]
pub(super) struct Thread {
    /// There until it is dropped.
    runtime: Option<Runtime>,
    inside: Inside,
}

/// The way in.
#[derive(Clone, Debug)]
pub(super) struct Inside(Handle);

impl Thread {
    /// Starts it.
    ///
    /// # Errors
    /// If the system has no thread.
    pub fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("redis").enable_all().build()?;
        let inside = Inside(runtime.handle().clone());
        Ok(Self { runtime: Some(runtime), inside })
    }

    /// The way in.
    pub const fn inside(&self) -> &Inside {
        &self.inside
    }

    /// Does work on it, for as long as somebody holds what this gives.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(self.inside.0.spawn(work))
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Whoever drops it may be a task, which must not wait.
            runtime.shutdown_background();
        }
    }
}

impl Inside {
    /// Waits where the caller is, while sockets, timers and tasks that are made on the way are the thread's. An answer
    /// that came in time is an answer, however late the caller looks.
    pub async fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let _inside = self.0.enter();
            work.as_mut().poll(context)
        })
        .await
    }

    /// Waits on a thread of its own: one that belongs to no runtime.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.0.block_on(work)
    }
}
