//! Migrations of the store of a configuration, whichever it is.

use secrecy::SecretString;

use super::StartError;
use super::opened::sqlite_options;
use crate::config::Config;
use crate::config::database::Database;
use crate::store::sqlite::SqliteStore;
use crate::store::{PlatformStore, Standing, postgres};

/// How the tables stand to this version. Changes nothing.
///
/// # Errors
/// If the store does not answer, or is of a later version that this one does not go with.
pub async fn standing(config: &Config) -> Result<Standing, StartError> {
    Ok(match &config.database.url {
        Some(_) => postgres::migrations(login(config)?, Database::START).await?,
        None => SqliteStore::standing(&config.data_dir).await?,
    })
}

/// Takes the steps that the tables lack, and says how they stood before.
///
/// # Errors
/// If the store does not answer, is of a later version that this one does not go with, or a step fails.
pub async fn migrate(config: &Config) -> Result<Standing, StartError> {
    if config.database.url.is_some() {
        return Ok(postgres::migrate(login(config)?, Database::START).await?);
    }
    let standing = SqliteStore::standing(&config.data_dir).await?;
    // Opening it takes them.
    SqliteStore::open(&sqlite_options(config)).await?.close().await;
    Ok(standing)
}

fn login(config: &Config) -> Result<&SecretString, StartError> {
    config.database.migrate_url.as_ref().ok_or(StartError::Unset {
        setting: "RULEBOX_DATABASE__MIGRATE_URL",
        reason: "migrations need the login that owns the tables: the service's may not change them",
    })
}
