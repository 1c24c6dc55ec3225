//! The limiter of one run: grants memory and tables up to the limit and remembers what it refused, and ends what takes
//! too long.

use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use crate::limits::{Limits, SandboxConfig};

/// Growth that was refused. Wasmtime alone would answer -1 to the module and tell nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GrowthRefused {
    #[error("asked for {asked} bytes of memory, the limit is {limit}")]
    Memory { asked: usize, limit: usize },
    #[error("asked for {asked} table elements, the limit is {limit}")]
    Table { asked: usize, limit: usize },
}

/// The data of a store.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) memory_limit: usize,
    table_limit: usize,
    /// The most bytes of linear memory that were granted.
    pub(crate) memory_peak: usize,
    /// The first refusal; the run ends with it.
    pub(crate) refused: Option<GrowthRefused>,
    /// Of the deadline of the call, behind those after which it is slow.
    ticks_left: u64,
    on_slow: fn(),
}

impl Guest {
    pub(crate) fn new(limits: &Limits, config: &SandboxConfig, on_slow: fn()) -> Self {
        Self {
            memory_limit: limits.memory_bytes.min(config.max_memory_bytes),
            table_limit: limits.table_elements.min(config.max_table_elements),
            memory_peak: 0,
            refused: None,
            ticks_left: 0,
            on_slow,
        }
    }

    fn refuse(&mut self, refusal: GrowthRefused) -> wasmtime::Result<bool> {
        self.refused.get_or_insert(refusal);
        Err(refusal.into())
    }
}

/// Ticks after which a call is slow. The current one is running already.
const SLOW_TICKS: u64 = 2;

/// What a store does when time is up.
pub(crate) fn watch(store: &mut Store<Guest>) {
    store.limiter(|guest| guest);
    store.epoch_deadline_callback(|mut store| {
        let guest = store.data_mut();
        match std::mem::take(&mut guest.ticks_left) {
            0 => Ok(UpdateDeadline::Interrupt),
            rest => {
                (guest.on_slow)();
                Ok(UpdateDeadline::Continue(rest))
            }
        }
    });
}

/// Gives the next call so many ticks.
pub(crate) fn set_deadline(store: &mut Store<Guest>, ticks: u64) {
    let first = ticks.min(SLOW_TICKS);
    store.data_mut().ticks_left = ticks - first;
    store.set_epoch_deadline(first);
}

impl ResourceLimiter for Guest {
    /// Called at instantiation too, with the declared minimum as `desired`.
    fn memory_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.memory_limit {
            return self.refuse(GrowthRefused::Memory { asked: desired, limit: self.memory_limit });
        }
        // Past the maximum that the module itself declared: the module's own business, it gets its -1.
        let granted = maximum.is_none_or(|maximum| desired <= maximum);
        if granted {
            self.memory_peak = self.memory_peak.max(desired);
        }
        Ok(granted)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.table_limit {
            return self.refuse(GrowthRefused::Table { asked: desired, limit: self.table_limit });
        }
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn instances(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        1
    }
}
