//! Emits a WebAssembly module that meets the module ABI, without imports, data segments or a start function.
//!
//! | file | what it emits |
//! |---|---|
//! | [`code`] | instructions with their source lines and the trips of their loops, which [`crate::cost`] reads |
//! | [`emit`] | an intermediate form's statements and expressions, one instruction an operation |
//! | [`eval`] | `rulebox_eval`: the loop over the bars |
//! | [`setup`] | `rulebox_init`, `rulebox_buffer`, `rulebox_reset`, `rulebox_state` |
//! | [`module`] | the sections |
//! | [`bar`] | the form for single bars: a module of its own, without memory |
//! | [`cells`] | the globals that are there in the place of its memory |

mod bar;
mod cells;
pub(crate) mod code;
mod emit;
mod eval;
mod module;
mod setup;

use crate::cost;
use crate::ir::{Program, lower};
use crate::manifest::{CostInfo, Manifest, describe};
use crate::typed::Rule;
use code::Code;

/// A module and what a host must know of it.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The WebAssembly module, its manifest in a custom section.
    pub module: Vec<u8>,
    /// The same manifest.
    pub manifest: Manifest,
}

/// Why a rule that passes every check cannot be a module.
#[derive(Debug, thiserror::Error)]
pub enum CodegenError {
    /// Linear memory ends at 4 GiB.
    #[error("the rule needs {0} bytes of memory, more than a module can have")]
    TooLarge(u64),
    /// The manifest is not JSON.
    #[error("the manifest cannot be written")]
    Manifest(#[from] serde_json::Error),
}

/// The functions of a module, in the order of their indexes.
pub(crate) struct Functions {
    pub init: Code,
    pub buffer: Code,
    pub reset: Code,
    pub eval: Code,
    pub state: Code,
}

/// Generates the module of a rule whose text is `source`.
///
/// # Errors
/// [`CodegenError::TooLarge`] if its columns and state do not fit into a memory.
pub fn generate(rule: &Rule, source: &str) -> Result<Compiled, CodegenError> {
    let program = lower::lower(rule, source);
    let layout = &program.layout;
    let bytes = layout.bytes();
    let memory_bytes = u32::try_from(bytes).map_err(|_| CodegenError::TooLarge(bytes))?;
    let functions = functions(rule, &program);
    let manifest = Manifest {
        state_bytes: layout.state_bytes,
        memory_bytes,
        cost: Some(prove(&functions, &program)),
        ..describe(rule, source)
    };
    let module =
        module::assemble(&functions, layout, &serde_json::to_vec(&manifest)?, bar::bar(rule, &program).as_deref());
    debug_assert!(wasmparser::validate(&module).is_ok(), "{:?}", wasmparser::validate(&module).err());
    Ok(Compiled { module, manifest })
}

fn functions(rule: &Rule, program: &Program) -> Functions {
    Functions {
        init: setup::init(rule, program),
        buffer: setup::buffer(&program.layout),
        reset: setup::reset(program),
        eval: eval::eval(program),
        state: setup::state(&program.layout),
    }
}

/// The proved cost, from the very instructions that go into the module.
fn prove(functions: &Functions, program: &Program) -> CostInfo {
    let eval = cost::of_eval(&functions.eval);
    let buffers: u64 = program.layout.buffers().iter().map(|c| u64::from(c.count)).sum();
    let setup = cost::of_call(&functions.init)
        .saturating_add(cost::of_call(&functions.reset))
        .saturating_add(cost::of_call(&functions.buffer).saturating_mul(buffers));
    CostInfo { bar: eval.bar, call: eval.call, setup, lines: eval.lines }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use rulebox_abi::export::{BUFFER, EVAL, INIT, MARKER, MEMORY, RESET, STATE};
    use wasm_encoder::Instruction;

    use super::*;
    use crate::{Limits, check_source};

    /// The instructions of a function, one a line after the source line that they are for. Of the bars of a trip, which
    /// are alike, the first.
    fn listing(code: &Code) -> String {
        let mut text = String::new();
        let mut depth = 0_usize;
        let ends: Vec<_> = (0..).zip(code.ops()).filter(|(_, op)| op.ends_bar).map(|(at, _)| at).collect();
        let nops = code.ops().iter().filter(|op| matches!(op.instruction, Instruction::Nop)).count();
        let alike = if nops > 1 { ends[0] + 1..ends[nops - 1] + 1 } else { 0..0 };
        for (_, op) in (0..).zip(code.ops()).filter(|(at, _)| !alike.contains(at)) {
            if matches!(op.instruction, Instruction::End | Instruction::Else) {
                depth -= 1;
            }
            let trips = op.trips.map_or(String::new(), |trips| format!(" ; trips: {trips:?}"));
            writeln!(text, "{:3} {:indent$}{:?}{trips}", op.line, "", op.instruction, indent = 2 * depth).unwrap();
            if matches!(
                op.instruction,
                Instruction::Block(_) | Instruction::Loop(_) | Instruction::If(_) | Instruction::Else
            ) {
                depth += 1;
            }
        }
        text
    }

    #[test]
    fn a_small_rule_reads_like_its_text() {
        let source =
            "rule r(x: num in 0..1e6) {\n  param limit: num = 10 in 1..50\n  if x / 2 >= limit { breach \"\" }\n}";
        let rule = check_source(source, &Limits::DEFAULT).unwrap().rule;
        let program = lower::lower(&rule, source);
        insta::assert_snapshot!(listing(&functions(&rule, &program).eval));
    }

    #[test]
    fn every_export_is_there_and_nothing_is_imported() {
        let source = "rule r(x: num) = sum(x, 9, min: 1) > 1";
        let rule = check_source(source, &Limits::DEFAULT).unwrap().rule;
        let Compiled { module, manifest } = generate(&rule, source).unwrap();
        let mut exports = Vec::new();
        for payload in wasmparser::Parser::new(0).parse_all(&module) {
            match payload.unwrap() {
                wasmparser::Payload::ExportSection(section) => {
                    exports.extend(section.into_iter().map(|export| export.unwrap().name));
                }
                wasmparser::Payload::MemorySection(section) => {
                    let memory = section.into_iter().next().unwrap().unwrap();
                    assert_eq!(memory.maximum, Some(memory.initial));
                    assert_eq!(memory.initial * 65_536, u64::from(manifest.memory_bytes));
                }
                wasmparser::Payload::CustomSection(section) => {
                    assert_eq!(section.name(), rulebox_abi::MANIFEST_SECTION);
                    assert_eq!(serde_json::from_slice::<Manifest>(section.data()).unwrap(), manifest);
                }
                wasmparser::Payload::ImportSection(_)
                | wasmparser::Payload::DataSection(_)
                | wasmparser::Payload::TableSection(_)
                | wasmparser::Payload::StartSection { .. } => panic!("a section that rules do not need"),
                _ => {}
            }
        }
        assert_eq!(exports, [MEMORY, MARKER, INIT, BUFFER, RESET, EVAL, STATE]);
        assert!(
            wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::MVP | FEATURES)
                .validate_all(&module)
                .is_ok()
        );
    }

    /// What the ABI allows beyond the first version of WebAssembly.
    const FEATURES: wasmparser::WasmFeatures = wasmparser::WasmFeatures::SIGN_EXTENSION
        .union(wasmparser::WasmFeatures::SATURATING_FLOAT_TO_INT)
        .union(wasmparser::WasmFeatures::MUTABLE_GLOBAL)
        .union(wasmparser::WasmFeatures::FLOATS);

    /// Registers that scale with what a rule has, so that the time to compile does too.
    #[test]
    fn scratch_registers_are_used_again() {
        let terms: Vec<_> = (0..40).map(|i| format!("(x / (y - {i}) + (z ?? {i}))")).collect();
        let source = format!("rule r(x: num, y: num, z: num?) {{ out o = {} }}", terms.join(" * "));
        let rule = check_source(&source, &Limits::DEFAULT).unwrap().rule;
        let program = lower::lower(&rule, &source);
        assert!(program.registers.len() < 16, "{} registers", program.registers.len());
    }
}
