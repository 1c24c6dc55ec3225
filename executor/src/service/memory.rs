//! What is remembered of the store between requests.

use std::sync::Arc;

use rulebox_sandbox::Digest;

use super::{Caller, Service, ServiceError};
use crate::domain::audit::Chain;
use crate::domain::caller::TenantId;
use crate::domain::rule::{RuleName, Runnable};
use crate::domain::tenant::Tenant;
use crate::invalidation::{Generations, Remembered};
use crate::store::{Selection, StoreError};

/// Tenants that are remembered, with their limits and what is stopped for them.
const TENANTS: u64 = 10_000;
/// Versions that are remembered.
const VERSIONS: u64 = 100_000;

/// What is remembered of the store between requests.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    tenants: Remembered<TenantId, Arc<Tenant>>,
    stopped: Remembered<TenantId, (TenantId, Arc<[Digest]>)>,
    runnables: Remembered<(TenantId, RuleName, Option<u32>), (TenantId, Runnable)>,
}

impl Memory {
    pub(super) fn new(generations: &Arc<Generations>) -> Self {
        Self {
            tenants: Remembered::new(TENANTS, Arc::clone(generations)),
            stopped: Remembered::new(TENANTS, Arc::clone(generations)),
            runnables: Remembered::new(VERSIONS, Arc::clone(generations)),
        }
    }
}

impl Service {
    /// The tenant, with its limits.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn tenant(&self, id: TenantId) -> Result<Arc<Tenant>, StoreError> {
        let load = async { self.store.tenant(id).await.map(Arc::new) };
        self.remembered.tenants.get(id, |tenant| Chain(Some(tenant.id)), load).await
    }

    /// The version of a rule that shall run, whether it is stopped or not.
    async fn runnable(&self, tenant: TenantId, name: &RuleName, version: Option<u32>) -> Result<Runnable, StoreError> {
        let load = async {
            let selection = Selection::Named(vec![(name.clone(), version)]);
            let found = self.store.runnable(tenant, &selection).await?.into_iter().next();
            Ok::<_, StoreError>((tenant, found.ok_or_else(|| StoreError::NoRule(name.clone()))?))
        };
        let key = (tenant, name.clone(), version);
        Ok(self.remembered.runnables.get(key, |(tenant, _)| Chain(Some(*tenant)), load).await?.1)
    }

    /// Refuses modules that are stopped for the tenant.
    ///
    /// # Errors
    /// [`ServiceError::Quarantined`], or the store's: without its word nothing runs.
    pub(super) async fn check_stopped(&self, tenant: TenantId, found: &[Runnable]) -> Result<(), ServiceError> {
        let load = async {
            let digests = self.store.quarantined(tenant).await?;
            Ok::<_, StoreError>((tenant, Arc::from(digests)))
        };
        let (_, stopped) = self.remembered.stopped.get(tenant, |(tenant, _)| Chain(Some(*tenant)), load).await?;
        match found.iter().find(|runnable| stopped.contains(&runnable.digest)) {
            None => Ok(()),
            Some(runnable) => {
                Err(ServiceError::Quarantined { rule: runnable.rule.as_str().to_owned(), version: runnable.version })
            }
        }
    }

    /// The versions to run, none of which is stopped.
    pub(super) async fn find(&self, caller: &Caller, selection: &Selection) -> Result<Vec<Runnable>, ServiceError> {
        let found = match selection {
            Selection::Active(_) => self.store.runnable(caller.tenant, selection).await?,
            Selection::Named(names) => {
                let mut found = Vec::with_capacity(names.len());
                for (name, version) in names {
                    found.push(self.runnable(caller.tenant, name, *version).await?);
                }
                found
            }
        };
        self.check_stopped(caller.tenant, &found).await?;
        Ok(found)
    }
}
