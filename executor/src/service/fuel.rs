//! What a request may use. A rule of our compiler has a proof: it is held against the limit before anything runs, and its
//! run cannot need more. A module that somebody made has none: it may use, bar for bar, what a rule may be proved to need
//! at most, as long as that fits into the request.

use rulebox_dsl::manifest::Manifest;
use rulebox_sandbox::Limits;

use super::tenant_limits::InForce;
use super::{Service, ServiceError};
use crate::execution::prepared::proved;
use crate::execution::run::Bound;

/// What each rule of a request may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct RuleLimits {
    compiled: Limits,
    share: Limits,
}

impl RuleLimits {
    /// Of this one.
    pub(super) fn of(&self, bound: &Bound) -> &Limits {
        if bound.compiled() { &self.compiled } else { &self.share }
    }
}

/// What the rules of a request may use together.
struct Joint {
    /// Of those with a proof.
    proved: u64,
    /// How many have none.
    others: u64,
    /// What those may use together.
    left: u64,
}

impl Service {
    /// The proved worst case of the whole run has to fit: nothing is begun that may not end.
    pub(super) fn check_cost(
        &self,
        in_force: &InForce,
        rule: &str,
        manifest: &Manifest,
        rows: usize,
    ) -> Result<(), ServiceError> {
        let Some(cost) = self.proved(manifest, rows) else { return Ok(()) };
        let limit = in_force.fuel_per_call;
        if cost <= limit {
            return Ok(());
        }
        Err(ServiceError::Cost { rule: rule.to_owned(), of: of(rows), cost, limit, violation: None })
    }

    /// All rules of a request share its thread, so what a request may cost does not grow with them.
    pub(super) fn check_joint_cost(
        &self,
        in_force: &InForce,
        bound: &[Bound],
        rows: usize,
    ) -> Result<(), ServiceError> {
        let Joint { proved, others, left } = self.joint(in_force, bound, rows);
        let limit = in_force.fuel_per_call;
        if proved <= limit && left >= others {
            return Ok(());
        }
        let cost = proved.saturating_add(others);
        Err(ServiceError::JointCost { rules: bound.len(), of: of(rows), cost, limit })
    }

    /// The most that these rules can use together.
    pub(super) fn joint_cost(&self, in_force: &InForce, bound: &[Bound], rows: usize) -> u64 {
        let Joint { proved, left, .. } = self.joint(in_force, bound, rows);
        proved.saturating_add(left)
    }

    /// The limits of each rule of a request. Those without a proof share what there is for them.
    pub(super) fn limits_of_each(&self, in_force: &InForce, bound: &[Bound], rows: usize) -> RuleLimits {
        let compiled = in_force.of_run(&self.limits);
        let Joint { others, left, .. } = self.joint(in_force, bound, rows);
        RuleLimits { compiled, share: Limits { fuel: left / others.max(1), ..compiled } }
    }

    fn joint(&self, in_force: &InForce, bound: &[Bound], rows: usize) -> Joint {
        let proofs = bound.iter().map(|bound| self.proved(&bound.prepared.manifest, rows));
        let others = proofs.clone().filter(Option::is_none).count() as u64;
        let proved = proofs.flatten().fold(0, u64::saturating_add);
        let most = self.settings.compile.bar_fuel.saturating_mul(rows as u64).saturating_mul(others);
        Joint { proved, others, left: most.min(in_force.fuel_per_call.saturating_sub(proved)) }
    }

    /// The worst case of a run, if there is a proof.
    pub(super) fn proved(&self, manifest: &Manifest, rows: usize) -> Option<u64> {
        proved(manifest, rows, self.limits.chunk_rows)
    }
}

fn of(rows: usize) -> String {
    if rows == 1 { "one bar".to_owned() } else { format!("{rows} bars") }
}
