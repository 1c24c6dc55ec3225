//! Machine code that leaves the process and comes back: what this service sealed itself is loaded, and nothing else.
//!
//! An entry is `RBXCODE1`, the length of the code (64 bits, little-endian), HMAC-SHA256, and the code. The MAC is over
//! what the code was made of and for (module, engine) and over the code, so that an entry is of use under its own name
//! only. Lengths are checked first, the MAC after them, and the engine sees the code last.

use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};

use crate::bar::BarModule;
use crate::engine::{Sandbox, Shared};
use crate::limits::ModuleLimits;
use crate::module::{Digest, Module};

const MAGIC: &[u8; 8] = b"RBXCODE1";
const LENGTH: usize = 8;
const SEAL: usize = 32;
/// Bytes of an entry before its code.
const HEAD: usize = MAGIC.len() + LENGTH + SEAL;
/// Bytes of the engine's mark in a name: enough that no two are the same, and the MAC has all of it.
const MARK: usize = 16;

/// The key of seals. Whoever has it can have this service run any machine code.
#[derive(Clone)]
pub struct CodeKey(Hmac<Sha256>);

impl fmt::Debug for CodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeKey(..)")
    }
}

impl CodeKey {
    /// Of these secret bytes, which are for nothing else.
    pub fn new(secret: &[u8; 32]) -> Self {
        // A key of the block's size is taken as it is: HMAC fills a shorter one up with zeros too.
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        for (to, from) in block.iter_mut().zip(secret) {
            *to = *from;
        }
        Self(<Hmac<Sha256> as KeyInit>::new(&block))
    }

    /// Tells this key from another, and nothing more of it.
    fn id(&self) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(b"rulebox code key");
        mac.finalize().into_bytes().into()
    }

    /// The MAC of an entry, before it is finished.
    fn mac(&self, engine: &[u8; 32], digest: Digest, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        // All but the last part are of one length each, so no two lists of parts are one text.
        mac.update(b"rulebox code 001");
        mac.update(engine);
        mac.update(&digest.0);
        mac.update(code);
        mac
    }
}

/// Why an entry gives no module. In each case, compiling does.
#[derive(Debug, thiserror::Error)]
pub enum NotLoaded {
    /// It is cut off, or of another version: nothing to worry about.
    #[error("the entry is cut off, or of another version")]
    Unusable,
    /// Somebody else made or changed it.
    #[error("the entry fails its MAC")]
    Tampered,
    /// It is ours, and the engine does not take it: memory may be short.
    #[error("the engine does not take the code")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A module has no machine code that could be kept.
#[derive(Debug, thiserror::Error)]
#[error("the machine code of a module cannot be had")]
pub struct NotSealed(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Makes compiled code ready to start.
type Link<M> = fn(Arc<Shared>, &wasmtime::Module, Digest) -> wasmtime::Result<M>;

/// Seals the machine code of one engine, and loads what was sealed.
#[derive(Clone, Debug)]
pub struct CodeSealer {
    sandbox: Sandbox,
    key: CodeKey,
    engine: [u8; 32],
}

impl CodeSealer {
    /// For modules that passed the gate with these limits, and run in this sandbox.
    pub fn new(sandbox: Sandbox, limits: &ModuleLimits, key: CodeKey) -> Self {
        let engine = engine(&sandbox, limits, &key);
        Self { sandbox, key, engine }
    }

    /// The name of a module's entry: 64 hexadecimal digits, `-`, and 32 more. It has another one with another version,
    /// other settings, on another sort of processor, and with another key, so that what is none of ours any more is not
    /// found, and raises no alarm.
    pub fn name(&self, digest: Digest) -> String {
        let mark = self.engine.get(..MARK).unwrap_or_default();
        let mut name = String::with_capacity(2 * (digest.0.len() + MARK) + 1);
        // Writing to a text does not fail.
        let mut add = |bytes: &[u8]| bytes.iter().try_for_each(|byte| write!(name, "{byte:02x}")).unwrap_or_default();
        add(&digest.0);
        add(mark);
        name.insert(2 * digest.0.len(), '-');
        name
    }

    /// The entry of a module.
    ///
    /// # Errors
    /// If the engine has no memory for it.
    pub fn seal(&self, module: &Module) -> Result<Vec<u8>, NotSealed> {
        self.seal_code(module.loaded.pre.module(), module.digest())
    }

    /// The entry of a form for single bars, by the form's own digest.
    ///
    /// # Errors
    /// As [`CodeSealer::seal`].
    pub fn seal_bar(&self, form: &BarModule) -> Result<Vec<u8>, NotSealed> {
        self.seal_code(form.code(), form.digest())
    }

    fn seal_code(&self, module: &wasmtime::Module, digest: Digest) -> Result<Vec<u8>, NotSealed> {
        let code = module.serialize().map_err(|error| NotSealed(error.into()))?;
        let mut entry = Vec::with_capacity(HEAD.saturating_add(code.len()));
        entry.extend_from_slice(MAGIC);
        entry.extend_from_slice(&(code.len() as u64).to_le_bytes());
        entry.extend_from_slice(&self.key.mac(&self.engine, digest, &code).finalize().into_bytes());
        entry.extend_from_slice(&code);
        Ok(entry)
    }

    /// Loads a module from its entry, which may be anything.
    ///
    /// # Errors
    /// [`NotLoaded::Tampered`] if it is whole, and not ours.
    pub fn load(&self, digest: Digest, entry: &[u8]) -> Result<Module, NotLoaded> {
        self.load_code(digest, entry, Module::link)
    }

    /// Loads a form for single bars from its entry, which may be anything.
    ///
    /// # Errors
    /// As [`CodeSealer::load`].
    pub fn load_bar(&self, digest: Digest, entry: &[u8]) -> Result<BarModule, NotLoaded> {
        self.load_code(digest, entry, BarModule::link)
    }

    fn load_code<M>(&self, digest: Digest, entry: &[u8], link: Link<M>) -> Result<M, NotLoaded> {
        let code = self.check(digest, entry)?;
        let shared = &self.sandbox.shared;
        // SAFETY: the bytes are what `Module::serialize` of this version gave for this engine's settings, to a process
        // that held the key: `check` has just held them, in this memory, against a MAC that nobody else can make. The key
        // comes from the master secret, is for nothing else, and is neither where code is kept nor in an executor.
        #[expect(unsafe_code, reason = "loading machine code")]
        let module = unsafe { wasmtime::Module::deserialize(&shared.engine, code) };
        let linked = module.and_then(|module| link(Arc::clone(shared), &module, digest));
        linked.map_err(|error| NotLoaded::Engine(error.into()))
    }

    /// The code of an entry that this service made for this module and engine.
    fn check<'a>(&self, digest: Digest, entry: &'a [u8]) -> Result<&'a [u8], NotLoaded> {
        let (magic, rest) = entry.split_first_chunk::<{ MAGIC.len() }>().ok_or(NotLoaded::Unusable)?;
        let (length, rest) = rest.split_first_chunk::<LENGTH>().ok_or(NotLoaded::Unusable)?;
        let (seal, code) = rest.split_first_chunk::<SEAL>().ok_or(NotLoaded::Unusable)?;
        let length = u64::from_le_bytes(*length);
        if magic != MAGIC || length > code.len() as u64 {
            return Err(NotLoaded::Unusable);
        }
        // No crash leaves more than was written.
        if length < code.len() as u64 {
            return Err(NotLoaded::Tampered);
        }
        // In a time that says nothing of the right one.
        self.key.mac(&self.engine, digest, code).verify_slice(seal).map_err(|_| NotLoaded::Tampered)?;
        Ok(code)
    }
}

/// Stands for everything that an entry depends on beside its module: this version, the gate's limits, the engine's
/// settings, the processor, the key.
fn engine(sandbox: &Sandbox, limits: &ModuleLimits, key: &CodeKey) -> [u8; 32] {
    /// Hashes without losing bits on the way.
    struct Wide(Sha256);
    impl Hasher for Wide {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        fn finish(&self) -> u64 {
            let hash: [u8; 32] = self.0.clone().finalize().into();
            hash.first_chunk::<8>().map_or(0, |first| u64::from_le_bytes(*first))
        }
    }
    let config = sandbox.config();
    let mut hasher = Wide(Sha256::new_with_prefix(b"rulebox code engine 1"));
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    // What the gate let through with other limits is looked at again.
    format!("{limits:?}").hash(&mut hasher);
    (config.max_memory_bytes, config.max_table_elements).hash(&mut hasher);
    sandbox.shared.engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.write(&key.id());
    hasher.0.finalize().into()
}

#[cfg(test)]
mod tests;
