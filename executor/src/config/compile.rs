//! Settings of the compiler, and of the processes that compile modules which it did not make.

use std::path::PathBuf;
use std::time::Duration;

use rulebox_sandbox::worker::JobLimits;
use serde::{Deserialize, Serialize};

use crate::confinement::Policy;

/// Settings of the compiler.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compile {
    /// Threads that compile.
    pub threads: usize,
    /// Requests that may wait for one; past them the answer is 503.
    pub queue: usize,
    /// Bytes of source text.
    pub source_bytes: usize,
    /// Worst-case fuel of one bar: a rule that may need more is refused.
    pub bar_fuel: u64,
    /// Processes that compile modules of tenants, one module each at a time. They are started when they are needed.
    pub workers: usize,
    /// Modules of one tenant that are compiled at a time, so that no tenant takes all of these: half of them, if it is
    /// not set.
    pub tenant_workers: Option<usize>,
    /// Bytes of memory that compiling a module may take.
    pub worker_memory_bytes: u64,
    /// Seconds of processor time that compiling a module may take.
    pub worker_cpu_seconds: u64,
    /// Seconds after which compiling a module is given up, whatever has kept the processor busy meanwhile.
    pub worker_seconds: u64,
    /// What a worker does where the system lacks a part of its confinement: `require` refuses to compile, `best-effort`
    /// goes on with what there is, and says so in the log.
    /// As [`super::Executors::confinement`] of an executor, if it is not set, and else `best-effort`.
    pub worker_confinement: Option<Policy>,
    /// The program of workers: this one, unless a test runs the service inside of itself.
    #[serde(skip)]
    pub worker_program: Option<PathBuf>,
}

impl Compile {
    /// For a machine with so many processors.
    pub(super) fn of_cores(cores: usize) -> Self {
        let job = JobLimits::default();
        // One for others at least, while a tenant's module takes its time.
        let workers = cores.div_ceil(2).max(2);
        Self {
            threads: cores.div_ceil(2),
            queue: 64,
            source_bytes: 64 << 10,
            bar_fuel: 1_000_000,
            workers,
            tenant_workers: None,
            worker_memory_bytes: job.address_space_bytes,
            worker_cpu_seconds: job.cpu_seconds,
            worker_seconds: job.wall.as_secs(),
            worker_confinement: None,
            worker_program: None,
        }
    }

    /// Modules of one tenant that are compiled at a time.
    pub fn of_tenant(&self) -> usize {
        self.tenant_workers.unwrap_or(self.workers / 2).clamp(1, self.workers.max(1))
    }

    /// The longest that a module may take from the moment in which a worker has it: when the worker is lost, another one
    /// tries once more. The API waits as long, and longer for the turn: its setting is to be that of its executors.
    pub fn longest(&self) -> Duration {
        self.job().longest().saturating_mul(2)
    }

    /// What compiling a module in a worker may take.
    pub fn job(&self) -> JobLimits {
        JobLimits {
            address_space_bytes: self.worker_memory_bytes,
            cpu_seconds: self.worker_cpu_seconds,
            wall: Duration::from_secs(self.worker_seconds),
            ..JobLimits::default()
        }
    }
}
