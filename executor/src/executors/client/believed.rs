//! What is believed of an executor's words. It runs tenants' code, so a module may have made it its own: no number is
//! larger than what the run was given, no text is shown that was not cleaned, and nothing is taken that was not asked
//! for.

use rulebox_sandbox::{Limits, Refusal, RunError, RunReport, Shape, clean_message};

use super::exchange::{Failed, Lost};
use crate::executors::wire::{Failure, FrameError};
use crate::telemetry::chain;

/// Bytes of a text that an executor made.
const TEXT: usize = 600;

/// An error that may have an executor's words in it.
pub(super) fn cleaned(error: &dyn std::error::Error) -> String {
    clean_message(&chain(error), TEXT)
}

/// What results are held against.
pub(super) struct Expected<'a> {
    pub(super) shape: &'a Shape,
    pub(super) limits: &'a Limits,
    /// That the run was given on this executor.
    pub(super) fuel: u64,
}

impl Expected<'_> {
    /// What was used, and no more than could be.
    pub(super) fn report(&self, said: &RunReport) -> RunReport {
        RunReport {
            fuel: said.fuel.min(self.fuel),
            setup_fuel: said.setup_fuel.min(self.limits.setup_fuel),
            memory_peak: said.memory_peak.min(self.limits.memory_bytes),
            elapsed: said.elapsed,
        }
    }

    /// Why there are no results. `given`: whether some have been handed on; `cancelled`: whether nobody wanted the rest.
    pub(super) fn failure(&self, said: Failure, given: bool, cancelled: bool) -> Failed {
        let unasked = || Failed::from(FrameError::Unasked("a failure that cannot be"));
        match said {
            Failure::Violation(mut violation) => {
                if violation.kind.is_of_upload() {
                    return unasked();
                }
                violation.fuel_limit = self.fuel;
                violation.fuel_used = violation.fuel_used.min(self.fuel);
                violation.memory_limit = violation.memory_limit.min(self.limits.memory_bytes);
                violation.memory_peak = violation.memory_peak.min(violation.memory_limit);
                violation.detail = clean_message(&violation.detail, TEXT);
                Failed::Run(RunError::Violation(violation))
            }
            Failure::ParamsRefused(code) if code < 0 && !given => Failed::Run(RunError::ParamsRefused(code)),
            Failure::ParamsRefused(_) => unasked(),
            // Another may have room; but not once some results are here, which it would have to give again.
            Failure::Busy if given => Failed::Run(RunError::Busy),
            Failure::Busy => Failed::Lost(Lost::Full),
            Failure::Input(error) => Failed::Run(error.into()),
            Failure::Cancelled(report) if cancelled => Failed::Run(RunError::Cancelled(self.report(&report))),
            // It is about to stop.
            Failure::Cancelled(_) => Failed::Lost(Lost::Stopping),
            // Whatever it is, another's engine may do: nobody is to stop a run by these words.
            Failure::Engine(text) => Failed::Lost(Lost::Engine(clean_message(&text, TEXT))),
        }
    }
}

/// Why a module is not taken.
pub(super) fn refusal(said: &Refusal) -> Result<Refusal, Lost> {
    if said.kind.is_of_upload() {
        Ok(Refusal { kind: said.kind, detail: clean_message(&said.detail, TEXT) })
    } else {
        Err(FrameError::Unasked("a refusal that cannot be").into())
    }
}

/// What was used on the executor before, and on this one.
pub(super) fn sum(before: &RunReport, now: &RunReport) -> RunReport {
    RunReport {
        fuel: before.fuel.saturating_add(now.fuel),
        setup_fuel: before.setup_fuel.saturating_add(now.setup_fuel),
        memory_peak: before.memory_peak.max(now.memory_peak),
        elapsed: before.elapsed.saturating_add(now.elapsed),
    }
}

#[cfg(test)]
mod tests {
    use rulebox_sandbox::{TrapCode, Violation, ViolationKind};

    use super::*;

    const SHAPE: Shape = Shape { params: 0, inputs: 0, uses_time: false, outs: 0, message_values: 0, keep: false };

    fn expected(limits: &Limits) -> Expected<'_> {
        Expected { shape: &SHAPE, limits, fuel: 1_000 }
    }

    fn violation(kind: ViolationKind) -> Failure {
        Failure::Violation(Box::new(Violation {
            kind,
            trap: Some(TrapCode::Other),
            fuel_used: u64::MAX,
            fuel_limit: u64::MAX,
            memory_peak: usize::MAX,
            memory_limit: usize::MAX,
            elapsed: std::time::Duration::ZERO,
            detail: format!("\u{1b}[31m{}", "x".repeat(100_000)),
        }))
    }

    #[test]
    fn numbers_are_no_larger_than_what_was_given_and_texts_are_clean() {
        let limits = Limits::default();
        let Failed::Run(RunError::Violation(said)) =
            expected(&limits).failure(violation(ViolationKind::Trap), true, false)
        else {
            panic!("a violation is one")
        };
        assert_eq!((said.fuel_used, said.fuel_limit), (1_000, 1_000));
        assert_eq!((said.memory_peak, said.memory_limit), (limits.memory_bytes, limits.memory_bytes));
        assert!(said.detail.len() <= TEXT && !said.detail.contains('\u{1b}'), "{}", said.detail);
        let elapsed = std::time::Duration::ZERO;
        let said = RunReport { fuel: u64::MAX, setup_fuel: u64::MAX, memory_peak: usize::MAX, elapsed };
        let report = expected(&limits).report(&said);
        assert_eq!((report.fuel, report.setup_fuel), (1_000, limits.setup_fuel));
    }

    #[test]
    fn what_cannot_be_is_not_believed() {
        let limits = Limits::default();
        let of = |said, given, cancelled| expected(&limits).failure(said, given, cancelled);
        let lost = |failed: Failed| matches!(failed, Failed::Lost(_));
        assert!(lost(of(violation(ViolationKind::ModuleTooLarge), false, false)));
        assert!(lost(of(Failure::ParamsRefused(1), false, false)) && lost(of(Failure::ParamsRefused(-1), true, false)));
        assert!(!lost(of(Failure::ParamsRefused(-1), false, false)));
        let elapsed = std::time::Duration::ZERO;
        let report = RunReport { fuel: 1, setup_fuel: 1, memory_peak: 1, elapsed };
        assert!(lost(of(Failure::Cancelled(report), false, false)), "nobody said so");
        assert!(!lost(of(Failure::Cancelled(report), false, true)));
        assert!(lost(of(Failure::Busy, false, false)) && !lost(of(Failure::Busy, true, false)));
        let refused = Refusal { kind: ViolationKind::Trap, detail: String::new() };
        assert!(refusal(&refused).is_err());
    }
}
