//! The store and the secrets of a configuration: what the service and the commands beside it begin with.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::StartError;
use crate::auth::secret::Secrets;
use crate::config::database::Database;
use crate::config::{Config, Durability};
use crate::store::postgres::{self, PostgresStore};
use crate::store::sqlite::{OpenOptions, SqliteStore};
use crate::store::{PlatformStore, Store};

/// An open store, and the secrets that it was made with.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// What keys, seals and cursors are made with.
    pub secrets: Secrets,
}

impl Opened {
    /// Opens the store of these settings.
    ///
    /// # Errors
    /// If it is locked, read-only or not ours, or the master secret is not the store's.
    pub async fn new(config: &Config) -> Result<Self, StartError> {
        let store: Arc<dyn Store> = match &config.database.url {
            Some(url) => Arc::new(Box::pin(PostgresStore::open(&postgres_options(config, url)?)).await?),
            None => Arc::new(SqliteStore::open(&sqlite_options(config)).await?),
        };
        let platform = Arc::clone(&store) as Arc<dyn PlatformStore>;
        // Replicas share it, and no directory.
        let directory = config.database.url.is_none().then_some(config.data_dir.as_path());
        let (current, previous) = (config.master_secret.as_ref(), config.previous_master_secret.as_ref());
        let secrets = Secrets::of_store(&*platform, current, previous, directory).await?;
        Ok(Self { store, secrets })
    }
}

fn postgres_options(config: &Config, url: &SecretString) -> Result<postgres::OpenOptions, StartError> {
    let database = &config.database;
    let platform_url = database.platform_url.clone().ok_or(StartError::Unset {
        setting: "RULEBOX_DATABASE__PLATFORM_URL",
        reason: "beside the service's login, which sees one tenant at a time, there is one for what must cross tenants",
    })?;
    Ok(postgres::OpenOptions {
        url: url.clone(),
        platform_url,
        connections: database.connections,
        platform_connections: database.platform_connections,
        acquire: database.acquire(),
        statement: database.statement(),
        patience: Database::START,
    })
}

pub(super) fn sqlite_options(config: &Config) -> OpenOptions {
    OpenOptions {
        directory: config.data_dir.clone(),
        connections: config.store.connections,
        busy: Duration::from_millis(config.store.busy_ms),
        survives_power_loss: config.store.durability == Durability::Power,
    }
}
