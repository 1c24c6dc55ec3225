//! Why an operation of the store did not happen.

use crate::domain::caller::TenantId;
use crate::domain::rule::{RuleName, StorageLimit};
use crate::domain::tenant::TenantName;

/// Why an operation did not happen. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The tenant has no such rule.
    #[error("there is no rule `{0}`")]
    NoRule(RuleName),
    /// The rule has no such version.
    #[error("rule `{0}` has no version {1}")]
    NoVersion(RuleName, u32),
    /// The rule is there, but none of its versions is active.
    #[error("rule `{0}` has no active version")]
    NotActive(RuleName),
    /// The tenant has a rule of that name.
    #[error("there is a rule `{name}` already{}", if *archived { ", archived" } else { "" })]
    NameTaken {
        /// The name.
        name: RuleName,
        /// Whether it is archived.
        archived: bool,
    },
    /// The rule is archived.
    #[error("rule `{0}` is archived")]
    Archived(RuleName),
    /// The tenant has as many rules as it may have.
    #[error("the tenant has {limit} rules that are not archived, and may have no more")]
    RulesLimit {
        /// How many it may have.
        limit: u64,
    },
    /// The tenant would keep more than it may.
    #[error(transparent)]
    StorageLimit(#[from] StorageLimit),
    /// Somebody changed the rule since the caller saw it.
    #[error("rule `{name}` has been changed: it is at revision {revision}")]
    Stale {
        /// The rule.
        name: RuleName,
        /// Where it is now.
        revision: u64,
    },
    /// There is no such tenant.
    #[error("there is no such tenant")]
    NoTenant,
    /// A tenant has that name.
    #[error("there is a tenant `{0}` already")]
    TenantTaken(TenantName),
    /// There is no such key.
    #[error("there is no such key")]
    NoKey,
    /// That module is not stopped for the tenant.
    #[error("version {1} of rule `{0}` is not in quarantine")]
    NotQuarantined(RuleName, u32),
    /// There is no such violation, or it is another tenant's.
    #[error("there is no such violation")]
    NoViolation,
    /// A reviewer is done with the violation.
    #[error("the violation is resolved")]
    Resolved,
    /// There is no such webhook, or it is another tenant's.
    #[error("there is no such webhook")]
    NoWebhook,
    /// The tenant has as many webhooks as it may have.
    #[error("the tenant has {limit} webhooks, and may have no more")]
    WebhooksLimit {
        /// How many it may have.
        limit: u64,
    },
    /// As much waits for the webhook as may wait.
    #[error("{limit} deliveries wait for the webhook, and no more may")]
    WebhookBacklog {
        /// How many may wait.
        limit: u32,
    },
    /// There is no such delivery, or it is another tenant's.
    #[error("there is no such delivery")]
    NoDelivery,
    /// A row that was asked for as one tenant's is another's: this must never happen.
    #[error("a row of `{table}` is another tenant's than was asked for")]
    CrossTenant {
        /// The table.
        table: &'static str,
        /// Whose rows were asked for.
        asked: TenantId,
    },
    /// Another try of the same request went past this one.
    #[error("another try of this request was quicker")]
    ClaimLost,
    /// The store itself failed.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The store cannot be used, now or at all.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// Another process holds its lock.
    #[error("the store is locked by another process")]
    Locked(#[source] sqlx::Error),
    /// Others of this process were before it for too long.
    #[error("the store is busy: those before did not end in time")]
    Busy,
    /// It cannot be written to.
    #[error("the store is read-only")]
    ReadOnly(#[source] sqlx::Error),
    /// There is no room for more.
    #[error("the disk of the store is full")]
    Full(#[source] sqlx::Error),
    /// It is not a store, or is damaged.
    #[error("the store is damaged, or its file is something else")]
    Damaged(#[source] sqlx::Error),
    /// It does not answer: it is being restarted, or the network is away.
    #[error("the store does not answer")]
    Away(#[source] sqlx::Error),
    /// A statement took longer than it may.
    #[error("the store took too long")]
    Slow(#[source] sqlx::Error),
    /// A row cannot be read: another program, or a later version, wrote it.
    #[error("the store has a row that cannot be read: {0}")]
    Row(String),
    /// A later version has taken away what this one needs.
    #[error(
        "the tables were changed since this process started: they work with versions that know migration {oldest:04}, and \
         it knows none after {latest:04}"
    )]
    Outgrown {
        /// What a program must know.
        oldest: i64,
        /// What this one does.
        latest: i64,
    },
    /// A fault of ours ended what was asked of it.
    #[error("what was asked of the store ended by a fault of the service: {0}")]
    Panicked(String),
    /// Anything else.
    #[error("the store failed: {0}")]
    Other(#[source] sqlx::Error),
}

impl Unavailable {
    /// A short word for metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Locked(_) => "locked",
            Self::Busy => "busy",
            Self::ReadOnly(_) => "read_only",
            Self::Full(_) => "full",
            Self::Damaged(_) => "damaged",
            Self::Away(_) => "away",
            Self::Slow(_) => "slow",
            Self::Row(_) => "row",
            Self::Outgrown { .. } => "outgrown",
            Self::Panicked(_) => "panicked",
            Self::Other(_) => "other",
        }
    }
}

impl From<sqlx::Error> for Unavailable {
    /// Sorts an error by the code of its database, never by its text.
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                Self::Away(error)
            }
            sqlx::Error::Database(database) => match database.code().as_deref().map(Kind::of) {
                Some(Kind::Locked) => Self::Locked(error),
                Some(Kind::ReadOnly) => Self::ReadOnly(error),
                Some(Kind::Full) => Self::Full(error),
                Some(Kind::Damaged) => Self::Damaged(error),
                Some(Kind::Away) => Self::Away(error),
                Some(Kind::Slow) => Self::Slow(error),
                Some(Kind::Other) | None => Self::Other(error),
            },
            _ => Self::Other(error),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

enum Kind {
    Locked,
    ReadOnly,
    Full,
    Damaged,
    Away,
    Slow,
    Other,
}

impl Kind {
    /// `SQLSTATE` has five characters (<https://www.postgresql.org/docs/15/errcodes-appendix.html>), a code of
    /// `SQLite` is a number below them (<https://sqlite.org/rescode.html>), whose low byte is the primary code.
    fn of(code: &str) -> Self {
        if code.len() == 5 {
            return match code {
                // Deadlock, failed serialisation, a lock that was not had in time.
                "40P01" | "40001" | "55P03" => Self::Locked,
                "25006" => Self::ReadOnly,
                "53100" => Self::Full,
                // Shut down, crashed, cannot connect now, too many connections; idle in a transaction for too long.
                "57P01" | "57P02" | "57P03" | "53300" | "25P03" => Self::Away,
                // Cancelled, by `statement_timeout` or by hand.
                "57014" => Self::Slow,
                "XX001" | "XX002" => Self::Damaged,
                _ if code.starts_with("08") => Self::Away,
                _ => Self::Other,
            };
        }
        match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(5 | 6) => Self::Locked,
            Ok(8) => Self::ReadOnly,
            Ok(13) => Self::Full,
            Ok(11 | 26) => Self::Damaged,
            _ => Self::Other,
        }
    }
}
