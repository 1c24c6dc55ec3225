//! Compiling in one process and loading in another: the machine code in between.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use wasmtime::{Engine, InstanceAllocationStrategy, OutOfMemory};

use crate::engine::{Sandbox, SandboxError, wasmtime_config};
use crate::limits::{ModuleLimits, SandboxConfig};
use crate::module::{Digest, Module};
use crate::outcome::Refusal;
use crate::validate;

/// Compiles modules and cannot run them: no pool, no ticker, no thread.
pub(crate) struct Compiler {
    engine: Engine,
    config: SandboxConfig,
}

/// Why there is no machine code.
#[derive(Debug)]
pub(crate) enum NotCompiled {
    /// For what the module is.
    Refused(Refusal),
    /// The compiler was refused memory.
    OutOfMemory,
}

/// Machine code as a worker made it. Nothing but a worker of this crate makes one.
pub(crate) struct Artifact(pub(crate) Vec<u8>);

impl Compiler {
    /// Its code runs in sandboxes of this configuration.
    pub(crate) fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        let mut settings = wasmtime_config(&config);
        // Where instances live is no matter of the code, and a pool takes address space, which is limited here.
        settings.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        let engine = Engine::new(&settings).map_err(|e| SandboxError::Engine(e.into()))?;
        Ok(Self { engine, config })
    }

    /// Stands for everything that the code depends on.
    pub(crate) fn compatibility(&self) -> u64 {
        compatibility(&self.engine)
    }

    /// Checks a module and compiles it.
    pub(crate) fn compile(&self, bytes: &[u8], limits: &ModuleLimits) -> Result<Artifact, NotCompiled> {
        validate::module(bytes, limits, &self.config).map_err(NotCompiled::Refused)?;
        self.engine.precompile_module(bytes).map(Artifact).map_err(|error| {
            let no_memory = |source: &std::io::Error| source.kind() == std::io::ErrorKind::OutOfMemory;
            if error.is::<OutOfMemory>() || error.downcast_ref().is_some_and(no_memory) {
                NotCompiled::OutOfMemory
            } else {
                NotCompiled::Refused(crate::module::not_compiled(&error))
            }
        })
    }
}

fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

impl Sandbox {
    /// Stands for everything that machine code depends on: versions, settings, the processor.
    pub(crate) fn compatibility(&self) -> u64 {
        compatibility(&self.shared.engine)
    }

    /// Loads what a worker compiled, without compiling it. The engine holds the code's version and settings against
    /// its own.
    pub(crate) fn adopt(&self, digest: Digest, artifact: &Artifact) -> wasmtime::Result<Module> {
        // SAFETY: the bytes are what `Engine::precompile_module` of this very program gave: an `Artifact` comes over a
        // pipe from a process that this one started (`worker`), which runs our own compiler and nothing of the module
        // that it compiles; never from a file, a store, a cache or the network. That process cannot reach the pipe of
        // another module, and has nothing but its own module to be mistaken about.
        #[expect(unsafe_code, reason = "loading machine code")]
        let module = unsafe { wasmtime::Module::deserialize(&self.shared.engine, &artifact.0) }?;
        Module::link(Arc::clone(&self.shared), &module, digest)
    }
}
