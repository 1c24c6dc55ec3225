//! An instance: one module in a fresh store, with its params set, its buffers known and its state at bar 0.

use std::fmt;
use std::time::{Duration, Instant};

use wasmtime::{Memory, Store, TypedFunc};

use crate::account::{Account, Failure, Tank, drain, fill};
use crate::limiter::{Guest, set_deadline};
use crate::limits::Limits;
use crate::memory::{Breach, Region};
use crate::module::Module;
use crate::outcome::{InputError, RunError};
use crate::run::Slices;
use crate::setup::{Buffers, Parts, set_up};

/// What a module takes and gives: how many columns of each kind. Made from its manifest.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Shape {
    /// Params.
    pub params: usize,
    /// Input columns.
    pub inputs: usize,
    /// Whether bars need a time.
    pub uses_time: bool,
    /// Out columns.
    pub outs: usize,
    /// Columns of message values.
    pub message_values: usize,
    /// Whether there is a fraction to keep.
    pub keep: bool,
}

/// What a run has used so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RunReport {
    /// Fuel of the calls of `rulebox_eval`.
    pub fuel: u64,
    /// Fuel of everything else.
    pub setup_fuel: u64,
    /// The most bytes of linear memory.
    pub memory_peak: usize,
    /// Time spent inside the run, not between its calls.
    pub elapsed: Duration,
    /// Texts of the module's own that were longer than they may be, and were cut.
    pub texts_cut: u64,
}

/// One run of a module. Drop it to give its memory back; it is of no use after an error.
pub struct Instance {
    pub(crate) shape: Shape,
    pub(crate) account: Account,
    /// Gone after the first failure, and with it the memory of the pool.
    pub(crate) live: Option<Live>,
    /// Verdict and fired statements of the last bar that was run; before the first, of one that was `ok`.
    pub(crate) before: (u8, u32),
}

pub(crate) struct Live {
    pub(crate) store: Store<Guest>,
    pub(crate) memory: Memory,
    pub(crate) eval: TypedFunc<i32, i32>,
    state: Option<TypedFunc<(), i64>>,
    pub(crate) message: Option<TypedFunc<i32, i64>>,
    /// What `rulebox_state` said the first time.
    state_region: Option<Region>,
    pub(crate) buffers: Buffers,
    pub(crate) slices: Slices,
}

impl Module {
    /// Starts the module in a fresh store: instantiates it, sets its params, asks for its buffers, resets it.
    ///
    /// # Errors
    /// [`RunError::Violation`] if it breaks a limit or the ABI, [`RunError::ParamsRefused`] if `rulebox_init` says
    /// no, [`RunError::Busy`] if the pool is empty, [`RunError::Input`] if there are too few or too many params.
    pub fn start(&self, shape: &Shape, params: &[f64], limits: &Limits) -> Result<Instance, RunError> {
        if params.len() != shape.params {
            return Err(InputError::Params { expected: shape.params, got: params.len() }.into());
        }
        let began = Instant::now();
        let mut instance = Instance {
            shape: shape.clone(),
            account: Account::new(limits, &self.loaded.shared.config),
            live: None,
            before: (0, 0),
        };
        let mut store = self.loaded.shared.store(limits)?;
        // One deadline for the whole setup: a module does not get another for each of its columns.
        set_deadline(&mut store, instance.account.deadline_ticks);
        let result = fill(&mut store, limits.setup_fuel)
            .map_err(Failure::from)
            .and_then(|()| set_up(&self.loaded, &mut store, shape, params, limits));
        let left = drain(&store);
        instance.account.setup_fuel_left = left.as_ref().copied().unwrap_or(0);
        instance.account.close(&store, began);
        match result.and_then(|parts| left.map(|_| parts)) {
            Ok(parts) => {
                instance.live = Some(parts.into_live(store));
                Ok(instance)
            }
            Err(failure) => Err(instance.account.fail(&store, Tank::Setup, failure)),
        }
    }
}

impl Parts {
    fn into_live(self, store: Store<Guest>) -> Live {
        let Self { memory, eval, state, message, buffers } = self;
        Live { store, memory, eval, state, message, state_region: None, buffers, slices: Slices::default() }
    }
}

impl Instance {
    /// What the run has used so far.
    pub fn report(&self) -> RunReport {
        self.account.report
    }

    /// Gives the calls of `rulebox_eval` this much fuel from here on: the next request of a session. What the
    /// report counts goes on.
    pub fn refuel(&mut self, fuel: u64) {
        self.account.refuel(fuel);
    }

    /// Everything that must be kept to resume the run in another instance.
    ///
    /// # Errors
    /// [`InputError::NoState`] if the module cannot; a violation if it lies about where its state is.
    pub fn save_state(&mut self) -> Result<Vec<u8>, RunError> {
        self.with_state(|memory, region| Ok(region.read(memory, region.bytes())?.to_vec()))
    }

    /// Puts saved state back into an instance that was started with the same params. The bytes must be the ones that
    /// were saved (authenticate them): others can make the module's results wrong, but reach nothing outside it.
    ///
    /// # Errors
    /// As [`Instance::save_state`], and [`InputError::StateLength`] if the state is another module's.
    pub fn restore_state(&mut self, state: &[u8]) -> Result<(), RunError> {
        self.with_state(|memory, region| {
            if region.bytes() != state.len() {
                return Ok(Err(InputError::StateLength { expected: region.bytes(), got: state.len() }.into()));
            }
            region.write(memory, region.bytes())?.copy_from_slice(state);
            Ok(Ok(()))
        })?
    }

    /// Calls `rulebox_state` and hands out the memory and the checked region.
    fn with_state<T>(&mut self, use_it: impl FnOnce(&mut [u8], Region) -> Result<T, Failure>) -> Result<T, RunError> {
        let began = Instant::now();
        let mut live = self.live.take().ok_or(RunError::Stopped)?;
        let Some(state) = live.state.clone() else {
            self.live = Some(live);
            return Err(InputError::NoState.into());
        };
        set_deadline(&mut live.store, self.account.deadline_ticks);
        let result = (|| {
            fill(&mut live.store, self.account.setup_fuel_left)?;
            let packed = state.call(&mut live.store, ())?;
            let left = drain(&live.store)?;
            let memory = live.memory.data_mut(&mut live.store);
            let region = Region::of_state(packed, self.account.limits.state_bytes, memory.len())?;
            if live.state_region.is_some_and(|before| before != region) {
                return Err(Breach::StateMoved.into());
            }
            live.state_region = Some(region);
            Ok((left, use_it(memory, region)?))
        })();
        self.account.setup_fuel_left = result.as_ref().map_or(0, |(left, _)| *left);
        self.account.close(&live.store, began);
        match result {
            Ok((_, value)) => {
                self.live = Some(live);
                Ok(value)
            }
            Err(failure) => Err(self.account.fail(&live.store, Tank::Setup, failure)),
        }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("shape", &self.shape)
            .field("report", &self.account.report)
            .finish_non_exhaustive()
    }
}
