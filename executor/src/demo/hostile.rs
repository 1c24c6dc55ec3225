//! A module that never ends, run by the sandbox that runs everybody else's.

use std::time::{Duration, Instant};

use rulebox_sandbox::{Limits, Sandbox, SandboxConfig, SandboxError, selftest};

/// Why the hostile module was not stopped as it should be.
#[derive(Debug, thiserror::Error)]
pub enum HostileError {
    /// The sandbox did not start.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// It was not stopped, or the next run was wrong.
    #[error("the endless loop ended with {ended}, the good rule behind it with {next}")]
    NotStopped {
        /// Outcome of the loop.
        ended: String,
        /// Outcome of the good rule behind it.
        next: String,
    },
}

/// How an endless loop ended.
pub(super) struct Stopped {
    pub(super) text: &'static str,
    pub(super) outcome: String,
    pub(super) fuel: u64,
    pub(super) elapsed: Duration,
}

/// Replaces the evaluation of the well-behaved module that the self-test frames.
const ENDLESS: &str = r#"(func (export "rulebox_eval") (param i32) (result i32) (loop (br 0)) (i32.const 0))"#;

/// Runs the loop, and the good rule behind it.
pub(super) fn endless_loop() -> Result<Stopped, HostileError> {
    let sandbox = Sandbox::new(SandboxConfig::default())?;
    let limits = Limits { fuel: 10_000_000, ..selftest::limits() };
    let began = Instant::now();
    let (outcome, fuel) = selftest::outcome(&sandbox, ENDLESS, &limits);
    let elapsed = began.elapsed();
    let (next, _) = selftest::outcome(&sandbox, "", &limits);
    if outcome != "fuel_exhausted" || next != "ok" {
        return Err(HostileError::NotStopped { ended: outcome, next });
    }
    Ok(Stopped { text: ENDLESS, outcome, fuel, elapsed })
}
