//! What runs modules, by the settings.

use std::sync::Arc;

use rulebox_sandbox::worker::Setup;
use rulebox_sandbox::{ModuleLimits, Sandbox, SandboxConfig, SandboxError};

use super::StartError;
use crate::config::{Config, Role};
use crate::confinement::Policy;
use crate::execution::engine::{Engine, InProcess};
use crate::execution::pool::Pool;
use crate::execution::threads::slow_down;
use crate::execution::workers::{Workers, WorkersConfig};
use crate::executors::client::{self, Executors, Patience};
use crate::executors::tls::Identity;

/// Runs modules where the role of this process says. To be called within a runtime.
///
/// # Errors
/// If the sandbox cannot start, or the certificates cannot be read.
pub(super) fn of_role(config: &Config) -> Result<Arc<dyn Engine>, StartError> {
    let settings = &config.executors;
    if config.role != Role::Api {
        return Ok(in_process(config, workers(config))?);
    }
    Ok(Arc::new(Executors::connect(client::Options {
        addresses: settings.addresses.clone(),
        identity: identity(config)?,
        runs: settings.runs,
        connect_time: settings.connect_time(),
        resolve_time: settings.resolve_time(),
        patience: Patience::with_worker(config.compile.longest()),
    })))
}

/// Runs modules in this process, and has these compile what our compiler did not make.
///
/// # Errors
/// If the sandbox cannot start.
pub fn in_process(config: &Config, workers: Workers) -> Result<Arc<dyn Engine>, SandboxError> {
    let sandbox = Sandbox::watching(sandbox_config(config), slow_down)?;
    Ok(Arc::new(InProcess::new(sandbox, ModuleLimits::default()).with_workers(workers)))
}

/// The processes that compile what our compiler did not make. None is started.
pub fn workers(config: &Config) -> Workers {
    let compile = &config.compile;
    let setup = Setup { sandbox: sandbox_config(config), module: ModuleLimits::default(), job: compile.job() };
    let (processes, confinement) = (compile.workers, confinement_of_workers(config));
    let program = compile.worker_program.clone();
    Workers::new(WorkersConfig { processes, program, confinement, setup })
}

fn confinement_of_workers(config: &Config) -> Policy {
    config.compile.worker_confinement.unwrap_or(match config.role {
        Role::Executor => config.executors.confinement,
        Role::All | Role::Api => Policy::BestEffort,
    })
}

fn sandbox_config(config: &Config) -> SandboxConfig {
    let evaluation = &config.evaluation;
    SandboxConfig {
        // Uploads' tests run on the compile pool, runs on their own: an instance for each thread, and some. A stream
        // keeps its own.
        pool_size: u32::try_from(2 * Pool::most_at_a_time(evaluation.threads) + config.compile.threads)
            .unwrap_or(u32::MAX)
            .max(16)
            .saturating_add(u32::try_from(evaluation.streams).unwrap_or(u32::MAX)),
        max_memory_bytes: evaluation.memory_bytes.max(SandboxConfig::default().max_memory_bytes),
        ..SandboxConfig::default()
    }
}

/// What the API and its executors show each other, if there are files of it.
pub(super) fn identity(config: &Config) -> Result<Option<Arc<Identity>>, StartError> {
    Ok(config.executors.files().map(Identity::open).transpose()?.map(Arc::new))
}
