//! [`RuleStore`]: one transaction an operation.

use async_trait::async_trait;

use super::dialect::Store;
use super::{rules, stored, versions};
use crate::domain::caller::TenantId;
use crate::domain::rule::{Most, NewVersion, Rule, RuleName, Runnable, Storage, StoredModule, Version};
use crate::store::scope::Scope;
use crate::store::{Change, Precondition, RuleStore, Selection, StoreError};

#[async_trait]
impl RuleStore for Store {
    async fn create_rule(
        &self,
        tenant: TenantId,
        name: &RuleName,
        version: &NewVersion,
        most: &Most,
        change: &Change,
    ) -> Result<Version, StoreError> {
        let mut tx = self.write(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(rules::create(tx.db(), tenant, name, version, most, change)).await;
        tx.end(done).await
    }

    async fn add_version(
        &self,
        tenant: TenantId,
        name: &RuleName,
        version: &NewVersion,
        precondition: &Precondition,
        most: &Most,
        change: &Change,
    ) -> Result<Version, StoreError> {
        let mut tx = self.write(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(versions::add(tx.db(), tenant, name, version, precondition, most, change)).await;
        tx.end(done).await
    }

    async fn stored(&self, tenant: TenantId) -> Result<Storage, StoreError> {
        let mut tx = self.read(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(stored::find(tx.db(), tenant)).await;
        tx.end(done).await
    }

    async fn rule(&self, tenant: TenantId, name: &RuleName) -> Result<Rule, StoreError> {
        let mut tx = self.read(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(rules::get(tx.db(), tenant, name)).await;
        tx.end(done).await
    }

    async fn rules(
        &self,
        tenant: TenantId,
        after: Option<&RuleName>,
        limit: u32,
        archived: bool,
    ) -> Result<Vec<Rule>, StoreError> {
        let mut tx = self.read(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(rules::list(tx.db(), tenant, after, limit, archived)).await;
        tx.end(done).await
    }

    async fn archive_rule(
        &self,
        tenant: TenantId,
        name: &RuleName,
        precondition: &Precondition,
        change: &Change,
    ) -> Result<Rule, StoreError> {
        let mut tx = self.write(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(rules::archive(tx.db(), tenant, name, precondition, change)).await;
        tx.end(done).await
    }

    async fn activate(
        &self,
        tenant: TenantId,
        name: &RuleName,
        version: u32,
        precondition: &Precondition,
        change: &Change,
    ) -> Result<Rule, StoreError> {
        let mut tx = self.write(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(rules::activate(tx.db(), tenant, name, version, precondition, change)).await;
        tx.end(done).await
    }

    async fn version(&self, tenant: TenantId, name: &RuleName, number: u32) -> Result<Version, StoreError> {
        let mut tx = self.read(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(versions::find(tx.db(), tenant, name, number)).await;
        tx.end(done).await
    }

    async fn versions(
        &self,
        tenant: TenantId,
        name: &RuleName,
        after: u32,
        limit: u32,
    ) -> Result<Vec<Version>, StoreError> {
        let mut tx = self.read(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(versions::list(tx.db(), tenant, name, after, limit)).await;
        tx.end(done).await
    }

    async fn source(&self, tenant: TenantId, name: &RuleName, number: u32) -> Result<Option<String>, StoreError> {
        let mut tx = self.read(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(versions::source(tx.db(), tenant, name, number)).await;
        tx.end(done).await
    }

    async fn module(&self, tenant: TenantId, name: &RuleName, number: u32) -> Result<StoredModule, StoreError> {
        let mut tx = self.read(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(versions::module(tx.db(), tenant, name, number)).await;
        tx.end(done).await
    }

    async fn runnable(&self, tenant: TenantId, selection: &Selection) -> Result<Vec<Runnable>, StoreError> {
        let mut tx = self.read(Scope::Tenant(tenant)).await?;
        let done = tx.limit().hold(versions::runnable(tx.db(), tenant, selection)).await;
        tx.end(done).await
    }
}
