//! Sends what waits in the outbox. Every replica does: a lease says whose a delivery is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::delivery::outbox::Deliverer;
use crate::domain::outbox::DeliveryKind;

/// Between two looks for what is due.
const EVERY: Duration = Duration::from_millis(500);
/// Between two looks at how much waits.
const MEASURE: Duration = Duration::from_secs(5);
/// How long a stop waits for tries to end. Those that do not are made again by others.
const LAST: Duration = Duration::from_secs(5);

/// The job.
#[derive(Debug)]
pub struct Deliver {
    deliverer: Arc<Deliverer>,
    at_a_time: usize,
    news: watch::Receiver<u64>,
}

impl Deliver {
    /// A job that tries so many webhooks at a time, and so many alerts beside them. It looks at once when there is
    /// `news` of this process, and from time to time for what others wrote.
    pub fn new(deliverer: Deliverer, at_a_time: usize, news: watch::Receiver<u64>) -> Self {
        Self { deliverer: Arc::new(deliverer), at_a_time, news }
    }

    /// Goes on until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let tries = TaskTracker::new();
        tokio::select! {
            () = stop.cancelled() => {}
            // Receivers that hang hold up no alert.
            () = self.send(DeliveryKind::Webhook, &tries) => {}
            () = self.send(DeliveryKind::Alert, &tries) => {}
            () = self.measure() => {}
        }
        tries.close();
        if timeout(LAST, tries.wait()).await.is_err() {
            tracing::info!(tries = tries.len(), "deliveries did not end in time: they are tried again");
        }
    }

    async fn send(&self, kind: DeliveryKind, tries: &TaskTracker) {
        if !self.deliverer.has_receiver(kind) {
            return std::future::pending().await;
        }
        let (room, ended) = (Arc::new(Semaphore::new(self.at_a_time)), Arc::new(Notify::new()));
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut failing, mut news) = (false, self.news.clone());
        // Webhooks that had their turn in this round, however much waits for them.
        let mut had = BTreeSet::new();
        loop {
            // As long as a round goes on, it does not wait for its time.
            if had.is_empty() {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = ended.notified() => {}
                    Ok(()) = news.changed() => {}
                }
            } else if room.available_permits() == 0 {
                ended.notified().await;
            }
            // Nothing is taken that could not be tried at once: its lease would run out.
            let free = u32::try_from(room.available_permits()).unwrap_or(u32::MAX);
            if free == 0 {
                continue;
            }
            let over: Vec<_> = had.iter().copied().collect();
            let taken = match self.deliverer.take(kind, free, &over).await {
                Ok(taken) => {
                    failing = false;
                    taken
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "what waits to be delivered cannot be read; it is kept");
                    }
                    failing = true;
                    had.clear();
                    // Whatever ends meanwhile.
                    ticks.reset();
                    ticks.tick().await;
                    continue;
                }
            };
            if taken.is_empty() {
                had.clear();
                continue;
            }
            for leased in taken {
                had.extend(leased.delivery.endpoint);
                // There is room: nobody else takes of it.
                let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
                let (deliverer, ended) = (Arc::clone(&self.deliverer), Arc::clone(&ended));
                tries.spawn(async move {
                    if let Err(error) = deliverer.deliver(kind, &leased).await {
                        tracing::warn!(%error, delivery = %leased.delivery.id, "a delivery is tried again");
                    }
                    drop(permit);
                    ended.notify_one();
                });
            }
        }
    }

    async fn measure(&self) {
        let mut ticks = interval(MEASURE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.deliverer.measure().await {
                tracing::debug!(%error, "what waits to be delivered cannot be counted");
            }
        }
    }
}
