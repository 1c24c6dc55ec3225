//! Sends what waits in the outbox. Every replica does: a lease says whose a delivery is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::delivery::on_call::OnCall;
use crate::delivery::outbox::Deliverer;
use crate::store::StoreError;

/// Between two looks for what is due.
const EVERY: Duration = Duration::from_millis(500);
/// Between two looks at how much waits.
const MEASURE: Duration = Duration::from_secs(5);
/// How long a stop waits for tries to end. Those that do not are made again by others.
const LAST: Duration = Duration::from_secs(5);

/// Pushes of alerts at a time: one that hangs holds up no new ones.
const PUSHES: usize = 4;

/// The job.
#[derive(Debug)]
pub struct Deliver {
    deliverer: Arc<Deliverer>,
    on_call: Arc<OnCall>,
    at_a_time: usize,
    news: watch::Receiver<u64>,
}

/// Tries of one kind: when to look for more, and how many may go on.
struct Tries<'a> {
    room: Arc<Semaphore>,
    ended: Arc<Notify>,
    ticks: Interval,
    news: watch::Receiver<u64>,
    failing: bool,
    all: &'a TaskTracker,
}

impl Deliver {
    /// A job that tries so many webhooks at a time, and alerts beside them. It looks at once when there is `news` of this
    /// process, and from time to time for what others wrote.
    pub fn new(deliverer: Deliverer, on_call: OnCall, at_a_time: usize, news: watch::Receiver<u64>) -> Self {
        Self { deliverer: Arc::new(deliverer), on_call: Arc::new(on_call), at_a_time, news }
    }

    /// Goes on until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let tries = TaskTracker::new();
        tokio::select! {
            () = stop.cancelled() => {}
            // Receivers that hang hold up no alert.
            () = self.send_webhooks(Tries::new(self.at_a_time, self.news.clone(), &tries)) => {}
            () = self.push_alerts(Tries::new(PUSHES, self.news.clone(), &tries)) => {}
            () = self.measure() => {}
        }
        tries.close();
        if timeout(LAST, tries.wait()).await.is_err() {
            tracing::info!(tries = tries.len(), "deliveries did not end in time: they are tried again");
        }
    }

    async fn send_webhooks(&self, mut tries: Tries<'_>) {
        // Webhooks that had their turn in this round, however much waits for them.
        let mut had = BTreeSet::new();
        loop {
            // As long as a round goes on, it does not wait for its time. Nothing is taken that could not be tried at
            // once: its lease would run out.
            let free = if had.is_empty() { tries.due().await } else { tries.free().await };
            let over: Vec<_> = had.iter().copied().collect();
            let Some(taken) = tries.taken(self.deliverer.take(free, &over).await).await else {
                had.clear();
                continue;
            };
            for leased in taken {
                had.extend(leased.delivery.endpoint);
                let deliverer = Arc::clone(&self.deliverer);
                tries.spawn(async move { deliverer.deliver(&leased).await }).await;
            }
        }
    }

    async fn push_alerts(&self, mut tries: Tries<'_>) {
        if !self.on_call.is_reachable() {
            return std::future::pending().await;
        }
        let mut more = false;
        loop {
            if more {
                tries.free().await;
            } else {
                tries.due().await;
            }
            let taken = tries.taken(self.on_call.take().await).await;
            more = taken.is_some();
            if let Some(taken) = taken {
                let on_call = Arc::clone(&self.on_call);
                tries.spawn(async move { on_call.tell(taken).await }).await;
            }
        }
    }

    async fn measure(&self) {
        let mut ticks = interval(MEASURE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.on_call.measure().await {
                tracing::debug!(%error, "what waits to be delivered cannot be counted");
            }
        }
    }
}

impl<'a> Tries<'a> {
    fn new(at_a_time: usize, news: watch::Receiver<u64>, all: &'a TaskTracker) -> Self {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (room, ended) = (Arc::new(Semaphore::new(at_a_time)), Arc::new(Notify::new()));
        Self { room, ended, ticks, news, failing: false, all }
    }

    /// When it is time to look, and there is room; and for how many.
    async fn due(&mut self) -> u32 {
        tokio::select! {
            _ = self.ticks.tick() => {}
            () = self.ended.notified() => {}
            Ok(()) = self.news.changed() => {}
        }
        self.free().await
    }

    /// When there is room, and for how many.
    async fn free(&self) -> u32 {
        while self.room.available_permits() == 0 {
            self.ended.notified().await;
        }
        u32::try_from(self.room.available_permits()).unwrap_or(u32::MAX)
    }

    /// What was taken, if there is anything; after a failure, not before its time comes again.
    async fn taken<T>(&mut self, taken: Result<Vec<T>, StoreError>) -> Option<Vec<T>> {
        let failed = taken.is_err();
        if let Err(error) = &taken
            && !self.failing
        {
            tracing::warn!(%error, "what waits to be delivered cannot be read; it is kept");
        }
        self.failing = failed;
        if failed {
            // Whatever ends meanwhile.
            self.ticks.reset();
            self.ticks.tick().await;
        }
        taken.ok().filter(|taken| !taken.is_empty())
    }

    async fn spawn(&self, attempt: impl Future<Output = Result<(), StoreError>> + Send + 'static) {
        // There is room: nobody else takes of it.
        let Ok(permit) = Arc::clone(&self.room).acquire_owned().await else { return };
        let ended = Arc::clone(&self.ended);
        self.all.spawn(async move {
            if let Err(error) = attempt.await {
                tracing::warn!(%error, "what was to be delivered is tried again");
            }
            drop(permit);
            ended.notify_one();
        });
    }
}
