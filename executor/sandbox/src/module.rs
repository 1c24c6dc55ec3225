//! A module that passed the gate: compiled, linked and ready to start.

use std::fmt;
use std::sync::Arc;

use rulebox_abi::export;
use sha2::{Digest as _, Sha256};
use wasmtime::{InstancePre, ModuleExport};

use crate::engine::{Sandbox, Shared};
use crate::limiter::Guest;
use crate::limits::ModuleLimits;
use crate::outcome::{Refusal, ViolationKind};
use crate::validate;

/// SHA-256 of a module's bytes: its identity everywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(module: &[u8]) -> Self {
        Self(Sha256::digest(module).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It is in every answer: formatting it byte by byte would take longer than to run a small rule.
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).map_or('0', |digit| char::from(*digit));
        let mut text = String::with_capacity(7 + 2 * self.0.len());
        text.push_str("sha256:");
        text.extend(self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
        f.write_str(&text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A loaded module. Cheap to clone; the machine code goes with the last clone.
#[derive(Clone)]
pub struct Module {
    pub(crate) loaded: Arc<Loaded>,
}

pub(crate) struct Loaded {
    /// Keeps the ticker running for as long as something can run.
    pub(crate) shared: Arc<Shared>,
    pub(crate) pre: InstancePre<Guest>,
    pub(crate) exports: Exports,
    digest: Digest,
}

/// Where the exports are, so that no start looks them up by name.
pub(crate) struct Exports {
    pub(crate) memory: ModuleExport,
    pub(crate) init: ModuleExport,
    pub(crate) buffer: ModuleExport,
    pub(crate) reset: ModuleExport,
    pub(crate) eval: ModuleExport,
    pub(crate) state: Option<ModuleExport>,
    pub(crate) message: Option<ModuleExport>,
}

impl Exports {
    fn find(module: &wasmtime::Module) -> Option<Self> {
        let find = |name| module.get_export_index(name);
        Some(Self {
            memory: find(export::MEMORY)?,
            init: find(export::INIT)?,
            buffer: find(export::BUFFER)?,
            reset: find(export::RESET)?,
            eval: find(export::EVAL)?,
            state: find(export::STATE),
            message: find(export::MESSAGE),
        })
    }
}

impl Sandbox {
    /// Checks a module without compiling it: what is refused here is what [`Sandbox::load`] refuses by these limits.
    ///
    /// # Errors
    /// A refusal that says which limit or rule the module breaks.
    pub fn check(&self, bytes: &[u8], limits: &ModuleLimits) -> Result<(), Refusal> {
        validate::module(bytes, limits, self.config())
    }

    /// Checks a module and compiles it. Compiled rules pass the same gate as everybody's modules.
    ///
    /// Takes CPU time that [`ModuleLimits`] bounds (tens of milliseconds for a common rule): not for async threads.
    ///
    /// # Errors
    /// A refusal that says which limit or rule the module breaks.
    pub fn load(&self, bytes: &[u8], limits: &ModuleLimits) -> Result<Module, Refusal> {
        self.check(bytes, limits)?;
        let module = wasmtime::Module::from_binary(&self.shared.engine, bytes).map_err(|e| not_compiled(&e))?;
        Module::link(Arc::clone(&self.shared), &module, Digest::of(bytes)).map_err(|e| not_compiled(&e))
    }
}

/// The gate let it through, and the engine would not have it: a limit of Cranelift's that the gate does not know.
pub(crate) fn not_compiled(error: &wasmtime::Error) -> Refusal {
    Refusal {
        kind: ViolationKind::ModuleTooComplex,
        detail: format!("the engine cannot compile it: {}", validate::shown(&format!("{error:#}"), 300)),
    }
}

impl Module {
    /// Makes compiled code ready to start.
    pub(crate) fn link(shared: Arc<Shared>, module: &wasmtime::Module, digest: Digest) -> wasmtime::Result<Self> {
        let pre = shared.linker.instantiate_pre(module)?;
        let exports = Exports::find(module).ok_or_else(|| wasmtime::Error::msg("an export of the ABI is missing"))?;
        Ok(Self { loaded: Arc::new(Loaded { shared, pre, exports, digest }) })
    }

    /// SHA-256 of its bytes.
    pub fn digest(&self) -> Digest {
        self.loaded.digest
    }

    /// Bytes of its machine code, and of what goes with it.
    pub fn code_bytes(&self) -> usize {
        let image = self.loaded.pre.module().image_range();
        image.end.addr().saturating_sub(image.start.addr())
    }

    /// Whether its state can be saved and restored.
    pub fn has_state(&self) -> bool {
        self.loaded.exports.state.is_some()
    }

    /// Whether it has texts of its own.
    pub fn has_messages(&self) -> bool {
        self.loaded.exports.message.is_some()
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("digest", &self.loaded.digest).finish_non_exhaustive()
    }
}
