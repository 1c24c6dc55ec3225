//! What the API makes of executors that do not do as they should.

mod ends;
mod fake;
mod frames;
mod liars;
mod tenants;
mod trial;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use rulebox_abi::columns::{InputColumns, OutputColumns, OutputRows, OutputSink};
use rulebox_sandbox::{Digest, Limits, RunError, RunReport, Shape};

use super::module::RemoteModule;
use super::{Executors, Options, Patience, deaths};
use crate::execution::engine::{Module, Setup, Unloaded};
use crate::executors::wire::{Done, Failure, Reply, Rows, frame};
use fake::{Act, Fake, Step};

const SHAPE: Shape = Shape { params: 0, inputs: 1, uses_time: false, outs: 0, message_values: 0, keep: false };

/// Much less than in service.
const PATIENCE: Patience = Patience {
    silence: Duration::from_millis(600),
    load: Duration::from_millis(600),
    turn: Duration::from_millis(600),
    elsewhere: Duration::from_millis(600),
    end: Duration::from_millis(100),
};

/// Longer than all of these together, on a busy machine.
const GENEROUS: Duration = Duration::from_mins(1);

fn limits() -> Limits {
    Limits { deadline: Limits::MIN_DEADLINE, chunk_rows: 4, ..Limits::default() }
}

/// Executors of these fakes, each with so many places.
async fn connect(fakes: &[&Fake], runs: usize) -> Executors {
    connect_with(fakes, runs, PATIENCE).await
}

/// Executors of these fakes, which are waited for so long.
async fn connect_with(fakes: &[&Fake], runs: usize, patience: Patience) -> Executors {
    let executors = Executors::connect(Options {
        addresses: fakes.iter().map(|fake| fake.address()).collect(),
        identity: None,
        runs,
        connect_time: Duration::from_secs(1),
        resolve_time: Duration::from_secs(5),
        deaths: deaths().0,
        patience,
    });
    tokio::time::timeout(GENEROUS, async {
        while executors.connected().0 < fakes.len() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("connected");
    executors
}

/// A tenant's module.
fn module(executors: &Executors) -> RemoteModule {
    let bytes = b"a module";
    RemoteModule::new(Arc::clone(&executors.shared), Unloaded { digest: Digest::of(bytes), bytes, compiled: false })
}

/// A module by our compiler.
fn compiled(executors: &Executors) -> RemoteModule {
    RemoteModule { compiled: true, ..module(executors) }
}

/// A reply, as it crosses.
fn reply(reply: &Reply<'_>) -> Step {
    Step::Bytes(frame(reply, 0).unwrap())
}

/// Results of so many bars.
fn rows(count: usize) -> Step {
    let (verdicts, fired) = (vec![0; count], vec![0; 4 * count]);
    let rows = OutputRows {
        rows: count,
        verdicts: &verdicts,
        fired: &fired,
        outs: &[],
        message_values: &[],
        keep: &[],
        messages: &[],
    };
    reply(&Reply::Rows(Rows::of(&rows)))
}

const REPORT: RunReport = RunReport { fuel: 7, setup_fuel: 1, memory_peak: 2, elapsed: Duration::ZERO, texts_cut: 0 };

fn done() -> Step {
    reply(&Reply::Done(Done { report: REPORT, state: None }))
}

fn failed(failure: Failure) -> Step {
    reply(&Reply::Failed(failure))
}

fn goes_on() -> Bytes {
    frame(&Reply::GoesOn, 0).unwrap()
}

fn say(steps: impl Into<Vec<Step>>) -> Act {
    Act::Say(StatusCode::OK, steps.into())
}

fn status(status: StatusCode) -> Act {
    Act::Say(status, Vec::new())
}

/// Takes every module.
fn takes(_: usize) -> Act {
    status(StatusCode::NO_CONTENT)
}

/// Wants so many bars, and then no more.
#[derive(Debug)]
struct Until {
    wanted: usize,
    got: OutputColumns,
}

impl OutputSink for Until {
    fn rows(&mut self, first_row: usize, rows: &OutputRows<'_>) {
        self.got.rows(first_row, rows);
    }

    fn wants_more(&mut self) -> bool {
        self.got.verdicts.len() < self.wanted
    }
}

/// Runs six bars, of which so many are wanted; gives what came of it, and how many were handed on.
async fn run(executors: &Executors, wanted: usize) -> (Result<RunReport, RunError>, usize) {
    run_of(module(executors), wanted).await
}

async fn run_of(module: RemoteModule, wanted: usize) -> (Result<RunReport, RunError>, usize) {
    let work = tokio::task::spawn_blocking(move || {
        let bars = [1.0; 6];
        let input = InputColumns { rows: bars.len(), inputs: &[&bars], time: None };
        let mut sink = Until { wanted, got: OutputColumns::default() };
        let setup = Setup { shape: &SHAPE, params: &[], limits: &limits() };
        let ran = module.run(setup, &input, &mut sink);
        (ran, sink.got.verdicts.len())
    });
    tokio::time::timeout(GENEROUS, work).await.expect("it has an end").unwrap()
}

/// Runs six bars on one executor that does this each time; gives what came of it, how often it was asked, and how often
/// it is said to have failed.
async fn tried(act: Act) -> (Result<RunReport, RunError>, usize, Option<u32>) {
    let fake = Fake::start(move |_| act.clone(), takes);
    let executors = connect(&[&fake], 4).await;
    let (ran, _) = run(&executors, usize::MAX).await;
    let failures = executors.shared.places.peers()[0].failures();
    (ran, fake.asked().0, failures)
}

/// That it was lost, after two tries that both count, by what has these words in it.
async fn is_lost(act: Act, words: &str) {
    let what = format!("{act:?}");
    let (ran, asked, failures) = tried(act).await;
    let error = ran.expect_err("it did as it should");
    assert!(matches!(error, RunError::Away(_)), "{error:?} of {what:.300}");
    let said = crate::telemetry::chain(&error);
    assert!(said.contains(words) && said.len() < 1_000, "{said} of {what:.300}");
    assert_eq!((asked, failures), (2, Some(2)), "{said} of {what:.300}");
}
