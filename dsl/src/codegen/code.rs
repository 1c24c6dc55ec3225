//! The instructions of a function while it is built, with what the proof of its cost needs.

use wasm_encoder::{BlockType, Ieee64, Instruction, MemArg, ValType};

use crate::ir::{Type, Width};

/// How often the body of a loop runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trips {
    /// At most this many times each time it is entered.
    Most(u64),
    /// Over the bars of a call. Whatever is done with a bar ends in one place, [`Op::ends_bar`], one at least in each
    /// trip, and together these loops end as many as there are.
    Bars,
    /// The same, a bar a trip, of so many bars if it is left at its end. By a branch it may be left before.
    Group(u32),
}

/// An instruction.
#[derive(Clone, Debug)]
pub struct Op {
    /// What it does.
    pub instruction: Instruction<'static>,
    /// The source line that it was emitted for, from 1; 0 for none.
    pub line: u32,
    /// For a `loop`.
    pub trips: Option<Trips>,
    /// Whether a bar is over with it.
    pub ends_bar: bool,
    /// Of how many bars this is done once, if it is not part of one: see [`Code::shared`].
    pub shared: Option<u32>,
}

/// A block, loop or `if` that can be branched to.
#[derive(Clone, Copy, Debug)]
pub struct Label(u32);

/// The code of a function.
#[derive(Clone, Debug)]
pub struct Code {
    ops: Vec<Op>,
    params: u32,
    locals: Vec<ValType>,
    depth: u32,
    line: u32,
    shared: Option<u32>,
}

impl Code {
    /// A function of this many parameters, all i32, and no code yet.
    pub const fn new(params: u32) -> Self {
        Self { ops: Vec::new(), params, locals: Vec::new(), depth: 0, line: 0, shared: None }
    }

    /// Its instructions, without the `end` of the function.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Types of its locals, parameters not among them.
    pub fn locals(&self) -> &[ValType] {
        &self.locals
    }

    /// Adds a local: its index.
    pub fn local(&mut self, ty: Type) -> u32 {
        self.locals.push(val_type(ty));
        self.params + u32::try_from(self.locals.len()).unwrap_or(u32::MAX) - 1
    }

    /// What follows is for this source line: the line before.
    pub const fn at_line(&mut self, line: u32) -> u32 {
        std::mem::replace(&mut self.line, line)
    }

    /// Adds an instruction that is not a branch.
    pub fn op(&mut self, instruction: Instruction<'static>) -> &mut Self {
        self.push(instruction, None);
        self
    }

    fn push(&mut self, instruction: Instruction<'static>, trips: Option<Trips>) {
        self.ops.push(Op { instruction, line: self.line, trips, ends_bar: false, shared: self.shared });
    }

    /// What follows, up to the same with `None`, has neither loop nor end of a bar in it.
    ///
    /// INVARIANT: each time that it is done, so many bars end behind it, in whichever way, before it is done again: the
    /// proof has them share it.
    pub const fn shared(&mut self, by: Option<u32>) {
        self.shared = by;
    }

    /// A bar is over with the last instruction.
    pub fn end_bar(&mut self) -> &mut Self {
        if let Some(last) = self.ops.last_mut() {
            last.ends_bar = true;
        }
        self
    }

    /// Reads a local; after a write of the same local, the value just stays on the stack.
    pub fn get(&mut self, local: u32) -> &mut Self {
        if let Some(last) = self.ops.last_mut()
            && matches!(last.instruction, Instruction::LocalSet(set) if set == local)
        {
            last.instruction = Instruction::LocalTee(local);
            return self;
        }
        self.op(Instruction::LocalGet(local))
    }

    /// Writes a local.
    pub fn set(&mut self, local: u32) -> &mut Self {
        self.op(Instruction::LocalSet(local))
    }

    /// Reads a global.
    pub fn global(&mut self, global: u32) -> &mut Self {
        self.op(Instruction::GlobalGet(global))
    }

    /// Writes a global.
    pub fn set_global(&mut self, global: u32) -> &mut Self {
        self.op(Instruction::GlobalSet(global))
    }

    /// An i32.
    pub fn i32(&mut self, value: i32) -> &mut Self {
        self.op(Instruction::I32Const(value))
    }

    /// An i64.
    pub fn i64(&mut self, value: i64) -> &mut Self {
        self.op(Instruction::I64Const(value))
    }

    /// A double, to the bit.
    pub fn f64(&mut self, value: f64) -> &mut Self {
        self.op(Instruction::F64Const(Ieee64::new(value.to_bits())))
    }

    /// An address, as an i32.
    pub fn address(&mut self, address: u32) -> &mut Self {
        self.i32(address.cast_signed())
    }

    /// Reads memory at the address on the stack plus an offset.
    pub fn load(&mut self, ty: Type, offset: u32) -> &mut Self {
        self.op(match ty {
            Type::I32 => Instruction::I32Load(mem_arg(offset, 2)),
            Type::I64 => Instruction::I64Load(mem_arg(offset, 3)),
            Type::F64 => Instruction::F64Load(mem_arg(offset, 3)),
        })
    }

    /// Writes the value on the stack at the address below it plus an offset.
    pub fn store(&mut self, width: Width, offset: u32) -> &mut Self {
        self.op(match width {
            Width::Byte => Instruction::I32Store8(mem_arg(offset, 0)),
            Width::I32 => Instruction::I32Store(mem_arg(offset, 2)),
            Width::I64 => Instruction::I64Store(mem_arg(offset, 3)),
            Width::F64 => Instruction::F64Store(mem_arg(offset, 3)),
        })
    }

    /// Opens a block that leaves a value of this type, if any.
    pub fn block(&mut self, result: Option<Type>) -> Label {
        self.open(Instruction::Block(block_type(result)), None)
    }

    /// Opens an `if`.
    pub fn if_(&mut self, result: Option<Type>) -> Label {
        self.open(Instruction::If(block_type(result)), None)
    }

    /// Opens a loop.
    pub fn loop_(&mut self, trips: Trips) -> Label {
        self.open(Instruction::Loop(BlockType::Empty), Some(trips))
    }

    fn open(&mut self, instruction: Instruction<'static>, trips: Option<Trips>) -> Label {
        self.push(instruction, trips);
        self.depth += 1;
        Label(self.depth)
    }

    /// The other branch of an `if`.
    pub fn else_(&mut self) -> &mut Self {
        self.op(Instruction::Else)
    }

    /// Closes a block, loop or `if`.
    pub fn end(&mut self) -> &mut Self {
        self.depth = self.depth.saturating_sub(1);
        self.op(Instruction::End)
    }

    /// Branches to the end of a block or the start of a loop that is open.
    pub fn br(&mut self, to: Label) -> &mut Self {
        self.op(Instruction::Br(self.depth - to.0))
    }

    /// Branches if the value on the stack is not 0.
    pub fn br_if(&mut self, to: Label) -> &mut Self {
        self.op(Instruction::BrIf(self.depth - to.0))
    }
}

const fn mem_arg(offset: u32, align: u32) -> MemArg {
    MemArg { offset: offset as u64, align, memory_index: 0 }
}

const fn block_type(result: Option<Type>) -> BlockType {
    match result {
        Some(ty) => BlockType::Result(val_type(ty)),
        None => BlockType::Empty,
    }
}

pub(super) const fn val_type(ty: Type) -> ValType {
    match ty {
        Type::I32 => ValType::I32,
        Type::I64 => ValType::I64,
        Type::F64 => ValType::F64,
    }
}
