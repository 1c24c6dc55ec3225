//! Runs the rules of a request, and settles what they used.

use rulebox_sandbox::RunError;
use tracing::Span;

use super::tenant_limits::InForce;
use super::{Caller, Service, ServiceError};
use crate::domain::bars::Bars;
use crate::domain::evaluation::RuleStopped;
use crate::execution::pool::{Place, Worker};
use crate::execution::prepared::proved_in_all;
use crate::execution::run::{Bound, Ran, run};
use crate::execution::summary::Wanted;
use crate::telemetry::spans;

/// Worst-case fuel of runs that are over sooner than another thread would have begun them: some ten microseconds.
const BRIEF_FUEL: u64 = 20_000;

/// What a fresh sandbox takes beside its fuel, as fuel: many small rules are no brief work.
const START_FUEL: u64 = 5_000;

/// Rules over the bars of a request, held against all limits but the tenant's fuel.
#[derive(Debug)]
pub(super) struct Runs {
    pub(super) bound: Vec<Bound>,
    pub(super) bars: Bars,
    pub(super) wanted: Wanted,
}

/// What became of each rule: its results, or why it was stopped.
type Settled = Vec<Result<Ran, RuleStopped>>;

impl Service {
    /// Runs these rules one after the other, in the order in which they were given. Gives the bars back.
    ///
    /// # Errors
    /// The tenant has not the fuel, there is no thread, or something of the service fails. A violation is no error here.
    pub(super) async fn run_all(
        &self,
        caller: &Caller,
        in_force: &InForce,
        runs: Runs,
        place: &Place,
    ) -> Result<(Settled, Bars), ServiceError> {
        let Runs { bound, bars, wanted } = runs;
        let limits = self.limits_of_each(in_force, &bound, bars.rows);
        let most = self.joint_cost(in_force, &bound, bars.rows);
        let reserved = self.reserve_fuel(caller.tenant, in_force, most).await?;
        let worker = self.worker(place, bound.iter(), bars.rows).await;
        self.to_the_end(caller, move |service, caller, stop| async move {
            let (within, sampling, mode) = (Span::current(), service.checks.sampling(), mode(&bars));
            let work = move || {
                let mut samples = Vec::new();
                let run = |bound: Bound| {
                    let span = spans::evaluation(&within, mode, &bound.runnable);
                    let ran = span.in_scope(|| run(&bound, &bars, limits.of(&bound), wanted, &stop));
                    samples.extend(sampling.of_run(&bound, &bars, wanted, &ran));
                    (ran, bound, span)
                };
                let results: Vec<(Result<Ran, RunError>, _, _)> = bound.into_iter().map(run).collect();
                (results, samples, bars)
            };
            let (results, samples, bars) = worker.run(work).await?;
            let settled = service.settle_all(&caller, mode, results, reserved).await?;
            service.check_samples(&caller, samples);
            Ok((settled, bars))
        })
        .await
    }

    /// Who runs these rules over so many bars. What is proved to be brief is done here and now, the rest by a thread of
    /// the pool, when it is its owner's turn: nothing that may take long keeps a thread from other requests. What has
    /// no proof may always take long.
    pub(super) async fn worker<'b>(
        &self,
        place: &Place,
        bound: impl Iterator<Item = &'b Bound>,
        rows: usize,
    ) -> Worker {
        let mut costs = bound.map(|bound| proved_in_all(&bound.prepared.manifest, rows));
        let most = costs.try_fold(0, |sum: u64, cost| Some(sum.saturating_add(START_FUEL).saturating_add(cost?)));
        if self.runs_here && most.is_some_and(|most| most <= BRIEF_FUEL) {
            return Worker::CALLER;
        }
        place.thread().await.into()
    }
}

/// How the bars came.
pub(super) const fn mode(bars: &Bars) -> &'static str {
    if bars.single { "bar" } else { "columns" }
}
