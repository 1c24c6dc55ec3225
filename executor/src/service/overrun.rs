//! What a run did that was not stopped: texts that were cut, and more fuel than was proved.

use rulebox_sandbox::RunReport;
use serde_json::json;

use super::{Caller, Service, ServiceError};
use crate::domain::rule::Runnable;
use crate::domain::violation::{Kind, NewViolation};
use crate::execution::run::Bound;

impl Service {
    /// Holds what a run of so many bars used against what it might. Gives why its results are not given: more fuel than
    /// our compiler proved means that it was not our compiler's module that ran. Texts that were cut are recorded, and the
    /// results stand.
    ///
    /// # Errors
    /// If it cannot be recorded.
    pub(super) async fn overran(
        &self,
        caller: &Caller,
        bound: &Bound,
        rows: usize,
        report: &RunReport,
    ) -> Result<Option<ServiceError>, ServiceError> {
        let runnable = &bound.runnable;
        let Some(proved) = self.proved(&bound.prepared.manifest, rows) else {
            self.texts_cut(caller, runnable, report).await?;
            return Ok(None);
        };
        if report.fuel <= proved {
            return Ok(None);
        }
        let record = NewViolation {
            fuel_limit: proved,
            detail: json!({ "bars": rows }),
            ..self.of_report(caller, runnable, Kind::CostOverBound, true, report).await?
        };
        let id = self.record_violation(caller, &record).await?;
        Ok(Some(ServiceError::Violation {
            rule: runnable.rule.as_str().to_owned(),
            kind: Kind::CostOverBound.name(),
            detail: format!(
                "the run used {} units of fuel, and its proof says {proved} at most: this is not the module that was \
                 compiled, and what it said is not given; have the text compiled again, as a new version",
                report.fuel
            ),
            id,
        }))
    }

    /// Records that texts of a module's own were cut. A rule of our compiler has none.
    ///
    /// # Errors
    /// If it cannot be recorded.
    pub(super) async fn texts_cut(
        &self,
        caller: &Caller,
        runnable: &Runnable,
        report: &RunReport,
    ) -> Result<(), ServiceError> {
        if report.texts_cut == 0 {
            return Ok(());
        }
        let record = NewViolation {
            detail: json!({ "texts_cut": report.texts_cut, "most_bytes": self.limits.message_bytes }),
            ..self.of_report(caller, runnable, Kind::OutputLimit, false, report).await?
        };
        self.record_violation(caller, &record).await?;
        Ok(())
    }

    async fn of_report(
        &self,
        caller: &Caller,
        runnable: &Runnable,
        kind: Kind,
        compiled: bool,
        report: &RunReport,
    ) -> Result<NewViolation, ServiceError> {
        let limits = self.limits_of(caller.tenant).await?;
        Ok(NewViolation {
            rule: Some(runnable.rule.clone()),
            version: Some(runnable.version),
            digest: Some(runnable.digest),
            fuel_used: report.fuel,
            fuel_limit: limits.fuel_per_call,
            memory_peak: report.memory_peak as u64,
            memory_limit: limits.memory_bytes as u64,
            elapsed_us: u64::try_from(report.elapsed.as_micros()).unwrap_or(u64::MAX),
            ..NewViolation::new(kind, compiled, caller.marks.clone(), Some(caller.actor.id))
        })
    }
}
