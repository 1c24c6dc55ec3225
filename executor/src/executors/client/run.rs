//! A run in executors: begun when there are bars, and begun again elsewhere if its executor is lost.

use std::sync::Arc;
use std::time::Duration;

use rulebox_abi::columns::{InputColumns, OutputRows, OutputSink};
use rulebox_sandbox::{InputError, Limits, RunError, RunReport, Shape};
use serde_bytes::Bytes;
use tokio::sync::Semaphore;

use super::Away;
use super::exchange::{Answered, Expected, Failed, Line, Lost, Results};
use super::module::RemoteModule;
use super::peer::{Held, Peer};
use crate::execution::engine::{Run, Setup};
use crate::execution::fair::Owner;
use crate::execution::threads::owner_of_work;
use crate::executors::wire::{Batch, Begin, FrameError, Request, borrowed, frame, rows_a_batch};
use crate::telemetry::chain;

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
        if done.is_err() {
            self.over = true;
            self.line = None;
        }
        done
    }

    async fn attempts(&mut self, input: Option<&InputColumns<'_>>, mut results: Results<'_>) -> Result<(), RunError> {
        let mut tried = Tried::default();
        loop {
            let lost = match self.attempt(input, &mut results, &mut tried).await {
                Ok(()) => return Ok(()),
                Err(Failed::Run(error)) => return Err(error),
                Err(Failed::Lost(lost)) => lost,
            };
            if self.is_elsewhere && self.kept.is_none() {
                return Err(RunError::Away(Away::NoState(lost).into()));
            }
            let held = self.line.take().map(|line| line.held);
            if let Some(held) = tried.after(&self.module, held, lost).await? {
                tried.next = Some(held);
            }
        }
    }

    async fn attempt(
        &mut self,
        input: Option<&InputColumns<'_>>,
        results: &mut Results<'_>,
        tried: &mut Tried,
    ) -> Result<(), Failed> {
        let mut line = match self.line.take() {
            Some(line) => line,
            None => self.begin(input.is_none(), tried).await?,
        };
        let Limits { state_bytes, message_bytes, .. } = self.limits;
        let expected = Expected { shape: &self.shape, state_bytes, message_bytes };
        let answered = match input {
            None => line.results(&expected, 0, results).await,
            Some(input) => {
                let batches = Batches {
                    input,
                    rows: rows_a_batch(input, self.limits.chunk_rows),
                    refuel: self.refuel,
                    save: self.keeps,
                };
                batches.run(&mut line, &expected, results).await
            }
        };
        let peer = Arc::clone(&line.held.peer);
        // Kept also if it is lost: who it was is asked for.
        self.line = Some(line);
        let Answered { report, state } = answered?;
        peer.succeeded();
        self.report = sum(&self.before, &report);
        self.is_elsewhere |= input.is_some();
        if self.keeps {
            let state = state.ok_or(Lost::from(FrameError::Unasked("no state where one was asked for")))?;
            self.kept = Some(state);
        }
        Ok(())
    }

    /// Finds an executor and says how the run begins.
    async fn begin(&mut self, open: bool, tried: &mut Tried) -> Result<Line, Failed> {
        let held = match tried.next.take() {
            Some(held) => held,
            None => self.module.shared.pick(&tried.peers).await.map_err(Failed::Run)?,
        };
        self.before = self.report;
        let fuel = self.refuel.unwrap_or_else(|| self.limits.fuel.saturating_sub(self.report.fuel));
        let begin = Begin {
            digest: self.module.digest.0,
            owner: self.owner.0.as_u128(),
            shape: self.shape.clone(),
            params: self.params.clone(),
            limits: Limits { fuel, ..self.limits },
            state: self.kept.as_deref().or(self.from.as_deref()).map(Bytes::new),
            open,
            save: self.keeps,
        };
        let about = begin.state.map_or(0, |state| state.len()) + 8 * begin.params.len() + 256;
        Line::open(held, &Request::Begin(begin), about).await
    }
}

/// Who was asked for some bars, and how it went.
#[derive(Default)]
struct Tried {
    peers: Vec<Arc<Peer>>,
    /// Has just been given the module.
    next: Option<Held>,
    /// Times that an executor may have been lost by it.
    losses: u32,
    /// Times that nothing was begun.
    others: u32,
}

impl Tried {
    /// Notes that a run was lost. Gives the executor if it has the module now; else another one is to be found.
    async fn after(&mut self, module: &RemoteModule, held: Option<Held>, lost: Lost) -> Result<Option<Held>, RunError> {
        if lost.counts() {
            self.losses += 1;
        } else {
            self.others += 1;
        }
        if let Some(mut held) = held {
            tracing::debug!(executor = %held.peer.place, error = chain(&lost), "a run was not done");
            if matches!(lost, Lost::NeedsModule) && self.others < OTHERS {
                match module.put(&mut held).await {
                    Ok(Ok(())) => return Ok(Some(held)),
                    // It was taken before, or it would not be run.
                    Ok(Err(refused)) => return Err(RunError::Engine(refused.into())),
                    Err(_) => {}
                }
            }
            if lost.counts() {
                tracing::warn!(executor = %held.peer.place, error = chain(&lost), "a run was lost");
                held.peer.failed();
            }
            self.peers.push(Arc::clone(&held.peer));
        }
        match lost {
            lost if self.losses >= LOSSES => Err(RunError::Away(Away::Lost(self.losses, lost).into())),
            Lost::Full if self.others >= FULL => Err(RunError::Busy),
            lost if self.others >= OTHERS => Err(RunError::Away(Away::Lost(self.losses, lost).into())),
            _ => Ok(None),
        }
    }
}

/// The bars of a call, in pieces that are sent while those before are run.
struct Batches<'a, 'b> {
    input: &'a InputColumns<'b>,
    rows: usize,
    refuel: Option<u64>,
    save: bool,
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
                let batch = Batch { refuel, save: self.save && is_last, follows: !is_last, input };
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

/// What was used here and there.
fn sum(before: &RunReport, now: &RunReport) -> RunReport {
    RunReport {
        fuel: before.fuel.saturating_add(now.fuel),
        setup_fuel: before.setup_fuel.saturating_add(now.setup_fuel),
        memory_peak: before.memory_peak.max(now.memory_peak),
        elapsed: before.elapsed.saturating_add(now.elapsed),
    }
}

impl Run for RemoteRun {
    fn ready(&mut self) -> Result<(), RunError> {
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
