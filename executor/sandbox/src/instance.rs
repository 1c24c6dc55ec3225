//! An instance: one module in a fresh store, with its params set, its buffers known and its state at bar 0.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use wasmtime::{Memory, PoolConcurrencyLimitError, Store, Trap, TypedFunc};

use crate::limiter::{Guest, set_deadline, watch};
use crate::limits::Limits;
use crate::memory::{Breach, Region};
use crate::module::Module;
use crate::outcome::{InputError, RunError, Violation, ViolationKind};
use crate::run::Slices;
use crate::setup::{Buffers, Parts, set_up};
use crate::trap::{AbortCalled, TrapCode};

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
    pub(crate) limits: Limits,
    pub(crate) deadline_ticks: u64,
    /// Gone after the first failure, and with it the memory of the pool.
    pub(crate) live: Option<Live>,
    pub(crate) report: RunReport,
    pub(crate) fuel_left: u64,
    /// Verdict and fired statements of the last bar that was run; before the first, of one that was `ok`.
    pub(crate) before: (u8, u32),
    /// The numbers of the bars of the last call.
    pub(crate) calling: Option<Range<usize>>,
    setup_fuel_left: u64,
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

/// Why a call failed, before it is put into an outcome.
#[derive(Debug)]
pub(crate) enum Failure {
    Wasm(wasmtime::Error),
    Breach(Breach),
    FuelExhausted,
    ParamsRefused(i32),
    Cancelled,
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        Self::Wasm(error)
    }
}

impl From<Breach> for Failure {
    fn from(breach: Breach) -> Self {
        Self::Breach(breach)
    }
}

/// Which of a run's two tanks a call burns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tank {
    Setup,
    Eval,
}

/// Gives a store `fuel` to burn. One more than it may use, since Wasmtime stops a module that has used all it has;
/// so that a bound which is met to the unit passes.
pub(crate) fn fill(store: &mut Store<Guest>, fuel: u64) -> wasmtime::Result<()> {
    store.set_fuel(fuel.saturating_add(1))
}

/// What is left of the fuel that [`fill`] gave. Nothing at all means that the last unit, which was not the run's, is
/// gone too: code without loops and calls is not stopped by Wasmtime, but here.
pub(crate) fn drain(store: &Store<Guest>) -> Result<u64, Failure> {
    store.get_fuel()?.checked_sub(1).ok_or(Failure::FuelExhausted)
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
        let config = &self.loaded.shared.config;
        let deadline_ticks = limits.deadline_ticks(config.tick);
        let mut instance = Instance {
            shape: shape.clone(),
            limits: *limits,
            deadline_ticks,
            live: None,
            report: RunReport { fuel: 0, setup_fuel: 0, memory_peak: 0, elapsed: Duration::ZERO, texts_cut: 0 },
            fuel_left: limits.fuel,
            before: (0, 0),
            calling: None,
            setup_fuel_left: limits.setup_fuel,
        };
        let mut store =
            Store::try_new(&self.loaded.shared.engine, Guest::new(limits, config, self.loaded.shared.on_slow))
                .map_err(|e| RunError::Engine(e.into()))?;
        watch(&mut store);
        // One deadline for the whole setup: a module does not get another for each of its columns.
        set_deadline(&mut store, deadline_ticks);
        let result = fill(&mut store, limits.setup_fuel)
            .map_err(Failure::from)
            .and_then(|()| set_up(&self.loaded, &mut store, shape, params, limits));
        let left = drain(&store);
        instance.setup_fuel_left = left.as_ref().copied().unwrap_or(0);
        instance.account(&store, began);
        match result.and_then(|parts| left.map(|_| parts)) {
            Ok(parts) => {
                instance.live = Some(parts.into_live(store));
                Ok(instance)
            }
            Err(failure) => Err(instance.fail(&store, Tank::Setup, failure)),
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
        self.report
    }

    /// Gives the calls of `rulebox_eval` this much fuel from here on: the next request of a session. What the
    /// report counts goes on.
    pub fn refuel(&mut self, fuel: u64) {
        self.limits.fuel = self.report.fuel.saturating_add(fuel);
        self.fuel_left = fuel;
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
        set_deadline(&mut live.store, self.deadline_ticks);
        let result = (|| {
            fill(&mut live.store, self.setup_fuel_left)?;
            let packed = state.call(&mut live.store, ())?;
            let left = drain(&live.store)?;
            let memory = live.memory.data_mut(&mut live.store);
            let region = Region::of_state(packed, self.limits.state_bytes, memory.len())?;
            if live.state_region.is_some_and(|before| before != region) {
                return Err(Breach::StateMoved.into());
            }
            live.state_region = Some(region);
            Ok((left, use_it(memory, region)?))
        })();
        self.setup_fuel_left = result.as_ref().map_or(0, |(left, _)| *left);
        self.account(&live.store, began);
        match result {
            Ok((_, value)) => {
                self.live = Some(live);
                Ok(value)
            }
            Err(failure) => Err(self.fail(&live.store, Tank::Setup, failure)),
        }
    }

    /// Brings the report up to date.
    pub(crate) fn account(&mut self, store: &Store<Guest>, began: Instant) {
        self.report.fuel = self.limits.fuel.saturating_sub(self.fuel_left);
        self.report.setup_fuel = self.limits.setup_fuel.saturating_sub(self.setup_fuel_left);
        self.report.memory_peak = store.data().memory_peak;
        self.report.elapsed += began.elapsed();
    }

    /// Puts a failure into an outcome. The caller drops the store.
    pub(crate) fn fail(&self, store: &Store<Guest>, tank: Tank, failure: Failure) -> RunError {
        // A breach says itself where it is.
        let place = if matches!(failure, Failure::Breach(_)) { String::new() } else { self.calling(tank) };
        let (kind, trap, detail) = match failure {
            Failure::ParamsRefused(code) => return RunError::ParamsRefused(code),
            Failure::Cancelled => return RunError::Cancelled(self.report),
            // A size that it has, and may not have: no lie.
            Failure::Breach(breach @ Breach::StateTooLarge { .. }) => {
                (ViolationKind::MemoryLimit, None, breach.to_string())
            }
            Failure::Breach(breach) => (ViolationKind::AbiBreach, None, breach.to_string()),
            Failure::FuelExhausted => (ViolationKind::FuelExhausted, None, self.out_of_fuel(tank)),
            Failure::Wasm(error) => {
                if let Some(refused) = store.data().refused {
                    (ViolationKind::MemoryLimit, None, refused.to_string())
                } else if let Some(trap) = error.downcast_ref::<Trap>() {
                    self.trapped(*trap, tank)
                } else if error.is::<AbortCalled>() {
                    (ViolationKind::Trap, Some(TrapCode::Abort), TrapCode::Abort.explanation().to_owned())
                } else if error.is::<PoolConcurrencyLimitError>() {
                    return RunError::Busy;
                } else {
                    return RunError::Engine(error.into());
                }
            }
        };
        RunError::Violation(Box::new(Violation {
            kind,
            trap,
            fuel_used: self.report.fuel,
            fuel_limit: self.limits.fuel,
            memory_peak: self.report.memory_peak,
            memory_limit: store.data().memory_limit,
            elapsed: self.report.elapsed,
            detail: format!("{detail}{place}"),
        }))
    }

    fn out_of_fuel(&self, tank: Tank) -> String {
        match tank {
            Tank::Setup => format!("the setup used all of its {} units of fuel", self.limits.setup_fuel),
            Tank::Eval => format!("the run used all of its {} units of fuel", self.limits.fuel),
        }
    }

    /// Which bars the call had that failed.
    fn calling(&self, tank: Tank) -> String {
        match &self.calling {
            _ if tank == Tank::Setup => String::new(),
            Some(bars) if bars.len() == 1 => format!(" (on bar {} of the run)", bars.start),
            Some(bars) => format!(" (in a call with bars {} to {} of the run)", bars.start, bars.end.saturating_sub(1)),
            None => String::new(),
        }
    }

    fn trapped(&self, trap: Trap, tank: Tank) -> (ViolationKind, Option<TrapCode>, String) {
        match trap {
            Trap::OutOfFuel => (ViolationKind::FuelExhausted, None, self.out_of_fuel(tank)),
            Trap::Interrupt => {
                let deadline = self.limits.deadline.max(Limits::MIN_DEADLINE).as_millis();
                (ViolationKind::DeadlineExceeded, None, format!("a call took more than {deadline} ms"))
            }
            Trap::StackOverflow => (ViolationKind::StackOverflow, None, "recursion used all of the stack".to_owned()),
            other => {
                let code = TrapCode::of(other);
                (ViolationKind::Trap, Some(code), format!("the module {}", code.explanation()))
            }
        }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("shape", &self.shape).field("report", &self.report).finish_non_exhaustive()
    }
}
