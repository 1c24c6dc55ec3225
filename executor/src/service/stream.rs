//! Evaluation of a stream: one run, whose bars come and go batch by batch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rulebox_abi::Verdict;
use rulebox_dsl::manifest::Manifest;
use rulebox_sandbox::{Limits, RunError, RunReport};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{Instrument, Span};

use super::admission::Reserved;
use super::{Caller, Service, ServiceError};
use crate::domain::bars::Params;
use crate::domain::evaluation::{Counts, RuleRun, Series};
use crate::domain::rule::{RuleName, Runnable};
use crate::domain::usage::Usage;
use crate::execution::bind::bind_params;
use crate::execution::modules::Form;
use crate::execution::pool::{Place, PoolError};
use crate::execution::prepared::Prepared;
use crate::execution::shares::Share;
use crate::execution::stream::{StreamRun, batch_fuel, rows_a_batch};
use crate::store::{Selection, StoreError};
use crate::telemetry::spans;

const MODE: &str = "stream";
/// Between two tries for fuel.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);

/// One rule over a stream of bars.
#[derive(Debug)]
pub struct StreamRequest {
    /// The rule.
    pub rule: RuleName,
    /// The version, or else the active one.
    pub version: Option<u32>,
    /// The caller's params.
    pub params: Params,
    /// Changes of verdict to keep.
    pub events: usize,
    /// Whether a bar is its numbers alone: it comes as such, and nothing is answered of it.
    pub numbers_alone: bool,
}

/// A stream between its batches: holds an instance, and no thread.
#[derive(Debug)]
pub struct Stream {
    service: Service,
    caller: Caller,
    runnable: Runnable,
    prepared: Arc<Prepared>,
    /// Gone while a batch runs, and after a failure.
    run: Option<Box<StreamRun>>,
    /// Those it was begun with.
    limits: Limits,
    rows_a_batch: usize,
    stop: CancellationToken,
    tally: Tally,
    began: Instant,
    /// From its first bar to its last.
    span: Span,
    _gone: DropGuard,
    _turn: (Share, Place),
}

/// A batch that may be run, and the fuel that was taken for it.
pub struct Admitted {
    fuel: u64,
    reserved: Reserved,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// With its last bar.
    Whole,
    /// The module was stopped.
    Violation,
    /// The client went away, or the service stops.
    Cancelled,
    /// The bars were not what they should be, or something failed.
    Failed,
}

/// What the last batch that came back said, for a run that did not.
#[derive(Debug, Default)]
struct Tally {
    bars: usize,
    counts: Counts,
    fuel: u64,
    texts_cut: u64,
}

impl Service {
    /// Starts a run whose bars come as a stream. There are so many at a time.
    ///
    /// # Errors
    /// No such rule or version; params that do not fit; a bar that may cost more than a request may; a violation in the
    /// module's setup; too many streams.
    pub async fn open_stream(&self, caller: &Caller, request: StreamRequest) -> Result<Stream, ServiceError> {
        let began = Instant::now();
        // Its own share first: who has used it up takes no turn from others.
        let taken = self.stream_shares.take(caller.tenant.into());
        let share = taken.ok_or(ServiceError::TooManyOpen { what: "streams", limit: self.stream_shares.most() })?;
        let turn = (share, self.stream_turns.place(caller.tenant)?);
        let StreamRequest { rule, version, params, events, numbers_alone } = request;
        let place = self.runs.place(caller.tenant)?;
        let in_force = self.limits_of(caller.tenant).await?;
        let found = self.find(caller, &Selection::Named(vec![(rule.clone(), version)])).await?;
        let prepared = self.prepare(caller, found, Form::Columns, &place).await?;
        let (runnable, prepared) = prepared.into_iter().next().ok_or(StoreError::NoRule(rule))?;
        let params = bind_params(runnable.rule.as_str(), &prepared.manifest, &params, "params")?;
        self.check_cost(&in_force, runnable.rule.as_str(), &prepared.manifest, 1)?;
        let stop = self.streams_ending.child_token();
        let limits = in_force.of_run(&self.limits);
        let start = {
            let (prepared, stop) = (Arc::clone(&prepared), stop.clone());
            move || StreamRun::start(prepared, &params, &limits, events, stop)
        };
        let rows_a_batch = rows_a_batch(&prepared, &limits, self.settings.compile.bar_fuel, numbers_alone);
        let span = spans::evaluation(&Span::current(), MODE, &runnable);
        let stream = Stream {
            service: self.clone(),
            caller: caller.clone(),
            runnable,
            prepared,
            run: None,
            limits,
            rows_a_batch,
            _gone: stop.clone().drop_guard(),
            stop,
            tally: Tally::default(),
            began,
            span,
            _turn: turn,
        };
        // A module may break a limit in its setup: that is recorded, whoever has gone away.
        self.to_the_end(caller, move |service, caller, _| async move {
            match place.run(start).await? {
                Ok(run) => Ok(Stream { run: Some(Box::new(run)), ..stream }),
                Err(error) => {
                    let compiled = stream.prepared.manifest.cost.is_some();
                    let stopped = service.stopped(&caller, &stream.runnable, compiled, error);
                    Err(stopped.instrument(stream.span.clone()).await?)
                }
            }
        })
        .await
    }

    /// Does the work of a stream beside its request, and to its end when the service stops.
    pub fn spawn_stream(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work.in_current_span());
    }

    /// Ends the streams in flight: each says so in its last words.
    pub fn end_streams(&self) {
        self.streams_ending.cancel();
    }
}

impl Stream {
    /// What the rule takes and gives.
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.prepared.manifest
    }

    /// The rule.
    pub fn rule(&self) -> &RuleName {
        &self.runnable.rule
    }

    /// On whose behalf.
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Bars to pass at a time.
    pub const fn rows_a_batch(&self) -> usize {
        self.rows_a_batch
    }

    /// Cancelled when the stream shall end, since the service stops. Cancelled by the caller of a stream that nobody
    /// waits for any more, it ends the batch that runs.
    pub const fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Does work of the stream's on the pool, in its turn.
    ///
    /// # Errors
    /// [`PoolError::Panicked`].
    pub async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PoolError> {
        self.service.runs.place_in_turn(self.caller.tenant).await?.run(work).await
    }

    /// Runs a batch: `work` reads its bars, passes them to the run, and writes the answer. What it gives is right also
    /// if the run was stopped behind it; a violation has been recorded then.
    ///
    /// # Errors
    /// As [`Service::evaluate`]; nothing more can be run then.
    pub async fn batch<T: Send + 'static>(
        &mut self,
        admitted: Admitted,
        work: impl FnOnce(&mut StreamRun) -> (T, Result<(), RunError>) + Send + 'static,
    ) -> (Option<T>, Result<(), ServiceError>) {
        let Admitted { fuel, reserved } = admitted;
        let Some(mut run) = self.run.take() else { return (None, Err(ServiceError::Cancelled)) };
        let ran = self.work(move || {
            run.refuel(fuel);
            let (value, result) = work(&mut run);
            (run, value, result)
        });
        let (run, value, result) = match ran.await {
            Ok(ran) => ran,
            Err(error) => return (None, Err(error.into())),
        };
        let cut = run.report().texts_cut.saturating_sub(self.tally.texts_cut);
        let report = RunReport { texts_cut: cut, ..run.report() };
        reserved.settle(self.account(&run, result.is_err())).await;
        self.run = Some(run);
        let compiled = self.prepared.manifest.cost.is_some();
        if !compiled {
            let recorded = self.service.texts_cut(&self.caller, &self.runnable, &report);
            if let Err(unrecorded) = recorded.instrument(self.span.clone()).await {
                return (Some(value), Err(unrecorded));
            }
        }
        match result {
            Ok(()) => (Some(value), Ok(())),
            Err(error) => {
                let stopped = self.service.stopped(&self.caller, &self.runnable, compiled, error);
                let stopped = stopped.instrument(self.span.clone()).await;
                (Some(value), Err(stopped.unwrap_or_else(|unrecorded| unrecorded)))
            }
        }
    }

    /// Asks for a batch of at most `rows` bars what a request is asked at its start: a tenant that is suspended or a
    /// module that is stopped ends its streams too. A stream that has used up its tenant's fuel waits for more, and its
    /// sender with it.
    ///
    /// # Errors
    /// As [`Service::open_stream`].
    pub async fn admit(&self, rows: usize) -> Result<Admitted, ServiceError> {
        let fuel = batch_fuel(&self.prepared, &self.limits, rows, self.service.settings.compile.bar_fuel);
        let (service, tenant) = (&self.service, self.caller.tenant);
        let patience = Instant::now() + service.settings.api.body_time();
        loop {
            let in_force = service.limits_of(tenant).await?;
            service.check_stopped(tenant, std::slice::from_ref(&self.runnable)).await?;
            let retry_after = match service.try_reserve_fuel(tenant, &in_force, fuel).await {
                Err(ServiceError::RateLimited { decision, .. })
                    if Instant::now().checked_add(decision.retry_after).is_some_and(|at| at < patience) =>
                {
                    decision.retry_after
                }
                Err(refused) => {
                    service.count_refusal(tenant);
                    return Err(refused);
                }
                Ok(reserved) => return Ok(Admitted { fuel, reserved }),
            };
            tokio::select! {
                () = self.stop.cancelled() => return Err(ServiceError::Cancelled),
                () = tokio::time::sleep(retry_after.max(SHORTEST_WAIT)) => {}
            }
        }
    }

    /// Counts what a batch has used, and says it. The stream is one run, from the first batch that had bars or was
    /// stopped: how its bars are cut into batches depends on how they arrive.
    fn account(&mut self, run: &StreamRun, stopped: bool) -> Usage {
        let report = run.report();
        let in_all = if stopped { report.fuel } else { self.prepared.fuel(run.bars(), report.fuel) };
        let fuel = in_all.saturating_sub(self.tally.fuel);
        let bars = run.bars().saturating_sub(self.tally.bars) as u64;
        let metrics = &self.service.metrics;
        let tenant = metrics.tenants.label(self.caller.tenant);
        metrics.fuel.with_label_values(&[&tenant]).inc_by(fuel);
        metrics.bars.with_label_values(&[MODE]).inc_by(bars);
        let begins = self.tally.bars == 0 && (bars > 0 || stopped);
        let peak = i64::try_from(report.memory_peak).unwrap_or(i64::MAX);
        if peak > metrics.guest_memory_peak.get() {
            metrics.guest_memory_peak.set(peak);
        }
        self.tally = Tally {
            bars: run.bars(),
            counts: run.changes().counts,
            fuel: in_all.max(self.tally.fuel),
            texts_cut: report.texts_cut,
        };
        Usage { evaluations: u64::from(begins), bars, fuel, ..Usage::NONE }
    }

    /// Ends the stream, and gives what was said of its bars.
    pub fn finish(mut self, end: StreamEnd) -> RuleRun {
        let Tally { bars, counts, fuel, .. } = self.tally;
        let worst = || Verdict::ALL.into_iter().rev().find(|&verdict| counts.of(verdict) > 0).unwrap_or(Verdict::Ok);
        let outcome = match end {
            StreamEnd::Whole => worst().name(),
            StreamEnd::Violation => "violation",
            StreamEnd::Cancelled => "cancelled",
            StreamEnd::Failed => "error",
        };
        let metrics = &self.service.metrics;
        let tenant = metrics.tenants.label(self.caller.tenant);
        spans::evaluated(&self.span, outcome, bars as u64, fuel);
        metrics.evaluations.with_label_values(&[MODE, outcome, &tenant]).inc();
        if counts.of(Verdict::Fault) > 0 {
            metrics.faults.with_label_values(&[&tenant]).inc();
        }
        metrics.evaluation_duration.with_label_values(&[MODE]).observe(self.began.elapsed().as_secs_f64());
        let milliseconds = self.began.elapsed().as_secs_f64() * 1e3;
        let (rule, version) = (&self.runnable.rule, self.runnable.version);
        tracing::info!(%rule, version, outcome, bars, fuel, milliseconds, "streamed");
        let changes = self.run.take().map(|run| run.into_changes());
        let (first, events, events_truncated) =
            changes.map(|changes| (changes.first, changes.events, changes.events_truncated)).unwrap_or_default();
        RuleRun {
            rule: self.runnable.rule.clone(),
            version: self.runnable.version,
            digest: self.runnable.digest,
            manifest: Arc::clone(&self.prepared.manifest),
            bars,
            counts,
            first,
            events,
            events_truncated,
            last: None,
            series: Series::default(),
            fuel,
        }
    }
}
