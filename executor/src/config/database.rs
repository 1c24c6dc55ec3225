//! Settings of the store of many replicas.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Settings of `PostgreSQL`. Without an address, the store is a file of one process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// The login of the service, `postgresql://login:password@host:port/database?sslmode=verify-full`; it may lead to
    /// a pooler. `DATABASE_URL` says it too.
    #[serde(default, skip_serializing)]
    pub url: Option<SecretString>,
    /// The login for what must cross tenants: it may lead to the same pooler.
    #[serde(default, skip_serializing)]
    pub platform_url: Option<SecretString>,
    /// The login that owns the tables, for migrations: to the database itself.
    #[serde(default, skip_serializing)]
    pub migrate_url: Option<SecretString>,
    /// Connections of the first.
    pub connections: u32,
    /// Connections of the second.
    pub platform_connections: u32,
    /// Milliseconds that an operation may wait until it begins, and then for a lock of another.
    pub acquire_ms: u64,
    /// Milliseconds that a statement may take. A whole operation may take both and a second, also if the server hangs.
    pub statement_ms: u64,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: None,
            platform_url: None,
            migrate_url: None,
            connections: 10,
            platform_connections: 2,
            acquire_ms: 5_000,
            statement_ms: 10_000,
        }
    }
}

impl Database {
    /// How long a start waits for a database that does not answer yet.
    pub const START: Duration = Duration::from_secs(30);

    /// How long an operation may wait until it begins.
    pub const fn acquire(&self) -> Duration {
        Duration::from_millis(self.acquire_ms)
    }

    /// How long a statement may take.
    pub const fn statement(&self) -> Duration {
        Duration::from_millis(self.statement_ms)
    }
}
