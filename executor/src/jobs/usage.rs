//! Writing down what tenants used.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::metering::Meter;
use crate::store::{PlatformStore, StoreError};

/// How long a stop waits for a store that fails.
const LAST: Duration = Duration::from_secs(5);
/// Between two tries of it.
const PAUSE: Duration = Duration::from_millis(200);

/// The job. Every replica writes what it has counted itself.
#[derive(Debug)]
pub struct FlushUsage {
    store: Arc<dyn PlatformStore>,
    meter: Arc<Meter>,
    every: Duration,
}

impl FlushUsage {
    /// A job with these settings.
    pub fn new(store: Arc<dyn PlatformStore>, meter: Arc<Meter>, settings: &config::Usage) -> Self {
        Self { store, meter, every: settings.flush() }
    }

    /// Writes every so often until `stop`, and then once more: by then, nothing may be counted any longer.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            // One that is cut off is done again.
            () = stop.cancelled() => {}
            () = self.again_and_again() => {}
        }
        self.last().await;
    }

    async fn again_and_again(&self) {
        let mut failing = false;
        loop {
            sleep(self.every).await;
            let done = self.flush().await;
            match &done {
                Ok(()) if failing => tracing::info!("usage is written again; none was lost"),
                Ok(()) => {}
                Err(error) if failing => tracing::debug!(%error, "usage is not written"),
                Err(error) => tracing::warn!(%error, "usage is not written; it is kept in memory until it can be"),
            }
            failing = done.is_err();
        }
    }

    async fn flush(&self) -> Result<(), StoreError> {
        self.meter.flush(&*self.store).await
    }

    async fn last(&self) {
        let deadline = Instant::now() + LAST;
        loop {
            match timeout_at(deadline, self.flush()).await {
                Ok(Ok(())) => return,
                Ok(Err(_)) if Instant::now() + PAUSE < deadline => sleep(PAUSE).await,
                _ => {
                    let counters = self.meter.readings(None).len();
                    return tracing::error!(
                        counters,
                        "the store fails: usage since the last time it was written is lost"
                    );
                }
            }
        }
    }
}
