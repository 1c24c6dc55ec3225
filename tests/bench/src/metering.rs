//! What fuel and epochs cost: the same modules with them and without, in engines that are else the same.
//!
//! The sandbox has no engine without them, and must not. So both sides run here, in a plain harness of their own.

use std::hint::black_box;

use rulebox_abi::{BufferKind, MAX_ROWS, export};
use wasmtime::{Config, Engine, Instance, Memory, Module, OptLevel, Store, Strategy, TypedFunc};

use crate::answer::Answer;
use crate::measure::{all_in_turn, try_nanoseconds_each};
use crate::report::{Figure, Report, Target};
use crate::rows::Rows;
use crate::rules::{self, Rule};
use crate::subject::Compiled;
use crate::{Bench, Error};

/// Epochs are looked at and never pass: the cost is in the looking.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Error> {
    let rows = Rows::new(bench.rows());
    for rule in rules::ALL {
        let (mut metered, mut free) = (Harness::new(&rule, true)?, Harness::new(&rule, false)?);
        let (mut answer, mut other) = (Answer::new(rows.bars()), Answer::new(rows.bars()));
        metered.run(&rows, &mut answer)?;
        free.run(&rows, &mut other)?;
        answer.must_equal(&other.verdicts, "the engine without fuel and epochs")?;

        let [with, without] = all_in_turn(
            bench.rounds(),
            [Box::new(|| metered.turn(&rows, &mut answer)), Box::new(|| free.turn(&rows, &mut other))],
        );
        report.add(
            Figure::new(format!("{} with fuel and epochs", rule.name), "ns/bar", &with)
                .over("without", &with, &without)
                .target(Target::AtMost { must: 1.25, aim: Some(1.15) }),
        );
    }
    Ok(())
}

/// A rule's module in an engine.
struct Harness {
    store: Store<()>,
    memory: Memory,
    reset: TypedFunc<(), ()>,
    eval: TypedFunc<i32, i32>,
    inputs: Vec<usize>,
    verdicts: usize,
    fired: usize,
    metered: bool,
}

/// As the sandbox has it, as far as it decides what machine code there is.
fn engine(metered: bool) -> Result<Engine, Error> {
    let mut config = Config::new();
    config.strategy(Strategy::Cranelift);
    config.cranelift_opt_level(OptLevel::Speed);
    config.memory_reservation(1 << 32);
    config.memory_may_move(false);
    config.guard_before_linear_memory(true);
    config.signals_based_traps(true);
    config.generate_address_map(false);
    config.consume_fuel(metered);
    config.epoch_interruption(metered);
    Ok(Engine::new(&config)?)
}

impl Harness {
    fn new(rule: &Rule, metered: bool) -> Result<Self, Error> {
        let engine = engine(metered)?;
        let Compiled { module, params, shape, .. } = Compiled::new(rule.source)?;
        let mut store = Store::new(&engine, ());
        if metered {
            store.set_fuel(u64::MAX)?;
            store.set_epoch_deadline(1);
        }
        let instance = Instance::new(&mut store, &Module::new(&engine, module)?, &[])?;
        let memory = instance.get_memory(&mut store, export::MEMORY).ok_or("a module without a memory")?;
        let init = instance.get_typed_func::<i32, i32>(&mut store, export::INIT)?;
        let buffer = instance.get_typed_func::<(i32, i32, i32), i32>(&mut store, export::BUFFER)?;
        let reset = instance.get_typed_func(&mut store, export::RESET)?;
        let eval = instance.get_typed_func(&mut store, export::EVAL)?;
        let address = |store: &mut Store<()>, kind: BufferKind, index: usize, rows: u32| -> Result<_, Error> {
            let bytes = i32::try_from(rows * kind.row_bytes())?;
            Ok(usize::try_from(buffer.call(store, (kind as i32, i32::try_from(index)?, bytes))?)?)
        };
        if !params.is_empty() {
            let at = address(&mut store, BufferKind::Params, 0, u32::try_from(params.len())?)?;
            write(&memory, &mut store, at, &params)?;
        }
        if init.call(&mut store, i32::try_from(params.len())?)? != 0 {
            return Err("a rule refuses its own defaults".into());
        }
        let inputs = (0..shape.inputs).map(|index| address(&mut store, BufferKind::Input, index, MAX_ROWS));
        let inputs = inputs.collect::<Result<_, _>>()?;
        let verdicts = address(&mut store, BufferKind::Verdicts, 0, MAX_ROWS)?;
        let fired = address(&mut store, BufferKind::Fired, 0, MAX_ROWS)?;
        Ok(Self { store, memory, reset, eval, inputs, verdicts, fired, metered })
    }

    /// Nanoseconds a bar.
    fn turn(&mut self, rows: &Rows, answer: &mut Answer) -> f64 {
        try_nanoseconds_each(rows.bars(), || self.run(black_box(rows), black_box(answer)))
    }

    /// All rows from bar 0 on, in chunks, with fresh fuel and a fresh deadline for each.
    fn run(&mut self, rows: &Rows, answer: &mut Answer) -> Result<(), Error> {
        const CHUNK: usize = MAX_ROWS as usize;
        answer.clear();
        self.reset.call(&mut self.store, ())?;
        for first in (0..rows.bars()).step_by(CHUNK) {
            let count = CHUNK.min(rows.bars() - first);
            for (at, column) in self.inputs.iter().zip([&rows.equity, &rows.drawdown]) {
                write(&self.memory, &mut self.store, *at, column.get(first..first + count).unwrap_or_default())?;
            }
            if self.metered {
                self.store.set_fuel(u64::MAX)?;
                self.store.set_epoch_deadline(1);
            }
            if self.eval.call(&mut self.store, i32::try_from(count)?)? != 0 {
                return Err("a rule refuses its rows".into());
            }
            let memory = self.memory.data(&self.store);
            let (verdicts, fired) = (memory.get(self.verdicts..), memory.get(self.fired..));
            let verdicts = verdicts.and_then(|bytes| bytes.get(..count)).ok_or("verdicts out of bounds")?;
            let fired = fired.and_then(|bytes| bytes.get(..count * 4)).ok_or("statements out of bounds")?;
            answer.take(first, verdicts, fired);
        }
        Ok(())
    }
}

fn write(memory: &Memory, store: &mut Store<()>, at: usize, values: &[f64]) -> Result<(), Error> {
    let cells = memory.data_mut(store).get_mut(at..).ok_or("a column out of bounds")?;
    for (cell, value) in cells.as_chunks_mut().0.iter_mut().zip(values) {
        *cell = value.to_le_bytes();
    }
    Ok(())
}
