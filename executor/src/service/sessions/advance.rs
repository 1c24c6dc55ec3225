//! The next bars of a session.

use std::sync::Arc;
use std::time::Instant;

use rulebox_sandbox::{InputError, RunError};
use serde_json::value::RawValue;
use tracing::{Instrument, Span};

use super::state::{Answered, InputHash, hash_inputs};
use super::{ATTEMPTS, Live};
use crate::domain::bars::Bars;
use crate::domain::rule::Runnable;
use crate::domain::session::SessionBar;
use crate::domain::usage::Usage;
use crate::execution::bind::{bind_columns, check_columns};
use crate::execution::live::{Ahead, combine, go_on};
use crate::execution::pool::Place;
use crate::execution::run::Bound;
use crate::execution::summary::time_of;
use crate::service::settle::used;
use crate::service::{Caller, Service, ServiceError};
use crate::shared::SessionId;
use crate::telemetry::spans;

/// How runs of sessions are counted.
const MODE: &str = "session";
/// Bars up to which answers are written where they are made.
const FEW: usize = 64;
/// Values of results that a rule's answer to a bar is reckoned as, for the room that answers take.
const VALUES_A_BAR: usize = 16;

/// Some bars, and where in the session they belong.
#[derive(Debug)]
pub struct NextBars {
    /// The number of the first.
    pub seq: u64,
    /// The bars.
    pub bars: Bars,
    /// Of the request on the pool.
    pub place: Place,
}

/// Writes what was said of a bar as its caller is told it. That is kept, and told again.
pub type Render = fn(SessionBar) -> Result<Box<RawValue>, serde_json::Error>;

/// What was answered to some bars.
#[derive(Debug)]
pub struct SessionAnswer {
    /// The number of the first.
    pub seq: u64,
    /// The number of the bar after the last.
    pub next_seq: u64,
    /// One a bar, as written when it was answered first.
    pub bars: Vec<Box<RawValue>>,
}

/// The states after some bars, and what is answered to them.
struct Step {
    states: Vec<Vec<u8>>,
    answers: Vec<Box<RawValue>>,
}

impl Service {
    /// Answers some bars: those that were answered before as then, the others by running the rules over them. `live`
    /// is what the caller knows of the session from its last call, and then from this one.
    ///
    /// # Errors
    /// No such session, or it is lost or cannot be had; bars that do not continue it or do not fit its rules; a
    /// violation. Nothing of the bars is then counted, except that after [`ServiceError::Shared`] it is not known.
    pub async fn advance_session(
        &self,
        caller: &Caller,
        name: &str,
        live: &mut Option<Live>,
        next: NextBars,
        render: Render,
    ) -> Result<SessionAnswer, ServiceError> {
        let began = Instant::now();
        let id = self.find_session(caller, name)?;
        let NextBars { seq, bars, place } = next;
        let (inputs, bars) = (hash_inputs(&bars), Arc::new(bars));
        for _ in 0..ATTEMPTS {
            let (current, is_last) = match live.take() {
                Some(current) => (current, false),
                None => (self.load(caller, id).await?, true),
            };
            let answered = self.answer_from(caller, id, current, seq, &bars, &inputs, &place, render).await;
            let (now, answer) = match answered {
                Ok(done) => done,
                // Another replica may have gone on since.
                Err(Stale::Held(_, ServiceError::Seq(_))) if !is_last => continue,
                Err(Stale::Held(current, error)) => {
                    *live = Some(current);
                    return Err(error);
                }
                Err(Stale::Lost(error)) => return Err(error),
                Err(Stale::Conflict) => continue,
            };
            *live = Some(now);
            self.metrics.evaluation_duration.with_label_values(&[MODE]).observe(began.elapsed().as_secs_f64());
            return Ok(answer);
        }
        Err(ServiceError::Busy)
    }

    #[expect(clippy::too_many_arguments, reason = "one step of the function above")]
    async fn answer_from(
        &self,
        caller: &Caller,
        id: SessionId,
        current: Live,
        seq: u64,
        bars: &Arc<Bars>,
        inputs: &[InputHash],
        place: &Place,
        render: Render,
    ) -> Result<(Live, SessionAnswer), Stale> {
        let known = match current.state.known(seq, inputs) {
            Ok(known) => known,
            Err(error) => return Err(Stale::Held(current, error.into())),
        };
        let mut answers = current.state.answers(seq, known);
        let next_seq = seq + inputs.len() as u64;
        if known == inputs.len() && known > 0 {
            return Ok((current, SessionAnswer { seq, next_seq, bars: answers }));
        }
        let step = match self.step(caller, &current, bars, known, place, render).await {
            Ok(step) => step,
            Err(error) => return Err(Stale::Held(current, error)),
        };
        let settings = &self.settings.sessions;
        let bytes: usize = step.answers.iter().map(|answer| answer.get().len()).sum();
        if bytes > settings.answer_bytes {
            return Err(Stale::Held(current, ServiceError::AnswerTooLong { limit: settings.answer_bytes }));
        }
        let new = inputs.iter().skip(known).zip(&step.answers);
        let answered = new.map(|(input, answer)| Answered { input: *input, answer: answer.clone() }).collect();
        let (keep, bytes) = (settings.answers, settings.answer_bytes);
        let state = current.state.after(step.states, answered, inputs.len(), keep, bytes);
        match self.save(caller, id, current.revision, &state).await {
            Ok(Some(revision)) => {
                answers.extend(step.answers);
                Ok((Live { revision, state }, SessionAnswer { seq, next_seq, bars: answers }))
            }
            Ok(None) => Err(Stale::Conflict),
            Err(error) => Err(Stale::Lost(error)),
        }
    }

    /// Runs the rules over the bars from `skip` on.
    async fn step(
        &self,
        caller: &Caller,
        current: &Live,
        bars: &Arc<Bars>,
        skip: usize,
        place: &Place,
        render: Render,
    ) -> Result<Step, ServiceError> {
        let in_force = self.limits_of(caller.tenant).await?;
        in_force.check_rows(bars.rows)?;
        let runnables = current.state.runnables().ok_or(ServiceError::SessionLost)?;
        self.check_stopped(caller.tenant, &runnables).await?;
        let prepared = self.prepare(caller, runnables, self.form(bars.rows - skip), place).await?;
        check_columns(bars, &prepared.iter().map(|(_, prepared)| &*prepared.manifest))?;
        let mut bound = Vec::with_capacity(prepared.len());
        for ((runnable, prepared), pinned) in prepared.into_iter().zip(&current.state.rules) {
            let columns = bind_columns(runnable.rule.as_str(), &prepared.manifest, bars)?;
            let bound_rule = Bound { runnable, prepared, columns, params: pinned.params.clone() };
            bound.push((bound_rule, pinned.state.clone()));
        }
        let rows = skip..bars.rows;
        let rules: Vec<_> = bound.iter().map(|(bound, _)| bound.clone()).collect();
        self.check_joint_cost(&in_force, &rules, rows.len())?;
        let _room =
            self.rooms.take(caller.tenant, rows.len().saturating_mul(rules.len()).saturating_mul(VALUES_A_BAR))?;
        let most = self.joint_cost(&in_force, &rules, rows.len());
        let reserved = self.reserve_fuel(caller.tenant, &in_force, most).await?;
        let (limits, first) = (self.limits_of_each(&in_force, &rules, rows.len()), current.state.next_seq);
        let worker = self.worker(place, rules.iter(), rows.len()).await;
        let ahead = self
            .to_the_end(caller, {
                let (bars, rows) = (Arc::clone(bars), rows.clone());
                move |service, caller, stop| async move {
                    let (within, sampling) = (Span::current(), service.checks.sampling());
                    let work = move || {
                        let mut samples = Vec::new();
                        let run = |(bound, state): (Bound, Vec<u8>)| {
                            let span = spans::evaluation(&within, MODE, &bound.runnable);
                            let go_on = || go_on(&bound, &state, &bars, rows.clone(), first, limits.of(&bound), &stop);
                            let ahead = span.in_scope(go_on);
                            // From another bar on, the interpreter has no state to begin with.
                            if let (0, Ok(ahead)) = (first, &ahead) {
                                samples.extend(sampling.of_session(&bound, &bars, &ahead.events));
                            }
                            (ahead, bound, span)
                        };
                        let results: Vec<_> = bound.into_iter().map(run).collect();
                        (results, samples)
                    };
                    let (results, samples) = worker.run(work).await?;
                    let ran = |ahead: &Result<Ahead, RunError>| used(ahead.as_ref().map(|a| (&a.counts, a.fuel)));
                    let each = results.iter().map(|(result, ..)| ran(result));
                    reserved.settle(each.fold(Usage::NONE, Usage::plus)).await;
                    let settled = service.settle_live(&caller, results).await?;
                    service.check_samples(&caller, samples);
                    Ok(settled)
                }
            })
            .await?;
        let (count, bars) = (rows.len(), Arc::clone(bars));
        let write = move || written(ahead, &bars, skip, first, render);
        let written = if count <= FEW { write() } else { place.run(write).await? };
        // Numbers and texts can be written.
        written.map_err(|_| ServiceError::SessionLost)
    }

    /// Counts what was run, and records every violation before it is told of the first.
    async fn settle_live(
        &self,
        caller: &Caller,
        results: Vec<(Result<Ahead, RunError>, Bound, Span)>,
    ) -> Result<Vec<(Ahead, Bound)>, ServiceError> {
        let (mut ahead, mut stopped) = (Vec::with_capacity(results.len()), None);
        for (result, bound, span) in results {
            let counted = result.as_ref().map(|ahead| (&ahead.counts, ahead.fuel, &ahead.report));
            span.in_scope(|| self.count_run(caller, MODE, &bound, counted));
            match result {
                Ok(ran) => {
                    let overran = self.overran(caller, &bound, ran.events.len(), &ran.report);
                    match overran.instrument(span).await? {
                        None => ahead.push((ran, bound)),
                        Some(why) => {
                            stopped.get_or_insert(why);
                        }
                    }
                }
                Err(error) => {
                    let why = self.not_run(caller, &bound.runnable, bound.compiled(), error);
                    let why = why.instrument(span).await?;
                    stopped.get_or_insert(why);
                }
            }
        }
        stopped.map_or(Ok(ahead), Err)
    }

    /// Why a rule gave no results, in a session.
    pub(super) async fn not_run(
        &self,
        caller: &Caller,
        runnable: &Runnable,
        compiled: bool,
        error: RunError,
    ) -> Result<ServiceError, ServiceError> {
        if matches!(error, RunError::Input(InputError::NoState)) {
            return Ok(ServiceError::NoState { rule: runnable.rule.as_str().to_owned() });
        }
        self.stopped(caller, runnable, compiled, error).await
    }
}

/// Why a call did not go through, and what that says of what was known of the session.
enum Stale {
    /// Nothing new: it may be gone on with.
    Held(Live, ServiceError),
    /// It has to be read again, by the next call.
    Lost(ServiceError),
    /// It has to be read again, at once.
    Conflict,
}

fn written(
    ahead: Vec<(Ahead, Bound)>,
    bars: &Bars,
    skip: usize,
    first: u64,
    render: Render,
) -> Result<Step, serde_json::Error> {
    let (mut states, mut rules) = (Vec::with_capacity(ahead.len()), Vec::with_capacity(ahead.len()));
    for (Ahead { events, state, .. }, bound) in ahead {
        states.push(state);
        rules.push((bound.runnable.rule, bound.prepared.manifest.clone(), events.into_iter()));
    }
    let mut answers = Vec::with_capacity(bars.rows - skip);
    for (row, seq) in (skip..bars.rows).zip(first..) {
        let next = rules
            .iter_mut()
            .filter_map(|(rule, manifest, events)| Some((rule.clone(), Arc::clone(manifest), events.next()?)));
        let rules: Vec<_> = next.collect();
        let combined = combine(rules.iter().map(|(_, _, event)| event));
        let (verdict, action, keep) = (combined.verdict, combined.action, combined.keep);
        answers.push(render(SessionBar {
            seq,
            time: time_of(bars.time.as_deref(), row),
            verdict,
            action,
            keep,
            rules,
        })?);
    }
    Ok(Step { states, answers })
}
