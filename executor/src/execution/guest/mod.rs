//! Modules that tenants made: what is read of one, and what it is held against, before it is kept as a version.
//!
//! 1. the **gate** of the sandbox: what is no module that may run is refused by name;
//! 2. the **manifest** ([`manifest`]), out of the module or beside it: bounded before it is parsed, then held against
//!    what the language would let a rule declare;
//! 3. the **trial** ([`trial`]): the module runs with its defaults, and says whether it is what the manifest says.
//!
//! A manifest that came beside its module is put into it, as its last section. So the bytes of a version always have
//! their manifest, the digest is of both, and who fetches a module can run it.
//!
//! INVARIANT: the manifest of such a module has no cost. That is how everything else tells it from a module of our
//! compiler, whose manifest always has one; and since the manifest is a part of the bytes, no digest is both.

mod json_shape;
pub mod manifest;
pub mod trial;
mod trial_bars;

use rulebox_dsl::manifest::Manifest;
use rulebox_sandbox::{Digest, ModuleLimits, Outline, Refusal, with_manifest};

pub use manifest::ManifestError;

/// A module that somebody made, and its manifest.
#[derive(Clone, Debug)]
pub struct Guest {
    /// WebAssembly, with its manifest.
    pub module: Vec<u8>,
    /// Of the module.
    pub digest: Digest,
    /// What it says that it takes and gives.
    pub manifest: Manifest,
    /// Whether its state can be kept between calls.
    pub has_state: bool,
    /// Whether it has texts of its own.
    pub has_messages: bool,
}

/// Why bytes are no guest.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GuestError {
    /// The gate of the sandbox refuses the module.
    #[error("{}", .0.detail)]
    Refused(Refusal),
    /// The manifest is not one, or does not fit the module.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

impl From<Refusal> for GuestError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Guest {
    /// Checks a module, and the manifest that it carries, or that came beside it.
    ///
    /// # Errors
    /// What is wrong first: the module, where its manifest is, the manifest.
    pub fn read(module: Vec<u8>, beside: Option<&[u8]>, limits: &ModuleLimits) -> Result<Self, GuestError> {
        limits.check(&module)?;
        let outline = Outline::read(&module)?;
        let (json, carried) = match (outline.manifests.as_slice(), beside) {
            ([carried], None) => (*carried, true),
            ([], Some(beside)) => (beside, false),
            ([], None) => return Err(ManifestError::none().into()),
            ([_], Some(_)) => {
                return Err(ManifestError::two("the module carries a manifest, and one came beside it").into());
            }
            (more, _) => {
                let count = more.len();
                return Err(ManifestError::two(&format!("the module has {count} sections `rulebox.manifest`")).into());
            }
        };
        let manifest = manifest::read(json, outline.memory_bytes)?;
        let (has_state, has_messages) = (outline.has_state, outline.has_messages);
        let module = if carried {
            module
        } else {
            let with = with_manifest(&module, json)?;
            limits.check(&with)?;
            with
        };
        Ok(Self { digest: Digest::of(&module), module, manifest, has_state, has_messages })
    }
}
