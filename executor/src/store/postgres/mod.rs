//! The store of many replicas: `PostgreSQL`, directly or through `PgBouncer` in transaction mode.
//!
//! Two logins. The application's sees one tenant's rows at a time, by row-level security (`migrations/postgres/0003`);
//! the platform's sees what must cross tenants, and no rule's text. Each has its own connections, which nobody gets
//! but within a transaction ([`transaction`]).
//!
//! Nothing here is tried again after it failed half-way. Transactions that write read what is committed, and lock what
//! they must not find changed, always in this order: the rule, the count of a module, the window of a violation, the
//! violation, the platform's audit chain, the tenant's, the request. So none fails because another was quicker: it
//! waits, and then sees what the other did, also where two make a thing of one name. Should a deadlock come about all
//! the same (`40P01`), the caller is told to come again.

mod check;
mod dialect;
mod migrate;
mod open;
#[path = "../sql/mod.rs"]
#[expect(clippy::duplicate_mod, reason = "the two stores speak one SQL, each to its own library types")]
mod sql;
#[cfg(test)]
mod tests;
mod transaction;

pub use migrate::{MigrationError, migrate, migrations};
pub use open::{BadUrl, OpenError, OpenOptions};

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::scope::Scope;
use super::{OpenConnections, StoreError};
use crate::domain::caller::TenantId;
use transaction::{Connections, Kind, Times, Transaction};

/// The store of many replicas.
pub struct PostgresStore {
    application: Connections,
    platform: Connections,
    times: Times,
    /// The turn to find out whether the store can be used, and when it last could.
    checked: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for PostgresStore {
    /// Without logins and addresses.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("times", &self.times).finish_non_exhaustive()
    }
}

impl PostgresStore {
    async fn begin(&self, kind: Kind, scope: Scope) -> Result<Transaction, StoreError> {
        let (connections, tenant) = match scope {
            Scope::Tenant(tenant) => (&self.application, Some(TenantId::uuid(tenant))),
            Scope::Nobody => (&self.application, None),
            Scope::Platform => (&self.platform, None),
        };
        Transaction::begin(connections, kind, tenant, self.times).await
    }

    async fn read(&self, scope: Scope) -> Result<Transaction, StoreError> {
        self.begin(Kind::Read, scope).await
    }

    async fn write(&self, scope: Scope) -> Result<Transaction, StoreError> {
        self.begin(Kind::Write, scope).await
    }

    fn connections_now(&self) -> OpenConnections {
        self.application.open().plus(self.platform.open())
    }

    /// Waits for running transactions and closes all connections.
    async fn close_now(&self) {
        tokio::join!(self.application.close(), self.platform.close());
    }

    const fn busy(&self) -> Duration {
        self.times.acquire
    }
}
