//! A violation as answers show it.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::audit::Chain;
use crate::domain::review::KeptViolation;

/// What a module did against its limits, or somebody to the service. It never has rule text or inputs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Violation)]
pub struct ViolationView {
    /// Its id.
    pub id: String,
    /// Name of the tenant; none of what was done to the service itself.
    pub tenant: Option<String>,
    /// The rule.
    pub rule: Option<String>,
    /// Its version.
    pub version: Option<u32>,
    /// SHA-256 of the module.
    pub digest: Option<String>,
    /// What it is: `fuel_exhausted`.
    pub kind: String,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// `open`, `acknowledged` or `resolved`.
    pub status: String,
    /// Which trap it was.
    pub trap: Option<String>,
    /// Units of fuel.
    pub fuel_used: u64,
    /// Units of fuel.
    pub fuel_limit: u64,
    /// Bytes.
    pub memory_peak: u64,
    /// Bytes.
    pub memory_limit: u64,
    /// Microseconds.
    pub elapsed_us: u64,
    /// Of the first request.
    pub request_id: String,
    /// Of the first request.
    pub trace_id: String,
    /// Whose key, or who, by the id that the audit log has too.
    pub key_id: Option<String>,
    /// RFC 3339.
    pub at: String,
    /// RFC 3339; of the latest repeat.
    pub last_at: String,
    /// How often it happened. The same within a minute is one violation.
    pub count: u64,
    /// More evidence, by kind.
    #[schema(value_type = Object)]
    pub detail: Value,
    /// RFC 3339; of the status.
    pub changed_at: Option<String>,
    /// Who changed the status; for reviewers.
    pub changed_by: Option<String>,
    /// What they wrote; for reviewers.
    pub note: Option<String>,
}

impl ViolationView {
    /// For whoever is of this chain: what reviewers write is for reviewers.
    pub fn of(kept: KeptViolation, reader: Chain) -> Self {
        let detail = if reader.0.is_none() { kept.detail.clone() } else { kept.evidence_for_all() };
        let for_reviewers = |text: Option<String>| text.filter(|_| reader.0.is_none());
        Self {
            id: kept.id.to_string(),
            tenant: kept.tenant_name,
            rule: kept.rule,
            version: kept.version,
            digest: kept.digest.map(|digest| digest.to_string()),
            kind: kept.kind,
            severity: kept.severity.name().to_owned(),
            status: kept.status.name().to_owned(),
            trap: kept.trap,
            fuel_used: kept.fuel_used,
            fuel_limit: kept.fuel_limit,
            memory_peak: kept.memory_peak,
            memory_limit: kept.memory_limit,
            elapsed_us: kept.elapsed_us,
            request_id: kept.request_id,
            trace_id: kept.trace_id,
            key_id: kept.actor.map(|actor| actor.0.to_string()),
            at: kept.at.to_string(),
            last_at: kept.last_at.to_string(),
            count: kept.count,
            detail,
            changed_at: kept.changed_at.map(|at| at.to_string()),
            changed_by: for_reviewers(kept.changed_by),
            note: for_reviewers(kept.note),
        }
    }
}
