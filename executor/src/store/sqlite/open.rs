//! Opening the file: directory, lock, settings of the database, migrations, and a first try to write.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::SqliteStore;
use super::migrate::{MIGRATOR, look};
use crate::store::migrations::said;
use crate::store::{Misfit, StoreError, Unavailable};

/// How to open the store.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Made if it is not there.
    pub directory: PathBuf,
    /// Connections.
    pub connections: u32,
    /// How long an operation may wait until it begins: for its turn, for a connection, for a lock of another process.
    pub busy: Duration,
    /// Whether a commit waits for the disk, and so survives the loss of power.
    pub survives_power_loss: bool,
}

/// Why the store could not be opened. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be made or written to.
    #[error("cannot use the data directory {}: {source}; set RULEBOX_DATA_DIR to a directory that can be written", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another Rulebox runs on the same directory.
    #[error("another rulebox uses {}; stop it, or go by its HTTP API; a second service needs a RULEBOX_DATA_DIR of its own", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The file is locked, read-only, damaged, or the disk is full.
    #[error("cannot open the store {}: {source}; {}", path.display(), advice(source))]
    Store {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Unavailable,
    },
    /// A later version of Rulebox, or somebody's hand, changed the tables.
    #[error("the tables of {} are not this version's: {source}; run the version that wrote them, or a later one", path.display())]
    Migration {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: MigrateError,
    },
    /// The same, found out without an attempt to change them.
    #[error("the tables of {} are not this version's: {source}", path.display())]
    Misfit {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: Misfit,
    },
}

const fn advice(unavailable: &Unavailable) -> &'static str {
    match unavailable {
        Unavailable::Locked(_) | Unavailable::Busy => {
            "end the process that holds it (a backup, a `sqlite3` shell) and start again"
        }
        Unavailable::ReadOnly(_) => "make the file and its directory writable for this user",
        Unavailable::Full(_) => "make room on the disk",
        Unavailable::Damaged(_) => "restore it from a backup, or set RULEBOX_DATA_DIR to a new directory",
        Unavailable::Row(_)
        | Unavailable::Away(_)
        | Unavailable::Slow(_)
        | Unavailable::Outgrown { .. }
        | Unavailable::Panicked(_)
        | Unavailable::Other(_) => "see the cause in the log",
    }
}

impl SqliteStore {
    /// Name of the file in the directory.
    pub const FILE: &str = "rulebox.db";

    /// Opens the store, makes it if it is not there, and brings its tables up to date.
    ///
    /// # Errors
    /// If the directory or the file cannot be used; what was there stays as it was.
    pub async fn open(options: &OpenOptions) -> Result<Self, OpenError> {
        let directory = options.directory.as_path();
        let lock = lock(directory)?;
        let path = directory.join(Self::FILE);
        make(&path).map_err(|source| OpenError::Directory { path: directory.to_path_buf(), source })?;
        let synchronous = if options.survives_power_loss { SqliteSynchronous::Full } else { SqliteSynchronous::Normal };
        let connect = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(options.busy);
        let store = |source| OpenError::Store { path: path.clone(), source };
        let pool = SqlitePoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(options.busy + Duration::from_secs(5))
            .connect_with(connect)
            .await
            .map_err(|e| store(e.into()))?;
        let standing =
            look(&mut *pool.acquire().await.map_err(|e| store(e.into()))?).await.map_err(|e| store(e.into()))?;
        let standing = standing.map_err(|source| OpenError::Misfit { path: path.clone(), source })?;
        said(&standing);
        // Where there are steps of a later version, none is missing; and the library refuses those that it does not know.
        if standing.later.is_empty() {
            MIGRATOR.run(&pool).await.map_err(|error| match error {
                MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => store(e.into()),
                source => OpenError::Migration { path: path.clone(), source },
            })?;
        }
        let opened = Self {
            pool,
            writer: Arc::default(),
            condition: Arc::default(),
            checking: Mutex::default(),
            directory: directory.to_path_buf(),
            busy: options.busy,
            _lock: lock,
        };
        match opened.heartbeat(Instant::now() + options.busy).await {
            Ok(()) => Ok(opened),
            Err(StoreError::Unavailable(source)) => Err(store(source)),
            Err(other) => Err(store(Unavailable::Row(other.to_string()))),
        }
    }
}

/// Options for a file that nobody but its owner may read: it holds hashes of keys, and the rules of tenants.
pub(super) fn for_owner() -> std::fs::OpenOptions {
    let mut options = File::options();
    options.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes an empty database file if there is none. The write-ahead log beside it gets the same permissions.
fn make(path: &Path) -> std::io::Result<()> {
    match for_owner().create_new(true).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Takes the directory for this process. The lock goes with the process, however it ends.
fn lock(directory: &Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::Directory { path: directory.to_path_buf(), source };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let file = for_owner().truncate(false).open(directory.join("rulebox.lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: directory.to_path_buf() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
