//! Stopping a module for a tenant, and letting it go.

use super::violations::check_note;
use super::{Operator, Service, ServiceError, page};
use crate::domain::audit::Chain;
use crate::domain::caller::TenantId;
use crate::domain::quarantine::{Quarantine, Stopped, StoppedPlace};
use crate::domain::rule::RuleName;

impl Service {
    /// A page of modules that are stopped, the latest first, and whether there are more: a tenant's, or for the platform
    /// those of all tenants, or of the one that is named.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn quarantines(
        &self,
        owner: Chain,
        tenant: Option<TenantId>,
        after: Option<StoppedPlace>,
        limit: u32,
    ) -> Result<(Vec<Stopped>, bool), ServiceError> {
        Ok(page(self.store.stopped(owner, tenant, after, limit.saturating_add(1)).await?, limit))
    }

    /// Stops the module of a version for a tenant, under whatever name or version it has there; once more changes
    /// nothing. Within a second no replica runs it.
    ///
    /// # Errors
    /// No such rule or version; a reason that is too long.
    pub async fn quarantine(
        &self,
        operator: &Operator,
        tenant: TenantId,
        name: &RuleName,
        version: u32,
        reason: &str,
    ) -> Result<Quarantine, ServiceError> {
        check_note("reason", reason)?;
        let change = self.change_by(&operator.actor, &operator.marks, None);
        let made = self.store.quarantine(tenant, name, version, reason, &change).await?;
        self.changed(Chain(Some(tenant)));
        self.news.come();
        tracing::warn!(%tenant, rule = %name, version, digest = %made.digest, "a module was put in quarantine");
        Ok(made)
    }

    /// Lets a stopped module go.
    ///
    /// # Errors
    /// No such rule or version; it is not stopped.
    pub async fn release(
        &self,
        operator: &Operator,
        tenant: TenantId,
        name: &RuleName,
        version: u32,
    ) -> Result<Quarantine, ServiceError> {
        let change = self.change_by(&operator.actor, &operator.marks, None);
        let released = self.store.release(tenant, name, version, &change).await?;
        self.changed(Chain(Some(tenant)));
        self.news.come();
        tracing::warn!(%tenant, rule = %name, version, digest = %released.digest, "a module was let go");
        Ok(released)
    }
}
