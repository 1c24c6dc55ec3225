//! Removing what is older than it shall be kept, and writing down where the audit log ends.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config;
use crate::domain::at::At;
use crate::domain::audit::{Chain, Head, Sealer};
use crate::store::{Old, PlatformStore, StoreError};

/// Chains that are read at a time.
const PAGE: u32 = 1_000;
const HOUR_MS: i64 = 3_600_000;
/// The longest window is a day.
const WINDOW_DAYS: u64 = 2;

/// The job. Replicas may all run it: what one has removed, another does not find.
#[derive(Debug)]
pub struct Retention {
    store: Arc<dyn PlatformStore>,
    sealer: Arc<dyn Sealer>,
    settings: config::Retention,
    /// Where the chains ended when it was last written down.
    written: HashMap<Chain, u64>,
}

impl Retention {
    /// A job with these settings.
    pub fn new(store: Arc<dyn PlatformStore>, sealer: Arc<dyn Sealer>, settings: &config::Retention) -> Self {
        Self { store, sealer, settings: settings.clone(), written: HashMap::new() }
    }

    /// Runs now and every so often, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let every = self.settings.every();
        loop {
            if let Err(error) = self.once().await {
                tracing::warn!(%error, "retention did not end; it goes on at its next time");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(every) => {}
            }
        }
    }

    /// Removes everything that is too old.
    ///
    /// # Errors
    /// If the store fails; what was removed until then is gone.
    pub async fn once(&mut self) -> Result<(), StoreError> {
        // By the clock that wrote the times: a machine whose own is ahead must not remove what is young.
        let now = self.store.now().await?;
        let ago = |hours: u64| {
            At(now.0.saturating_sub(i64::try_from(hours).unwrap_or(i64::MAX / HOUR_MS).saturating_mul(HOUR_MS)))
        };
        let days = |days: u64| ago(days.saturating_mul(24));
        let old = Old {
            violations: days(self.settings.violations_days),
            requests: ago(self.settings.requests_hours),
            keys: days(self.settings.keys_days),
            usage: days(self.settings.usage_days),
            events: days(self.settings.events_days),
            outbox: days(self.settings.outbox_days),
            windows: days(WINDOW_DAYS),
        };
        loop {
            let removed = self.store.remove_old(&old).await?;
            if !removed.any() {
                break;
            }
            tracing::info!(
                violations = removed.violations,
                requests = removed.requests,
                keys = removed.keys,
                usage = removed.usage,
                events = removed.events,
                outbox = removed.outbox,
                "removed what was older than it is kept"
            );
        }
        let audit = (self.settings.audit_days > 0).then(|| days(self.settings.audit_days));
        let mut after = None;
        loop {
            let heads = self.store.audit_heads(after, PAGE).await?;
            let Some(last) = heads.last() else { return Ok(()) };
            after = Some(last.chain);
            for head in heads {
                self.write_down(&head);
                if let Some(before) = audit {
                    self.remove_audit(head.chain, before).await?;
                }
            }
        }
    }

    /// Whoever keeps the logs keeps where each chain ended: cutting its tail then shows.
    fn write_down(&mut self, head: &Head) {
        if self.written.insert(head.chain, head.seq) != Some(head.seq) {
            tracing::info!(chain = %head.chain, seq = head.seq, seal = %head.seal, "audit head");
        }
    }

    async fn remove_audit(&self, chain: Chain, before: At) -> Result<(), StoreError> {
        let Some((seq, seal)) = self.store.audit_before(chain, before).await? else { return Ok(()) };
        let proof = self.sealer.seal(&Head::removal_bytes(chain, seq, &seal));
        let removed = self.store.remove_audit(chain, seq, &seal, &proof).await?;
        tracing::info!(%chain, up_to = seq, removed, "removed entries of the audit log");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::config::Config;
    use crate::domain::tenant::{TenantLimits, TenantName};
    use crate::domain::usage::{Period, Reading, Span, Usage};
    use crate::store::TenantStore;
    use crate::store::contract::{NoSecret, change};
    use crate::store::sqlite::{OpenOptions, SqliteStore};

    #[tokio::test]
    async fn usage_is_kept_for_its_days() {
        let directory = tempfile::tempdir().unwrap();
        let options = OpenOptions {
            directory: directory.path().to_path_buf(),
            connections: 1,
            busy: Duration::from_secs(5),
            survives_power_loss: false,
        };
        let store = Arc::new(SqliteStore::open(&options).await.unwrap());
        let (name, limits) = (TenantName::new("acme").unwrap(), TenantLimits::default());
        let tenant = store.create_tenant(&name, &limits, &change()).await.unwrap().id;
        let settings =
            config::Retention { usage_days: 10, ..Config::on_free_ports(directory.path()).unwrap().retention };
        let now = Period::Hour.start(At::now());
        // Far enough from the end on both sides that the hour may end meanwhile.
        for days_and_hours in [(11, 0), (10, 2), (9, 20), (0, 0)] {
            let hours = days_and_hours.0 * 24 + days_and_hours.1;
            let hour = At(now.0 - hours * HOUR_MS);
            let reading = Reading { tenant, hour, counter: Uuid::now_v7(), used: Usage::REQUEST };
            store.keep_usage(&[reading]).await.unwrap();
        }
        let span = Span::new(Period::Day, Some(At(now.0 - 20 * 24 * HOUR_MS)), None, now).unwrap();
        let kept = async || {
            let sums = store.usage(tenant, &span, &[]).await.unwrap();
            sums.iter().map(|sum| sum.used.requests).sum::<u64>()
        };
        assert_eq!(kept().await, 4);
        let mut job = Retention::new(store.clone(), Arc::new(NoSecret), &settings);
        for _ in 0..2 {
            job.once().await.unwrap();
            assert_eq!(kept().await, 2);
        }
    }
}
