//! Compiling in a process apart, for modules that our own compiler did not make and nobody bounds.
//!
//! ```text
//! server  --exec, no environment-->  worker  --fork, for each module-->  job
//!         <---------- pipes ------->         <-------- pipe ------------
//! ```
//!
//! The **worker** is started while programs may still be started. It has one thread, reads modules and hands them on
//! unread, and starts a **job** for each: a copy of itself with limits on address space, processor time and files, that
//! confines itself, checks the module, compiles it, says what came of it and ends. A job has no descriptor but the
//! pipe to its worker, so that it can speak for no other module; the worker bounds what it says and how long it takes,
//! and tells how it ended.
//!
//! Nobody trusts the other: lengths are bounded before they are believed, and what breaks the protocol ends it.

mod client;
mod fork;
mod job;
mod pipe;
mod protocol;
mod serve;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::{ModuleLimits, SandboxConfig};
use crate::outcome::Refusal;

pub use client::Worker;
pub use fork::close_on_exec;
pub use serve::{ServeError, Stage, serve};

/// What a worker is told before its first module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// The sandbox that its code is for.
    pub sandbox: SandboxConfig,
    /// What a module may be.
    pub module: ModuleLimits,
    /// What compiling it may take.
    pub job: JobLimits,
}

/// What compiling one module may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobLimits {
    /// Bytes of address space, beside what the worker has itself.
    pub address_space_bytes: u64,
    /// Seconds of processor time.
    pub cpu_seconds: u64,
    /// Time by the clock. Others may take the processor: longer than the above.
    pub wall: Duration,
    /// Bytes of machine code.
    pub artifact_bytes: usize,
}

impl JobLimits {
    /// How long a worker is waited for: the job, and what is no compiling.
    pub const fn longest(&self) -> Duration {
        self.wall.saturating_add(client::GRACE)
    }
}

impl Default for JobLimits {
    fn default() -> Self {
        Self {
            // The worst module that passes the gate takes about 2 s and 300 MB.
            address_space_bytes: 1 << 30,
            cpu_seconds: 10,
            wall: Duration::from_secs(30),
            artifact_bytes: 64 << 20,
        }
    }
}

/// Which limit a job met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Killed {
    /// Processor time.
    CpuTime,
    /// Address space.
    Memory,
    /// It made a system call that no compiler makes.
    SystemCall,
    /// Time by the clock. The module may not be to blame.
    WallClock,
    /// The machine code is too large.
    Output,
    /// None: the compiler failed.
    Crash,
    /// None: it died of this signal, which the compiler or somebody else may be to blame for.
    Signal(i32),
}

impl Killed {
    /// Its name in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CpuTime => "cpu_time",
            Self::Memory => "memory",
            Self::SystemCall => "system_call",
            Self::WallClock => "wall_clock",
            Self::Output => "output",
            Self::Crash => "crash",
            Self::Signal(signal) => signal_name(signal),
        }
    }

    /// Whether another try would end the same way: it met a limit that is of the module alone.
    pub const fn is_lasting(self) -> bool {
        match self {
            Self::CpuTime | Self::Memory | Self::Output => true,
            Self::SystemCall | Self::WallClock | Self::Crash | Self::Signal(_) => false,
        }
    }

    /// What to tell who sent the module.
    fn explanation(self, limits: &JobLimits) -> String {
        let advice = "split long functions, unroll fewer loops, or have the toolchain optimise for size";
        match self {
            Self::CpuTime => {
                format!("compiling it took more than {} s of processor time: {advice}", limits.cpu_seconds)
            }
            Self::Memory => {
                let limit = limits.address_space_bytes >> 20;
                format!("compiling it took more than {limit} MiB of memory: {advice}")
            }
            Self::SystemCall => "while it was compiled, something was tried that no compiler does".to_owned(),
            Self::WallClock => {
                let limit = limits.wall.as_secs();
                format!("compiling it was not over after {limit} s: try again when less is going on, or {advice}")
            }
            Self::Output => {
                format!("its machine code has more than {} MiB: {advice}", limits.artifact_bytes >> 20)
            }
            Self::Crash => "the compiler cannot compile it, which is a fault of the compiler's".to_owned(),
            Self::Signal(signal) => {
                format!("the compiler was stopped by {}, and not by a limit: try again", signal_name(signal))
            }
        }
    }
}

/// A signal that a job may die of.
const fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGILL => "SIGILL",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGTERM => "SIGTERM",
        libc::SIGTRAP => "SIGTRAP",
        _ => "another signal",
    }
}

/// Why a worker gave no module.
#[derive(Debug, thiserror::Error)]
pub enum CompileFailure {
    /// The module is refused. If a limit stopped the compiler: which.
    #[error("{refusal}")]
    Refused {
        /// What to say of it.
        refusal: Refusal,
        /// The limit.
        killed: Option<Killed>,
    },
    /// The job is lost, for no limit and no fault of the module's that is known. The worker goes on.
    #[error("the compile job is lost")]
    JobLost(#[source] WorkerError),
    /// The worker is of no use any more: nothing is said of the module. Start another.
    #[error("the compile worker is lost")]
    WorkerLost(#[from] WorkerError),
}

/// What is wrong with a worker.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It could not be started.
    #[error("a compile worker cannot be started")]
    Start(#[source] std::io::Error),
    /// It is gone, or does not read or write.
    #[error("the compile worker does not answer")]
    Gone(#[source] std::io::Error),
    /// It says something that it should not.
    #[error("the compile worker does not keep to its protocol: {0}")]
    Protocol(&'static str),
    /// It said why it cannot work.
    #[error("the compile worker cannot work: {0}")]
    Refused(String),
    /// Its code would not run here.
    #[error("the compile worker is of another version or with other settings")]
    Incompatible,
    /// A job could not begin, or ended in no known way.
    #[error("a compile job was lost: {0}")]
    Job(String),
    /// What it compiled cannot be loaded.
    #[error("the compiled module cannot be loaded")]
    Load(#[source] Box<dyn std::error::Error + Send + Sync>),
}
