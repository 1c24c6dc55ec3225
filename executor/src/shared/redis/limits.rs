//! Limits by the script, and by this replica's share while Redis is away.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;

use super::RedisShared;
use crate::domain::caller::TenantId;
use crate::shared::gcra::{Rate, double};
use crate::shared::{Decision, Limiter, Policy, Quota, SharedError, Source};

/// What the script says: allowed, remaining, microseconds to come back or -1, microseconds until empty.
type Said = (i64, u64, i64, u64);

impl RedisShared {
    /// Pours in, or takes out if it is negative. `now` in microseconds; none is Redis' clock.
    pub(super) async fn pour(
        &self,
        tenant: TenantId,
        policy: Policy,
        cost: i64,
        quota: Quota,
        now: Option<u64>,
    ) -> Result<Decision, SharedError> {
        let rate = Rate::from(quota);
        let key = self.link.key(format_args!("limit:{}:{tenant}", policy.name()));
        let mut call = self.limit.key(key);
        call.arg(cost).arg(rate.per_second).arg(rate.burst).arg(now.map_or_else(String::new, |now| now.to_string()));
        let said: Said = self.link.ask(async |mut redis| call.invoke_async(&mut redis).await).await?;
        let (allowed, remaining, retry, reset) = said;
        Ok(Decision {
            allowed: allowed == 1,
            remaining,
            retry_after: u64::try_from(retry).map_or(Duration::MAX, Duration::from_micros),
            reset_after: Duration::from_micros(reset),
            source: Source::Shared,
        })
    }

    /// Among how many replicas a quota is shared.
    pub(super) fn parts(&self) -> u64 {
        self.replicas.load(Ordering::Relaxed).max(1)
    }
}

/// As a number that the script can take; no quota is as large as those that cannot be told from each other.
fn signed(cost: u64) -> i64 {
    const MOST: i64 = 1 << 53;
    i64::try_from(cost).map_or(MOST, |cost| cost.min(MOST))
}

#[async_trait]
impl Limiter for RedisShared {
    async fn take(&self, tenant: TenantId, policy: Policy, cost: u64, quota: Quota) -> Decision {
        let parts = self.parts();
        let share = Rate::from(quota).share(parts);
        match self.pour(tenant, policy, signed(cost), quota, None).await {
            Ok(decision) => {
                // Should Redis go, this replica's share is as full as the whole was.
                let level = double(Rate::from(quota).burst.saturating_sub(decision.remaining)) / double(parts);
                self.local.mirror((tenant, policy), level, share);
                decision
            }
            Err(error) => {
                if let SharedError::Malformed { .. } = &error {
                    tracing::error!(error = crate::telemetry::chain(&error), %tenant, "a limit cannot be read");
                }
                self.local.take((tenant, policy), cost, share, Source::Local)
            }
        }
    }

    async fn give_back(&self, tenant: TenantId, policy: Policy, cost: u64, quota: Quota) {
        let share = Rate::from(quota).share(self.parts());
        // First to where it can have come from; a limit is rather kept too well than not at all.
        let rest = self.local.give_back((tenant, policy), cost, share);
        if rest > 0
            && let Err(error) = self.pour(tenant, policy, -signed(rest), quota, None).await
        {
            tracing::debug!(error = crate::telemetry::chain(&error), %tenant, "what was not used is not given back");
        }
    }
}
