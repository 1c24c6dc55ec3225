//! What is believed of an executor's words. It runs tenants' code, so a module may have made it its own: no number is
//! larger than what the run was given, no text is shown that was not cleaned, and nothing is taken that was not asked
//! for.

use rulebox_sandbox::{InputError, Limits, Messages, Refusal, RunError, RunReport, Shape, clean_message};

use super::exchange::{Failed, Lost};
use crate::executors::wire::{FRAME_BYTES, Failure, FrameError};
use crate::telemetry::chain;

/// Bytes of a text that an executor made.
const TEXT: usize = 600;
/// Bytes of a frame without results or a state: a failure's texts, at most.
const SHORT: usize = 64 << 10;
/// Bytes beside a column or a text: its length, and of which bar it is.
const BESIDE: usize = 16;

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
    /// Whether it goes on from a state that a tenant's module may not take back.
    pub(super) may_refuse_state: bool,
}

impl Expected<'_> {
    /// Bytes of a frame, where results of so many bars are to come: those of a call, a state or a failure.
    pub(super) fn frame_bytes(&self, rows: usize) -> usize {
        let rows = rows.min(self.limits.chunk_rows.max(1) as usize);
        let columns = self.shape.outs.saturating_add(self.shape.message_values).saturating_add(1);
        let row = columns.saturating_mul(size_of::<f64>()).saturating_add(size_of::<u32>() + 1);
        let text = if self.limits.messages == Messages::None { 0 } else { self.limits.message_bytes + BESIDE };
        let results = rows.saturating_mul(row.saturating_add(text)).saturating_add(columns.saturating_mul(BESIDE));
        results.max(self.limits.state_bytes).saturating_add(SHORT).min(FRAME_BYTES)
    }

    /// What was used, and no more than could be.
    pub(super) fn report(&self, said: &RunReport) -> RunReport {
        RunReport {
            fuel: said.fuel.min(self.fuel),
            setup_fuel: said.setup_fuel.min(self.limits.setup_fuel),
            memory_peak: said.memory_peak.min(self.limits.memory_bytes),
            elapsed: said.elapsed,
            texts_cut: if self.limits.messages == Messages::None { 0 } else { said.texts_cut },
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
            // Another may have room; but not once some results are here, which it would have to give again.
            Failure::Busy if given => Failed::Run(RunError::Busy),
            Failure::Busy => Failed::Lost(Lost::Full),
            Failure::Input(error @ InputError::StateLength { .. }) if self.may_refuse_state => {
                Failed::Run(error.into())
            }
            // What it was given is held against the shape before.
            Failure::ParamsRefused(_) | Failure::Input(_) => unasked(),
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
        texts_cut: before.texts_cut.saturating_add(now.texts_cut),
    }
}

#[cfg(test)]
mod tests {
    use rulebox_sandbox::{TrapCode, Violation, ViolationKind};

    use super::*;

    const SHAPE: Shape = Shape { params: 0, inputs: 0, uses_time: false, outs: 0, message_values: 0, keep: false };

    fn expected(limits: &Limits) -> Expected<'_> {
        Expected { shape: &SHAPE, limits, fuel: 1_000, may_refuse_state: false }
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
        let said = RunReport { fuel: u64::MAX, setup_fuel: u64::MAX, memory_peak: usize::MAX, elapsed, texts_cut: 3 };
        let report = expected(&limits).report(&said);
        assert_eq!((report.fuel, report.setup_fuel), (1_000, limits.setup_fuel));
        let silent = Limits { messages: Messages::None, ..limits };
        let of = |limits| expected(limits).report(&said).texts_cut;
        let spoken = Limits { messages: Messages::Flagged, ..limits };
        assert_eq!((of(&silent), of(&spoken)), (0, 3), "nobody asked for texts");
    }

    #[test]
    fn a_frame_is_no_longer_than_what_can_come() {
        let limits = Limits { chunk_rows: 100, state_bytes: 0, ..Limits::default() };
        let of = |limits: &Limits, rows| expected(limits).frame_bytes(rows) - SHORT;
        assert_eq!((of(&limits, 10), of(&limits, 1_000)), (10 * 13 + BESIDE, 100 * 13 + BESIDE), "those of a call");
        assert_eq!(of(&Limits { state_bytes: 1 << 20, ..limits }, 0), 1 << 20);
        let texts = Limits { messages: Messages::Flagged, message_bytes: 1_000, ..limits };
        assert_eq!(of(&texts, 10), 10 * (13 + 1_000 + BESIDE) + BESIDE);
        let endless = Limits { state_bytes: usize::MAX, ..limits };
        assert_eq!(expected(&endless).frame_bytes(usize::MAX), FRAME_BYTES);
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
        let report = RunReport { fuel: 1, setup_fuel: 1, memory_peak: 1, elapsed, texts_cut: 0 };
        assert!(lost(of(Failure::Cancelled(report), false, false)), "nobody said so");
        assert!(!lost(of(Failure::Cancelled(report), false, true)));
        let state = || Failure::Input(InputError::StateLength { expected: 1, got: 2 });
        assert!(lost(of(Failure::Input(InputError::NoTime), false, false)) && lost(of(state(), false, false)));
        let of_tenant = Expected { may_refuse_state: true, ..expected(&limits) };
        assert!(!lost(of_tenant.failure(state(), false, false)), "its module keeps states of any length");
        assert!(lost(of(Failure::Busy, false, false)) && !lost(of(Failure::Busy, true, false)));
        let refused = Refusal { kind: ViolationKind::Trap, detail: String::new() };
        assert!(refusal(&refused).is_err());
    }
}
