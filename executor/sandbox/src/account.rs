//! What a run may use, what it has used, and what is said of it when it is stopped.

use std::ops::Range;
use std::time::{Duration, Instant};

use wasmtime::{PoolConcurrencyLimitError, Store, Trap};

use crate::instance::RunReport;
use crate::limiter::Guest;
use crate::limits::{Limits, SandboxConfig};
use crate::memory::Breach;
use crate::outcome::{RunError, Violation, ViolationKind};
use crate::trap::{AbortCalled, TrapCode};

/// Of one run.
pub(crate) struct Account {
    pub(crate) limits: Limits,
    pub(crate) deadline_ticks: u64,
    pub(crate) report: RunReport,
    pub(crate) fuel_left: u64,
    pub(crate) setup_fuel_left: u64,
    /// The numbers of the bars of the last call.
    pub(crate) calling: Option<Range<usize>>,
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

impl Account {
    /// Of a run that has not begun.
    pub(crate) fn new(limits: &Limits, config: &SandboxConfig) -> Self {
        Self {
            limits: *limits,
            deadline_ticks: limits.deadline_ticks(config.tick),
            report: RunReport { fuel: 0, setup_fuel: 0, memory_peak: 0, elapsed: Duration::ZERO, texts_cut: 0 },
            fuel_left: limits.fuel,
            setup_fuel_left: limits.setup_fuel,
            calling: None,
        }
    }

    /// Gives the calls from here on this much fuel. What the report counts goes on.
    pub(crate) fn refuel(&mut self, fuel: u64) {
        self.limits.fuel = self.report.fuel.saturating_add(fuel);
        self.fuel_left = fuel;
    }

    /// Brings the report up to date.
    pub(crate) fn close(&mut self, store: &Store<Guest>, began: Instant) {
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
