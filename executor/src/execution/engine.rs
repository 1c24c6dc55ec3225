//! What runs modules: this process, or others that are kept away from everything.
//!
//! All of it is synchronous, and belongs on a pool.

use std::fmt::Debug;
use std::sync::Arc;

use rulebox_abi::columns::{InputColumns, OutputSink};
use rulebox_sandbox::{Digest, Limits, ModuleLimits, RunError, RunReport, Sandbox, Shape};

use super::modules::LoadError;

/// A module that is to be made ready.
#[derive(Clone, Copy, Debug)]
pub struct Unloaded<'a> {
    /// Of the bytes; whoever calls has held them against it.
    pub digest: Digest,
    /// WebAssembly.
    pub bytes: &'a [u8],
    /// Whether our compiler made it, which bounds what it costs to compile.
    pub compiled: bool,
}

/// Makes modules ready.
pub trait Engine: Debug + Send + Sync {
    /// Checks a module and compiles it.
    ///
    /// # Errors
    /// If it is refused, or cannot be compiled now.
    fn load(&self, module: Unloaded<'_>) -> Result<Arc<dyn Module>, LoadError>;
}

/// A module that is ready to run. The results are the same bits wherever it runs.
pub trait Module: Debug + Send + Sync {
    /// Runs bars from bar 0 on, and hands the results to the sink as they come.
    ///
    /// # Errors
    /// As the sandbox says. The sink has then seen what came before the failure.
    fn run(
        &self,
        shape: &Shape,
        params: &[f64],
        limits: &Limits,
        input: &InputColumns<'_>,
        sink: &mut dyn OutputSink,
    ) -> Result<RunReport, RunError>;

    /// The state before bar 0.
    ///
    /// # Errors
    /// As the sandbox says.
    fn initial_state(&self, shape: &Shape, params: &[f64], limits: &Limits) -> Result<Vec<u8>, RunError>;

    /// Runs bars from a saved state on; also gives the state after them.
    ///
    /// # Errors
    /// As the sandbox says. The sink has then seen what came before the failure.
    fn resume(
        &self,
        shape: &Shape,
        params: &[f64],
        limits: &Limits,
        state: &[u8],
        input: &InputColumns<'_>,
        sink: &mut dyn OutputSink,
    ) -> Result<(Vec<u8>, RunReport), RunError>;

    /// Starts a run whose bars come batch by batch.
    ///
    /// # Errors
    /// As the sandbox says.
    fn open(&self, shape: &Shape, params: &[f64], limits: &Limits) -> Result<Box<dyn OpenRun>, RunError>;
}

/// A run between its batches: its state carries over, so that the results are those of one run over all bars.
pub trait OpenRun: Debug + Send + Sync {
    /// Gives the bars from here on this much fuel. What the report counts goes on.
    fn refuel(&mut self, fuel: u64);

    /// Runs the next bars. `first_row` is the number that the sink gets for the first.
    ///
    /// # Errors
    /// As the sandbox says. The sink has then seen what came before the failure, and the run is over.
    fn batch(&mut self, input: &InputColumns<'_>, first_row: usize, sink: &mut dyn OutputSink) -> Result<(), RunError>;

    /// What has been used so far.
    fn report(&self) -> RunReport;
}

/// Runs modules in this process.
#[derive(Debug)]
pub struct InProcess {
    sandbox: Sandbox,
    limits: ModuleLimits,
}

impl InProcess {
    /// In this sandbox, what is within these limits.
    pub const fn new(sandbox: Sandbox, limits: ModuleLimits) -> Self {
        Self { sandbox, limits }
    }
}

impl Engine for InProcess {
    fn load(&self, module: Unloaded<'_>) -> Result<Arc<dyn Module>, LoadError> {
        let loaded = self.sandbox.load(module.bytes, &self.limits).map_err(LoadError::Refused)?;
        Ok(Arc::new(loaded))
    }
}

impl Module for rulebox_sandbox::Module {
    fn run(
        &self,
        shape: &Shape,
        params: &[f64],
        limits: &Limits,
        input: &InputColumns<'_>,
        sink: &mut dyn OutputSink,
    ) -> Result<RunReport, RunError> {
        rulebox_sandbox::Module::run(self, shape, params, input, limits, sink)
    }

    fn initial_state(&self, shape: &Shape, params: &[f64], limits: &Limits) -> Result<Vec<u8>, RunError> {
        self.start(shape, params, limits)?.save_state()
    }

    fn resume(
        &self,
        shape: &Shape,
        params: &[f64],
        limits: &Limits,
        state: &[u8],
        input: &InputColumns<'_>,
        sink: &mut dyn OutputSink,
    ) -> Result<(Vec<u8>, RunReport), RunError> {
        let mut instance = self.start(shape, params, limits)?;
        instance.restore_state(state)?;
        instance.eval(input, 0, sink)?;
        Ok((instance.save_state()?, instance.report()))
    }

    fn open(&self, shape: &Shape, params: &[f64], limits: &Limits) -> Result<Box<dyn OpenRun>, RunError> {
        Ok(Box::new(self.start(shape, params, limits)?))
    }
}

impl OpenRun for rulebox_sandbox::Instance {
    fn refuel(&mut self, fuel: u64) {
        rulebox_sandbox::Instance::refuel(self, fuel);
    }

    fn batch(&mut self, input: &InputColumns<'_>, first_row: usize, sink: &mut dyn OutputSink) -> Result<(), RunError> {
        self.eval(input, first_row, sink)
    }

    fn report(&self) -> RunReport {
        rulebox_sandbox::Instance::report(self)
    }
}
