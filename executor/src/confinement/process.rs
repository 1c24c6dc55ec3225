//! The process itself: how many threads it has, new rights, core dumps.

use std::fs;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use super::ConfinementError;
use super::report::Layer;

/// Proof that the process has one thread.
#[derive(Debug)]
pub struct OnlyThread(());

impl OnlyThread {
    /// Counts the threads of the process.
    ///
    /// # Errors
    /// If there are more, or they cannot be counted.
    pub fn of_process() -> Result<Self, ConfinementError> {
        match fs::read_dir("/proc/self/task").map_err(ConfinementError::NoCount)?.count() {
            1 => Ok(Self(())),
            threads => Err(ConfinementError::Threads { threads }),
        }
    }

    /// A process that has just been forked has the thread that forked it.
    pub(crate) const fn after_fork() -> Self {
        Self(())
    }
}

/// Gives up rights that a program could bring.
pub(super) fn no_new_privs() -> Layer {
    match rustix::thread::set_no_new_privs(true) {
        Ok(()) => Layer::WHOLE,
        Err(error) => Layer::missing(error),
    }
}

/// Keeps the memory of the process out of core dumps, and from other processes of its user.
pub(super) fn no_core() -> Layer {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let done = setrlimit(Resource::Core, none).and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    match done {
        Ok(()) => Layer::WHOLE,
        Err(error) => Layer::missing(error),
    }
}
