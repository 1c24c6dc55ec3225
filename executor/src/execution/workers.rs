//! The processes that compile what our own compiler did not make: so many, each started when it is needed, and started
//! anew when it is lost.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use moka::sync::Cache;
use rulebox_sandbox::worker::{CompileFailure, Killed, Setup, Worker, WorkerError};
use rulebox_sandbox::{Digest, Module, Refusal, Sandbox};

use super::modules::LoadError;
use crate::confinement::Policy;
use crate::telemetry::chain;

/// Modules that are remembered as refused. Each takes less than 2 KiB.
const REMEMBERED: u64 = 10_000;
/// This program, as the kernel knows it: also when its file has been replaced.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// What workers are made of.
#[derive(Clone, Debug)]
pub struct WorkersConfig {
    /// Processes.
    pub processes: usize,
    /// The program, which is this one, if not named.
    pub program: Option<PathBuf>,
    /// What a worker does where the system lacks a part of its confinement.
    pub confinement: Policy,
    /// What a module may be, and what compiling it may take.
    pub setup: Setup,
}

/// Worker processes. Cheap to clone; they end with the last clone.
#[derive(Clone, Debug)]
pub struct Workers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: WorkersConfig,
    state: Mutex<State>,
    /// A worker came back, or its place did.
    back: Condvar,
    /// What was refused for what it is: the same for the same bytes, settings and program.
    refused: Cache<[u8; 32], Refusal>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Worker>,
    /// Places that are taken by work.
    busy: usize,
}

/// A place among the workers, given back when it is dropped.
struct Place<'a> {
    shared: &'a Shared,
    worker: Option<Worker>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.busy -= 1;
        state.idle.extend(self.worker.take());
        drop(state);
        self.shared.back.notify_one();
    }
}

impl Workers {
    /// None is started.
    pub fn new(config: WorkersConfig) -> Self {
        let refused = Cache::new(REMEMBERED);
        let shared = Shared { config, state: Mutex::default(), back: Condvar::new(), refused };
        Self { shared: Arc::new(shared) }
    }

    /// Starts all of them: before the process confines itself, after which it can start none.
    ///
    /// # Errors
    /// If one cannot be started.
    pub fn start(&self) -> Result<(), WorkerError> {
        let mut state = self.shared.state();
        while state.idle.len() + state.busy < self.shared.config.processes {
            state.idle.push(self.shared.start()?);
        }
        Ok(())
    }

    /// How many there are to be.
    pub fn wanted(&self) -> usize {
        self.shared.config.processes
    }

    /// How many there are. In a process that can start none, fewer than [`Workers::wanted`] are lost for good; elsewhere
    /// they are started when they are needed.
    pub fn alive(&self) -> usize {
        let mut state = self.shared.state();
        state.idle.retain_mut(Worker::is_alive);
        state.idle.len() + state.busy
    }

    /// The numbers of those that wait for work.
    pub fn idle_processes(&self) -> Vec<u32> {
        self.shared.state().idle.iter().map(Worker::process).collect()
    }

    /// Has a module compiled, and loads it into the sandbox of the setup. Waits for a worker: not for async threads.
    ///
    /// # Errors
    /// [`LoadError::Refused`] for what the module is or takes; [`LoadError::NoWorker`] if the workers are to blame.
    pub fn load(&self, sandbox: &Sandbox, digest: Digest, bytes: &[u8]) -> Result<Module, LoadError> {
        if let Some(refusal) = self.shared.refused.get(&digest.0) {
            return Err(LoadError::Refused(refusal));
        }
        let mut lost = 0;
        loop {
            match self.shared.once(sandbox, bytes) {
                Ok(module) => return Ok(module),
                Err(CompileFailure::Refused { refusal, killed }) => {
                    if let Some(killed) = killed {
                        tracing::warn!(%digest, by = killed.name(), "a module was not compiled: its compiler was stopped");
                    }
                    if killed.is_none_or(Killed::is_lasting) {
                        self.shared.refused.insert(digest.0, refusal.clone());
                    }
                    return Err(LoadError::Refused(refusal));
                }
                // Whatever befell it, the module may not be to blame: once more, by a new worker if it was the worker.
                Err(CompileFailure::JobLost(error) | CompileFailure::WorkerLost(error)) if lost == 0 => {
                    tracing::warn!(%digest, error = chain(&error), "a compile worker or its job was lost");
                    lost += 1;
                }
                Err(CompileFailure::JobLost(error) | CompileFailure::WorkerLost(error)) => {
                    return Err(LoadError::NoWorker(error));
                }
            }
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn once(&self, sandbox: &Sandbox, bytes: &[u8]) -> Result<Module, CompileFailure> {
        let mut place = self.place();
        let mut worker = match place.worker.take() {
            Some(worker) => worker,
            None => self.start()?,
        };
        let compiled = worker.compile(sandbox, bytes);
        if !matches!(compiled, Err(CompileFailure::WorkerLost(_))) {
            place.worker = Some(worker);
        }
        compiled
    }

    /// Waits for a place; with a worker, if there is one.
    fn place(&self) -> Place<'_> {
        let mut state = self.state();
        loop {
            while let Some(mut worker) = state.idle.pop() {
                if worker.is_alive() {
                    state.busy += 1;
                    return Place { shared: self, worker: Some(worker) };
                }
                tracing::warn!(process = worker.process(), "a compile worker died while it waited");
            }
            if state.busy < self.config.processes.max(1) {
                state.busy += 1;
                return Place { shared: self, worker: None };
            }
            state = self.back.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn start(&self) -> Result<Worker, WorkerError> {
        let config = &self.config;
        let mut command = Command::new(config.program.clone().unwrap_or_else(|| THIS_PROGRAM.into()));
        let confinement = match config.confinement {
            Policy::Require => "require",
            Policy::BestEffort => "best-effort",
        };
        command.args(["compile-worker", "--confinement", confinement]);
        let worker = Worker::start(command, config.setup.clone())?;
        tracing::info!(process = worker.process(), confinement = worker.confinement(), "a compile worker is ready");
        Ok(worker)
    }
}
