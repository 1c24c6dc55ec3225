//! The process itself: how many threads it has, new rights, core dumps.

use std::fs;

use rustix::io::Errno;
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

/// Gives up what its user may do beyond his own, and what programs or rights of files could bring back.
pub(super) fn no_capabilities() -> Layer {
    use rustix::thread::{
        CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set,
        set_capabilities,
    };
    // Who has no right to make the set smaller has nothing that he could get from it (`no_new_privs`).
    for capability in CapabilitySet::all().iter() {
        let _ = remove_capability_from_bounding_set(capability);
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    match clear_ambient_capability_set().or_else(no_such_set).and_then(|()| set_capabilities(None, sets)) {
        Ok(()) => Layer::WHOLE,
        Err(error) => Layer::missing(error),
    }
}

/// A system without the set has nothing in it.
fn no_such_set(error: Errno) -> rustix::io::Result<()> {
    if error == Errno::INVAL { Ok(()) } else { Err(error) }
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
