//! Advice for modules that are invalid here alone: toolchains turn proposals on by default that Rulebox has off.

use wasmparser::{Operator, Parser, Payload, Validator, WasmFeatures};

use super::invalid;
use crate::engine::FEATURES;
use crate::outcome::Refusal;

/// Proposals that compilers emit unasked, by the name that their flags have.
const EMITTED: [(WasmFeatures, &str); 10] = [
    (WasmFeatures::BULK_MEMORY, "bulk memory"),
    // The second is what the validator calls `externref`.
    (WasmFeatures::REFERENCE_TYPES.union(WasmFeatures::GC_TYPES), "reference types"),
    (WasmFeatures::MULTI_VALUE, "multi-value"),
    (WasmFeatures::EXTENDED_CONST, "extended constants"),
    (WasmFeatures::TAIL_CALL, "tail calls"),
    (WasmFeatures::SIMD, "SIMD"),
    (WasmFeatures::THREADS, "threads"),
    (WasmFeatures::MEMORY64, "64-bit memory"),
    (WasmFeatures::EXCEPTIONS, "exceptions"),
    (WasmFeatures::LEGACY_EXCEPTIONS, "exceptions of the old kind"),
];

/// Labels in all `br_table`s of a module that gets advice. With multi-value on, each is checked against all params of
/// the loop that it leads to; beside that, validation takes time in proportion to the bytes.
const BRANCH_TARGETS: u32 = 20_000;

/// If a module is valid but for such proposals, says which and how to turn them off.
pub(super) fn hint(bytes: &[u8]) -> Option<Refusal> {
    let valid_with = |features| Validator::new_with_features(features).validate_all(bytes).is_ok();
    let all = EMITTED.iter().fold(FEATURES, |features, (feature, _)| features.union(*feature));
    if !branch_targets(bytes, all).is_ok_and(|targets| targets <= BRANCH_TARGETS) || !valid_with(all) {
        return None;
    }
    // Needed is what the module is invalid without. Reference types bring parts of bulk memory.
    let needed: Vec<_> =
        EMITTED.iter().filter(|(feature, _)| !valid_with(all.difference(*feature))).map(|(_, name)| *name).collect();
    let names = if needed.is_empty() { "proposals that overlap".to_owned() } else { needed.join(", ") };
    Some(off(&names))
}

/// The refusal of proposals that are off, by the names that their flags have.
pub(super) fn off(names: &str) -> Refusal {
    invalid(format!(
        "it uses {names}, which Rulebox has off; build it without (Rust: --target wasm32v1-none; C: clang -mcpu=mvp, \
         and neither -pthread nor -fwasm-exceptions; AssemblyScript: --disable bulk-memory)"
    ))
}

fn branch_targets(bytes: &[u8], features: WasmFeatures) -> wasmparser::Result<u32> {
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let mut targets = 0_u32;
    for payload in parser.parse_all(bytes) {
        let Payload::CodeSectionEntry(body) = payload? else { continue };
        for operator in body.get_operators_reader()? {
            if let Operator::BrTable { targets: table } = operator? {
                targets = targets.saturating_add(table.len());
            }
        }
    }
    Ok(targets)
}
