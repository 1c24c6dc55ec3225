//! Transactions, begun and ended by hand: the only way to a connection.
//!
//! Behind `PgBouncer` in transaction mode, a connection to the pooler is one to the same server for as long as a
//! transaction lasts, and to any server after it. Outside of one, or with statements that stay prepared under a name,
//! queries fail, or silently return another statement's rows.

use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::store::limit::Limit;
use crate::store::{OpenConnections, StoreError, Unavailable};

/// Between two tries to begin: a pooler without a server refuses at once, again and again.
const PAUSE: Duration = Duration::from_millis(10);
/// To end what went on until its limit.
const GRACE: Duration = Duration::from_secs(1);

/// What is asked of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Everything as it is at its first statement, however many it has. One that only reads is never refused for it.
    Read,
    /// Each statement sees what is committed; what must not change meanwhile is locked by name.
    Write,
}

impl Kind {
    /// Said in full, so that no setting of a server changes it. On a standby the second is refused at once.
    const fn begin(self) -> &'static str {
        match self {
            Self::Read => "begin isolation level repeatable read, read only",
            Self::Write => "begin isolation level read committed, read write",
        }
    }
}

/// How long things may take. They hold within one transaction, since the server's session is not ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// To begin: a turn, a connection, the first answer. Also to wait for a lock of another transaction.
    pub(super) acquire: Duration,
    /// A statement.
    pub(super) statement: Duration,
}

impl Times {
    /// To the end of a transaction: a wait for a lock and a statement that takes its time, and as much more as the
    /// server needs to say itself that one of them took too long.
    fn whole(self) -> Duration {
        self.acquire.saturating_add(self.statement).saturating_add(GRACE)
    }
}

/// A login's connections, and the turns to use one.
pub(super) struct Connections {
    pool: PgPool,
    /// As many as connections. Without it, one who waits for his turn could not be told from one for whom no
    /// connection can be made.
    turns: Arc<Semaphore>,
}

impl Connections {
    pub(super) fn new(pool: PgPool, most: u32) -> Self {
        Self { pool, turns: Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS))) }
    }

    /// How many are open.
    pub(super) fn open(&self) -> OpenConnections {
        OpenConnections::of(self.pool.size(), self.pool.num_idle())
    }

    /// Waits for running transactions, and closes.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// A transaction. Dropped before its end (a caller who went away), it is taken back with its connection.
pub(super) struct Transaction {
    connection: PoolConnection<Postgres>,
    ended: bool,
    limit: Instant,
    /// Held until the connection is on its way back.
    _turn: OwnedSemaphorePermit,
}

impl Transaction {
    /// Begins, for a tenant or for none, in one round trip.
    ///
    /// A connection may have died while nobody used it: its server or the pooler was restarted. It is found out here,
    /// where nothing has been done yet, and the next one is tried.
    pub(super) async fn begin(
        of: &Connections,
        kind: Kind,
        tenant: Option<Uuid>,
        times: Times,
    ) -> Result<Self, StoreError> {
        let deadline = Instant::now() + times.acquire;
        let text = statement(kind, tenant, times);
        loop {
            let turn = timeout_at(deadline, Arc::clone(&of.turns).acquire_owned()).await;
            let turn = turn.map_err(|_| Unavailable::Busy)?.map_err(|_| not_had(sqlx::Error::PoolClosed))?;
            let connection = timeout_at(deadline, of.pool.acquire()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
            let limit = Instant::now() + times.whole();
            let mut tx = Self { connection: connection.map_err(not_had)?, ended: false, limit, _turn: turn };
            let begun = timeout_at(deadline, sqlx::raw_sql(AssertSqlSafe(text.clone())).execute(tx.db())).await;
            match begun.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(not_had) {
                Ok(_) => return Ok(tx),
                Err(Unavailable::Away(_)) if Instant::now() + PAUSE < deadline => {
                    drop(tx);
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The connection.
    pub(super) fn db(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Until when it may go on.
    pub(super) const fn limit(&self) -> Limit {
        Limit::until(self.limit)
    }

    /// Keeps what was done if the result is one, and takes it back if it is an error.
    pub(super) async fn end<T>(mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let word = if result.is_ok() { "commit" } else { "rollback" };
        let limit = Limit::until(self.limit.max(Instant::now() + GRACE));
        let ended = limit.hold(sqlx::raw_sql(word).execute(self.db())).await;
        self.ended = ended.is_ok();
        match result {
            // What could not be taken back goes with its connection.
            Err(error) => Err(error),
            Ok(value) => ended.map(|_| value),
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}

/// No connection, although it was this transaction's turn: there is nobody to connect to.
fn not_had(error: sqlx::Error) -> Unavailable {
    match error {
        sqlx::Error::PoolTimedOut => Unavailable::Away(error),
        other => other.into(),
    }
}

/// All of a beginning in one text: the transaction, whose rows it sees, and how long it may take.
fn statement(kind: Kind, tenant: Option<Uuid>, times: Times) -> String {
    let tenant = tenant.map(|id| id.to_string()).unwrap_or_default();
    let (lock, statement) = (times.acquire.as_millis(), times.statement.as_millis());
    // A client that hangs between two statements holds its locks no longer than a statement and its wait for a lock.
    let idle = lock.saturating_add(statement);
    format!(
        "{}; select set_config('app.tenant_id', '{tenant}', true), set_config('lock_timeout', '{lock}', true), \
         set_config('statement_timeout', '{statement}', true), \
         set_config('idle_in_transaction_session_timeout', '{idle}', true)",
        kind.begin()
    )
}
