//! The process that compiles one module.

use std::io;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::process::{Pid, Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit};

use super::protocol::{EXIT_DONE, EXIT_NO_MEMORY, EXIT_PANICKED, EXIT_UNCONFINED, SAYS_CODE, SAYS_REFUSAL};
use super::serve::{Confine, Stage};
use super::{Setup, pipe};
use crate::precompile::{Compiler, NotCompiled};

/// Descriptors that a job may have: its three, and those that it confines itself by.
const DESCRIPTORS: u64 = 16;

/// What a job is made of.
pub(super) struct Job<'a> {
    pub(super) setup: &'a Setup,
    pub(super) compiler: &'a Compiler,
    pub(super) confine: &'a Confine,
    /// Bytes of address space that the worker has.
    pub(super) base: u64,
    pub(super) worker: Pid,
}

impl Job<'_> {
    /// Compiles the module, says what came of it into the pipe, and ends the process.
    pub(super) fn run(&self, module: &[u8], pipe: impl AsFd) -> ! {
        let code = match self.give_up(&pipe) {
            Err(_) => EXIT_UNCONFINED,
            Ok(()) => catch_unwind(AssertUnwindSafe(|| self.compile(module))).unwrap_or(EXIT_PANICKED),
        };
        std::process::exit(code)
    }

    /// Everything that the module is not to have, before it is looked at.
    fn give_up(&self, pipe: impl AsFd) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        // The worker's own pipes: who has them could speak for the next module.
        rustix::stdio::dup2_stdin(&pipe)?;
        rustix::stdio::dup2_stdout(&pipe)?;
        // Its last words, if it aborts: whether it was memory that it lacked.
        rustix::stdio::dup2_stderr(&pipe)?;
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(self.worker) {
            return Err("the worker is gone".into());
        }
        let limits = &self.setup.job;
        let limit = |resource, limit, most| setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(most) });
        let space = self.base.saturating_add(limits.address_space_bytes);
        limit(Resource::As, space, space)?;
        // At the first a signal of its own, at the second death in any case.
        limit(Resource::Cpu, limits.cpu_seconds, limits.cpu_seconds.saturating_add(1))?;
        limit(Resource::Nofile, DESCRIPTORS, DESCRIPTORS)?;
        limit(Resource::Fsize, 0, 0)?;
        limit(Resource::Core, 0, 0)?;
        (self.confine)(Stage::Job)?;
        Ok(())
    }

    /// Gives the code of the process.
    fn compile(&self, module: &[u8]) -> i32 {
        let said = match self.compiler.compile(module, &self.setup.module) {
            Ok(artifact) => say(SAYS_CODE, &artifact.0),
            Err(NotCompiled::Refused(refusal)) => match serde_json::to_vec(&refusal) {
                Ok(refusal) => say(SAYS_REFUSAL, &refusal),
                Err(_) => return EXIT_PANICKED,
            },
            Err(NotCompiled::OutOfMemory) => return EXIT_NO_MEMORY,
        };
        if said.is_ok() { EXIT_DONE } else { EXIT_PANICKED }
    }
}

fn say(what: u8, bytes: &[u8]) -> io::Result<()> {
    let to = rustix::stdio::stdout();
    pipe::write_all(to, &[what], None)?;
    pipe::write_all(to, bytes, None)
}
