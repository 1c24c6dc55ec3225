//! The form of a rule for single bars: a module without memory, whose instance costs next to nothing. Its results and its
//! state are, to the bit, those of the form for columns, since both are emitted from the same program.

use rulebox_abi::{BufferKind, MISSING, Verdict, bar};
use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, FunctionSection, Instruction, Module, TypeSection, ValType,
};

use super::cells::Cells;
use super::code::Code;
use super::emit::Emitter;
use super::eval::state_locals;
use super::module::function;
use super::setup::check_params;
use crate::ir::{Program, Type};
use crate::typed::Rule;

/// Globals that there may be. Each is set or read from outside by itself, and is an export, of which hosts count 64.
const MOST: usize = 60;

/// The module; `None` for a rule whose state needs a memory (one with windows, or with a long history), and for one of
/// so many names that it gains nothing.
pub(super) fn bar(rule: &Rule, program: &Program) -> Option<Vec<u8>> {
    let cells = Cells::of(program).filter(|cells| cells.names().count() <= MOST)?;
    let code = code(rule, program, &cells)?;
    let (mut types, mut functions, mut exports, mut bodies) =
        (TypeSection::new(), FunctionSection::new(), ExportSection::new(), CodeSection::new());
    types.ty().function([], [ValType::I32]);
    functions.function(0);
    bodies.function(&function(&code));
    exports.export(bar::BAR, ExportKind::Func, 0);
    for (index, name) in (0..).zip(cells.names()) {
        exports.export(name, ExportKind::Global, index);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&cells.section()).section(&exports).section(&bodies);
    Some(module.finish())
}

/// `rulebox_bar_1() -> i32`.
///
/// ```text
/// block refuse { … params, which may `br refuse` …
///   invariants and state into locals
///   block done {
///     block fault -> i32 { if latched { br fault }  … bar, which may `br fault` …  br done }
///     what a fault says
///   }
///   locals into state; return 0
/// }
/// return -1
/// ```
fn code(rule: &Rule, program: &Program, cells: &Cells) -> Option<Code> {
    let mut code = Code::new(0);
    let mut emitter = Emitter::without_memory(program, cells, &mut code);
    let cell = |kind, index| cells.at(program.layout.column(kind, index)?);
    let params = program.layout.column(BufferKind::Params, 0).unwrap_or(0);

    let refuse = code.block(None);
    check_params(rule, &mut code, refuse, |code, param| {
        code.global(cells.at(params + param * 8).unwrap_or(0));
    });
    for (reg, value) in &program.invariants {
        emitter.set(*reg, &mut code, |code| emitter.expr(value, code));
    }
    for (reg, _, address) in state_locals(program) {
        let global = cells.at(address)?;
        emitter.set(reg, &mut code, |code| {
            code.global(global);
        });
    }

    let done = code.block(None);
    let fault = code.block(Some(Type::I32));
    emitter.faults_go_to(fault, &mut code);
    emitter.stmts(&program.bar, &mut code);
    code.br(done).end();
    let latch = emitter.local(program.latch)?;
    code.set(latch).get(latch).set_global(cell(BufferKind::Fired, 0)?);
    code.i32(Verdict::Fault as i32).set_global(cell(BufferKind::Verdicts, 0)?);
    for out in (0..).map_while(|out| cell(BufferKind::Out, out)) {
        code.f64(MISSING).set_global(out);
    }
    code.end();

    for (reg, _, address) in state_locals(program) {
        emitter.get(reg, &mut code);
        code.set_global(cells.at(address)?);
    }
    code.i32(0).op(Instruction::Return).end();
    code.i32(-1);
    if emitter.needs_memory() { None } else { Some(code) }
}
