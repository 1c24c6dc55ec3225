//! Setting an instance up: everything between the empty store and the first bar.

use rulebox_abi::BufferKind;
use wasmtime::{Extern, Memory, Store, TypedFunc};

use crate::account::Failure;
use crate::instance::Shape;
use crate::limiter::Guest;
use crate::limits::Limits;
use crate::memory::{Breach, Buffer, Layout, Region};
use crate::module::Loaded;

/// Where the columns are. `None`: the module does not read that one.
#[derive(Debug)]
pub(crate) struct Buffers {
    pub(crate) inputs: Vec<Option<Region>>,
    pub(crate) time: Option<Region>,
    pub(crate) local_day: Option<Region>,
    pub(crate) minute_of_day: Option<Region>,
    pub(crate) weekday: Option<Region>,
    pub(crate) verdicts: Region,
    pub(crate) fired: Region,
    pub(crate) outs: Vec<Region>,
    pub(crate) message_values: Vec<Region>,
    pub(crate) keep: Option<Region>,
}

/// A set-up module, without the store that the setup borrows.
pub(crate) struct Parts {
    pub(crate) memory: Memory,
    pub(crate) eval: TypedFunc<i32, i32>,
    pub(crate) state: Option<TypedFunc<(), i64>>,
    pub(crate) message: Option<TypedFunc<i32, i64>>,
    pub(crate) buffers: Buffers,
}

/// Instantiates a module, sets its params, asks for its buffers and resets it.
pub(crate) fn set_up(
    loaded: &Loaded,
    store: &mut Store<Guest>,
    shape: &Shape,
    params: &[f64],
    limits: &Limits,
) -> Result<Parts, Failure> {
    let instance = loaded.pre.instantiate(&mut *store)?;
    let exports = &loaded.exports;
    // The gate has checked kinds and types; an engine that disagrees is an error of the engine.
    let missing = || Failure::Wasm(wasmtime::Error::msg("an export that the gate has seen is missing"));
    let func = |store: &mut Store<Guest>, export| {
        instance.get_module_export(&mut *store, export).and_then(Extern::into_func).ok_or_else(missing)
    };
    let memory =
        instance.get_module_export(&mut *store, &exports.memory).and_then(Extern::into_memory).ok_or_else(missing)?;
    let init = func(store, &exports.init)?.typed::<i32, i32>(&*store)?;
    let buffer = func(store, &exports.buffer)?.typed::<(i32, i32, i32), i32>(&*store)?;
    let reset = func(store, &exports.reset)?.typed::<(), ()>(&*store)?;
    let eval = func(store, &exports.eval)?.typed::<i32, i32>(&*store)?;
    let state = match &exports.state {
        Some(export) => Some(func(store, export)?.typed::<(), i64>(&*store)?),
        None => None,
    };
    let message = match &exports.message {
        Some(export) => Some(func(store, export)?.typed::<i32, i64>(&*store)?),
        None => None,
    };

    let mut ask =
        Ask { store, memory, buffer, layout: Layout::default(), rows: limits.chunk(), every: limits.every_buffer };
    let params_region = if params.is_empty() { None } else { ask.params(params.len())? };
    if let Some(region) = params_region {
        let bytes = region.write(memory.data_mut(&mut *ask.store), region.bytes())?;
        for (cell, value) in bytes.chunks_exact_mut(8).zip(params) {
            cell.copy_from_slice(&value.to_le_bytes());
        }
    }
    let params_len = i32::try_from(params.len()).unwrap_or(i32::MAX);
    match init.call(&mut *ask.store, params_len)? {
        0 => {}
        refused if refused < 0 => return Err(Failure::ParamsRefused(refused)),
        odd => return Err(Breach::Init(odd).into()),
    }
    let buffers = ask.buffers(shape)?;
    if limits.every_buffer {
        ask.no_others(shape)?;
    }
    ask.layout.check_disjoint()?;
    reset.call(&mut *store, ())?;
    Ok(Parts { memory, eval, state, message, buffers })
}

/// Asks a module for its buffers, one after the other.
struct Ask<'a> {
    store: &'a mut Store<Guest>,
    memory: Memory,
    buffer: TypedFunc<(i32, i32, i32), i32>,
    layout: Layout,
    rows: u32,
    every: bool,
}

impl Ask<'_> {
    fn region(&mut self, buffer: Buffer, rows: usize) -> Result<Option<Region>, Failure> {
        let region = self.address(buffer, rows)??;
        if let Some(region) = region {
            self.layout.add(region, buffer);
        }
        Ok(region)
    }

    /// What the module answers, and whether it is an address.
    fn address(&mut self, buffer: Buffer, rows: usize) -> Result<Result<Option<Region>, Breach>, Failure> {
        let bytes = rows.saturating_mul(buffer.kind.row_bytes() as usize);
        // A shape that no memory could hold is out of bounds whatever the module says.
        let asked = i32::try_from(bytes).unwrap_or(i32::MAX);
        let index = i32::try_from(buffer.index).unwrap_or(i32::MAX);
        let address = self.buffer.call(&mut *self.store, (buffer.kind as i32, index, asked))?;
        // The size is read after the call: it may have grown the memory.
        Ok(Region::of_buffer(buffer, address, bytes, self.memory.data_size(&*self.store)))
    }

    fn params(&mut self, count: usize) -> Result<Option<Region>, Failure> {
        self.region(Buffer { kind: BufferKind::Params, index: 0 }, count)
    }

    /// A column that the host writes; a module may leave it out, if it need not have every one.
    fn taken(&mut self, kind: BufferKind, index: usize) -> Result<Option<Region>, Failure> {
        let buffer = Buffer { kind, index };
        let region = self.region(buffer, self.rows as usize)?;
        if self.every && region.is_none() && kind == BufferKind::Input {
            return Err(Breach::NoBuffer(buffer).into());
        }
        Ok(region)
    }

    /// A column that the host reads; it must be there.
    fn given(&mut self, kind: BufferKind, index: usize) -> Result<Region, Failure> {
        let buffer = Buffer { kind, index };
        Ok(self.region(buffer, self.rows as usize)?.ok_or(Breach::NoBuffer(buffer))?)
    }

    fn time(&mut self, shape: &Shape, kind: BufferKind) -> Result<Option<Region>, Failure> {
        if shape.uses_time { self.taken(kind, 0) } else { Ok(None) }
    }

    /// Refuses a module that has a buffer which its shape has not. One that does not look at the index, and gives the
    /// address of another buffer, has no more for it.
    fn no_others(&mut self, shape: &Shape) -> Result<(), Failure> {
        let columns = [
            (BufferKind::Input, shape.inputs),
            (BufferKind::Out, shape.outs),
            (BufferKind::MessageValue, shape.message_values),
        ];
        let times = [BufferKind::Time, BufferKind::LocalDay, BufferKind::MinuteOfDay, BufferKind::Weekday];
        let times = times.map(|kind| (kind, usize::from(shape.uses_time)));
        // The next one of each; of those that there is one of, the first if there is to be none.
        let absent = columns.into_iter().chain(times).chain([(BufferKind::Keep, usize::from(shape.keep))]);
        for (kind, index) in absent {
            let buffer = Buffer { kind, index };
            // What is no address is none.
            if let Ok(Some(region)) = self.address(buffer, self.rows as usize)?
                && !self.layout.begins_at(region)
            {
                return Err(Breach::OtherBuffer(buffer).into());
            }
        }
        Ok(())
    }

    fn buffers(&mut self, shape: &Shape) -> Result<Buffers, Failure> {
        let buffers = Buffers {
            inputs: (0..shape.inputs).map(|i| self.taken(BufferKind::Input, i)).collect::<Result<_, _>>()?,
            time: self.time(shape, BufferKind::Time)?,
            local_day: self.time(shape, BufferKind::LocalDay)?,
            minute_of_day: self.time(shape, BufferKind::MinuteOfDay)?,
            weekday: self.time(shape, BufferKind::Weekday)?,
            verdicts: self.given(BufferKind::Verdicts, 0)?,
            fired: self.given(BufferKind::Fired, 0)?,
            outs: (0..shape.outs).map(|i| self.given(BufferKind::Out, i)).collect::<Result<_, _>>()?,
            message_values: (0..shape.message_values)
                .map(|i| self.given(BufferKind::MessageValue, i))
                .collect::<Result<_, _>>()?,
            keep: if shape.keep { Some(self.given(BufferKind::Keep, 0)?) } else { None },
        };
        // It may look at some of them, but not at none.
        let times = [buffers.time, buffers.local_day, buffers.minute_of_day, buffers.weekday];
        if self.every && shape.uses_time && times.iter().all(Option::is_none) {
            return Err(Breach::NoTime.into());
        }
        Ok(buffers)
    }
}
