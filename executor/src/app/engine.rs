//! What runs modules, by the settings.

use std::sync::Arc;
use std::time::Instant;

use rulebox_sandbox::worker::Setup;
use rulebox_sandbox::{ModuleLimits, Sandbox, SandboxConfig};

use tokio::sync::mpsc::Sender;

use super::StartError;
use super::code_cache::Kept;
use crate::config::{Config, Role};
use crate::confinement::Policy;
use crate::execution::engine::{Engine, InProcess};
use crate::execution::pool::Pool;
use crate::execution::selftest;
use crate::execution::threads::slow_down;
use crate::execution::workers::{Workers, WorkersConfig};
use crate::executors::client::{self, Death, Executors, Patience};
use crate::executors::tls::Identity;
use crate::telemetry::metrics::Metrics;

/// Runs modules where the role of this process says, and tells of executors that died of it. What is compiled in this
/// process is kept in `code`. To be called within a runtime.
///
/// # Errors
/// If the sandbox cannot start, a limit of it does not hold, or the certificates cannot be read.
pub(super) fn of_role(
    config: &Config,
    deaths: Sender<Death>,
    code: Option<Kept>,
    metrics: &Metrics,
) -> Result<Arc<dyn Engine>, StartError> {
    let settings = &config.executors;
    if config.role != Role::Api {
        let sandbox = sandbox(config)?;
        let limits = ModuleLimits::default();
        let code = code.map(|code| code.of(&sandbox, &limits));
        let engine = InProcess::new(sandbox, limits).with_workers(workers(config));
        return Ok(match code {
            Some(code) => Arc::new(engine.with_code_cache(code)),
            None => Arc::new(engine),
        });
    }
    let identity = identity(config)?;
    if let Some(identity) = &identity {
        tokio::spawn(show_expiry(Arc::clone(identity), metrics.clone()));
    }
    Ok(Arc::new(Executors::connect(client::Options {
        addresses: settings.addresses.clone(),
        identity,
        runs: settings.runs,
        connect_time: settings.connect_time(),
        resolve_time: settings.resolve_time(),
        patience: Patience::with_worker(config.compile.longest()),
        deaths,
    })))
}

/// Runs modules in this process, and has these compile what our compiler did not make. Keeps no compiled code.
///
/// # Errors
/// If the sandbox cannot start, or a limit of it does not hold.
pub fn in_process(config: &Config, workers: Workers) -> Result<Arc<dyn Engine>, StartError> {
    Ok(Arc::new(InProcess::new(sandbox(config)?, ModuleLimits::default()).with_workers(workers)))
}

/// A sandbox that holds modules: it has been tried. No setting leaves that out.
fn sandbox(config: &Config) -> Result<Sandbox, StartError> {
    tried(Sandbox::watching(sandbox_config(config), slow_down)?)
}

fn tried(sandbox: Sandbox) -> Result<Sandbox, StartError> {
    let began = Instant::now();
    let tried = selftest::quick(&sandbox)?;
    let milliseconds = began.elapsed().as_secs_f64() * 1e3;
    tracing::info!(tried, milliseconds, "self-test: every limit that was tried holds");
    Ok(sandbox)
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
        // keeps its own, and one is for what holds modules against their texts.
        pool_size: u32::try_from(2 * Pool::most_at_a_time(evaluation.threads) + config.compile.threads + 1)
            .unwrap_or(u32::MAX)
            .max(16)
            .saturating_add(u32::try_from(evaluation.streams).unwrap_or(u32::MAX)),
        max_memory_bytes: evaluation.memory_bytes.max(SandboxConfig::default().max_memory_bytes),
        ..SandboxConfig::default()
    }
}

/// Keeps the metric of when certificates are over, for as long as the process runs.
pub(super) async fn show_expiry(identity: Arc<Identity>, metrics: Metrics) {
    loop {
        let shown = identity.server();
        metrics.upkeep.certificate_expiry.with_label_values(&["executors"]).set(identity.expires_at());
        identity.replaced(&shown).await;
    }
}

/// What the API and its executors show each other, if there are files of it.
pub(super) fn identity(config: &Config) -> Result<Option<Arc<Identity>>, StartError> {
    Ok(config.executors.files().map(Identity::open).transpose()?.map(Arc::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_service_starts_where_a_limit_does_not_hold() {
        let good = SandboxConfig { pool_size: 2, ..SandboxConfig::default() };
        tried(Sandbox::new(good.clone()).unwrap()).unwrap();
        // No room for the memory of the good rule: it is stopped where it should not be.
        let broken = SandboxConfig { max_memory_bytes: 1 << 16, ..good };
        let error = tried(Sandbox::new(broken).unwrap()).unwrap_err();
        let text = error.to_string();
        for part in ["well_behaved", "should have ended with `ok`", "rulebox selftest"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
