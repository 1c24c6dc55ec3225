//! Why a use case did not give what was asked for.

use std::sync::Arc;

use rulebox_dsl::diagnostic::Report;
use rulebox_sandbox::RunError;
use uuid::Uuid;

use crate::auth::vault::VaultError;
use crate::delivery::address::BadAddress;
use crate::domain::rule::BadRuleName;
use crate::domain::session::SeqError;
use crate::execution::bind::BindError;
use crate::execution::compile::CompileError;
use crate::execution::modules::LoadError;
use crate::execution::pool::PoolError;
use crate::shared::{Decision, Policy, Quota, SharedError};
use crate::store::StoreError;

/// Sorted by what the caller can do about it; the sources are for the log.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The text of a rule does not compile: everything that is wrong with it.
    #[error("the rule does not compile")]
    Source(Vec<Report>),
    /// A name that cannot be a rule's.
    #[error(transparent)]
    Name(#[from] BadRuleName),
    /// Columns or params do not fit the rule.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The proved worst case is over the limit.
    #[error("rule `{rule}` may need {cost} units of fuel for {of}, and the limit is {limit}")]
    Cost {
        /// The rule.
        rule: String,
        /// `one bar`, or `1000 bars`.
        of: String,
        /// Proved.
        cost: u64,
        /// In force.
        limit: u64,
        /// At upload it is recorded.
        violation: Option<Uuid>,
    },
    /// The proved worst cases together are over the limit.
    #[error(
        "the {rules} rules of the request may together need {cost} units of fuel for {of}, and the limit is {limit}"
    )]
    JointCost {
        /// How many.
        rules: usize,
        /// `one bar`, or `1000 bars`.
        of: String,
        /// Proved.
        cost: u64,
        /// In force.
        limit: u64,
    },
    /// More values of results than a request may have.
    #[error(
        "the request would give {values} values: bars times the columns of `series` and one or two a rule; the limit \
         is {limit}"
    )]
    TooManyResults {
        /// Asked for.
        values: usize,
        /// In force.
        limit: usize,
    },
    /// A module was stopped.
    #[error("rule `{rule}` was stopped: {detail}")]
    Violation {
        /// The rule.
        rule: String,
        /// Name of its kind.
        kind: &'static str,
        /// What happened.
        detail: String,
        /// The record.
        id: Uuid,
    },
    /// The tenant may not upload modules.
    #[error("this tenant may not upload modules")]
    ModulesForbidden,
    /// A module was not kept.
    #[error("the module is refused: {detail}")]
    ModuleRefused {
        /// Name of the outcome's kind.
        kind: &'static str,
        /// What is wrong with it.
        detail: String,
        /// The record.
        violation: Option<Uuid>,
    },
    /// A module was not kept for what its manifest says.
    #[error("{}{problem}", if path.is_empty() { "the manifest: ".to_owned() } else { format!("the manifest's `{path}`: ") })]
    Manifest {
        /// The field; empty for the whole.
        path: String,
        /// What is wrong with it.
        problem: String,
        /// The record.
        violation: Option<Uuid>,
    },
    /// A module has no tests that could be run.
    #[error("rule `{rule}` was uploaded as a module, which has no `test` blocks: evaluate it over bars of your own")]
    NoTests {
        /// The rule.
        rule: String,
    },
    /// The module does not take these params.
    #[error("the module of rule `{rule}` refused its params with {code}")]
    ParamsRefused {
        /// The rule.
        rule: String,
        /// What `rulebox_init` returned.
        code: i32,
    },
    /// More rules than a request may run.
    #[error("{asked} rules were asked for, and a request may run {limit}")]
    TooManyRules {
        /// At least so many.
        asked: usize,
        /// In force.
        limit: usize,
    },
    /// Params, or a version, of a rule that is not in the request.
    #[error("`{name}` is not among the rules of this request")]
    NotInRequest {
        /// Where.
        path: String,
        /// The rule.
        name: String,
    },
    /// The tenant has taken what it may take.
    #[error("the tenant may take {} {} a second, over all its callers", quota.per_second, match policy { Policy::Requests => "requests", Policy::Fuel => "units of fuel" })]
    RateLimited {
        /// Of what.
        policy: Policy,
        /// How much.
        quota: Quota,
        /// When there is more.
        decision: Decision,
    },
    /// More rows than a request of this tenant may have.
    #[error("the request has {rows} rows, and the limit is {limit}")]
    TooManyRows {
        /// As sent.
        rows: usize,
        /// In force.
        limit: usize,
    },
    /// The module is stopped for this tenant, until a reviewer lets it go.
    #[error("version {version} of rule `{rule}` is in quarantine")]
    Quarantined {
        /// The rule.
        rule: String,
        /// The version.
        version: u32,
    },
    /// The tenant holds as many of something as it may.
    #[error("the tenant has {limit} {what} open, and may have no more at a time")]
    TooManyOpen {
        /// Streams, WebSockets.
        what: &'static str,
        /// In force.
        limit: usize,
    },
    /// As many WebSockets are open as there may be.
    #[error("as many WebSockets are open as there may be")]
    TooManySockets,
    /// The tenant may not be served.
    #[error("the tenant is suspended")]
    Suspended,
    /// The same request has been sent and is not over.
    #[error("a request with this Idempotency-Key is not over yet")]
    InFlight,
    /// The key of a repeated request was used for another one.
    #[error("this Idempotency-Key was used for another request")]
    KeyReused,
    /// A key with roles that its owner cannot give.
    #[error("a key of {owner} has one or more of the roles {roles}")]
    BadRoles {
        /// `a tenant`, or `the platform`.
        owner: &'static str,
        /// The roles that there are.
        roles: &'static str,
    },
    /// A text that cannot be kept, and why.
    #[error("{0}")]
    BadText(String),
    /// A webhook cannot be there.
    #[error(transparent)]
    BadUrl(#[from] BadAddress),
    /// A secret that is kept cannot be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// No rule is active.
    #[error("no rule of this tenant is active: activate one, or name rules and versions")]
    NoRules,
    /// The tenant has never had such a session.
    #[error("there is no such session")]
    NoSession,
    /// The session was there, and is not any more.
    #[error(
        "the session has ended, or its state was lost: replay its bars into a new one, which gives the same answers"
    )]
    SessionLost,
    /// The bars do not continue the session.
    #[error(transparent)]
    Seq(#[from] SeqError),
    /// The module does not keep its state where it can be found.
    #[error("the module of rule `{rule}` has no `rulebox_state`, which a session needs")]
    NoState {
        /// The rule.
        rule: String,
    },
    /// The states of the rules are too large.
    #[error("the rules keep {bytes} bytes of state, and a session may keep {limit}")]
    StateTooLarge {
        /// Of all rules.
        bytes: usize,
        /// In force.
        limit: usize,
    },
    /// What is to be said of the bars of one call is too long to be kept.
    #[error("the answer would have more than {limit} bytes; send fewer bars at a time. Nothing was counted")]
    AnswerTooLong {
        /// In force.
        limit: usize,
    },
    /// Sessions cannot be had.
    #[error(transparent)]
    Shared(#[from] SharedError),
    /// The store says no, or fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No room on a pool.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// No instance is free.
    #[error("all instances of the sandbox are in use")]
    Busy,
    /// Rules run in executors, and none is there.
    #[error("no executor can be had to run it")]
    ExecutorsAway(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The service stops.
    #[error("the service is stopping; what had begun was ended")]
    Cancelled,
    /// A stored module cannot be loaded.
    #[error("the module cannot be loaded: {0}")]
    Load(Arc<LoadError>),
    /// The sandbox failed, for no fault of the module's.
    #[error("the sandbox failed")]
    Sandbox(#[source] RunError),
}

impl From<Arc<LoadError>> for ServiceError {
    fn from(error: Arc<LoadError>) -> Self {
        match &*error {
            LoadError::Away(RunError::Busy) => Self::Busy,
            LoadError::Away(_) => Self::ExecutorsAway(error.into()),
            _ => Self::Load(error),
        }
    }
}

impl From<CompileError> for ServiceError {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::Refused(reports) => Self::Source(reports),
            CompileError::Pool(error) => Self::Pool(error),
        }
    }
}
