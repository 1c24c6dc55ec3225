//! The store and the secrets of a configuration: what the service and the commands beside it begin with.

use std::sync::Arc;
use std::time::Duration;

use super::StartError;
use crate::auth::secret::Secrets;
use crate::config::{Config, Durability};
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
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&sqlite_options(config)).await?);
        let platform = Arc::clone(&store) as Arc<dyn PlatformStore>;
        let (current, previous) = (config.master_secret.as_ref(), config.previous_master_secret.as_ref());
        let secrets = Secrets::of_store(&*platform, current, previous, Some(&config.data_dir)).await?;
        Ok(Self { store, secrets })
    }
}

fn sqlite_options(config: &Config) -> OpenOptions {
    OpenOptions {
        directory: config.data_dir.clone(),
        connections: config.store.connections,
        busy: Duration::from_millis(config.store.busy_ms),
        survives_power_loss: config.store.durability == Durability::Power,
    }
}
