//! What a process gives up before it meets what tenants send: files, sockets, other programs, other processes.
//!
//! Five layers, none of which trusts the others. `no_new_privs`: no program gives it more rights.
//! `no_capabilities`: it has
//! none, even as root. `core`: its memory is
//! in no core dump, and no other process of its user reads it. Landlock: the files and addresses that it may name.
//! seccomp: the system calls that it may make, by an allow-list that answers `EPERM` to all else, so that what nobody
//! thought of fails and does not kill.
//!
//! None of it can be taken back, and all of it holds for every thread and process that is made after it.

mod anew;
mod calls;
mod landlock;
mod process;
mod report;
mod seccomp;

use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub use anew::{AnewError, begin_anew};
pub use process::OnlyThread;
pub use report::{Confinement, Holds, Layer, LayerName};

/// What to do where the system lacks a layer (an old kernel, gVisor).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Do not go on.
    Require,
    /// Go on with the others, and say so.
    BestEffort,
}

/// Which sockets a process may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sockets {
    /// None.
    None,
    /// Those that it has, and connections to the listeners among them. None that it makes, binds or connects itself.
    Accepting,
}

/// What a process may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starts {
    /// Nothing; and a try is answered by death, which its parent sees.
    Nothing,
    /// Processes of the same program, by `fork`. No threads.
    Forks,
    /// Threads. No processes.
    Threads,
}

/// What a process keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Directories (or files) that it may read, with all below them. It writes nothing.
    pub readable: Vec<PathBuf>,
    /// Its sockets.
    pub sockets: Sockets,
    starts: Starts,
}

impl Profile {
    /// Of a process that compiles one module: memory, time, and the descriptors that it has.
    ///
    /// What no compiler does (programs, processes, sockets, other processes' memory) kills it, so that whoever waits
    /// for it knows.
    pub const fn compile_worker() -> Self {
        Self { readable: Vec::new(), sockets: Sockets::None, starts: Starts::Nothing }
    }

    /// Of the process that forks those.
    pub(crate) const fn compile_parent() -> Self {
        Self { readable: Vec::new(), sockets: Sockets::None, starts: Starts::Forks }
    }

    /// Of a process that runs modules for others, who connect to it: threads, machine code, the listeners it has.
    /// `readable` is where its certificates are, which are read again when they change.
    pub const fn executor(readable: Vec<PathBuf>) -> Self {
        Self { readable, sockets: Sockets::Accepting, starts: Starts::Threads }
    }
}

/// Why a process is not confined. What has been given up until then stays so.
#[derive(Debug, thiserror::Error)]
pub enum ConfinementError {
    /// Landlock would hold for one of them.
    #[error("the process has {threads} threads; it can be confined while it has one")]
    Threads {
        /// As counted.
        threads: usize,
    },
    /// How many threads there are cannot be known.
    #[error("the threads of the process cannot be counted (is /proc mounted?)")]
    NoCount(#[source] std::io::Error),
    /// What the process is to read is not there.
    #[error("`{}`, which the process is to read, cannot be opened", path.display())]
    Readable {
        /// As given.
        path: PathBuf,
        /// Of the system.
        #[source]
        source: std::io::Error,
    },
    /// A layer that is required.
    #[error(
        "the process cannot be confined as required: {layer} {holds}: {reason}; a newer kernel has it, and the policy \
         `best-effort` goes on without"
    )]
    Missing {
        /// Which.
        layer: LayerName,
        /// In part or not at all.
        holds: Holds,
        /// What the system said.
        reason: String,
    },
}

/// Gives up capabilities, before [`prepare`]: the system looks at them when a file of pages is opened, and shows whoever
/// had them where in the machine the pages are. Whether they are gone, [`confine`] says.
pub fn give_up_capabilities() {
    let _ = process::no_capabilities();
}

/// Makes what can only be made before: the pair of sockets by which tokio hears of signals, and the file by which the
/// engine learns which pages of a memory were written to. Starts no thread.
///
/// # Errors
/// If the system refuses the sockets.
pub fn prepare() -> std::io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    rulebox_sandbox::prepare();
    Ok(())
}

/// Confines the process: call it before there is a second thread. Listeners, and all that is read once, are made
/// before; and [`prepare`] is called by who will want tokio or the engine.
///
/// # Errors
/// If there are more threads, a path of the profile is not there, or a layer is missing that `policy` requires.
pub fn confine(profile: &Profile, policy: Policy) -> Result<Confinement, ConfinementError> {
    confine_thread(profile, policy, &OnlyThread::of_process()?)
}

/// The same for a process that is known to have one thread.
pub(crate) fn confine_thread(
    profile: &Profile,
    policy: Policy,
    proof: &OnlyThread,
) -> Result<Confinement, ConfinementError> {
    let confinement = confine_in(profile, &LayerName::ALL, proof)?;
    if policy == Policy::BestEffort {
        return Ok(confinement);
    }
    for (layer, Layer { holds, reason, .. }) in confinement.layers() {
        if *holds != Holds::Whole {
            let reason = reason.clone().unwrap_or_default();
            return Err(ConfinementError::Missing { layer, holds: *holds, reason });
        }
    }
    Ok(confinement)
}

/// Puts these layers on: tests see by it what each of them does alone.
///
/// # Errors
/// If a path of the profile is not there.
#[doc(hidden)]
pub fn confine_in(
    profile: &Profile,
    layers: &[LayerName],
    _proof: &OnlyThread,
) -> Result<Confinement, ConfinementError> {
    let wanted = |name| layers.contains(&name);
    let left_out = || Layer::missing("left out");
    // Last what forbids the calls of the others.
    Ok(Confinement {
        no_new_privs: if wanted(LayerName::NoNewPrivs) { process::no_new_privs() } else { left_out() },
        no_capabilities: if wanted(LayerName::NoCapabilities) { process::no_capabilities() } else { left_out() },
        core: if wanted(LayerName::Core) { process::no_core() } else { left_out() },
        landlock: if wanted(LayerName::Landlock) { landlock::restrict(&profile.readable)? } else { left_out() },
        seccomp: if wanted(LayerName::Seccomp) { seccomp::restrict(profile) } else { left_out() },
    })
}
