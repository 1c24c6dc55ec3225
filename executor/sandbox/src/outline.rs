//! What can be read of a module without compiling it: the manifest that it carries, its memory, its optional exports.

use rulebox_abi::{MANIFEST_SECTION, export};
use wasmparser::{ExternalKind, Parser, Payload};

use crate::engine::FEATURES;
use crate::limits::PAGE_BYTES;
use crate::outcome::Refusal;
use crate::validate::{malformed, too_long_a_section};

/// The outline of a module that passed [`crate::ModuleLimits::check`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline<'a> {
    /// Contents of its sections `rulebox.manifest`: JSON if the module is a good one, of which it has one or none.
    pub manifests: Vec<&'a [u8]>,
    /// Bytes of memory that it has from the start.
    pub memory_bytes: u64,
    /// Whether its state can be saved and restored.
    pub has_state: bool,
    /// Whether it has texts of its own.
    pub has_messages: bool,
}

impl<'a> Outline<'a> {
    /// Reads the sections of a module, and no code.
    ///
    /// # Errors
    /// If the bytes are not a module.
    pub fn read(module: &'a [u8]) -> Result<Self, Refusal> {
        let mut outline = Self::default();
        let mut parser = Parser::new(0);
        parser.set_features(FEATURES);
        for payload in parser.parse_all(module) {
            match payload.map_err(|e| malformed(&e))? {
                Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                    outline.manifests.push(section.data());
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        let pages = memory.map_err(|e| malformed(&e))?.initial;
                        outline.memory_bytes = pages.saturating_mul(PAGE_BYTES as u64);
                    }
                }
                Payload::ExportSection(section) => {
                    for exported in section {
                        let exported = exported.map_err(|e| malformed(&e))?;
                        let is_function = exported.kind == ExternalKind::Func;
                        outline.has_state |= is_function && exported.name == export::STATE;
                        outline.has_messages |= is_function && exported.name == export::MESSAGE;
                    }
                }
                _ => {}
            }
        }
        Ok(outline)
    }
}

/// The module with this manifest as its last section.
///
/// # Errors
/// If the manifest is longer than a section can be.
pub fn with_manifest(module: &[u8], manifest: &[u8]) -> Result<Vec<u8>, Refusal> {
    let name = MANIFEST_SECTION.as_bytes();
    let mut contents = leb128(name.len())?;
    contents.extend_from_slice(name);
    contents.extend_from_slice(manifest);
    let mut with = Vec::with_capacity(module.len() + contents.len() + 6);
    with.extend_from_slice(module);
    with.push(0);
    with.extend_from_slice(&leb128(contents.len())?);
    with.extend_from_slice(&contents);
    Ok(with)
}

/// A length as the format writes it.
fn leb128(length: usize) -> Result<Vec<u8>, Refusal> {
    let mut rest = u32::try_from(length).map_err(|_| too_long_a_section())?;
    let mut bytes = Vec::with_capacity(5);
    loop {
        let [low, ..] = (rest & 0x7f).to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            bytes.push(low);
            return Ok(bytes);
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::frame;

    #[test]
    fn a_manifest_that_was_added_is_found_again() {
        let module = frame::assemble("").unwrap();
        let outline = Outline::read(&module).unwrap();
        assert_eq!((outline.memory_bytes, outline.has_state, outline.has_messages), (131_072, true, false));
        assert!(outline.manifests.is_empty());
        for length in [0, 1, 110, 111, 112, 127, 128, 20_000] {
            let manifest = vec![b' '; length];
            let with = with_manifest(&module, &manifest).unwrap();
            assert!(with.starts_with(&module));
            crate::ModuleLimits::default().check(&with).unwrap();
            assert_eq!(Outline::read(&with).unwrap().manifests, [&*manifest], "{length}");
            let twice = with_manifest(&with, b"{}").unwrap();
            assert_eq!(Outline::read(&twice).unwrap().manifests, [&*manifest, b"{}"]);
        }
    }

    #[test]
    fn a_module_that_is_cut_is_no_module() {
        let module = frame::assemble("").unwrap();
        assert!(Outline::read(&module[..module.len() - 1]).is_err());
    }
}
