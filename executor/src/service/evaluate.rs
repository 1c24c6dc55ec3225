//! Evaluation: finds the versions, holds the request against them, runs them, and records what they did.

use std::sync::Arc;
use std::time::Instant;

use tracing::Span;

use super::runs::{Runs, mode};
use super::tenant_limits::InForce;
use super::{Caller, Service, ServiceError};
use crate::domain::bars::{Bars, ParamValue, Params};
use crate::domain::evaluation::{CombinedRun, RuleRun, RuleStopped, SeriesWanted};
use crate::domain::rule::{RuleName, Runnable};
use crate::execution::bind::{bind_columns, bind_params, check_columns};
use crate::execution::modules::Form;
use crate::execution::pool::Place;
use crate::execution::prepared::Prepared;
use crate::execution::room::Room;
use crate::execution::run::{Bound, combine};
use crate::execution::summary::Wanted;
use crate::store::Selection;

/// One rule over some bars.
#[derive(Debug)]
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
    /// Of the request on the pool.
    pub place: Place,
}

/// Several rules over the same bars.
#[derive(Debug)]
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
    /// Of the request on the pool.
    pub place: Place,
}

impl Service {
    /// Runs one rule. The room is for the answer that is made of the run.
    ///
    /// # Errors
    /// No such rule or version; columns or params that do not fit; a cost over the limit; a violation; no room.
    pub async fn evaluate(&self, caller: &Caller, request: Evaluation) -> Result<(RuleRun, Room), ServiceError> {
        let began = Instant::now();
        let Evaluation { rule, version, bars, params, series, place } = request;
        let in_force = self.limits_of(caller.tenant).await?;
        in_force.check_rows(bars.rows)?;
        let selection = Selection::Named(vec![(rule, version)]);
        let mut bound = Vec::new();
        let found = self.find(caller, &selection).await?;
        for (runnable, prepared) in self.prepare(caller, found, self.form(bars.rows), &place).await? {
            check_columns(&bars, &std::iter::once(&*prepared.manifest))?;
            bound.push(self.bind(&in_force, runnable, prepared, &bars, &params, "params")?);
        }
        let mode = mode(&bars);
        let wanted = Wanted { series, events: self.settings.evaluation.events, combine: false };
        let room = self.room(caller, &bound, &bars, wanted)?;
        let (settled, _) = self.run_all(caller, &in_force, Runs { bound, bars, wanted }, &place).await?;
        self.metrics.evaluation_duration.with_label_values(&[mode]).observe(began.elapsed().as_secs_f64());
        match settled.into_iter().next().ok_or(ServiceError::Busy)? {
            Ok(ran) => Ok((ran.run, room)),
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
    ) -> Result<(CombinedRun, Room), ServiceError> {
        let began = Instant::now();
        let JointEvaluation { rules, versions, bars, params, series, place } = request;
        let in_force = self.limits_of(caller.tenant).await?;
        in_force.check_rows(bars.rows)?;
        let found = match rules {
            Some(names) => self.find_named(caller, names, &versions).await?,
            None => self.find_active(caller, &versions).await?,
        };
        let absent = |name: &RuleName| found.iter().all(|runnable| runnable.rule != *name);
        if let Some((name, _)) = params.iter().find(|(name, _)| absent(name)) {
            return Err(not_in_request("params", name));
        }
        let prepared = self.prepare(caller, found, self.form(bars.rows), &place).await?;
        check_columns(&bars, &prepared.iter().map(|(_, prepared)| &*prepared.manifest))?;
        let mut bound = Vec::with_capacity(prepared.len());
        for (runnable, prepared) in prepared {
            let at = format!("params.{}", runnable.rule);
            let given = params.iter().find(|(name, _)| *name == runnable.rule);
            let given = given.map_or(&[][..], |(_, params)| params.as_slice());
            bound.push(self.bind(&in_force, runnable, prepared, &bars, given, &at)?);
        }
        self.check_joint_cost(&in_force, &bound, bars.rows)?;
        let mode = mode(&bars);
        let wanted = Wanted { series, events: self.settings.evaluation.events, combine: true };
        let room = self.room(caller, &bound, &bars, wanted)?;
        let (settled, bars) = self.run_all(caller, &in_force, Runs { bound, bars, wanted }, &place).await?;
        let combined = place.run(move || combine(settled, &bars, wanted)).await?;
        self.metrics.evaluation_duration.with_label_values(&[mode]).observe(began.elapsed().as_secs_f64());
        Ok((combined, room))
    }

    pub(super) async fn find_named(
        &self,
        caller: &Caller,
        names: Vec<RuleName>,
        versions: &[(RuleName, u32)],
    ) -> Result<Vec<Runnable>, ServiceError> {
        self.check_rules(names.len())?;
        if let Some((name, _)) = versions.iter().find(|(name, _)| !names.contains(name)) {
            return Err(not_in_request("versions", name));
        }
        let pinned = |name: &RuleName| versions.iter().find(|(other, _)| other == name).map(|(_, version)| *version);
        let selected = names.into_iter().map(|name| (pinned(&name), name)).map(|(version, name)| (name, version));
        self.find(caller, &Selection::Named(selected.collect())).await
    }

    pub(super) async fn find_active(
        &self,
        caller: &Caller,
        versions: &[(RuleName, u32)],
    ) -> Result<Vec<Runnable>, ServiceError> {
        let mut found = self.find(caller, &Selection::Active(self.settings.evaluation.rules)).await?;
        self.check_rules(found.len())?;
        if versions.is_empty() {
            return Ok(found);
        }
        let pinned = versions.iter().map(|(name, version)| (name.clone(), Some(*version))).collect();
        for pinned in self.find(caller, &Selection::Named(pinned)).await? {
            match found.iter_mut().find(|runnable| runnable.rule == pinned.rule) {
                Some(active) => *active = pinned,
                None => return Err(not_in_request("versions", &pinned.rule)),
            }
        }
        Ok(found)
    }

    fn check_rules(&self, asked: usize) -> Result<(), ServiceError> {
        let limit = self.settings.evaluation.rules;
        if asked > limit { Err(ServiceError::TooManyRules { asked, limit }) } else { Ok(()) }
    }

    /// The form that a run of so many bars takes.
    pub(super) fn form(&self, rows: usize) -> Form {
        if rows == 1 && self.runs_here { Form::Bar } else { Form::Columns }
    }

    /// Loads the modules that are not loaded yet, on the pools of those who compile: runs do not wait behind it.
    pub(super) async fn prepare(
        &self,
        caller: &Caller,
        found: Vec<Runnable>,
        form: Form,
        place: &Place,
    ) -> Result<Vec<(Runnable, Arc<Prepared>)>, ServiceError> {
        let mut ready = Vec::with_capacity(found.len());
        for runnable in found {
            let prepared = if let Some(prepared) = self.modules.get(caller.tenant, runnable.digest, form) {
                prepared
            } else {
                let stored = self.store.module(caller.tenant, &runnable.rule, runnable.version).await?;
                let (modules, digest, tenant) = (self.modules.clone(), runnable.digest, caller.tenant);
                let compiled = stored.manifest.cost.is_some();
                let pool = if compiled { self.compiler.pool() } else { &self.module_uploads };
                let within = Span::current();
                let load =
                    move || within.in_scope(|| modules.load(tenant, digest, form, &stored.bytes, &stored.manifest));
                let loaded = place.at(pool).run(load).await?;
                match loaded {
                    Err(error) if !compiled => return Err(self.not_loaded(caller, &runnable, error).await?),
                    loaded => loaded?,
                }
            };
            ready.push((runnable, prepared));
        }
        Ok(ready)
    }

    fn bind(
        &self,
        in_force: &InForce,
        runnable: Runnable,
        prepared: Arc<Prepared>,
        bars: &Bars,
        params: &[(String, ParamValue)],
        at: &str,
    ) -> Result<Bound, ServiceError> {
        let rule = runnable.rule.as_str();
        let columns = bind_columns(rule, &prepared.manifest, bars)?;
        let params = bind_params(rule, &prepared.manifest, params, at)?;
        self.check_cost(in_force, rule, &prepared.manifest, bars.rows)?;
        Ok(Bound { runnable, prepared, columns, params })
    }

    /// Room for results and answer: a request may ask for far more than it sends.
    fn room(&self, caller: &Caller, bound: &[Bound], bars: &Bars, wanted: Wanted) -> Result<Room, ServiceError> {
        let columns: usize = bound.iter().map(|bound| wanted.columns(&bound.prepared.shape)).sum();
        let (values, limit) = (bars.rows.saturating_mul(columns), self.settings.evaluation.cells);
        if values > limit {
            return Err(ServiceError::TooManyResults { values, limit });
        }
        Ok(self.rooms.take(caller.tenant, values)?)
    }
}

pub(super) fn not_in_request(at: &str, name: &RuleName) -> ServiceError {
    let name = name.as_str().to_owned();
    ServiceError::NotInRequest { path: format!("{at}.{name}"), name }
}
