//! How far the file's tables are. Opening it takes the steps that are missing.

use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::{OpenError, SqliteStore};
use crate::store::migrations::{Misfit, OLDEST_PROGRAM, Standing, TAKEN, Taken, says_with_what, standing};

pub(super) static MIGRATOR: Migrator = sqlx::migrate!("../migrations/sqlite");

impl SqliteStore {
    /// How the tables of a directory's store stand to this program. Changes nothing.
    ///
    /// # Errors
    /// If the file cannot be read, or its tables are of a later version that this one does not go with.
    pub async fn standing(directory: &Path) -> Result<Standing, OpenError> {
        let path = directory.join(Self::FILE);
        let found = if path.exists() { look_at(&path).await } else { Ok(standing(&MIGRATOR, &[], &[])) };
        let found = found.map_err(|error| OpenError::Store { path: path.clone(), source: error.into() })?;
        found.map_err(|source| OpenError::Misfit { path, source })
    }
}

async fn look_at(path: &Path) -> Result<Result<Standing, Misfit>, sqlx::Error> {
    let mut db = SqliteConnectOptions::new().filename(path).read_only(true).connect().await?;
    let found = look(&mut db).await?;
    db.close().await?;
    Ok(found)
}

pub(super) async fn look(db: &mut SqliteConnection) -> Result<Result<Standing, Misfit>, sqlx::Error> {
    let there: bool = sqlx::query_scalar("select exists (select 1 from sqlite_master where name = '_sqlx_migrations')")
        .fetch_one(&mut *db)
        .await?;
    let taken: Vec<Taken> = if there { sqlx::query_as(TAKEN).fetch_all(&mut *db).await? } else { Vec::new() };
    let says = says_with_what(&taken);
    let oldest: Vec<i64> = if says { sqlx::query_scalar(OLDEST_PROGRAM).fetch_all(db).await? } else { Vec::new() };
    Ok(standing(&MIGRATOR, &taken, &oldest))
}
