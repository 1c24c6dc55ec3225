//! Modules that are right as WebAssembly, most of which pass the gate: what mutated bytes seldom are.

use std::sync::LazyLock;

use arbitrary::Unstructured;
use rulebox_sandbox::selftest::frame;
use wasm_smith::{Config, Module};

/// Has the exports of the ABI, in their types.
static FRAME: LazyLock<Vec<u8>> = LazyLock::new(|| frame::assemble("").unwrap());

/// The module that these bytes decide on: with the exports of the ABI and bodies of their own; by the first byte with
/// nothing that the gate has off, or with a little of it, or with nothing that traps.
pub fn module(bytes: &[u8]) -> Option<Vec<u8>> {
    let (how, bytes) = bytes.split_first()?;
    let all = how % 4 == 0;
    let config = Config {
        exports: Some(FRAME.clone()),
        max_imports: 0,
        max_instructions: 300,
        max_funcs: 12,
        max_table_elements: 2_000,
        max_memory32_bytes: 2 << 20,
        max_tags: 0,
        generate_custom_sections: true,
        allow_start_export: all,
        bulk_memory_enabled: all,
        disallow_traps: how % 4 == 1,
        exceptions_enabled: false,
        extended_const_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        multi_value_enabled: all,
        reference_types_enabled: false,
        relaxed_simd_enabled: false,
        saturating_float_to_int_enabled: all,
        simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        ..Config::default()
    };
    Some(Module::new(config, &mut Unstructured::new(bytes)).ok()?.to_bytes())
}
