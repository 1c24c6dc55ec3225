//! Evaluation: finds the versions, holds the request against them, runs them, and records what they did.

use std::sync::Arc;
use std::time::Instant;

use rulebox_abi::Verdict;
use rulebox_dsl::manifest::Manifest;
use rulebox_sandbox::{RunError, Violation};

use super::{Caller, Service, ServiceError};
use crate::domain::bars::{Bars, Params};
use crate::domain::caller::TenantId;
use crate::domain::evaluation::{CombinedRun, RuleRun, RuleStopped, SeriesWanted};
use crate::domain::rule::{RuleName, Runnable};
use crate::domain::violation::NewViolation;
use crate::execution::bind::{bind_columns, bind_params, check_columns};
use crate::execution::prepared::{Prepared, rows_a_call};
use crate::execution::run::{Bound, Ran, combine, run};
use crate::execution::summary::Wanted;
use crate::store::Selection;

/// One rule over some bars.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The rule.
    pub rule: RuleName,
    /// The version, or else the active one.
    pub version: Option<u32>,
    /// The bars.
    pub bars: Bars,
    /// The caller's params.
    pub params: Params,
    /// Columns that the caller wants.
    pub series: SeriesWanted,
}

/// Several rules over the same bars.
#[derive(Clone, Debug)]
pub struct JointEvaluation {
    /// The rules; `None` for all that are active.
    pub rules: Option<Vec<RuleName>>,
    /// The versions of those that shall not run their active one.
    pub versions: Vec<(RuleName, u32)>,
    /// The bars.
    pub bars: Bars,
    /// The caller's params, by rule.
    pub params: Vec<(RuleName, Params)>,
    /// Columns that the caller wants.
    pub series: SeriesWanted,
}

impl Service {
    /// Runs one rule.
    ///
    /// # Errors
    /// No such rule or version; columns or params that do not fit; a cost over the limit; a violation; a full queue.
    pub async fn evaluate(&self, caller: &Caller, request: Evaluation) -> Result<RuleRun, ServiceError> {
        let began = Instant::now();
        let Evaluation { rule, version, bars, params, series } = request;
        let selection = Selection::Named(vec![(rule, version)]);
        let mut bound = Vec::new();
        for (runnable, prepared) in self.prepare(caller.tenant, &selection).await? {
            check_columns(&bars, &std::iter::once(&*prepared.manifest))?;
            bound.push(self.bind(runnable, prepared, &bars, &params, "params")?);
        }
        let mode = mode(&bars);
        let wanted = Wanted { series, events: self.settings.evaluation.events, combine: false };
        let limits = self.limits;
        let results = self
            .runs
            .run(move || bound.iter().map(|bound| (bound.clone(), run(bound, &bars, &limits, wanted))).collect())
            .await;
        let results: Vec<_> = results?;
        let Some((bound, result)) = results.into_iter().next() else { return Err(ServiceError::Busy) };
        self.count(caller, mode, &bound, &result);
        self.metrics.evaluation_duration.with_label_values(&[mode]).observe(began.elapsed().as_secs_f64());
        match self.settle(caller, &bound, result).await? {
            Ok(ran) => Ok(ran.run),
            Err(RuleStopped { rule, kind, detail, violation, .. }) => {
                Err(ServiceError::Violation { rule: rule.as_str().to_owned(), kind, detail, id: violation })
            }
        }
    }

    /// Runs several rules over the same bars and combines their verdicts. A rule that is stopped counts as a fault on
    /// every bar; the others go on.
    ///
    /// # Errors
    /// As [`Service::evaluate`], but for violations.
    pub async fn evaluate_jointly(
        &self,
        caller: &Caller,
        request: JointEvaluation,
    ) -> Result<CombinedRun, ServiceError> {
        let began = Instant::now();
        let JointEvaluation { rules, versions, bars, params, series } = request;
        let prepared = self.prepare(caller.tenant, &self.select(rules, &versions)?).await?;
        self.check_rules(prepared.len())?;
        for (at, name) in
            params.iter().map(|(name, _)| ("params", name)).chain(versions.iter().map(|(name, _)| ("versions", name)))
        {
            if prepared.iter().all(|(runnable, _)| runnable.rule != *name) {
                let name = name.as_str().to_owned();
                return Err(ServiceError::NotInRequest { path: format!("{at}.{name}"), name });
            }
        }
        check_columns(&bars, &prepared.iter().map(|(_, prepared)| &*prepared.manifest))?;
        let mut bound = Vec::with_capacity(prepared.len());
        for (runnable, prepared) in prepared {
            let at = format!("params.{}", runnable.rule);
            let given = params.iter().find(|(name, _)| *name == runnable.rule);
            let given = given.map_or(&[][..], |(_, params)| params.as_slice());
            bound.push(self.bind(runnable, prepared, &bars, given, &at)?);
        }
        let mode = mode(&bars);
        let wanted = Wanted { series, events: self.settings.evaluation.events, combine: true };
        let limits = self.limits;
        let work = move || {
            let results: Vec<_> = bound.into_iter().map(|b| (run(&b, &bars, &limits, wanted), b)).collect();
            (results, bars)
        };
        let (results, bars) = self.runs.run(work).await?;
        let mut settled = Vec::with_capacity(results.len());
        for (result, bound) in results {
            self.count(caller, mode, &bound, &result);
            settled.push(self.settle(caller, &bound, result).await?);
        }
        let combined = self.runs.run(move || combine(settled, &bars, wanted)).await?;
        self.metrics.evaluation_duration.with_label_values(&[mode]).observe(began.elapsed().as_secs_f64());
        Ok(combined)
    }

    fn select(&self, rules: Option<Vec<RuleName>>, versions: &[(RuleName, u32)]) -> Result<Selection, ServiceError> {
        let Some(names) = rules else { return Ok(Selection::Active(self.settings.evaluation.rules)) };
        self.check_rules(names.len())?;
        let pinned = |name: &RuleName| versions.iter().find(|(other, _)| other == name).map(|(_, version)| *version);
        Ok(Selection::Named(names.into_iter().map(|name| (pinned(&name), name)).map(|(v, name)| (name, v)).collect()))
    }

    fn check_rules(&self, asked: usize) -> Result<(), ServiceError> {
        let limit = self.settings.evaluation.rules;
        if asked > limit { Err(ServiceError::TooManyRules { asked, limit }) } else { Ok(()) }
    }

    /// Finds the versions and loads the modules that are not loaded yet.
    async fn prepare(
        &self,
        tenant: TenantId,
        selection: &Selection,
    ) -> Result<Vec<(Runnable, Arc<Prepared>)>, ServiceError> {
        let mut ready = Vec::new();
        for runnable in self.store.runnable(tenant, selection).await? {
            let prepared = if let Some(prepared) = self.modules.get(runnable.digest) {
                prepared
            } else {
                let stored = self.store.module(tenant, &runnable.rule, runnable.version).await?;
                let (modules, digest) = (self.modules.clone(), runnable.digest);
                self.runs.run(move || modules.load(digest, &stored.bytes, stored.manifest)).await??
            };
            ready.push((runnable, prepared));
        }
        Ok(ready)
    }

    fn bind(
        &self,
        runnable: Runnable,
        prepared: Arc<Prepared>,
        bars: &Bars,
        params: &[(String, crate::domain::bars::ParamValue)],
        at: &str,
    ) -> Result<Bound, ServiceError> {
        let rule = runnable.rule.as_str();
        let columns = bind_columns(rule, &prepared.manifest, bars)?;
        let params = bind_params(rule, &prepared.manifest, params, at)?;
        self.check_cost(rule, &prepared.manifest, bars.rows)?;
        Ok(Bound { runnable, prepared, columns, params })
    }

    /// The proved worst case of the whole run has to fit: nothing is begun that may not end.
    fn check_cost(&self, rule: &str, manifest: &Manifest, rows: usize) -> Result<(), ServiceError> {
        let Some(cost) = &manifest.cost else { return Ok(()) };
        let chunk = rows_a_call(Some(cost), self.limits.chunk_rows);
        let (cost, limit) = (cost.of_run(rows as u64, u64::from(chunk)), self.limits.fuel);
        if cost <= limit {
            return Ok(());
        }
        let of = if rows == 1 { "one bar".to_owned() } else { format!("{rows} bars") };
        Err(ServiceError::Cost { rule: rule.to_owned(), of, cost, limit, violation: None })
    }

    /// Turns what the sandbox said into results, a recorded violation, or an error of the whole request.
    async fn settle(
        &self,
        caller: &Caller,
        bound: &Bound,
        result: Result<Ran, RunError>,
    ) -> Result<Result<Ran, RuleStopped>, ServiceError> {
        let Runnable { rule, version, digest } = &bound.runnable;
        match result {
            Ok(ran) => Ok(Ok(ran)),
            Err(RunError::Violation(violation)) => {
                let id = self.record_run(caller, bound, &violation).await?;
                Ok(Err(RuleStopped {
                    rule: rule.clone(),
                    version: *version,
                    digest: *digest,
                    kind: violation.kind.name(),
                    detail: violation.detail,
                    violation: id,
                }))
            }
            Err(RunError::ParamsRefused(code)) => {
                Err(ServiceError::ParamsRefused { rule: rule.as_str().to_owned(), code })
            }
            Err(RunError::Busy) => Err(ServiceError::Busy),
            Err(error @ (RunError::Input(_) | RunError::Stopped | RunError::Engine(_))) => {
                Err(ServiceError::Sandbox(error))
            }
        }
    }

    async fn record_run(
        &self,
        caller: &Caller,
        bound: &Bound,
        violation: &Violation,
    ) -> Result<uuid::Uuid, ServiceError> {
        let compiled = bound.prepared.manifest.cost.is_some();
        let record = NewViolation {
            rule: Some(bound.runnable.rule.clone()),
            version: Some(bound.runnable.version),
            digest: Some(bound.runnable.digest),
            ..NewViolation::of_run(violation, compiled, caller.marks.clone(), caller.key)
        };
        Ok(self.record_violation(caller, &record).await?)
    }

    fn count(&self, caller: &Caller, mode: &str, bound: &Bound, result: &Result<Ran, RunError>) {
        let tenant = caller.tenant.to_string();
        let fuel = match result {
            Ok(ran) => ran.run.fuel,
            Err(error) => error.violation().map_or(0, |violation| violation.fuel_used),
        };
        self.metrics.fuel.with_label_values(&[&tenant]).inc_by(fuel);
        let outcome = match result {
            Ok(ran) => {
                let worst = Verdict::ALL.into_iter().rev().find(|&verdict| ran.run.counts.of(verdict) > 0);
                self.metrics.bars.with_label_values(&[mode]).inc_by(ran.run.bars as u64);
                let peak = i64::try_from(ran.report.memory_peak).unwrap_or(i64::MAX);
                if peak > self.metrics.guest_memory_peak.get() {
                    self.metrics.guest_memory_peak.set(peak);
                }
                worst.unwrap_or(Verdict::Ok).name()
            }
            Err(RunError::Violation(_)) => "violation",
            Err(_) => "error",
        };
        if outcome == Verdict::Fault.name() {
            self.metrics.faults.with_label_values(&[&tenant]).inc();
        }
        self.metrics.evaluations.with_label_values(&[mode, outcome, &tenant]).inc();
        tracing::debug!(rule = %bound.runnable.rule, version = bound.runnable.version, outcome, fuel, "evaluated");
    }
}

const fn mode(bars: &Bars) -> &'static str {
    if bars.single { "bar" } else { "columns" }
}
