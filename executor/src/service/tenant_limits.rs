//! What a tenant may use: its own limits, else the defaults, and never more than the service can do.

use rulebox_sandbox::{Limits, ModuleLimits};

use super::{Service, ServiceError};
use crate::domain::caller::TenantId;
use crate::domain::rule::{Most, Storage};
use crate::domain::tenant::TenantLimits;

/// The limits in force for a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Requests a second, over all replicas.
    pub requests_per_second: u64,
    /// Units of fuel a second, over all replicas.
    pub fuel_per_second: u64,
    /// Units of fuel of a request, all its rules together.
    pub fuel_per_call: u64,
    /// Bytes of a module's memory.
    pub memory_bytes: usize,
    /// Rules that are not archived.
    pub rules: u64,
    /// Versions of all rules, archived ones too.
    pub versions: u64,
    /// Bytes of the texts, modules and manifests of these versions.
    pub stored_bytes: u64,
    /// Bytes of the state of a rule.
    pub state_bytes: usize,
    /// Rows of a request that is no stream.
    pub rows_per_call: usize,
    /// Bytes of a rule's text or module.
    pub upload_bytes: usize,
    /// Whether modules may be uploaded.
    pub modules: bool,
}

/// Less has no room for the columns of one call: every run would break a limit that no rule could keep.
const LEAST_MEMORY: usize = 1 << 20;

/// Bytes of the largest module that the sandbox takes.
const MODULE_BYTES: usize = ModuleLimits::DEFAULT.module_bytes;

/// Seconds of a tenant's fuel that one call may need, if nothing is said of it.
const CALL_SECONDS: u64 = 10;

impl Service {
    /// The limits in force for a tenant.
    ///
    /// # Errors
    /// [`ServiceError::Suspended`]; if the store fails.
    pub async fn limits_of(&self, tenant: TenantId) -> Result<InForce, ServiceError> {
        let tenant = self.tenant(tenant).await?;
        if tenant.suspended_at.is_some() {
            return Err(ServiceError::Suspended);
        }
        Ok(self.in_force(&tenant.limits))
    }

    /// What these limits come to.
    pub fn in_force(&self, own: &TenantLimits) -> InForce {
        let (defaults, compiler) = (&self.settings.tenant, self.compiler.limits());
        let size = |own: Option<u64>, most: usize| {
            own.map_or(most, |own| usize::try_from(own).unwrap_or(usize::MAX).min(most))
        };
        let fuel_per_second = own.fuel_per_second.unwrap_or(defaults.fuel_per_second);
        // What a call may need can be taken at once: it must not be more than a while's worth, unless somebody says so.
        let most_fuel = fuel_per_second.saturating_mul(CALL_SECONDS);
        InForce {
            requests_per_second: own.requests_per_second.unwrap_or(defaults.requests_per_second),
            fuel_per_second,
            fuel_per_call: own.fuel_per_call.unwrap_or(most_fuel).min(self.limits.fuel),
            memory_bytes: size(own.memory_bytes, self.limits.memory_bytes)
                .max(LEAST_MEMORY.min(self.limits.memory_bytes)),
            rules: own.rules.unwrap_or(defaults.rules),
            versions: own.versions.unwrap_or(defaults.versions),
            stored_bytes: own.stored_bytes.unwrap_or(defaults.stored_bytes),
            state_bytes: size(own.state_bytes, compiler.state_bytes),
            rows_per_call: size(own.rows_per_call, self.settings.evaluation.rows),
            upload_bytes: size(own.upload_bytes, compiler.source_bytes.max(MODULE_BYTES)),
            modules: own.modules.unwrap_or(defaults.modules),
        }
    }
}

impl InForce {
    /// The limits of a run.
    pub(super) fn of_run(&self, service: &Limits) -> Limits {
        Limits { fuel: self.fuel_per_call, memory_bytes: self.memory_bytes, ..*service }
    }

    /// The limits of the compiler.
    pub(super) fn of_compiler(&self, most: &rulebox_dsl::Limits) -> rulebox_dsl::Limits {
        rulebox_dsl::Limits { state_bytes: self.state_bytes, source_bytes: self.source_bytes(most), ..*most }
    }

    /// Bytes of a rule's text.
    pub fn source_bytes(&self, most: &rulebox_dsl::Limits) -> usize {
        self.upload_bytes.min(most.source_bytes)
    }

    /// Bytes of a module with its manifest.
    pub fn module_bytes(&self) -> usize {
        self.upload_bytes.min(MODULE_BYTES)
    }

    /// What may be kept of rules.
    pub(super) const fn of_store(&self) -> Most {
        Most { rules: self.rules, storage: Storage { versions: self.versions, bytes: self.stored_bytes } }
    }

    /// Refuses a request of too many rows.
    pub(super) fn check_rows(&self, rows: usize) -> Result<(), ServiceError> {
        let limit = self.rows_per_call;
        if rows > limit { Err(ServiceError::TooManyRows { rows, limit }) } else { Ok(()) }
    }
}
