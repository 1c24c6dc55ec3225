//! What runs modules: this process, or others that are kept away from everything.
//!
//! All of it is synchronous, and belongs on a pool.

use std::fmt::Debug;
use std::sync::Arc;

use rulebox_abi::columns::{InputColumns, OutputSink};
use rulebox_sandbox::{
    BarInstance, BarModule, Digest, Instance, Limits, ModuleLimits, RunError, RunReport, Sandbox, Shape,
};

use super::code_cache::CodeCache;
use super::modules::LoadError;
use super::workers::Workers;

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

    /// Compiles the form for single bars of a module of our compiler; `None` if it has none, or modules run elsewhere.
    ///
    /// # Errors
    /// If it is refused.
    fn load_bar(&self, _module: Unloaded<'_>) -> Result<Option<Arc<dyn Module>>, LoadError> {
        Ok(None)
    }

    /// Executors that are connected, and how many are known; `None` if modules run in this process.
    fn executors(&self) -> Option<(usize, usize)> {
        None
    }
}

/// What a run is begun with.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// What the module takes and gives.
    pub shape: &'a Shape,
    /// In the order of the manifest.
    pub params: &'a [f64],
    /// What the run may take.
    pub limits: &'a Limits,
}

/// A module that is ready to run. The results are the same bits wherever it runs.
pub trait Module: Debug + Send + Sync {
    /// Bytes of its compiled code, if that is in this process.
    fn code_bytes(&self) -> usize {
        0
    }

    /// Begins a run, at bar 0 or from a saved state. `keeps`: [`Run::state`] will be asked for, of a module that has
    /// one. The module may be set up only when there are bars, or at [`Run::ready`].
    ///
    /// # Errors
    /// As the sandbox says.
    fn begin(&self, setup: Setup<'_>, state: Option<&[u8]>, keeps: bool) -> Result<Box<dyn Run>, RunError>;

    /// Runs bars from bar 0 on, and hands the results to the sink as they come.
    ///
    /// # Errors
    /// As the sandbox says. The sink has then seen what came before the failure.
    fn run(
        &self,
        setup: Setup<'_>,
        input: &InputColumns<'_>,
        sink: &mut dyn OutputSink,
    ) -> Result<RunReport, RunError> {
        let mut run = self.begin(setup, None, false)?;
        run.batch(input, 0, sink)?;
        Ok(run.report())
    }

    /// Runs bars from a saved state on; also gives the state after them.
    ///
    /// # Errors
    /// As the sandbox says. The sink has then seen what came before the failure.
    fn resume(
        &self,
        setup: Setup<'_>,
        state: &[u8],
        input: &InputColumns<'_>,
        sink: &mut dyn OutputSink,
    ) -> Result<(Vec<u8>, RunReport), RunError> {
        let mut run = self.begin(setup, Some(state), true)?;
        run.batch(input, 0, sink)?;
        Ok((run.state()?, run.report()))
    }

    /// The state before bar 0.
    ///
    /// # Errors
    /// As the sandbox says.
    fn initial_state(&self, setup: Setup<'_>) -> Result<Vec<u8>, RunError> {
        self.begin(setup, None, true)?.state()
    }
}

/// A run whose bars may come batch by batch: its state carries over, so that the results are those of one run over all
/// bars. It is over after an error.
pub trait Run: Debug + Send + Sync {
    /// Sets the module up, if that has not been done.
    ///
    /// # Errors
    /// As the sandbox says.
    fn ready(&mut self) -> Result<(), RunError>;

    /// Gives the bars from here on this much fuel. What the report counts goes on.
    fn refuel(&mut self, fuel: u64);

    /// Runs the next bars. `first_row` is the number that the sink gets for the first.
    ///
    /// # Errors
    /// As the sandbox says. The sink has then seen what came before the failure.
    fn batch(&mut self, input: &InputColumns<'_>, first_row: usize, sink: &mut dyn OutputSink) -> Result<(), RunError>;

    /// All that must be kept to go on elsewhere.
    ///
    /// # Errors
    /// As the sandbox says: the module may keep none.
    fn state(&mut self) -> Result<Vec<u8>, RunError>;

    /// What has been used so far.
    fn report(&self) -> RunReport;
}

/// Runs modules in this process.
#[derive(Debug)]
pub struct InProcess {
    sandbox: Sandbox,
    limits: ModuleLimits,
    /// For what our compiler did not make.
    workers: Option<Workers>,
    /// Where compiled code is kept.
    code: Option<CodeCache>,
}

impl InProcess {
    /// In this sandbox, what is within these limits. Compiles all of it in this process.
    pub const fn new(sandbox: Sandbox, limits: ModuleLimits) -> Self {
        Self { sandbox, limits, workers: None, code: None }
    }

    /// Has these compile what our compiler did not make.
    #[must_use]
    pub fn with_workers(self, workers: Workers) -> Self {
        Self { workers: Some(workers), ..self }
    }

    /// Has compiled code kept there, and looked for before anything is compiled. It must be of the same sandbox and
    /// limits.
    #[must_use]
    pub fn with_code_cache(self, code: CodeCache) -> Self {
        Self { code: Some(code), ..self }
    }

    fn compile(&self, module: Unloaded<'_>) -> Result<rulebox_sandbox::Module, LoadError> {
        match &self.workers {
            Some(workers) if !module.compiled => workers.load(&self.sandbox, module.digest, module.bytes),
            _ => self.sandbox.load(module.bytes, &self.limits).map_err(LoadError::Refused),
        }
    }
}

impl Engine for InProcess {
    fn load(&self, module: Unloaded<'_>) -> Result<Arc<dyn Module>, LoadError> {
        if let Some(code) = &self.code {
            // The gate may have become tighter since the code was kept.
            self.sandbox.check(module.bytes, &self.limits).map_err(LoadError::Refused)?;
            if let Some(loaded) = code.load(module.digest) {
                return Ok(Arc::new(loaded));
            }
        }
        let loaded = self.compile(module)?;
        if let Some(code) = &self.code {
            code.keep(&loaded);
        }
        Ok(Arc::new(loaded))
    }

    fn load_bar(&self, module: Unloaded<'_>) -> Result<Option<Arc<dyn Module>>, LoadError> {
        if !module.compiled {
            return Ok(None);
        }
        let form = self.sandbox.bar_form(module.bytes, &self.limits).map_err(LoadError::Refused)?;
        let Some(form) = form else { return Ok(None) };
        if let Some(loaded) = self.code.as_ref().and_then(|code| code.load_bar(module.digest, form.digest())) {
            return Ok(Some(Arc::new(loaded)));
        }
        let loaded = self.sandbox.load_bar(form).map_err(LoadError::Refused)?;
        if let Some(code) = &self.code {
            code.keep_bar(&loaded);
        }
        Ok(Some(Arc::new(loaded)))
    }
}

impl Module for BarModule {
    fn code_bytes(&self) -> usize {
        Self::code_bytes(self)
    }

    fn begin(&self, setup: Setup<'_>, state: Option<&[u8]>, _keeps: bool) -> Result<Box<dyn Run>, RunError> {
        let mut instance = self.start(setup.shape, setup.params, setup.limits)?;
        if let Some(state) = state {
            instance.restore_state(state)?;
        }
        Ok(Box::new(instance))
    }
}

impl Run for BarInstance {
    fn ready(&mut self) -> Result<(), RunError> {
        Ok(())
    }

    fn refuel(&mut self, fuel: u64) {
        Self::refuel(self, fuel);
    }

    fn batch(&mut self, input: &InputColumns<'_>, first_row: usize, sink: &mut dyn OutputSink) -> Result<(), RunError> {
        self.eval(input, first_row, sink)
    }

    fn state(&mut self) -> Result<Vec<u8>, RunError> {
        self.save_state()
    }

    fn report(&self) -> RunReport {
        Self::report(self)
    }
}

impl Module for rulebox_sandbox::Module {
    fn code_bytes(&self) -> usize {
        rulebox_sandbox::Module::code_bytes(self)
    }

    fn begin(&self, setup: Setup<'_>, state: Option<&[u8]>, _keeps: bool) -> Result<Box<dyn Run>, RunError> {
        let mut instance = self.start(setup.shape, setup.params, setup.limits)?;
        if let Some(state) = state {
            instance.restore_state(state)?;
        }
        Ok(Box::new(instance))
    }
}

impl Run for Instance {
    fn ready(&mut self) -> Result<(), RunError> {
        Ok(())
    }

    fn refuel(&mut self, fuel: u64) {
        Instance::refuel(self, fuel);
    }

    fn batch(&mut self, input: &InputColumns<'_>, first_row: usize, sink: &mut dyn OutputSink) -> Result<(), RunError> {
        self.eval(input, first_row, sink)
    }

    fn state(&mut self) -> Result<Vec<u8>, RunError> {
        self.save_state()
    }

    fn report(&self) -> RunReport {
        Instance::report(self)
    }
}
