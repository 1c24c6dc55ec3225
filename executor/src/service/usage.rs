//! What a tenant used.

use super::{Service, ServiceError};
use crate::domain::caller::TenantId;
use crate::domain::usage::{PeriodUsage, Span, Usage};
use crate::store::PlatformStore;

impl Service {
    /// What a tenant used, period by period: all that this process has counted, and of others what they have written.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn usage(&self, tenant: TenantId, span: &Span) -> Result<Vec<PeriodUsage>, ServiceError> {
        let store: &dyn PlatformStore = &*self.store;
        if let Err(error) = self.meter.flush(store, Some(tenant)).await {
            // Better what was written before than nothing: a full disk can still be read.
            tracing::warn!(%error, "usage is not written; the answer is as it was written last");
        }
        Ok(span.fill(self.store.usage(tenant, span).await?))
    }

    /// Counts a request that was refused.
    pub(super) fn count_refusal(&self, tenant: TenantId) {
        self.meter.count(tenant, Usage::REFUSED);
    }
}
