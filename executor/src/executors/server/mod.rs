//! An executor's side: takes runs from APIs, and runs them.

mod accept;
mod handler;
mod listener;
mod run;
mod sink;

use std::sync::Arc;

use rulebox_sandbox::Digest;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::Evaluation;
use crate::execution::cache::{Bounds, Cache};
use crate::execution::engine::{Engine, Module, Unloaded};
use crate::execution::fair::Owner;
use crate::execution::modules::{ENTRY_BYTES, LoadError};
use crate::execution::places::Places;
use crate::execution::pool::Pool;
use crate::executors::wire::FrameRoom;
use crate::telemetry::metrics::Metrics;

pub use accept::{Limits, serve};
pub use listener::{ListenError, Listener};

/// Bytes of what APIs send, over all their runs: bars that have come, or are coming, and are not run.
const FRAMES_BYTES: usize = 256 << 20;
/// Modules that are read at a time: each is of a MiB at most, and comes at once.
const ARRIVING: usize = 32;

/// What runs modules for APIs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Executor {
    engine: Arc<dyn Engine>,
    loaded: Cache<Arc<dyn Module>>,
    /// Threads that run modules.
    runs: Pool,
    /// Threads that compile what our compiler made.
    loads: Pool,
    /// Threads that wait for workers to compile the others.
    guest_loads: Pool,
    /// Runs that stay between their batches.
    open: Places,
    /// For what APIs send.
    frames: FrameRoom,
    /// Modules that are being read.
    arriving: Arc<Semaphore>,
    metrics: Metrics,
    stopping: CancellationToken,
}

impl Executor {
    /// Runs modules in this engine.
    pub fn new(engine: Arc<dyn Engine>, settings: &crate::config::Config, metrics: Metrics) -> Self {
        let Evaluation { threads, queue, streams, loaded_modules, loaded_bytes, .. } = settings.evaluation;
        let (compilers, texts) = (settings.compile.threads, settings.compile.queue);
        Self {
            engine,
            loaded: Cache::new(Bounds { entries: loaded_modules, bytes: loaded_bytes }),
            runs: Pool::new("evaluation", threads, queue),
            loads: Pool::new("compile", compilers, texts).strict(),
            guest_loads: Pool::new("module", settings.compile.workers, texts)
                .strict()
                .of_each_owner(settings.compile.of_tenant()),
            open: Places::new(streams, streams.div_ceil(2)),
            frames: FrameRoom::new(FRAMES_BYTES),
            arriving: Arc::new(Semaphore::new(ARRIVING)),
            metrics,
            stopping: CancellationToken::new(),
        }
    }

    /// Sets the gauges that are read rather than counted.
    pub fn measure(&self) {
        let depth = |waiting: usize| i64::try_from(waiting).unwrap_or(i64::MAX);
        self.metrics.load.compile_queue.set(depth(self.loads.waiting() + self.guest_loads.waiting()));
        self.metrics.load.evaluation_queue.set(depth(self.runs.waiting()));
        self.metrics.load.evaluations_in_flight.set(depth(self.runs.in_flight()));
    }

    /// The metrics.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether it is about to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Ends runs before their next call into a module.
    pub fn end_runs(&self) {
        self.stopping.cancel();
    }

    /// Compiles a module, once for all that ask at the same time.
    fn load(&self, owner: Owner, bytes: &[u8], compiled: bool) -> Result<Arc<dyn Module>, Arc<LoadError>> {
        let digest = Digest::of(bytes);
        self.loaded.get_or_make(owner, digest.0, || {
            let module = self.engine.load(Unloaded { digest, bytes, compiled })?;
            let size = module.code_bytes().saturating_add(ENTRY_BYTES);
            Ok((module, size))
        })
    }
}
