//! What a tenant used.

use super::{Service, ServiceError};
use crate::domain::caller::TenantId;
use crate::domain::usage::{PeriodUsage, Span, Usage};

impl Service {
    /// What a tenant used, period by period: all that this process has counted, and of others what they have written.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn usage(&self, tenant: TenantId, span: &Span) -> Result<Vec<PeriodUsage>, ServiceError> {
        // Before the store is read: what is written in between is not missing, and not there twice.
        let own = self.meter.readings(Some(tenant));
        Ok(span.sums(&self.store.usage(tenant, span, &own).await?))
    }

    /// Counts a request that was refused.
    pub(super) fn count_refusal(&self, tenant: TenantId) {
        self.meter.count(tenant, Usage::REFUSED);
    }
}
