//! A rule in its sandbox: what Rulebox brings to each comparison.

use rulebox_abi::MAX_ROWS;
use rulebox_abi::columns::InputColumns;
use rulebox_dsl::compile;
use rulebox_sandbox::{Limits, Module, ModuleLimits, Sandbox, SandboxConfig, Shape};

use crate::Error;
use crate::answer::Answer;
use crate::rows::Rows;
use crate::rules::Rule;

/// A rule's module, before a sandbox has it.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The bytes.
    pub module: Vec<u8>,
    /// What it takes and gives.
    pub shape: Shape,
    /// The defaults of its params.
    pub params: Vec<f64>,
    cost: rulebox_dsl::manifest::CostInfo,
}

impl Compiled {
    /// Compiles a rule's text.
    pub fn new(source: &str) -> Result<Self, Error> {
        let compiled = compile(source, &rulebox_dsl::Limits::DEFAULT)
            .map_err(|diagnostics| format!("a rule of the suite is wrong: {diagnostics:?}"))?;
        let manifest = compiled.manifest;
        Ok(Self {
            module: compiled.module,
            shape: Shape {
                params: manifest.params.len(),
                inputs: manifest.inputs.len(),
                uses_time: manifest.uses_time,
                outs: manifest.outs.len(),
                message_values: manifest.message_values(),
                keep: manifest.reduces(),
            },
            params: manifest.params.iter().map(|param| param.default).collect(),
            cost: manifest.cost.ok_or("a compiled rule has no cost")?,
        })
    }

    /// The limits of a run, with the fuel that is proved to be enough: what the service gives it.
    pub fn limits(&self, bars: usize) -> Limits {
        Limits { fuel: self.cost.of_run(bars as u64, u64::from(MAX_ROWS)), ..Limits::default() }
    }
}

/// A rule that a sandbox has loaded.
#[derive(Debug)]
pub struct Subject {
    /// What was loaded.
    pub compiled: Compiled,
    /// Where it is.
    pub module: Module,
    reads_drawdown: bool,
}

/// What the gate lets through here, and in the service.
pub const MODULE_LIMITS: ModuleLimits = ModuleLimits::DEFAULT;

/// A module's machine code, ready to start.
pub fn load(sandbox: &Sandbox, module: &[u8]) -> Result<Module, Error> {
    sandbox.load(module, &MODULE_LIMITS).map_err(|refusal| refusal.detail.into())
}

/// A sandbox as the service makes it.
pub fn sandbox() -> Result<Sandbox, Error> {
    Ok(Sandbox::new(SandboxConfig::default())?)
}

impl Subject {
    /// Compiles and loads a rule.
    pub fn load(sandbox: &Sandbox, rule: &Rule) -> Result<Self, Error> {
        Self::of_source(sandbox, rule.source, rule.reads_drawdown)
    }

    /// The same of a text that is none of [`crate::rules`].
    pub fn of_source(sandbox: &Sandbox, source: &str, reads_drawdown: bool) -> Result<Self, Error> {
        let compiled = Compiled::new(source)?;
        let module = load(sandbox, &compiled.module)?;
        Ok(Self { compiled, module, reads_drawdown })
    }

    /// Runs a rule over all rows in a fresh instance.
    pub fn run(&self, rows: &Rows, answer: &mut Answer) -> Result<(), Error> {
        answer.clear();
        let columns = [rows.equity.as_slice(), rows.drawdown.as_slice()];
        let inputs = if self.reads_drawdown { columns.as_slice() } else { columns.split_at(1).0 };
        let input = InputColumns { rows: rows.bars(), inputs, time: None };
        let Compiled { shape, params, .. } = &self.compiled;
        self.module.run(shape, params, &input, &self.compiled.limits(rows.bars()), answer)?;
        Ok(())
    }
}
