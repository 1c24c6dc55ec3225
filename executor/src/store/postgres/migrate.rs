//! Migrations: by a login of their own, over a direct connection, one process at a time.

use std::time::Duration;

use secrecy::SecretString;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::time::{Instant, sleep};

use super::open::{BadUrl, PAUSE, connect_options, may_come};
use crate::store::Unavailable;
use crate::store::migrations::{Misfit, OLDEST_PROGRAM, Standing, TAKEN, Taken, says_with_what, standing};

pub(super) static MIGRATOR: Migrator = sqlx::migrate!("../migrations/postgres");

/// `rulebox` and a zero: the lock that whoever migrates holds.
const LOCK: i64 = 0x7275_6c65_626f_7800;
/// A table that others use is waited for so long. While it is, everybody else waits behind it.
const TABLE_PATIENCE: &str = "set lock_timeout = '10s'";

/// Why the tables were not brought to this version's form. What was begun is taken back.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The setting is no URL of a database.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// No connection, or one that was lost.
    #[error(
        "cannot migrate: {0}; see that RULEBOX_DATABASE__MIGRATE_URL leads to the database itself, not to a pooler, and that \
         it takes this login"
    )]
    Connection(#[source] Unavailable),
    /// The tables are not such as this version can change.
    #[error("the tables are not this version's: {0}")]
    Misfit(#[from] Misfit),
    /// A step failed, and nothing of it is kept.
    #[error(
        "a migration failed, and nothing of it is kept; the login of RULEBOX_DATABASE__MIGRATE_URL must own the database"
    )]
    Step(#[source] MigrateError),
}

impl From<sqlx::Error> for MigrationError {
    fn from(error: sqlx::Error) -> Self {
        Self::Connection(error.into())
    }
}

/// How the tables stand to this program. Changes nothing.
///
/// # Errors
/// If the database does not answer within `patience`, or its tables are of a later version that this one does not go with.
pub async fn migrations(url: &SecretString, patience: Duration) -> Result<Standing, MigrationError> {
    let mut db = connect(url, patience).await?;
    let standing = look(&MIGRATOR, &mut db).await?;
    db.close().await?;
    Ok(standing)
}

/// Takes the steps that the database lacks, and says how it stood before. If another process does so at this time, waits
/// for it. Over tables of a later version that work with this one, does nothing.
///
/// # Errors
/// If the database does not answer within `patience`, its tables are of a later version that this one does not go with,
/// or a step fails.
pub async fn migrate(url: &SecretString, patience: Duration) -> Result<Standing, MigrationError> {
    migrate_by(&MIGRATOR, url, patience).await
}

/// The same, by the steps of any version.
pub(super) async fn migrate_by(
    migrator: &Migrator,
    url: &SecretString,
    patience: Duration,
) -> Result<Standing, MigrationError> {
    let mut db = connect(url, patience).await?;
    let free: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut db).await?;
    if !free {
        tracing::info!("another process migrates the database: waiting for it");
        sqlx::query("select pg_advisory_lock($1)").bind(LOCK).execute(&mut db).await?;
    }
    let standing = look(migrator, &mut db).await?;
    // Where there are steps of a later version, none is missing; and the library refuses those that it does not know.
    if !standing.missing.is_empty() {
        sqlx::query(TABLE_PATIENCE).execute(&mut db).await?;
        // `run` takes whatever a connection can be had of, and then its future cannot be sent to another thread.
        migrator.run_direct(None, &mut db, false).await.map_err(MigrationError::Step)?;
    }
    // The lock goes with the connection.
    db.close().await?;
    Ok(standing)
}

async fn look(migrator: &Migrator, db: &mut PgConnection) -> Result<Standing, MigrationError> {
    let there: bool =
        sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null").fetch_one(&mut *db).await?;
    let taken: Vec<Taken> = if there { sqlx::query_as(TAKEN).fetch_all(&mut *db).await? } else { Vec::new() };
    let says = says_with_what(&taken);
    let oldest: Vec<i64> = if says { sqlx::query_scalar(OLDEST_PROGRAM).fetch_all(db).await? } else { Vec::new() };
    Ok(standing(migrator, &taken, &oldest)?)
}

/// Connects, to a database that may be just starting.
async fn connect(url: &SecretString, patience: Duration) -> Result<PgConnection, MigrationError> {
    let options: PgConnectOptions = connect_options(url, "RULEBOX_DATABASE__MIGRATE_URL")?;
    // What is there already is no news.
    let options = options.options([("client_min_messages", "warning")]);
    let deadline = Instant::now() + patience;
    loop {
        match options.connect().await.map_err(Unavailable::from) {
            Ok(connection) => return Ok(connection),
            Err(error) if may_come(&error) && Instant::now() < deadline => sleep(PAUSE).await,
            Err(error) => return Err(MigrationError::Connection(error)),
        }
    }
}
