//! The gate: which modules are compiled at all. Named steps, each of which denies by default.
//!
//! 1. **size**: bytes, before anything reads them.
//! 2. **sections** ([`sections`]): header, imports, start, memories, tables, and the counts of everything that has a
//!    count. Reads no function and builds nothing.
//! 3. **bodies** ([`bodies`]): the standard's validation with every proposal off that the ABI does not need, and with
//!    it what each function costs to compile ([`cost`]).
//! 4. **exports** ([`exports`]): those of the ABI, with their types.
//!
//! Only then does Cranelift see the module. Wasmtime validates it once more, with the same proposals.

mod bodies;
mod cost;
mod exports;
mod sections;
mod toolchain;

use wasmparser::Parser;

use crate::limits::{ModuleLimits, SandboxConfig};
use crate::outcome::{Refusal, ViolationKind};

/// Checks a module by every step.
pub(crate) fn module(bytes: &[u8], limits: &ModuleLimits, config: &SandboxConfig) -> Result<(), Refusal> {
    size(bytes, limits)?;
    header(bytes)?;
    sections::check(bytes, limits, config)?;
    let exports = bodies::check(bytes, limits)?;
    exports.check()
}

/// Checks the form for single bars that a module of our compiler carries: the same steps for a module without memory.
pub(crate) fn bar(bytes: &[u8], limits: &ModuleLimits, config: &SandboxConfig) -> Result<(), Refusal> {
    size(bytes, limits)?;
    header(bytes)?;
    sections::check_bar(bytes, limits, config)?;
    bodies::check(bytes, limits)?.check_bar()
}

fn size(bytes: &[u8], limits: &ModuleLimits) -> Result<(), Refusal> {
    at_most(ViolationKind::ModuleTooLarge, "bytes", bytes.len(), limits.module_bytes).map_err(|refusal| Refusal {
        detail: format!(
            "{}: build it for release, and without names and debug sections (Rust: --release and `strip = true`; C: \
             -O2 and -Wl,--strip-all)",
            refusal.detail
        ),
        ..refusal
    })
}

fn header(bytes: &[u8]) -> Result<(), Refusal> {
    if Parser::is_core_wasm(bytes) {
        return Ok(());
    }
    Err(invalid(if Parser::is_component(bytes) {
        "it is a component; Rulebox runs core WebAssembly modules"
    } else if bytes.trim_ascii_start().starts_with(b"(module") {
        "it is WebAssembly text; assemble it first (`wat2wasm`, `wasm-tools parse`)"
    } else if bytes.starts_with(&[0x1f, 0x8b]) {
        "it is compressed by gzip; decompress it first (in an upload, say so by `Content-Encoding: gzip`)"
    } else {
        "it does not start as a WebAssembly module does (00 61 73 6d 01 00 00 00)"
    }))
}

fn invalid(detail: impl Into<String>) -> Refusal {
    Refusal { kind: ViolationKind::ModuleInvalid, detail: detail.into() }
}

/// Refuses more than `limit` of something.
fn at_most<T: PartialOrd + Copy + std::fmt::Display>(
    kind: ViolationKind,
    what: &str,
    count: T,
    limit: T,
) -> Result<(), Refusal> {
    if count <= limit {
        return Ok(());
    }
    Err(Refusal { kind, detail: format!("the module has {count} {what}, and may have {limit}") })
}

fn complexity<T: PartialOrd + Copy + std::fmt::Display>(what: &str, count: T, limit: T) -> Result<(), Refusal> {
    at_most(ViolationKind::ModuleTooComplex, what, count, limit)
}

/// The parser's word that the bytes are not a module. Its text can hold names out of the module.
pub(crate) fn malformed(error: &wasmparser::Error) -> Refusal {
    invalid(format!("at byte {}: {}", error.offset(), shown(error.message(), 200)))
}

/// A manifest that no section can hold.
pub(crate) fn too_long_a_section() -> Refusal {
    Refusal { kind: ViolationKind::ModuleTooLarge, detail: "its manifest has more than 4 GiB".to_owned() }
}

/// Text that may come from a module, fit for messages and logs: short, and ASCII that prints.
pub(crate) fn shown(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).flat_map(char::escape_default).collect();
    if text.chars().nth(most).is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_module_says_is_short_and_plain() {
        assert_eq!(shown("abort", 8), "abort");
        assert_eq!(shown("exactly8", 8), "exactly8");
        assert_eq!(shown("nine long", 8), "nine lon...");
        assert_eq!(shown("a\u{1b}[31m\n\u{202e}", 20), "a\\u{1b}[31m\\n\\u{202e}");
    }

    #[test]
    fn what_is_not_a_module_is_told_so() {
        let detail = |bytes: &[u8]| header(bytes).unwrap_err().detail;
        assert!(detail(b" (module)").contains("text"));
        assert!(detail(b"\0asm\x0d\0\x01\0").contains("component"));
        assert!(detail(&[0x1f, 0x8b, 8]).contains("gzip"));
        assert!(detail(b"").contains("does not start"));
        assert!(detail(b"\0asm\x02\0\0\0").contains("does not start"));
    }
}
