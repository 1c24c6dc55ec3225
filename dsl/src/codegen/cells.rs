//! What stands for memory in the form for single bars: a global for each param, for the one row of each column, and for
//! each value of the state.

use std::collections::HashMap;

use rulebox_abi::{BufferKind, bar};
use wasm_encoder::{ConstExpr, GlobalSection, GlobalType, Ieee64};

use super::code::val_type;
use crate::ir::{Home, Program, Type};

/// A global.
#[derive(Clone, Debug)]
struct Cell {
    name: String,
    ty: Type,
    /// What it holds at bar 0.
    bits: u64,
}

/// Globals, in the order of their indexes.
#[derive(Clone, Debug, Default)]
pub(super) struct Cells {
    list: Vec<Cell>,
    /// By the address that each stands for.
    at: HashMap<u32, u32>,
}

impl Cells {
    /// Those of a program; `None` if its state is more than registers.
    pub fn of(program: &Program) -> Option<Self> {
        let (mut cells, layout) = (Self::default(), &program.layout);
        for columns in layout.buffers() {
            let (name, ty) = column(columns.kind);
            let params = columns.kind == BufferKind::Params;
            let count = if params { columns.bytes / 8 } else { columns.count };
            for index in 0..count {
                let address = if params { columns.base + index * 8 } else { columns.at(index) };
                let is_numbered = matches!(
                    columns.kind,
                    BufferKind::Params | BufferKind::Input | BufferKind::Out | BufferKind::MessageValue
                );
                let name = if is_numbered { format!("{name}{index}") } else { name.to_owned() };
                cells.add(address, Cell { name, ty, bits: 0 });
            }
        }
        for word in 0..layout.state_bytes / 8 {
            let address = layout.state + word * 8;
            let is_here = |home| matches!(home, Home::State(at) | Home::Memory(at) if at == address);
            let register = program.registers.iter().find(|register| is_here(register.home))?;
            let initial = program.initial.iter().find(|initial| initial.address == address);
            let bits = initial.map_or(0, |initial| initial.bits);
            cells.add(address, Cell { name: format!("{}{word}", bar::STATE), ty: register.ty, bits });
        }
        Some(cells)
    }

    fn add(&mut self, address: u32, cell: Cell) {
        self.at.insert(address, u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        self.list.push(cell);
    }

    /// The global that stands for an address.
    pub fn at(&self, address: u32) -> Option<u32> {
        self.at.get(&address).copied()
    }

    /// Names, in the order of the indexes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|cell| cell.name.as_str())
    }

    /// The section that declares them.
    pub fn section(&self) -> GlobalSection {
        let mut globals = GlobalSection::new();
        for Cell { ty, bits, .. } in &self.list {
            let ty_of = GlobalType { val_type: val_type(*ty), mutable: true, shared: false };
            #[expect(clippy::cast_possible_truncation, reason = "an i32 is in the low half")]
            let value = match ty {
                Type::I32 => ConstExpr::i32_const((*bits as u32).cast_signed()),
                Type::I64 => ConstExpr::i64_const(bits.cast_signed()),
                Type::F64 => ConstExpr::f64_const(Ieee64::new(*bits)),
            };
            globals.global(ty_of, &value);
        }
        globals
    }
}

const fn column(kind: BufferKind) -> (&'static str, Type) {
    match kind {
        BufferKind::Params => (bar::PARAM, Type::F64),
        BufferKind::Input => (bar::INPUT, Type::F64),
        BufferKind::Time => (bar::TIME, Type::I64),
        BufferKind::LocalDay => (bar::LOCAL_DAY, Type::I32),
        BufferKind::MinuteOfDay => (bar::MINUTE_OF_DAY, Type::I32),
        BufferKind::Weekday => (bar::WEEKDAY, Type::I32),
        BufferKind::Verdicts => (bar::VERDICT, Type::I32),
        BufferKind::Fired => (bar::FIRED, Type::I32),
        BufferKind::Out => (bar::OUT, Type::F64),
        BufferKind::MessageValue => (bar::MESSAGE_VALUE, Type::F64),
        BufferKind::Keep => (bar::KEEP, Type::F64),
    }
}
