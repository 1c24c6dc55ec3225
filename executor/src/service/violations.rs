//! Violations: a row first, then everything else, so that whatever is told of one can be looked up.

use uuid::Uuid;

use super::{Caller, Service};
use crate::domain::violation::NewViolation;
use crate::store::StoreError;

impl Service {
    /// Records a violation, counts it and logs it.
    pub(super) async fn record_violation(&self, caller: &Caller, violation: &NewViolation) -> Result<Uuid, StoreError> {
        // Retention goes by the store's clock, and so must what it finds.
        let violation = &NewViolation { at: self.generations.now(), ..violation.clone() };
        let recorded = self.store.record_violation(caller.tenant, violation).await;
        let severity = violation.severity.name();
        self.metrics.violations.with_label_values(&[violation.kind, severity]).inc();
        self.metrics.tenant_violations.with_label_values(&[&caller.tenant.to_string(), severity]).inc();
        tracing::warn!(
            violation_id = recorded.as_ref().ok().map(tracing::field::display),
            tenant = %caller.tenant,
            rule = violation.rule.as_ref().map(tracing::field::display),
            version = violation.version,
            digest = violation.digest.as_ref().map(tracing::field::display),
            kind = violation.kind,
            severity,
            trap = violation.trap,
            fuel_used = violation.fuel_used,
            fuel_limit = violation.fuel_limit,
            memory_peak = violation.memory_peak,
            elapsed_us = violation.elapsed_us,
            "violation"
        );
        recorded
    }
}
