//! What runs modules, by the settings.

use std::sync::Arc;

use rulebox_sandbox::{ModuleLimits, Sandbox, SandboxConfig, SandboxError};

use crate::config::Config;
use crate::execution::engine::{Engine, InProcess};

/// Runs modules in this process.
///
/// # Errors
/// If the sandbox cannot start.
pub fn in_process(config: &Config) -> Result<Arc<dyn Engine>, SandboxError> {
    let evaluation = &config.evaluation;
    let sandbox = Sandbox::new(SandboxConfig {
        // Uploads' tests run on the compile pool, runs on their own: an instance for each thread, and some. A stream
        // keeps its own.
        pool_size: u32::try_from(2 * evaluation.threads + config.compile.threads)
            .unwrap_or(u32::MAX)
            .max(16)
            .saturating_add(u32::try_from(evaluation.streams).unwrap_or(u32::MAX)),
        max_memory_bytes: evaluation.memory_bytes.max(SandboxConfig::default().max_memory_bytes),
        ..SandboxConfig::default()
    })?;
    Ok(Arc::new(InProcess::new(sandbox, ModuleLimits::default())))
}
