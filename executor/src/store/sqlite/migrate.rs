//! How far the file's tables are. Opening it takes the steps that are missing.

use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::{OpenError, SqliteStore};
use crate::store::migrations::{Step, missing};

pub(super) static MIGRATOR: Migrator = sqlx::migrate!("../migrations/sqlite");

impl SqliteStore {
    /// The steps that the tables of a directory's store lack. Changes nothing.
    ///
    /// # Errors
    /// If the file cannot be read, or its tables are of a later version.
    pub async fn missing(directory: &Path) -> Result<Vec<Step>, OpenError> {
        let path = directory.join(Self::FILE);
        let done = if path.exists() { done(&path).await } else { Ok(Vec::new()) };
        let done = done.map_err(|error| OpenError::Store { path: path.clone(), source: error.into() })?;
        missing(&MIGRATOR, &done).map_err(|source| OpenError::Misfit { path, source })
    }
}

async fn done(path: &Path) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
    let mut db = SqliteConnectOptions::new().filename(path).read_only(true).connect().await?;
    let there: bool = sqlx::query_scalar("select exists (select 1 from sqlite_master where name = '_sqlx_migrations')")
        .fetch_one(&mut db)
        .await?;
    let done = if there {
        sqlx::query_as("select version, checksum from _sqlx_migrations order by version").fetch_all(&mut db).await?
    } else {
        Vec::new()
    };
    db.close().await?;
    Ok(done)
}
