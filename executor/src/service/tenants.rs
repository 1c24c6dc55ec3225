//! Tenants: making them, their limits, and refusing their callers.

use super::{Operator, Service, ServiceError};
use crate::domain::audit::Chain;
use crate::domain::caller::TenantId;
use crate::domain::idempotency::IdempotentRequest;
use crate::domain::tenant::{Tenant, TenantLimits, TenantName};
use crate::store::StoreError;

impl Service {
    /// Makes a tenant.
    ///
    /// # Errors
    /// A name that is taken.
    pub async fn create_tenant(
        &self,
        operator: &Operator,
        name: &TenantName,
        limits: &TenantLimits,
        request: Option<IdempotentRequest>,
    ) -> Result<Tenant, ServiceError> {
        let work = async |claim| {
            let change = self.change_by(&operator.actor, &operator.marks, claim);
            Ok(self.store.create_tenant(name, limits, &change).await?)
        };
        let again = async |_| Ok(self.store.tenant_named(name).await?);
        self.once(Chain(None), request, work, again).await
    }

    /// The tenant of a name.
    ///
    /// # Errors
    /// No such tenant.
    pub async fn tenant_named(&self, name: &TenantName) -> Result<Tenant, ServiceError> {
        Ok(self.store.tenant_named(name).await?)
    }

    /// The tenant of an id that came with a request's key.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn tenant_of(&self, id: TenantId) -> Result<Tenant, ServiceError> {
        Ok((*self.tenant(id).await?).clone())
    }

    /// A page of tenants by name, and whether there are more.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn tenants(&self, after: Option<&TenantName>, limit: u32) -> Result<(Vec<Tenant>, bool), StoreError> {
        let page = self.store.tenants(after, limit.saturating_add(1)).await?;
        Ok(super::page(page, limit))
    }

    /// Gives a tenant other limits; those that are not named are the defaults again.
    ///
    /// # Errors
    /// No such tenant.
    pub async fn set_limits(
        &self,
        operator: &Operator,
        tenant: TenantId,
        limits: &TenantLimits,
    ) -> Result<Tenant, ServiceError> {
        let change = self.change_by(&operator.actor, &operator.marks, None);
        let changed = self.store.set_limits(tenant, limits, &change).await?;
        self.changed(Chain(Some(tenant)));
        Ok(changed)
    }

    /// Refuses a tenant's callers from now on, or lets them in again.
    ///
    /// # Errors
    /// No such tenant.
    pub async fn set_suspended(
        &self,
        operator: &Operator,
        tenant: TenantId,
        suspended: bool,
    ) -> Result<Tenant, ServiceError> {
        let change = self.change_by(&operator.actor, &operator.marks, None);
        let changed = self.store.set_suspended(tenant, suspended, &change).await?;
        self.changed(Chain(Some(tenant)));
        Ok(changed)
    }
}
