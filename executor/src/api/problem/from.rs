//! From the errors of other layers to problems.

use rulebox_sandbox::ViolationKind;

use super::{Code, Problem, Raised, chain};
use crate::auth::Denied;
use crate::domain::audit::Chain;
use crate::domain::session::SeqError;
use crate::domain::violation::Kind;
use crate::execution::bind::BindError;
use crate::execution::modules::LoadError;
use crate::execution::pool::PoolError;
use crate::service::ServiceError;
use crate::service::admission::whole_seconds;
use crate::shared::SharedError;
use crate::store::{StoreError, Unavailable};

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let detail = denied.to_string();
        match denied {
            Denied::Missing => Self::new(
                Code::UNAUTHENTICATED,
                "send a key as `Authorization: Bearer rbx_live_...`, or a token of a known issuer",
            ),
            Denied::Invalid => Self::new(Code::UNAUTHENTICATED, detail),
            Denied::Forbidden { .. } => Self::new(Code::FORBIDDEN, detail),
            Denied::Issuer(_) => Self { retry_after: Some(5), ..Self::new(Code::UNAVAILABLE, detail) },
            Denied::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        let code = match error {
            StoreError::NoRule(_) => Code::RULE_NOT_FOUND,
            StoreError::NoVersion(..) => Code::VERSION_NOT_FOUND,
            StoreError::NotActive(_) => Code::RULE_NOT_ACTIVE,
            StoreError::NameTaken { .. } => Code::NAME_TAKEN,
            StoreError::Archived(_) => Code::RULE_ARCHIVED,
            StoreError::RulesLimit { .. } => Code::RULES_LIMIT,
            StoreError::StorageLimit(_) => Code::STORAGE_LIMIT,
            StoreError::Stale { .. } => Code::PRECONDITION_FAILED,
            StoreError::NoTenant => Code::TENANT_NOT_FOUND,
            StoreError::TenantTaken(_) => Code::TENANT_TAKEN,
            StoreError::NoKey => Code::KEY_NOT_FOUND,
            StoreError::NotQuarantined(..) => Code::NOT_QUARANTINED,
            StoreError::NoViolation => Code::VIOLATION_NOT_FOUND,
            StoreError::Resolved => Code::VIOLATION_RESOLVED,
            StoreError::NoWebhook => Code::WEBHOOK_NOT_FOUND,
            StoreError::WebhookBacklog { .. } => Code::WEBHOOK_BACKLOG,
            StoreError::WebhooksLimit { .. } => Code::WEBHOOKS_LIMIT,
            StoreError::NoDelivery => Code::DELIVERY_NOT_FOUND,
            StoreError::CrossTenant { table, asked } => {
                let raised = Raised { kind: Kind::CrossTenant, owner: Chain(Some(asked)), subject: table.to_owned() };
                return Self { raised: Some(raised.into()), ..Self::internal(&error) };
            }
            StoreError::ClaimLost => {
                return Self { retry_after: Some(1), ..Self::new(Code::REQUEST_IN_FLIGHT, detail) };
            }
            StoreError::Unavailable(error) => return error.into(),
        };
        Self::new(code, detail)
    }
}

impl From<Unavailable> for Problem {
    fn from(error: Unavailable) -> Self {
        tracing::error!(reason = error.reason(), error = chain(&error), "the store failed");
        let (detail, retry_after) = match error {
            Unavailable::Locked(_) | Unavailable::Busy | Unavailable::Slow(_) => {
                ("the store is busy; this request changed nothing", Some(5))
            }
            Unavailable::Full(_) | Unavailable::ReadOnly(_) => {
                ("the store takes no changes now; this request changed nothing", Some(60))
            }
            // Waiting does not mend it.
            Unavailable::Damaged(_) | Unavailable::Row(_) => {
                ("the store cannot read what it holds, until its operator restores it", None)
            }
            Unavailable::Away(_) => ("the store does not answer now; try again", Some(1)),
            Unavailable::Other(_) | Unavailable::Panicked(_) | Unavailable::Outgrown { .. } => {
                ("the store cannot be used now", Some(5))
            }
        };
        Self { retry_after, ..Self::new(Code::UNAVAILABLE, detail) }
    }
}

impl From<PoolError> for Problem {
    fn from(error: PoolError) -> Self {
        match &error {
            PoolError::Full { retry_after, .. } => {
                let mut problem = Self::new(Code::OVERLOADED, error.to_string());
                problem.retry_after = Some(u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX).max(1));
                problem
            }
            PoolError::NoThread { .. } => {
                tracing::error!(error = chain(&error), "no thread");
                Self { retry_after: Some(1), ..Self::new(Code::OVERLOADED, error.to_string()) }
            }
            PoolError::Panicked { .. } => Self::internal(&error),
        }
    }
}

impl From<SeqError> for Problem {
    fn from(error: SeqError) -> Self {
        let (code, expected) = match error {
            SeqError::Gap { expected, .. } => (Code::SEQ_GAP, expected),
            SeqError::Conflict { expected, .. } => (Code::SEQ_CONFLICT, expected),
            SeqError::TooOld { expected, .. } => (Code::SEQ_TOO_OLD, expected),
        };
        Self { expected_seq: Some(expected.into()), ..Self::new(code, error.to_string()).at("seq") }
    }
}

impl From<SharedError> for Problem {
    fn from(error: SharedError) -> Self {
        tracing::warn!(error = chain(&error), "a session cannot be had");
        match error {
            SharedError::Full { .. } | SharedError::OutOfMemory { .. } => {
                let detail = "the sessions of this service fill their room; end some, or try again later";
                Self { retry_after: Some(5), ..Self::new(Code::OVERLOADED, detail) }
            }
            SharedError::TenantFull { limit } => {
                let detail = format!("the sessions of the tenant fill the {limit} bytes that they may have");
                Self::new(Code::SESSIONS_LIMIT, detail)
            }
            SharedError::Unavailable { .. } | SharedError::Malformed { .. } => {
                let detail = "sessions cannot be had now; try again: bars with the same `seq` count once";
                Self { retry_after: Some(1), ..Self::new(Code::SESSIONS_UNAVAILABLE, detail) }
            }
        }
    }
}

impl From<BindError> for Problem {
    fn from(error: BindError) -> Self {
        let code = match &error {
            BindError::NoRows => Code::NO_ROWS,
            BindError::UnknownColumn { .. } => Code::UNKNOWN_COLUMN,
            BindError::MissingColumn { .. } => Code::MISSING_COLUMN,
            BindError::BoolInNum { .. } => Code::COLUMN_TYPE,
            BindError::UnknownParam { .. } => Code::UNKNOWN_PARAM,
            BindError::ParamType { .. } => Code::PARAM_TYPE,
            BindError::ParamRange { .. } => Code::PARAM_OUT_OF_RANGE,
        };
        Self::new(code, error.to_string()).at(error.path().unwrap_or_default())
    }
}

impl Problem {
    /// A module that was stored, and is not loaded.
    fn from_load(error: &LoadError) -> Self {
        match error {
            LoadError::NoWorker(_) => {
                tracing::error!(error = chain(error), "a module could not be compiled");
                let detail = "the module could not be compiled now; try again";
                Self { retry_after: Some(1), ..Self::new(Code::OVERLOADED, detail) }
            }
            LoadError::Refused(refusal) if refusal.kind == ViolationKind::CompileKilled => {
                Self::new(Code::COMPILE_KILLED, refusal.detail.as_str())
            }
            _ => Self::internal(error),
        }
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let detail = error.to_string();
        match error {
            ServiceError::Source(reports) => {
                let detail = match reports.as_slice() {
                    [only] => only.message.clone(),
                    [first, rest @ ..] => format!("{} (and {} more)", first.message, rest.len()),
                    [] => detail,
                };
                Self { diagnostics: reports.into(), ..Self::new(Code::RULE_INVALID, detail) }
            }
            ServiceError::Name(_) => Self::new(Code::INVALID_NAME, detail),
            ServiceError::Bind(error) => error.into(),
            ServiceError::Cost { violation, .. } => Self {
                violation: violation.map(|id| (Kind::CostLimit.name(), id).into()),
                ..Self::new(Code::COST_LIMIT, detail)
            },
            ServiceError::JointCost { .. } => Self::new(Code::COST_LIMIT, detail),
            ServiceError::TooManyResults { .. }
            | ServiceError::TooManyRows { .. }
            | ServiceError::AnswerTooLong { .. } => Self::new(Code::TOO_MANY_VALUES, detail),
            ServiceError::Violation { kind, id, .. } => {
                Self { violation: Some((kind, id).into()), ..Self::new(Code::SANDBOX_VIOLATION, detail) }
            }
            ServiceError::ModulesForbidden => Self::new(
                Code::MODULES_FORBIDDEN,
                "this tenant may not upload modules: whoever has the role `admin` can permit it, by the limit `modules` of \
                 the tenant, and to all tenants the setting RULEBOX_TENANT__MODULES",
            ),
            ServiceError::ModuleRefused { kind, violation, .. } => {
                let killed = kind == ViolationKind::CompileKilled.name();
                let code = if killed { Code::COMPILE_KILLED } else { Code::MODULE_REFUSED };
                Self { violation: violation.map(|id| (kind, id).into()), ..Self::new(code, detail) }
            }
            ServiceError::Manifest { path, violation, .. } => {
                let kind = ViolationKind::ModuleInvalid.name();
                let problem = Self::new(Code::MANIFEST_INVALID, detail).at(path);
                Self { violation: violation.map(|id| (kind, id).into()), ..problem }
            }
            ServiceError::NoTests { .. } => Self::new(Code::MODULE_WITHOUT_TESTS, detail),
            ServiceError::ParamsRefused { .. } => Self::new(Code::PARAMS_REFUSED, detail),
            ServiceError::TooManyRules { .. } => Self::new(Code::TOO_MANY_RULES, detail).at("rules"),
            ServiceError::NotInRequest { path, .. } => Self::new(Code::INVALID_REQUEST, detail).at(path),
            ServiceError::RateLimited { decision, .. } => {
                let seconds = u32::try_from(whole_seconds(decision.retry_after)).unwrap_or(u32::MAX).max(1);
                Self { retry_after: Some(seconds), ..Self::new(Code::RATE_LIMITED, detail) }
            }
            ServiceError::Quarantined { .. } => Self::new(Code::RULE_QUARANTINED, detail),
            ServiceError::TooManyOpen { .. } => Self { retry_after: Some(5), ..Self::new(Code::TOO_MANY_OPEN, detail) },
            ServiceError::TooManySockets => Self { retry_after: Some(5), ..Self::new(Code::OVERLOADED, detail) },
            ServiceError::Suspended => Self::new(Code::TENANT_SUSPENDED, detail),
            ServiceError::InFlight => Self { retry_after: Some(1), ..Self::new(Code::REQUEST_IN_FLIGHT, detail) },
            ServiceError::KeyReused => Self::new(Code::IDEMPOTENCY_KEY_REUSED, detail).at("Idempotency-Key"),
            ServiceError::BadRoles { .. } => Self::new(Code::INVALID_ROLES, detail).at("roles"),
            ServiceError::BadText(_) => Self::new(Code::INVALID_TEXT, detail),
            ServiceError::BadUrl(_) => Self::new(Code::INVALID_URL, detail).at("url"),
            ServiceError::Vault(error) => Self::internal(&error),
            ServiceError::NoRules => Self::new(Code::RULE_NOT_ACTIVE, detail),
            ServiceError::NoSession => Self::new(Code::SESSION_NOT_FOUND, detail),
            ServiceError::SessionLost => Self::new(Code::SESSION_LOST, detail),
            ServiceError::Seq(error) => error.into(),
            ServiceError::NoState { .. } => Self::new(Code::MODULE_WITHOUT_STATE, detail),
            ServiceError::StateTooLarge { .. } => Self::new(Code::STATE_TOO_LARGE, detail),
            ServiceError::Shared(error) => error.into(),
            ServiceError::Store(error) => error.into(),
            ServiceError::Pool(error) => error.into(),
            ServiceError::Busy | ServiceError::Cancelled => {
                Self { retry_after: Some(1), ..Self::new(Code::OVERLOADED, detail) }
            }
            ServiceError::ExecutorsAway(error) => {
                tracing::warn!(error = chain(&*error), "a run found no executor");
                Self { retry_after: Some(1), ..Self::new(Code::EXECUTORS_UNAVAILABLE, detail) }
            }
            ServiceError::Load(error) => Self::from_load(&error),
            ServiceError::Sandbox(error) => Self::internal(&error),
        }
    }
}
