//! Rules that are uploaded as modules: who may, what is held against what, and what is kept of a refusal.
//!
//! The permission is to upload. Versions that are there run on when it is taken away, as old backtests must: what a
//! module does is bounded by the sandbox, and who wants one stopped has the quarantine.

use std::sync::Arc;

use rulebox_dsl::diagnostic::Report;
use rulebox_sandbox::{Digest, Limits, ModuleLimits, RunError, Severity, Violation, ViolationKind};
use tracing::Span;

use super::tenant_limits::InForce;
use super::{Caller, Service, ServiceError};
use crate::domain::caller::TenantId;
use crate::domain::rule::{NewVersion, RuleName, Runnable, Storage};
use crate::domain::violation::{Kind, NewViolation};
use crate::execution::guest::trial::{self, TrialError};
use crate::execution::guest::{Guest, GuestError, ManifestError};
use crate::execution::modules::{Form, LoadError, Modules};
use crate::execution::pool::PoolError;
use crate::store::StoreError;

/// What a version is made of.
#[derive(Clone, Debug)]
pub enum Upload {
    /// The text of a rule; may be anything.
    Text(Vec<u8>),
    /// A module; both may be anything.
    Module {
        /// WebAssembly.
        module: Vec<u8>,
        /// Its manifest, if it does not carry it.
        manifest: Option<Vec<u8>>,
    },
}

impl Upload {
    /// At least so many bytes would be kept of it.
    fn bytes(&self) -> u64 {
        match self {
            Self::Text(source) => source.len() as u64,
            Self::Module { module, .. } => module.len() as u64,
        }
    }
}

/// Why a module is not kept, and its record.
enum Refused {
    /// The gate, the trial, the compiler.
    Module(ViolationKind, String),
    /// A limit, in the trial.
    Stopped(Box<Violation>, String),
    /// What it says of itself.
    Manifest(ManifestError),
    /// No fault of the module's.
    Other(ServiceError),
}

impl From<GuestError> for Refused {
    fn from(error: GuestError) -> Self {
        match error {
            GuestError::Refused(refusal) => Self::Module(refusal.kind, refusal.detail),
            GuestError::Manifest(error) => Self::Manifest(error),
        }
    }
}

impl From<Arc<LoadError>> for Refused {
    fn from(error: Arc<LoadError>) -> Self {
        match &*error {
            LoadError::Refused(refusal) => Self::Module(refusal.kind, refusal.detail.clone()),
            _ => Self::Other(error.into()),
        }
    }
}

impl From<TrialError> for Refused {
    fn from(error: TrialError) -> Self {
        let detail = error.to_string();
        match error {
            TrialError::Manifest(error) => Self::Manifest(error),
            TrialError::Stopped { violation, .. } => Self::Stopped(violation, detail),
            TrialError::Unsteady(_) => Self::Module(ViolationKind::AbiBreach, detail),
            TrialError::Run(RunError::Busy) => Self::Other(ServiceError::Busy),
            TrialError::Run(RunError::Away(error)) => Self::Other(ServiceError::ExecutorsAway(error)),
            TrialError::Run(error) => Self::Other(ServiceError::Sandbox(error)),
        }
    }
}

/// Checks a module, loads it, and tries it.
fn admit(
    modules: &Modules,
    tenant: TenantId,
    module: Vec<u8>,
    manifest: Option<&[u8]>,
    limits: &ModuleLimits,
    run: &Limits,
) -> Result<Guest, Refused> {
    let mut guest = Guest::read(module, manifest, limits)?;
    let prepared = modules.load(tenant, guest.digest, Form::Columns, &guest.module, &guest.manifest)?;
    // What it was stopped for is told by `guest check`; here whoever evaluates it is told.
    if let Some(state_bytes) = trial::run(&prepared, run)?.state_bytes {
        guest.manifest.state_bytes = state_bytes;
    }
    Ok(guest)
}

impl Service {
    /// Refuses a tenant that may not upload modules.
    ///
    /// # Errors
    /// [`ServiceError::ModulesForbidden`].
    pub fn may_upload_modules(&self, limits: &InForce) -> Result<(), ServiceError> {
        if limits.modules { Ok(()) } else { Err(ServiceError::ModulesForbidden) }
    }

    /// Makes a version of what was uploaded, and says what the author should look at.
    ///
    /// # Errors
    /// What is wrong with it; a violation is recorded first.
    pub(super) async fn new_version(
        &self,
        caller: &Caller,
        limits: &InForce,
        name: Option<&RuleName>,
        upload: Upload,
    ) -> Result<(NewVersion, Vec<Report>), ServiceError> {
        // Before the work; that of the same time is told apart by the store.
        let kept = self.store.stored(caller.tenant).await?;
        let wanted = Storage { versions: kept.versions + 1, bytes: kept.bytes.saturating_add(upload.bytes()) };
        wanted.within(&limits.of_store().storage).map_err(StoreError::from)?;
        let (limits, name) = (*limits, name.cloned());
        // Also if whoever uploads has gone: what is refused is recorded.
        let work = |service: Self, caller: Caller, _| async move {
            match upload {
                Upload::Text(source) => service.compile_version(&caller, &limits, name.as_ref(), source).await,
                Upload::Module { module, manifest } => {
                    let version = service.module_version(&caller, &limits, name.as_ref(), module, manifest).await?;
                    Ok((version, Vec::new()))
                }
            }
        };
        self.to_the_end(caller, work).await
    }

    async fn module_version(
        &self,
        caller: &Caller,
        limits: &InForce,
        name: Option<&RuleName>,
        module: Vec<u8>,
        manifest: Option<Vec<u8>>,
    ) -> Result<NewVersion, ServiceError> {
        self.may_upload_modules(limits)?;
        let digest = Digest::of(&module);
        let (modules, tenant) = (self.modules.clone(), caller.tenant);
        let module_limits = ModuleLimits { module_bytes: limits.module_bytes(), ..ModuleLimits::DEFAULT };
        let run = Limits { state_bytes: limits.state_bytes, ..limits.of_run(&self.limits) };
        let within = Span::current();
        let admit = move || admit(&modules, tenant, module, manifest.as_deref(), &module_limits, &run);
        let work = move || within.in_scope(admit);
        let admitted = self.module_uploads.run(caller.tenant, work).await;
        if matches!(admitted, Err(PoolError::Full { .. })) {
            self.metrics.compile_rejected.with_label_values(&["queue_full"]).inc();
        }
        let refused = match admitted? {
            Ok(Guest { module, digest, manifest, .. }) => {
                return Ok(NewVersion { source: None, module, digest, manifest });
            }
            Err(refused) => refused,
        };
        let record = NewViolation { rule: name.cloned(), digest: Some(digest), refused: true, ..unnamed(caller) };
        Err(self.refusal(caller, refused, record).await?)
    }

    /// Why a module that was taken once cannot be loaded now: this version may refuse what an older one took.
    ///
    /// # Errors
    /// If it cannot be recorded.
    pub(super) async fn not_loaded(
        &self,
        caller: &Caller,
        runnable: &Runnable,
        error: Arc<LoadError>,
    ) -> Result<ServiceError, ServiceError> {
        let (rule, version) = (Some(runnable.rule.clone()), Some(runnable.version));
        let record = NewViolation { rule, version, digest: Some(runnable.digest), ..unnamed(caller) };
        self.refusal(caller, error.into(), record).await
    }

    /// Records a refusal, if it is the module's, and gives what is answered.
    async fn refusal(
        &self,
        caller: &Caller,
        refused: Refused,
        record: NewViolation,
    ) -> Result<ServiceError, ServiceError> {
        // A manifest is wrong by a slip of its author's; what the gate refuses would have been run.
        let of_kind = |kind: ViolationKind| (Kind::from(kind), Kind::from(kind).severity(false));
        let ((kind, severity), record) = match &refused {
            Refused::Module(kind, _) => (of_kind(*kind), record),
            Refused::Stopped(violation, _) => (of_kind(violation.kind), record.with_evidence(violation)),
            Refused::Manifest(_) => ((Kind::ModuleInvalid, Severity::Low), record),
            Refused::Other(_) => return Ok(refused.into_error(None)),
        };
        let record = NewViolation { kind, severity, ..record };
        let id = self.record_violation(caller, &record).await?;
        Ok(refused.into_error(Some(id)))
    }
}

/// A record of a refusal, whose kind is said later.
fn unnamed(caller: &Caller) -> NewViolation {
    NewViolation::new(Kind::ModuleInvalid, false, caller.marks.clone(), Some(caller.actor.id))
}

impl Refused {
    fn into_error(self, violation: Option<uuid::Uuid>) -> ServiceError {
        match self {
            Self::Stopped(of, detail) => ServiceError::ModuleRefused { kind: of.kind.name(), detail, violation },
            Self::Module(kind, detail) => ServiceError::ModuleRefused { kind: kind.name(), detail, violation },
            Self::Manifest(ManifestError { path, problem }) => ServiceError::Manifest { path, problem, violation },
            Self::Other(error) => error,
        }
    }
}
