//! What the commands beside the service share: its settings, its store, and as whom they change it.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use uuid::Uuid;

use super::failure::Failure;
use super::signal;
use super::tenant::tenant_name;
use crate::app::opened::Opened;
use crate::auth::Keyring;
use crate::config::Config;
use crate::domain::audit::{Chain, Sealer};
use crate::domain::caller::Actor;
use crate::domain::tenant::Tenant;
use crate::invalidation::Generations;
use crate::store::sqlite::SqliteStore;
use crate::store::{Change, PlatformStore, Store, StoreError};

/// Where the settings are.
#[derive(Debug, Args)]
pub(super) struct Settings {
    /// Settings in TOML, those of `serve`; the environment overrides them
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

/// Whose.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Owner {
    /// Of this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Of the platform
    #[arg(long)]
    platform: bool,
}

/// The open store, and who changes it.
pub(super) struct Admin {
    pub(super) store: Arc<dyn Store>,
    pub(super) keyring: Keyring,
    pub(super) sealer: Arc<dyn Sealer>,
}

impl Settings {
    /// Opens the store and does the work of a command. Only one that makes something makes a store for it.
    pub(super) fn block_on(
        &self,
        makes: bool,
        work: impl AsyncFnOnce(&Admin) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let config = Config::load(self.config.as_deref(), None)?;
        if !makes && config.database.url.is_none() && !config.data_dir.join(SqliteStore::FILE).exists() {
            let directory = config.data_dir.display();
            return Err(Failure::Usage(format!(
                "there is no store in {directory}: RULEBOX_DATA_DIR says where it is, or RULEBOX_DATABASE__URL"
            )));
        }
        signal::block_on(async {
            let Opened { store, secrets } = Opened::new(&config).await?;
            let platform = Arc::clone(&store) as Arc<dyn PlatformStore>;
            let keyring = Keyring::new(platform, &secrets, Arc::new(Generations::new()));
            let admin = Admin { store, keyring, sealer: Arc::new(secrets.sealer("audit")) };
            let done = work(&admin).await;
            admin.store.close().await;
            done
        })
    }
}

impl Admin {
    /// A change by whoever runs the command.
    pub(super) fn change(&self) -> Change {
        let sealer = Arc::clone(&self.sealer);
        Change { actor: Actor::command_line(), request_id: String::new(), sealer, claim: None }
    }

    pub(super) async fn tenant(&self, name: &str) -> Result<Tenant, Failure> {
        match self.store.tenant_named(&tenant_name(name)?).await {
            Err(StoreError::NoTenant) => {
                Err(Failure::Usage(format!("there is no such tenant as `{name}`; `rulebox tenant list` shows them")))
            }
            found => Ok(found?),
        }
    }

    pub(super) async fn owner(&self, owner: &Owner) -> Result<Chain, Failure> {
        match &owner.tenant {
            Some(name) => Ok(Chain(Some(self.tenant(name).await?.id))),
            None => Ok(Chain(None)),
        }
    }
}

/// The chain of a text that `audit verify` printed.
pub(super) fn chain(text: &str) -> Result<Chain, Failure> {
    if text == "platform" {
        return Ok(Chain(None));
    }
    let wrong = |_| Failure::Usage(format!("{text:?} is not a chain: it is `platform`, or the id of a tenant"));
    Ok(Chain::from_store(Uuid::try_parse(text).map_err(wrong)?))
}
