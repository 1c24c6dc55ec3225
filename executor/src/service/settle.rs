//! What a run leaves behind, whoever waits for it: counts, and records of violations.

use futures_util::FutureExt;
use rulebox_abi::Verdict;
use rulebox_sandbox::{RunError, RunReport, Violation};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::admission::Reserved;
use super::{Caller, Service, ServiceError};
use crate::domain::evaluation::{Counts, RuleStopped};
use crate::domain::rule::Runnable;
use crate::domain::usage::Usage;
use crate::domain::violation::NewViolation;
use crate::execution::pool::PoolError;
use crate::execution::run::{Bound, Ran};
use crate::telemetry::spans;

impl Service {
    /// Does what must not be lost if the client goes away: it runs to its end all the same, and hears of it by the
    /// token. So does it when the service stops. What need not wait for anything is done at once; only what is left
    /// becomes a task of its own.
    pub(super) async fn to_the_end<T, F>(
        &self,
        caller: &Caller,
        work: impl FnOnce(Self, Caller, CancellationToken) -> F,
    ) -> Result<T, ServiceError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ServiceError>> + Send + 'static,
    {
        let stop = self.stopping.child_token();
        let _gone = stop.clone().drop_guard();
        let mut work = Box::pin(work(self.clone(), caller.clone(), stop).in_current_span());
        match work.as_mut().now_or_never() {
            Some(done) => done,
            None => self
                .tasks
                .spawn(work)
                .await
                .map_err(|error| PoolError::Panicked { pool: "evaluation", detail: error.to_string() })?,
        }
    }

    /// Counts and settles the results of a request. Whatever else is wrong, every violation is recorded.
    pub(super) async fn settle_all(
        &self,
        caller: &Caller,
        mode: &str,
        results: Vec<(Result<Ran, RunError>, Bound, Span)>,
        reserved: Reserved,
    ) -> Result<Vec<Result<Ran, RuleStopped>>, ServiceError> {
        let each = results.iter().map(|(result, ..)| used(result.as_ref().map(|ran| (&ran.run.counts, ran.run.fuel))));
        reserved.settle(each.fold(Usage::NONE, Usage::plus)).await;
        let mut settled = Vec::with_capacity(results.len());
        for (result, bound, span) in results {
            span.in_scope(|| self.count(caller, mode, &bound, &result));
            settled.push(self.settle(caller, &bound, result).instrument(span).await);
        }
        settled.into_iter().collect()
    }

    /// Turns what the sandbox said into results, a recorded violation, or an error of the whole request.
    async fn settle(
        &self,
        caller: &Caller,
        bound: &Bound,
        result: Result<Ran, RunError>,
    ) -> Result<Result<Ran, RuleStopped>, ServiceError> {
        let runnable = &bound.runnable;
        let why = match result {
            Ok(ran) => match self.overran(caller, bound, ran.run.bars, &ran.report).await? {
                None => return Ok(Ok(ran)),
                Some(why) => why,
            },
            Err(error) => self.stopped(caller, runnable, bound.compiled(), error).await?,
        };
        match why {
            ServiceError::Violation { kind, detail, id, .. } => Ok(Err(RuleStopped {
                rule: runnable.rule.clone(),
                version: runnable.version,
                digest: runnable.digest,
                kind,
                detail,
                violation: id,
            })),
            other => Err(other),
        }
    }

    /// Why a run did not give its results; a violation is recorded first.
    ///
    /// # Errors
    /// If it cannot be recorded.
    pub(super) async fn stopped(
        &self,
        caller: &Caller,
        runnable: &Runnable,
        compiled: bool,
        error: RunError,
    ) -> Result<ServiceError, ServiceError> {
        let rule = runnable.rule.as_str().to_owned();
        Ok(match error {
            RunError::Violation(violation) => {
                let id = self.record_run(caller, runnable, compiled, &violation).await?;
                ServiceError::Violation { rule, kind: violation.kind.name(), detail: violation.detail, id }
            }
            RunError::ParamsRefused(code) => ServiceError::ParamsRefused { rule, code },
            RunError::Busy => ServiceError::Busy,
            RunError::Away(error) => ServiceError::ExecutorsAway(error),
            RunError::Cancelled(_) => ServiceError::Cancelled,
            error @ (RunError::Input(_) | RunError::Stopped | RunError::Engine(_)) => ServiceError::Sandbox(error),
        })
    }

    async fn record_run(
        &self,
        caller: &Caller,
        runnable: &Runnable,
        compiled: bool,
        violation: &Violation,
    ) -> Result<Uuid, ServiceError> {
        let record = NewViolation {
            rule: Some(runnable.rule.clone()),
            version: Some(runnable.version),
            digest: Some(runnable.digest),
            ..NewViolation::of_run(violation, compiled, caller.marks.clone(), caller.actor.id)
        };
        Ok(self.record_violation(caller, &record).await?)
    }

    fn count(&self, caller: &Caller, mode: &str, bound: &Bound, result: &Result<Ran, RunError>) {
        let counted = result.as_ref().map(|ran| (&ran.run.counts, ran.run.fuel, &ran.report));
        self.count_run(caller, mode, bound, counted);
    }

    /// Counts the run of one rule, whose span is the current one: its bars by verdict and what it used, or why there
    /// is neither.
    pub(super) fn count_run(
        &self,
        caller: &Caller,
        mode: &str,
        bound: &Bound,
        result: Result<(&Counts, u64, &RunReport), &RunError>,
    ) {
        let tenant = self.metrics.tenants.label(caller.tenant);
        let Usage { bars, fuel, .. } = used(result.map(|(counts, fuel, _)| (counts, fuel)));
        self.metrics.fuel.with_label_values(&[&tenant]).inc_by(fuel);
        let outcome = match result {
            Ok((counts, _, report)) => {
                let worst = Verdict::ALL.into_iter().rev().find(|&verdict| counts.of(verdict) > 0);
                self.metrics.bars.with_label_values(&[mode]).inc_by(bars);
                let peak = i64::try_from(report.memory_peak).unwrap_or(i64::MAX);
                if peak > self.metrics.guest_memory_peak.get() {
                    self.metrics.guest_memory_peak.set(peak);
                }
                worst.unwrap_or(Verdict::Ok).name()
            }
            Err(RunError::Violation(_)) => "violation",
            Err(RunError::Cancelled(_)) => "cancelled",
            Err(_) => "error",
        };
        if outcome == Verdict::Fault.name() {
            self.metrics.faults.with_label_values(&[&tenant]).inc();
        }
        self.metrics.evaluations.with_label_values(&[mode, outcome, &tenant]).inc();
        spans::evaluated(&Span::current(), outcome, bars, fuel);
        tracing::debug!(rule = %bound.runnable.rule, version = bound.runnable.version, outcome, fuel, "evaluated");
    }
}

/// What the run of a rule used.
pub(super) fn used(result: Result<(&Counts, u64), &RunError>) -> Usage {
    let run = Usage { evaluations: 1, ..Usage::NONE };
    match result {
        Ok((counts, fuel)) => Usage { bars: counts.all(), fuel, ..run },
        Err(RunError::Cancelled(report)) => Usage { fuel: report.fuel, ..run },
        Err(RunError::Violation(violation)) => Usage { fuel: violation.fuel_used, ..run },
        Err(RunError::ParamsRefused(_)) => run,
        // Nothing has been run.
        Err(RunError::Busy | RunError::Away(_) | RunError::Input(_) | RunError::Stopped | RunError::Engine(_)) => {
            Usage::NONE
        }
    }
}
