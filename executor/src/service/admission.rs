//! What a tenant may take a second: requests, and fuel, which is taken at its proved maximum and given back after. Here
//! too it is counted what a tenant uses: when a request is let in or refused, and when a run is settled.

use std::sync::Arc;
use std::time::Duration;

use super::tenant_limits::InForce;
use super::{Service, ServiceError};
use crate::domain::caller::TenantId;
use crate::domain::usage::Usage;
use crate::metering::Meter;
use crate::shared::{Decision, Limiter, Policy, Quota};

/// A policy as it stands for a tenant after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// What comes back in a second, and how much there can be.
    pub quota: Quota,
    /// What was decided.
    pub decision: Decision,
    /// The policy of fuel, for who wants to know before he runs into it.
    pub fuel: Quota,
}

impl InForce {
    /// Of requests: as many at once as in a second.
    pub const fn requests(&self) -> Quota {
        Quota { per_second: self.requests_per_second, burst: self.requests_per_second }
    }

    /// Of fuel: at least one call can always be paid for, if one waits.
    pub fn fuel(&self) -> Quota {
        Quota { per_second: self.fuel_per_second, burst: self.fuel_per_second.max(self.fuel_per_call) }
    }
}

impl Service {
    /// Takes a request of a tenant's.
    ///
    /// # Errors
    /// [`ServiceError::RateLimited`], [`ServiceError::Suspended`]; if the store fails.
    pub async fn admit(&self, tenant: TenantId) -> Result<Admitted, ServiceError> {
        let limits = self.limits_of(tenant).await?;
        let quota = limits.requests();
        let taken = self.take(tenant, Policy::Requests, 1, quota).await;
        let decision = taken.inspect_err(|_| self.count_refusal(tenant))?;
        self.meter.count(tenant, Usage::REQUEST);
        Ok(Admitted { quota, decision, fuel: limits.fuel() })
    }

    /// Takes what a run may need at most.
    ///
    /// # Errors
    /// [`ServiceError::RateLimited`].
    pub(super) async fn reserve_fuel(
        &self,
        tenant: TenantId,
        limits: &InForce,
        most: u64,
    ) -> Result<Reserved, ServiceError> {
        let reserved = self.try_reserve_fuel(tenant, limits, most).await;
        reserved.inspect_err(|_| self.count_refusal(tenant))
    }

    /// The same for who may wait and try again: it does not count as a refused request.
    ///
    /// # Errors
    /// [`ServiceError::RateLimited`].
    pub(super) async fn try_reserve_fuel(
        &self,
        tenant: TenantId,
        limits: &InForce,
        most: u64,
    ) -> Result<Reserved, ServiceError> {
        let quota = limits.fuel();
        self.take(tenant, Policy::Fuel, most, quota).await?;
        let (limiter, meter) = (Arc::clone(&self.shared.limiter), Arc::clone(&self.meter));
        Ok(Reserved { limiter, meter, tenant, quota, rest: most, tasks: self.tasks.clone() })
    }

    async fn take(&self, tenant: TenantId, policy: Policy, cost: u64, quota: Quota) -> Result<Decision, ServiceError> {
        let decision = self.shared.limiter.take(tenant, policy, cost, quota).await;
        let word = if decision.allowed { "allowed" } else { "refused" };
        self.metrics.ratelimit_decisions.with_label_values(&[policy.name(), word]).inc();
        if decision.allowed { Ok(decision) } else { Err(ServiceError::RateLimited { policy, quota, decision }) }
    }
}

/// Fuel that was taken for a run, until it is known how much was used. Dropped before, all of it is given back.
pub(super) struct Reserved {
    limiter: Arc<dyn Limiter>,
    meter: Arc<Meter>,
    tenant: TenantId,
    quota: Quota,
    rest: u64,
    tasks: tokio_util::task::TaskTracker,
}

impl Reserved {
    /// Counts what was used, and gives back what was not.
    pub(super) async fn settle(mut self, used: Usage) {
        self.meter.count(self.tenant, used);
        let rest = std::mem::take(&mut self.rest).saturating_sub(used.fuel);
        if rest > 0 {
            self.limiter.give_back(self.tenant, Policy::Fuel, rest, self.quota).await;
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let rest = std::mem::take(&mut self.rest);
        if rest > 0 {
            let (limiter, tenant, quota) = (Arc::clone(&self.limiter), self.tenant, self.quota);
            self.tasks.spawn(async move { limiter.give_back(tenant, Policy::Fuel, rest, quota).await });
        }
    }
}

/// Whole seconds, as `Retry-After` counts them.
pub fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}
