//! A run in executors: begun when there are bars, and begun again elsewhere if its executor is lost.

use std::sync::Arc;
use std::time::Duration;

use rulebox_abi::columns::{InputColumns, OutputRows, OutputSink};
use rulebox_sandbox::{InputError, Limits, RunError, RunReport, Shape};
use serde_bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::Away;
use super::believed::{Expected, sum};
use super::exchange::{ASK, Answered, Failed, Line, Lost, Results};
use super::module::RemoteModule;
use super::patience::Patience;
use super::peer::{Held, Peer};
use super::places::Batching;
use super::tried::Tried;
use crate::execution::engine::{Run, Setup};
use crate::execution::fair::Owner;
use crate::execution::threads::owner_of_work;
use crate::executors::wire::{Batch, Begin, FrameError, Request, borrowed, frame, rows_a_batch};

/// Batches under way at a time: one that is run, and one that waits for it.
const UNDER_WAY: usize = 2;

/// A run, and all that is needed to begin it again.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what is true of a run, each by itself")]
pub(super) struct RemoteRun {
    module: RemoteModule,
    /// On whose turn it is begun.
    owner: Owner,
    shape: Shape,
    params: Vec<f64>,
    limits: Limits,
    keeps: bool,
    /// What the run goes on from.
    from: Option<Vec<u8>>,
    /// The state after the last batch, or after the set-up.
    kept: Option<Vec<u8>>,
    /// Whether there have been bars that only an executor knows.
    is_elsewhere: bool,
    line: Option<Line>,
    /// For the next bars, if it is other than before.
    refuel: Option<u64>,
    report: RunReport,
    /// What executors before this one have reported.
    before: RunReport,
    /// Whether it stays open between its batches.
    stays: bool,
    /// That the executor was given.
    fuel: u64,
    over: bool,
}

/// Takes what no set-up gives.
struct Nothing;

impl OutputSink for Nothing {
    fn rows(&mut self, _first_row: usize, _rows: &OutputRows<'_>) {}
}

const NONE: RunReport = RunReport { fuel: 0, setup_fuel: 0, memory_peak: 0, elapsed: Duration::ZERO, texts_cut: 0 };

impl RemoteRun {
    pub(super) fn new(module: RemoteModule, setup: Setup<'_>, state: Option<&[u8]>, keeps: bool) -> Self {
        Self {
            owner: owner_of_work(),
            shape: setup.shape.clone(),
            params: setup.params.to_vec(),
            limits: *setup.limits,
            keeps: keeps && module.has_state,
            module,
            from: state.map(<[u8]>::to_vec),
            kept: None,
            is_elsewhere: false,
            line: None,
            refuel: None,
            report: NONE,
            before: NONE,
            stays: false,
            fuel: 0,
            over: false,
        }
    }

    /// Has the set-up, or some bars, run by an executor; by another one if the first is lost.
    fn work(
        &mut self,
        input: Option<&InputColumns<'_>>,
        first_row: usize,
        sink: &mut dyn OutputSink,
    ) -> Result<(), RunError> {
        if self.over {
            return Err(RunError::Stopped);
        }
        let runtime = self.module.shared.runtime.clone();
        let done = runtime.block_on(self.attempts(input, Results { sink, first_row, given: 0 }));
        self.refuel = None;
        done.inspect_err(|_| {
            self.over = true;
            self.line = None;
            // One on trial may be given the next.
            self.module.shared.places.hand_out();
        })
    }

    /// What was used up to a failure is used: on this executor, and on those before.
    fn account(&mut self, error: RunError) -> RunError {
        match error {
            RunError::Violation(mut violation) => {
                self.report.fuel = self.before.fuel.saturating_add(violation.fuel_used);
                self.report.memory_peak = self.report.memory_peak.max(violation.memory_peak);
                violation.fuel_used = self.report.fuel;
                violation.fuel_limit = violation.fuel_limit.saturating_add(self.before.fuel);
                RunError::Violation(violation)
            }
            RunError::Cancelled(report) => {
                self.report = sum(&self.before, &report);
                RunError::Cancelled(self.report)
            }
            other => other,
        }
    }

    async fn attempts(&mut self, input: Option<&InputColumns<'_>>, mut results: Results<'_>) -> Result<(), RunError> {
        let mut tried = Tried::default();
        loop {
            let failed = match self.attempt(input, &mut results, &mut tried).await {
                Ok(()) => {
                    tried.done();
                    return Ok(());
                }
                Err(failed) => failed,
            };
            let held = self.line.take().map(|line| line.held);
            let is_wanted = results.sink.wants_more();
            let goes_on = is_wanted && self.is_movable();
            let lost = match failed {
                Failed::Lost(lost) => lost,
                Failed::Run(error) => {
                    if let Some(error) = self.doubt(error, held.filter(|_| goes_on), &mut tried) {
                        return Err(self.account(error));
                    }
                    continue;
                }
            };
            if goes_on {
                if let Err(error) = tried.after(&self.module, self.owner, held, lost).await {
                    return Err(self.account(tried.doubted().unwrap_or(error)));
                }
                continue;
            }
            if let Some(held) = held {
                let RemoteModule { shared, digest, .. } = &self.module;
                shared.lost(&held, &lost, self.owner, *digest);
            }
            return Err(if is_wanted {
                RunError::Away(Away::NoState(lost).into())
            } else {
                RunError::Cancelled(self.report)
            });
        }
    }

    /// Whether another executor can go on with it.
    const fn is_movable(&self) -> bool {
        !self.is_elsewhere || self.kept.is_some()
    }

    /// What is said of the run, unless another executor is to be asked. What our compiler makes does not trap, and takes
    /// the params that were checked: whoever says otherwise may not be right.
    fn doubt(&self, error: RunError, held: Option<Held>, tried: &mut Tried) -> Option<RunError> {
        if let Some(first) = tried.doubted() {
            return Some(if matches!(error, RunError::Busy | RunError::Away(_)) { first } else { error });
        }
        let is_doubtful = self.module.compiled && matches!(error, RunError::Violation(_) | RunError::ParamsRefused(_));
        if is_doubtful && held.is_some_and(|held| tried.doubts(&self.module.shared, held)) {
            tried.said(error);
            return None;
        }
        Some(error)
    }

    /// How long the next one is waited for: not as long if there is another.
    fn patience(&self, tried: &Tried) -> (Patience, bool) {
        let patience = self.module.shared.options.patience;
        let is_first = tried.peers().is_empty() && self.is_movable() && self.module.shared.are_some_up();
        (if is_first { patience.of_first() } else { patience }, is_first)
    }

    /// Waits for a place on the executor that holds the run, for as long as somebody wants the results.
    async fn place_on(&self, peer: &Arc<Peer>, sink: &mut dyn OutputSink) -> Result<Batching, Failed> {
        let mut place = std::pin::pin!(self.module.shared.places.on(self.owner, peer));
        let until = Instant::now() + self.module.shared.options.patience.turn;
        loop {
            match timeout(ASK, &mut place).await {
                Ok(place) => return place.map_err(|_| Failed::Run(RunError::Busy)),
                Err(_) if !sink.wants_more() => return Err(Lost::Unwanted.into()),
                Err(_) if Instant::now() >= until => return Err(Failed::Run(RunError::Busy)),
                Err(_) => {}
            }
        }
    }

    async fn attempt(
        &mut self,
        input: Option<&InputColumns<'_>>,
        results: &mut Results<'_>,
        tried: &mut Tried,
    ) -> Result<(), Failed> {
        let (patience, is_first) = self.patience(tried);
        let (mut line, _batching) = if let Some(mut line) = self.line.take() {
            let place = self.place_on(&line.held.peer, results.sink).await?;
            line.held.asks();
            (line, place)
        } else {
            self.begin(input.is_none(), tried, patience).await?
        };
        line.patience = patience;
        if let Some(fuel) = self.refuel {
            // What the executor counts goes on; on a new one it has been given just this.
            self.fuel = self.report.fuel.saturating_sub(self.before.fuel).saturating_add(fuel);
        }
        let goes_on_from_some = self.kept.is_some() || self.from.is_some();
        let expected = Expected {
            shape: &self.shape,
            limits: &self.limits,
            fuel: self.fuel,
            may_refuse_state: goes_on_from_some && !self.module.compiled,
        };
        let answered = match input {
            None => line.results(&expected, 0, results).await,
            Some(input) => {
                let batches = Batches {
                    input,
                    rows: rows_a_batch(input, self.limits.chunk_rows),
                    refuel: self.refuel,
                    save: self.keeps,
                    follows: results.sink.bars_follow(),
                };
                batches.run(&mut line, &expected, results).await
            }
        };
        // Kept also if it is lost: who it was is asked for.
        let line = self.line.insert(line);
        let Answered { report, state } = answered.map_err(|failed| match failed {
            Failed::Lost(Lost::Slow | Lost::Silent) if is_first => Lost::Waits.into(),
            failed => failed,
        })?;
        if self.keeps {
            let state = state.ok_or(Lost::from(FrameError::Unasked("no state where one was asked for")))?;
            self.kept = Some(state);
        }
        line.held.succeeded();
        self.report = sum(&self.before, &report);
        self.is_elsewhere |= input.is_some();
        Ok(())
    }

    /// Finds an executor and says how the run begins.
    async fn begin(
        &mut self,
        answers: bool,
        tried: &mut Tried,
        patience: Patience,
    ) -> Result<(Line, Batching), Failed> {
        let (held, batching) = match tried.next() {
            Some(next) => next,
            None => self.module.shared.pick(self.owner, tried.peers()).await.map_err(Failed::Run)?,
        };
        self.before = self.report;
        self.fuel = self.refuel.unwrap_or_else(|| self.limits.fuel.saturating_sub(self.report.fuel));
        let begin = Begin {
            digest: self.module.digest.0,
            owner: self.owner.0.as_u128(),
            shape: self.shape.clone(),
            params: self.params.clone(),
            limits: Limits { fuel: self.fuel, ..self.limits },
            state: self.kept.as_deref().or(self.from.as_deref()).map(Bytes::new),
            answers,
            stays: self.stays,
            save: self.keeps,
        };
        let about = begin.state.map_or(0, |state| state.len()) + 8 * begin.params.len() + 256;
        Ok((Line::open(held, &Request::Begin(begin), about, patience).await?, batching))
    }
}

/// The bars of a call, in pieces that are sent while those before are run.
struct Batches<'a, 'b> {
    input: &'a InputColumns<'b>,
    rows: usize,
    refuel: Option<u64>,
    save: bool,
    /// Whether more bars follow behind all of these.
    follows: bool,
}

impl Batches<'_, '_> {
    fn pieces(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (total, rows) = (self.input.rows, self.rows);
        (0..total).step_by(rows).map(move |start| (start, rows.min(total - start)))
    }

    async fn run(
        &self,
        line: &mut Line,
        expected: &Expected<'_>,
        results: &mut Results<'_>,
    ) -> Result<Answered, Failed> {
        let room = Semaphore::new(UNDER_WAY);
        let words = line.words();
        let writing = async {
            for (start, rows) in self.pieces() {
                let Ok(place) = room.acquire().await else { break };
                place.forget();
                let is_last = start + rows == self.input.rows;
                let refuel = self.refuel.filter(|_| start == 0);
                let input = borrowed(self.input, start, rows);
                let about = 64 + input.inputs.iter().map(|column| column.len() + 8).sum::<usize>() + 24 * rows;
                let batch = Batch { refuel, save: self.save && is_last, follows: !is_last || self.follows, input };
                words.say(frame(&Request::Batch(batch), about)?).await;
            }
            Ok::<_, FrameError>(())
        };
        let reading = async {
            let mut last = None;
            let (first_row, given) = (results.first_row, results.given);
            for (start, rows) in self.pieces() {
                let sink = &mut *results.sink;
                let mut part = Results { sink, first_row: first_row + start, given: given.saturating_sub(start) };
                let answered = line.results(expected, rows, &mut part).await;
                results.given = results.given.max(start + part.given);
                last = Some(answered?);
                room.add_permits(1);
            }
            last.ok_or(Failed::from(FrameError::Unasked("no bars")))
        };
        let (mut writing, mut reading) = (std::pin::pin!(writing), std::pin::pin!(reading));
        tokio::select! {
            biased;
            answered = &mut reading => answered,
            written = &mut writing => {
                written?;
                reading.await
            }
        }
    }
}

impl Run for RemoteRun {
    fn ready(&mut self) -> Result<(), RunError> {
        self.stays = true;
        if self.line.is_some() { Ok(()) } else { self.work(None, 0, &mut Nothing) }
    }

    fn refuel(&mut self, fuel: u64) {
        self.refuel = Some(fuel);
    }

    fn batch(&mut self, input: &InputColumns<'_>, first_row: usize, sink: &mut dyn OutputSink) -> Result<(), RunError> {
        if input.rows == 0 { Ok(()) } else { self.work(Some(input), first_row, sink) }
    }

    fn state(&mut self) -> Result<Vec<u8>, RunError> {
        if !self.module.has_state {
            // What does not start has that to say first.
            if self.line.is_none() {
                self.work(None, 0, &mut Nothing)?;
            }
            return Err(InputError::NoState.into());
        }
        if self.kept.is_none() {
            self.work(None, 0, &mut Nothing)?;
        }
        self.kept.clone().ok_or(RunError::Stopped)
    }

    fn report(&self) -> RunReport {
        self.report
    }
}
