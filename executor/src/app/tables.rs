//! Migrations of the store of a configuration, whichever it is.

use secrecy::SecretString;

use super::StartError;
use super::opened::sqlite_options;
use crate::config::Config;
use crate::config::database::Database;
use crate::store::sqlite::SqliteStore;
use crate::store::{PlatformStore, Step, postgres};

/// What the tables lack of this version's form. Changes nothing.
///
/// # Errors
/// If the store does not answer, or is of a later version.
pub async fn missing(config: &Config) -> Result<Vec<Step>, StartError> {
    Ok(match &config.database.url {
        Some(_) => postgres::migrations(login(config)?, Database::START).await?,
        None => SqliteStore::missing(&config.data_dir).await?,
    })
}

/// Brings the tables to this version's form, and says by which steps.
///
/// # Errors
/// If the store does not answer, is of a later version, or a step fails.
pub async fn migrate(config: &Config) -> Result<Vec<Step>, StartError> {
    if config.database.url.is_some() {
        return Ok(postgres::migrate(login(config)?, Database::START).await?);
    }
    let steps = SqliteStore::missing(&config.data_dir).await?;
    // Opening it does.
    SqliteStore::open(&sqlite_options(config)).await?.close().await;
    Ok(steps)
}

fn login(config: &Config) -> Result<&SecretString, StartError> {
    config.database.migrate_url.as_ref().ok_or(StartError::Unset {
        setting: "RULEBOX_DATABASE__MIGRATE_URL",
        reason: "migrations need the login that owns the tables: the service's may not change them",
    })
}
