//! What a module did against its limits, as it is kept.

use rulebox_sandbox::{Digest, Severity, Violation, ViolationKind};

use super::at::At;
use super::caller::{ActorId, RequestMarks};
use super::rule::RuleName;

/// A violation to be recorded. Holds no rule text and no inputs.
#[derive(Clone, Debug)]
pub struct NewViolation {
    /// The rule, if it has been stored.
    pub rule: Option<RuleName>,
    /// Its version.
    pub version: Option<u32>,
    /// Of the module.
    pub digest: Option<Digest>,
    /// Name of its kind.
    pub kind: &'static str,
    /// How bad.
    pub severity: Severity,
    /// Name of the trap.
    pub trap: Option<&'static str>,
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
    /// Of the request.
    pub marks: RequestMarks,
    /// Of the caller.
    pub actor: ActorId,
    /// When.
    pub at: At,
}

/// The kind of a rule whose proved cost is over the limit. The sandbox does not know it: it happens before a run.
pub const COST_LIMIT: &str = "cost_limit";

/// The kind of a session's state that fails its MAC.
pub const STATE_FORGED: &str = "state_forged";

/// Every kind that this service records, with its severity for a compiled rule.
pub fn kinds() -> impl Iterator<Item = (&'static str, Severity)> {
    let sandbox = ViolationKind::ALL.into_iter().map(|kind| (kind.name(), kind.severity(true)));
    sandbox.chain([(COST_LIMIT, Severity::Low), (STATE_FORGED, Severity::Critical)])
}

impl NewViolation {
    /// The record of a violation in a run. `compiled`: the module came out of the compiler.
    pub fn of_run(violation: &Violation, compiled: bool, marks: RequestMarks, actor: ActorId) -> Self {
        Self {
            rule: None,
            version: None,
            digest: None,
            kind: violation.kind.name(),
            severity: violation.kind.severity(compiled),
            trap: violation.trap.map(rulebox_sandbox::TrapCode::name),
            fuel_used: violation.fuel_used,
            fuel_limit: violation.fuel_limit,
            memory_peak: violation.memory_peak as u64,
            memory_limit: violation.memory_limit as u64,
            elapsed_us: u64::try_from(violation.elapsed.as_micros()).unwrap_or(u64::MAX),
            marks,
            actor,
            at: At::now(),
        }
    }

    /// The record of a module that the gate refused, or of a rule that costs too much.
    pub fn at_upload(kind: &'static str, severity: Severity, marks: RequestMarks, actor: ActorId) -> Self {
        Self {
            rule: None,
            version: None,
            digest: None,
            kind,
            severity,
            trap: None,
            fuel_used: 0,
            fuel_limit: 0,
            memory_peak: 0,
            memory_limit: 0,
            elapsed_us: 0,
            marks,
            actor,
            at: At::now(),
        }
    }
}
