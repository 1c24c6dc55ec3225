//! A run in executors: begun when there are bars, and begun again elsewhere if its executor is lost.

use std::sync::Arc;
use std::time::Duration;

use rulebox_abi::columns::{InputColumns, OutputRows, OutputSink};
use rulebox_sandbox::{InputError, Limits, RunError, RunReport, Shape};
use serde_bytes::Bytes;
use tokio::sync::Semaphore;

use super::Away;
use super::believed::{Expected, sum};
use super::exchange::{Answered, Failed, Line, Lost, Results};
use super::module::RemoteModule;
use super::peer::{Held, Link, Peer};
use super::places::Batching;
use crate::execution::engine::{Run, Setup};
use crate::execution::fair::Owner;
use crate::execution::threads::owner_of_work;
use crate::executors::wire::{Batch, Begin, FrameError, Request, borrowed, frame, rows_a_batch};

/// Batches under way at a time: one that is run, and one that waits for it.
const UNDER_WAY: usize = 2;
/// Executors that may be lost while they run it. More, and it may be the run that they are lost by.
const LOSSES: u32 = 2;
/// Executors that may have no room.
const FULL: u32 = 3;
/// Times that an executor may lack the module, or turn out to be gone.
const OTHERS: u32 = 8;

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

const NONE: RunReport = RunReport { fuel: 0, setup_fuel: 0, memory_peak: 0, elapsed: Duration::ZERO };

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
            let lost = match self.attempt(input, &mut results, &mut tried).await {
                Ok(()) => return Ok(()),
                Err(Failed::Run(error)) => return Err(self.account(error)),
                Err(Failed::Lost(lost)) => lost,
            };
            let held = self.line.take().map(|line| line.held);
            let is_wanted = results.sink.wants_more();
            if is_wanted && (!self.is_elsewhere || self.kept.is_some()) {
                tried.after(&self.module, self.owner, held, lost).await?;
                continue;
            }
            if let Some(held) = held {
                held.lost(&lost);
            }
            return Err(if is_wanted {
                RunError::Away(Away::NoState(lost).into())
            } else {
                RunError::Cancelled(self.report)
            });
        }
    }

    async fn attempt(
        &mut self,
        input: Option<&InputColumns<'_>>,
        results: &mut Results<'_>,
        tried: &mut Tried,
    ) -> Result<(), Failed> {
        let (mut line, _batching) = if let Some(line) = self.line.take() {
            let place = self.module.shared.places.on(self.owner, &line.held.peer).await;
            (line, place.map_err(|_| Failed::Run(RunError::Busy))?)
        } else {
            self.begin(input.is_none(), tried).await?
        };
        if let Some(fuel) = self.refuel {
            // What the executor counts goes on; on a new one it has been given just this.
            self.fuel = self.report.fuel.saturating_sub(self.before.fuel).saturating_add(fuel);
        }
        let expected = Expected { shape: &self.shape, limits: &self.limits, fuel: self.fuel };
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
        if answered.is_ok() {
            line.held.succeeded();
        }
        // Kept also if it is lost: who it was is asked for.
        self.line = Some(line);
        let Answered { report, state } = answered?;
        if self.keeps {
            let state = state.ok_or(Lost::from(FrameError::Unasked("no state where one was asked for")))?;
            self.kept = Some(state);
        }
        self.report = sum(&self.before, &report);
        self.is_elsewhere |= input.is_some();
        Ok(())
    }

    /// Finds an executor and says how the run begins.
    async fn begin(&mut self, answers: bool, tried: &mut Tried) -> Result<(Line, Batching), Failed> {
        let (held, batching) = match tried.next.take() {
            Some(next) => next,
            None => self.module.shared.pick(self.owner, &tried.peers).await.map_err(Failed::Run)?,
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
        let patience = self.module.shared.options.patience;
        Ok((Line::open(held, &Request::Begin(begin), about, patience).await?, batching))
    }
}

/// Who was asked for some bars, and how it went.
#[derive(Default)]
pub(super) struct Tried {
    peers: Vec<Arc<Peer>>,
    /// They were given the module, on these connections.
    given: Vec<Arc<Link>>,
    /// Has just been given the module.
    next: Option<(Held, Batching)>,
    /// Times that an executor may have been lost by it.
    losses: u32,
    /// Times that nothing was begun.
    others: u32,
}

impl Tried {
    /// Notes that a run was lost, and gives the executor the module if that is what it lacked.
    pub(super) async fn after(
        &mut self,
        module: &RemoteModule,
        owner: Owner,
        held: Option<Held>,
        mut lost: Lost,
    ) -> Result<(), RunError> {
        if let Some(mut held) = held {
            if matches!(lost, Lost::NeedsModule) && self.given.iter().any(|link| Arc::ptr_eq(link, &held.link)) {
                lost = Lost::Forgot;
            }
            if matches!(lost, Lost::NeedsModule) && self.others < OTHERS {
                match module.put(&mut held, owner).await {
                    Ok(Ok(())) => {
                        self.others += 1;
                        self.given.push(Arc::clone(&held.link));
                        let place = module.shared.places.on(owner, &held.peer).await;
                        self.next = place.ok().map(|place| (held, place));
                        return Ok(());
                    }
                    // It was taken before, or it would not be run.
                    Ok(Err(refused)) => return Err(RunError::Engine(refused.into())),
                    Err(error) => lost = error,
                }
            }
            held.lost(&lost);
            self.peers.push(Arc::clone(&held.peer));
        }
        self.note(lost)
    }

    /// Whether another one may be tried.
    pub(super) fn note(&mut self, lost: Lost) -> Result<(), RunError> {
        if lost.counts() {
            self.losses += 1;
        } else {
            self.others += 1;
        }
        match lost {
            lost if self.losses >= LOSSES => Err(RunError::Away(Away::Lost(self.losses, lost).into())),
            Lost::Full if self.others >= FULL => Err(RunError::Busy),
            lost if self.others >= OTHERS => Err(RunError::Away(Away::Lost(self.losses, lost).into())),
            _ => Ok(()),
        }
    }

    /// Those that were tried.
    pub(super) fn peers(&self) -> &[Arc<Peer>] {
        &self.peers
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
