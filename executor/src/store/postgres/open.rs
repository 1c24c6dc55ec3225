//! Opening: both logins, what they may do, and whether the tables are this version's.

use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::Postgres;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::PostgresStore;
use super::migrate::MIGRATOR;
use super::transaction::{Connections, Kind, Times, Transaction};
use crate::store::migrations::{Misfit, OLDEST_PROGRAM, Standing, Step, TAKEN, Taken, said, says_with_what, standing};
use crate::store::{StoreError, Unavailable};

/// Between two tries to reach a database that is starting.
pub(super) const PAUSE: Duration = Duration::from_millis(200);

/// How to open the store.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The login of the service: a member of `rulebox_app`.
    pub url: SecretString,
    /// The login for what must cross tenants: a member of `rulebox_platform`.
    pub platform_url: SecretString,
    /// Connections of the first.
    pub connections: u32,
    /// Connections of the second.
    pub platform_connections: u32,
    /// How long an operation may wait until it begins, and then for a lock.
    pub acquire: Duration,
    /// How long a statement may take.
    pub statement: Duration,
    /// How long to wait for a database that does not answer yet.
    pub patience: Duration,
}

/// A setting that is no URL of a database. It is not shown: it has a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no URL of a PostgreSQL database: it must be postgresql://login:password@host:port/database?sslmode=…")]
pub struct BadUrl(pub &'static str);

/// Why the store could not be opened. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting is no URL of a database.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// The database does not answer, or refuses the login.
    #[error("cannot open the store by {setting}: {source}; see that the database runs, and that it takes this login")]
    Connection {
        /// The setting whose URL it is.
        setting: &'static str,
        /// What is wrong.
        source: Unavailable,
    },
    /// The tables lack what this version needs.
    #[error(
        "the store lacks {count} of this version's migrations, from {first} on; run `rulebox migrate`, or start with \
         --migrate"
    )]
    Pending {
        /// How many.
        count: usize,
        /// The first.
        first: Step,
    },
    /// There are no tables, or the login may not see them.
    #[error(
        "there are no tables of Rulebox that the login of {0} may see; run `rulebox migrate` (or start with --migrate), \
         and grant the login its role"
    )]
    NoTables(&'static str),
    /// A later version of Rulebox, or somebody's hand, changed the tables.
    #[error("the tables of the store are not this version's: {0}")]
    Misfit(#[from] Misfit),
    /// The login may do more than it should, or less.
    #[error("the login of {setting} {fault}: make it as deploy/postgres/roles.sql does")]
    Login {
        /// The setting whose login it is.
        setting: &'static str,
        /// What is wrong with it.
        fault: &'static str,
    },
}

/// The two logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Login {
    Application,
    Platform,
}

impl Login {
    const fn setting(self) -> &'static str {
        match self {
            Self::Application => "RULEBOX_DATABASE__URL",
            Self::Platform => "RULEBOX_DATABASE__PLATFORM_URL",
        }
    }
}

impl PostgresStore {
    /// Connects, and sees that the tables are this version's and that the logins are what they should be.
    ///
    /// # Errors
    /// If the database does not answer in time, or anything of that is not so.
    pub async fn open(options: &OpenOptions) -> Result<Self, OpenError> {
        let times = Times { acquire: options.acquire, statement: options.statement };
        let connections = |url, login: Login, most| {
            let connect = connect_options(url, login.setting())?;
            let pool = PgPoolOptions::new()
                .max_connections(most)
                .acquire_timeout(options.acquire)
                // Beginning a transaction finds out as much, in the same round trip.
                .test_before_acquire(false)
                .connect_lazy_with(connect);
            Ok::<_, BadUrl>(Connections::new(pool, most))
        };
        let store = Self {
            application: connections(&options.url, Login::Application, options.connections)?,
            platform: connections(&options.platform_url, Login::Platform, options.platform_connections)?,
            times,
            checked: Mutex::default(),
        };
        let deadline = Instant::now() + options.patience;
        for login in [Login::Application, Login::Platform] {
            let connections = match login {
                Login::Application => &store.application,
                Login::Platform => &store.platform,
            };
            match when_there(connections, login, times, deadline).await {
                // Once: the tables are the same by either login.
                Ok(standing) if login == Login::Application => said(&standing),
                Ok(_) => {}
                Err(error) => {
                    store.close_now().await;
                    return Err(error);
                }
            }
        }
        Ok(store)
    }
}

/// Looks at the tables and the login, as soon as the database answers.
async fn when_there(of: &Connections, login: Login, times: Times, deadline: Instant) -> Result<Standing, OpenError> {
    let mut said = false;
    loop {
        let source = match look(of, login, times).await {
            Err(Look::Store(StoreError::Unavailable(source))) => source,
            Err(Look::Store(other)) => Unavailable::Row(other.to_string()),
            Err(Look::Open(error)) => return Err(error),
            Ok(standing) => return Ok(standing),
        };
        if !may_come(&source) || Instant::now() >= deadline {
            return Err(OpenError::Connection { setting: login.setting(), source });
        }
        if !std::mem::replace(&mut said, true) {
            tracing::warn!(error = %source, "the database does not answer yet: waiting for it");
        }
        sleep(PAUSE).await;
    }
}

/// Whether waiting may help. It does not against a server without TLS, or with another certificate.
pub(super) fn may_come(unavailable: &Unavailable) -> bool {
    match unavailable {
        Unavailable::Away(sqlx::Error::Tls(_)) => false,
        // So the library of TLS says that a certificate does not hold.
        Unavailable::Away(sqlx::Error::Io(source)) => source.kind() != std::io::ErrorKind::InvalidData,
        Unavailable::Away(_) => true,
        other => matches!(other, Unavailable::Busy),
    }
}

enum Look {
    Store(StoreError),
    Open(OpenError),
}

impl From<StoreError> for Look {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Of a login: bypasses row-level security, owns tables, may do what `rulebox_app`, `rulebox_platform` and
/// `rulebox_lookup` may.
type Rights = (bool, bool, bool, bool, bool);

async fn look(of: &Connections, login: Login, times: Times) -> Result<Standing, Look> {
    let mut tx = Transaction::begin(of, Kind::Read, None, times).await?;
    let limit = tx.limit();
    let taken = sqlx::query_as::<Postgres, Taken>(TAKEN).persistent(false).fetch_all(tx.db());
    let taken = match limit.hold(taken).await {
        Ok(taken) => taken,
        Err(error) if not_seen(&error) => return Err(Look::Open(OpenError::NoTables(login.setting()))),
        Err(error) => return Err(error.into()),
    };
    let oldest = if says_with_what(&taken) {
        limit.hold(sqlx::query_scalar::<Postgres, i64>(OLDEST_PROGRAM).persistent(false).fetch_all(tx.db())).await?
    } else {
        Vec::new()
    };
    let standing = standing(&MIGRATOR, &taken, &oldest).map_err(|misfit| Look::Open(misfit.into()))?;
    if let Some(first) = standing.missing.first() {
        return Err(Look::Open(OpenError::Pending { count: standing.missing.len(), first: first.clone() }));
    }
    let row = sqlx::query_as::<Postgres, Rights>(
        "select rolsuper or rolbypassrls,
                exists (select from pg_class where relnamespace = 'public'::regnamespace
                        and pg_has_role(relowner, 'member')),
                pg_has_role('rulebox_app', 'usage'),
                pg_has_role('rulebox_platform', 'usage'),
                pg_has_role('rulebox_lookup', 'member')
         from pg_roles where rolname = current_user",
    )
    .persistent(false)
    .fetch_one(tx.db());
    let row = limit.hold(row).await;
    let row = tx.end(row).await?;
    match fault(row, login) {
        None => Ok(standing),
        Some(fault) => Err(Look::Open(OpenError::Login { setting: login.setting(), fault })),
    }
}

/// A table that is not there, or may not be seen.
fn not_seen(error: &StoreError) -> bool {
    let StoreError::Unavailable(Unavailable::Other(sqlx::Error::Database(error))) = error else { return false };
    matches!(error.code().as_deref(), Some("42P01" | "42501"))
}

/// What is wrong with a login. Row-level security stops neither a superuser nor who may lift it.
fn fault((bypasses, owns, app, platform, lookup): Rights, login: Login) -> Option<&'static str> {
    match login {
        _ if bypasses => Some("is a superuser or bypasses row-level security"),
        _ if owns => Some("owns tables, or is a member of the role that does"),
        _ if lookup => Some("is a member of rulebox_lookup"),
        Login::Application if !app => Some("is no member of rulebox_app"),
        Login::Application if platform => Some("is a member of rulebox_platform, and may cross tenants"),
        Login::Platform if !platform => Some("is no member of rulebox_platform"),
        Login::Platform if app => Some("is a member of rulebox_app as well"),
        _ => None,
    }
}

/// Parameters that a URL may have beside its address: others are refused, where the library would write them to the
/// log.
const PARAMETERS: [&str; 10] =
    ["sslmode", "sslrootcert", "sslcert", "sslkey", "host", "hostaddr", "port", "dbname", "user", "password"];

/// Reads a URL of a database.
pub(super) fn connect_options(url: &SecretString, setting: &'static str) -> Result<PgConnectOptions, BadUrl> {
    let url = url.expose_secret();
    let known = |pair: &str| PARAMETERS.contains(&pair.split('=').next().unwrap_or_default());
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let scheme = url.starts_with("postgresql://") || url.starts_with("postgres://");
    if !scheme || !query.split('&').filter(|pair| !pair.is_empty()).all(known) {
        return Err(BadUrl(setting));
    }
    let options = PgConnectOptions::from_str(url).map_err(|_| BadUrl(setting))?;
    // A pooler refuses the second, which is for numbers that no table has.
    Ok(options.application_name("rulebox").extra_float_digits(None))
}
