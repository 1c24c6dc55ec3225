//! Sections of the module.

use std::borrow::Cow;

use rulebox_abi::{BAR_SECTION, MANIFEST_SECTION, export};
use wasm_encoder::{
    CodeSection, ConstExpr, CustomSection, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, Instruction, MemorySection, MemoryType, Module, TypeSection, ValType,
};

use super::Functions;
use super::code::Code;
use crate::layout::Layout;

/// Writes a module: types, functions, memory, marker, exports, code, manifest, the form for single bars.
pub(super) fn assemble(functions: &Functions, layout: &Layout, manifest: &[u8], bar: Option<&[u8]>) -> Vec<u8> {
    let list: [(&str, &[ValType], &[ValType], &Code); 5] = [
        (export::INIT, &[ValType::I32], &[ValType::I32], &functions.init),
        (export::BUFFER, &[ValType::I32, ValType::I32, ValType::I32], &[ValType::I32], &functions.buffer),
        (export::RESET, &[], &[], &functions.reset),
        (export::EVAL, &[ValType::I32], &[ValType::I32], &functions.eval),
        (export::STATE, &[], &[ValType::I64], &functions.state),
    ];
    let (mut types, mut declared, mut exports, mut code) =
        (TypeSection::new(), FunctionSection::new(), ExportSection::new(), CodeSection::new());
    exports.export(export::MEMORY, ExportKind::Memory, 0).export(export::MARKER, ExportKind::Global, 0);
    for (index, (name, params, results, body)) in (0_u32..).zip(list) {
        types.ty().function(params.iter().copied(), results.iter().copied());
        declared.function(index);
        exports.export(name, ExportKind::Func, index);
        code.function(&function(body));
    }

    let pages = layout.pages();
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: pages,
        maximum: Some(pages),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut globals = GlobalSection::new();
    globals.global(
        GlobalType { val_type: ValType::I32, mutable: false, shared: false },
        &ConstExpr::i32_const(rulebox_abi::ABI_VERSION.cast_signed()),
    );

    let mut module = Module::new();
    module.section(&types).section(&declared).section(&memories).section(&globals).section(&exports).section(&code);
    module.section(&CustomSection { name: MANIFEST_SECTION.into(), data: Cow::Borrowed(manifest) });
    if let Some(bar) = bar {
        module.section(&CustomSection { name: BAR_SECTION.into(), data: Cow::Borrowed(bar) });
    }
    module.finish()
}

pub(super) fn function(code: &Code) -> Function {
    let mut function = Function::new_with_locals_types(code.locals().iter().copied());
    for op in code.ops() {
        function.instruction(&op.instruction);
    }
    function.instruction(&Instruction::End);
    function
}
