//! What alerts watch beside requests: whether the audit log is whole, and when the service was last backed up
//! and a backup last tried.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::domain::at::At;
use crate::domain::audit::Sealer;
use crate::service::audit::{Verified, Verifier};
use crate::store::{Backups, Store, StoreError};
use crate::telemetry::metrics::Metrics;

/// Between two looks at what was written down of backups.
const LOOK: Duration = Duration::from_mins(1);

/// Between two times that the audit log is verified from its beginning, and not from where it ended the last time.
const WHOLE: Duration = Duration::from_hours(24);

/// The job. Every replica looks for itself.
#[derive(Debug)]
pub struct Upkeep {
    store: Arc<dyn Store>,
    verifier: Verifier,
    /// Between two times that the audit log is verified.
    every: Duration,
    metrics: Metrics,
}

impl Upkeep {
    /// A job that verifies the audit log so often.
    pub fn new(store: Arc<dyn Store>, sealer: Arc<dyn Sealer>, every: Duration, metrics: Metrics) -> Self {
        Self { verifier: Verifier::new(Arc::clone(&store), sealer), store, every, metrics }
    }

    /// Goes on until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut verify_at = Instant::now();
        let mut whole_at = Instant::now() + WHOLE;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(error) = self.look_for_backups().await {
                tracing::debug!(%error, "what was written down of backups cannot be read");
            }
            if Instant::now() < verify_at {
                continue;
            }
            if Instant::now() >= whole_at {
                self.verifier.begin_anew();
                whole_at = Instant::now() + WHOLE;
            }
            // It may read for long, and nothing that it has found is lost with it.
            match stop.run_until_cancelled(self.verify()).await {
                None => return,
                Some(Ok(())) => verify_at = Instant::now() + self.every,
                Some(Err(error)) => {
                    tracing::warn!(%error, "the audit log was not verified to its end; it is tried again");
                }
            }
        }
    }

    async fn look_for_backups(&self) -> Result<(), StoreError> {
        let Backups { made, restored, failed } = self.store.backups().await?;
        let seconds = |at: Option<At>| at.map_or(0, |at| at.0.div_euclid(1_000));
        let gauges = &self.metrics.upkeep;
        gauges.backup_last_success.set(seconds(made));
        gauges.restore_test_last_success.set(seconds(restored));
        gauges.restore_test_last_failure.set(seconds(failed));
        Ok(())
    }

    async fn verify(&mut self) -> Result<(), StoreError> {
        let mut broken = 0;
        let found = |Verified { chain, broken: wrong, .. }| {
            if let Some(wrong) = wrong {
                broken += 1;
                tracing::error!(%chain, error = %wrong, "the audit log was changed: `rulebox audit verify` says more");
            }
        };
        let verified = self.verifier.verify(found).await;
        let gauge = &self.metrics.upkeep.audit_chains_broken;
        // What was not read to its end has what was found in it, and may have what was found before.
        gauge.set(if verified.is_ok() { broken } else { broken.max(gauge.get()) });
        verified
    }
}
