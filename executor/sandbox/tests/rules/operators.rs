//! Pins the fuel of each instruction that compiled rules are made of to what Wasmtime counts.

use std::collections::BTreeSet;

use rulebox_dsl::cost;
use wasm_encoder::{
    BlockType, CodeSection, ExportKind, ExportSection, Function, FunctionSection, Instruction, MemArg, MemorySection,
    MemoryType, Module, TypeSection, ValType,
};
use wasmtime::{Config, Engine, Instance, Store};

use crate::harness::SOURCES;

const F64: ValType = ValType::F64;
const I32: ValType = ValType::I32;
const I64: ValType = ValType::I64;
const MEM: MemArg = MemArg { offset: 0, align: 0, memory_index: 0 };

/// A function that runs an instruction once, and all that it runs.
struct Probe {
    name: String,
    code: Vec<Instruction<'static>>,
    /// What is executed: all of it, but for branches that are not taken.
    executed: Vec<Instruction<'static>>,
}

fn constant(ty: ValType) -> Instruction<'static> {
    match ty {
        ValType::I32 => Instruction::I32Const(1),
        ValType::I64 => Instruction::I64Const(1),
        _ => Instruction::F64Const(1.0.into()),
    }
}

fn plain(instruction: Instruction<'static>, operands: &[ValType], result: bool) -> Probe {
    let name = format!("{instruction:?}");
    let mut code: Vec<_> = operands.iter().map(|ty| constant(*ty)).collect();
    code.push(instruction);
    if result {
        code.push(Instruction::Drop);
    }
    Probe { name, executed: code.clone(), code }
}

fn control(name: &str, code: &[Instruction<'static>], executed: &[usize]) -> Probe {
    let executed = executed.iter().map(|i| code[*i].clone()).collect();
    Probe { name: name.to_owned(), code: code.to_vec(), executed }
}

fn probes() -> Vec<Probe> {
    use Instruction as I;
    let mut probes = vec![
        plain(I::I32Const(1), &[], true),
        plain(I::I64Const(1), &[], true),
        plain(I::F64Const(1.0.into()), &[], true),
        plain(I::LocalGet(0), &[], true),
        plain(I::LocalSet(0), &[I32], false),
        plain(I::LocalTee(0), &[I32], true),
        plain(I::Select, &[F64, F64, I32], true),
        plain(I::I32Load(MEM), &[I32], true),
        plain(I::I64Load(MEM), &[I32], true),
        plain(I::F64Load(MEM), &[I32], true),
        plain(I::I32Store(MEM), &[I32, I32], false),
        plain(I::I32Store8(MEM), &[I32, I32], false),
        plain(I::I64Store(MEM), &[I32, I64], false),
        plain(I::F64Store(MEM), &[I32, F64], false),
        plain(I::I32Eqz, &[I32], true),
        plain(I::I64Eqz, &[I64], true),
        plain(I::I32WrapI64, &[I64], true),
        plain(I::I64ExtendI32U, &[I32], true),
        plain(I::F64ConvertI32S, &[I32], true),
        plain(I::F64ConvertI64S, &[I64], true),
        plain(I::I32TruncSatF64U, &[F64], true),
    ];
    for op in [I::F64Neg, I::F64Abs, I::F64Sqrt, I::F64Floor, I::F64Ceil] {
        probes.push(plain(op, &[F64], true));
    }
    for op in [I::F64Add, I::F64Sub, I::F64Mul, I::F64Div, I::F64Min, I::F64Max] {
        probes.push(plain(op, &[F64, F64], true));
    }
    for op in [I::F64Eq, I::F64Ne, I::F64Lt, I::F64Le, I::F64Gt, I::F64Ge] {
        probes.push(plain(op, &[F64, F64], true));
    }
    for op in [I::I32Add, I::I32Sub, I::I32Mul, I::I32And, I::I32Or, I::I32Xor, I::I32Shl, I::I32ShrU] {
        probes.push(plain(op, &[I32, I32], true));
    }
    for op in [I::I32Eq, I::I32Ne, I::I32LtS, I::I32LtU, I::I32LeS, I::I32GtS, I::I32GtU, I::I32GeS, I::I32GeU] {
        probes.push(plain(op, &[I32, I32], true));
    }
    for op in [I::I64Add, I::I64Sub, I::I64Eq, I::I64Ne, I::I64LtS, I::I64LtU, I::I64GeU] {
        probes.push(plain(op, &[I64, I64], true));
    }
    let empty = BlockType::Empty;
    probes.extend([
        control("nothing", &[], &[]),
        control("block", &[I::Block(empty), I::End], &[0, 1]),
        control("loop that ends", &[I::Loop(empty), I::End], &[0, 1]),
        control(
            "loop that runs twice",
            &[I::Loop(empty), I::LocalGet(0), I::I32Eqz, I::LocalTee(0), I::BrIf(0), I::End],
            &[0, 1, 2, 3, 4, 1, 2, 3, 4, 5],
        ),
        control("if, taken", &[I::I32Const(1), I::If(empty), I::I32Const(7), I::Drop, I::End], &[0, 1, 2, 3, 4]),
        control("if, not taken", &[I::I32Const(0), I::If(empty), I::I32Const(7), I::Drop, I::End], &[0, 1]),
        control(
            "else",
            &[
                I::I32Const(0),
                I::If(empty),
                I::I32Const(7),
                I::Drop,
                I::Else,
                I::I32Const(7),
                I::I32Eqz,
                I::Drop,
                I::End,
            ],
            &[0, 1, 5, 6, 7, 8],
        ),
        control(
            "br",
            &[I::Block(empty), I::I32Const(1), I::Drop, I::Br(0), I::End, I::I32Const(1), I::Drop],
            &[0, 1, 2, 3, 5, 6],
        ),
        control(
            "br_if, taken",
            &[I::Block(empty), I::I32Const(1), I::BrIf(0), I::I32Const(1), I::Drop, I::End],
            &[0, 1, 2],
        ),
        control(
            "br_if, not taken",
            &[I::Block(empty), I::I32Const(0), I::BrIf(0), I::I32Const(1), I::Drop, I::End],
            &[0, 1, 2, 3, 4, 5],
        ),
        control("nop", &[I::Nop], &[0]),
        control("return", &[I::I32Const(1), I::Drop, I::Return, I::I32Const(1), I::Drop], &[0, 1, 2]),
    ]);
    probes
}

/// A module with one exported function for each probe, named by its number.
fn assemble(probes: &[Probe]) -> Vec<u8> {
    let (mut types, mut functions, mut exports, mut code) =
        (TypeSection::new(), FunctionSection::new(), ExportSection::new(), CodeSection::new());
    types.ty().function([I32], []);
    for (index, probe) in (0..).zip(probes) {
        functions.function(0);
        exports.export(&index.to_string(), ExportKind::Func, index);
        let mut function = Function::new([]);
        for instruction in &probe.code {
            function.instruction(instruction);
        }
        function.instruction(&Instruction::End);
        code.function(&function);
    }
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, maximum: Some(1), memory64: false, shared: false, page_size_log2: None });
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memories).section(&exports).section(&code);
    module.finish()
}

#[test]
fn wasmtime_counts_fuel_as_the_proof_does() {
    let probes = probes();
    let mut config = Config::new();
    config.consume_fuel(true);
    let engine = Engine::new(&config).unwrap();
    let module = wasmtime::Module::new(&engine, assemble(&probes)).unwrap();
    let mut store = Store::new(&engine, ());
    store.set_fuel(1_000_000).unwrap();
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    for (index, probe) in probes.iter().enumerate() {
        let function = instance.get_typed_func::<i32, ()>(&mut store, &index.to_string()).unwrap();
        let before = store.get_fuel().unwrap();
        function.call(&mut store, 0).unwrap();
        let used = before - store.get_fuel().unwrap();
        let proved = cost::ENTRY + probe.executed.iter().map(cost::instruction).sum::<u64>();
        assert_eq!(used, proved, "{}", probe.name);
    }
}

/// Names of the instructions of every function of a module.
fn instructions(module: &[u8]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        if let wasmparser::Payload::CodeSectionEntry(body) = payload.unwrap() {
            let mut operators = body.get_operators_reader().unwrap();
            while !operators.eof() {
                let debug = format!("{:?}", operators.read().unwrap());
                names.insert(debug.split([' ', '{', '(']).next().unwrap().to_owned());
            }
        }
    }
    names
}

#[test]
fn every_instruction_of_a_compiled_rule_is_pinned() {
    let pinned = instructions(&assemble(&probes()));
    for (name, source) in SOURCES.iter() {
        let compiled = rulebox_dsl::compile(source, &rulebox_dsl::Limits::DEFAULT).unwrap();
        let used = instructions(&compiled.module);
        let unpinned: Vec<_> = used.difference(&pinned).collect();
        assert!(unpinned.is_empty(), "{name}: {unpinned:?}");
    }
}
