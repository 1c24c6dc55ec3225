//! Emits a WebAssembly module that meets the module ABI, without imports, data segments or a start function.
//!
//! | file | what it emits |
//! |---|---|
//! | [`code`] | instructions with their source lines and the trips of their loops, which [`crate::cost`] reads |
//! | [`emit`] | an intermediate form's statements and expressions, one instruction an operation |
//! | [`eval`] | `rulebox_eval`: the loop over the bars |
//! | [`setup`] | `rulebox_init`, `rulebox_buffer`, `rulebox_reset`, `rulebox_state` |
//! | [`module`] | the sections |

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
    let module = module::assemble(&functions, layout, &serde_json::to_vec(&manifest)?);
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
