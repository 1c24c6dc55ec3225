//! How long an executor is waited for. It runs tenants' code, so a module may have made it its own: without an end to
//! everything it would hold the threads that wait for it.

use std::time::Duration;

use rulebox_sandbox::{Limits, Messages};

/// A hundredth of what a module uses on a processor of its own: work that is long gets less of it, and others' work may
/// be long too.
const FUEL_A_MICROSECOND: u64 = 10;
/// What a call into the module costs beside its fuel.
const CALL: Duration = Duration::from_millis(1);
/// Longer than this nothing is waited for.
const LONGEST: Duration = Duration::from_hours(24);

/// Times to wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// It may say nothing of a run: it says now and then that it goes on.
    pub silence: Duration,
    /// A module may take: it may wait for others', and then be compiled.
    pub load: Duration,
    /// A batch may wait for its turn.
    pub turn: Duration,
    /// A batch may wait for its turn, or hear nothing, if another executor might have it.
    pub elsewhere: Duration,
    /// A run may take to end, beside the call that it is in.
    pub end: Duration,
}

impl Patience {
    /// With executors whose workers may take so long for a module.
    pub const fn with_worker(longest: Duration) -> Self {
        let turn = Duration::from_mins(1);
        let (silence, some) = (Duration::from_secs(15), Duration::from_secs(5));
        Self { silence, load: longest.saturating_add(turn), turn, elsewhere: some, end: some }
    }

    /// Where another executor might have the run.
    pub(super) fn of_first(self) -> Self {
        let shorter = |time: Duration| time.min(self.elsewhere);
        Self { silence: shorter(self.silence), turn: shorter(self.turn), ..self }
    }

    /// What a batch may take: its calls what they are allowed, and so the set-up before it and the state after it.
    pub(super) fn of_batch(&self, limits: &Limits, fuel: u64, rows: usize) -> Duration {
        let calls = u32::try_from(rows.div_ceil(limits.chunk_rows.max(1) as usize)).unwrap_or(u32::MAX);
        let by_clock = of_call(limits).saturating_mul(calls);
        let by_fuel = Duration::from_micros(fuel / FUEL_A_MICROSECOND).saturating_add(CALL.saturating_mul(calls));
        let beside = of_call(limits).saturating_mul(2).saturating_add(self.turn);
        by_clock.min(by_fuel).saturating_add(beside).min(LONGEST)
    }

    /// What it may take to end, when nobody wants the rest.
    pub(super) fn of_end(&self, limits: &Limits) -> Duration {
        of_call(limits).saturating_add(self.end).min(LONGEST)
    }
}

/// A call, and the texts that the module is asked for after it.
fn of_call(limits: &Limits) -> Duration {
    let deadlines = if limits.messages == Messages::None { 1 } else { 2 };
    limits.deadline.max(Limits::MIN_DEADLINE).saturating_mul(deadlines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_what_its_limits_allow_and_no_more() {
        let patience = Patience { turn: Duration::ZERO, ..Patience::with_worker(Duration::from_secs(30)) };
        let limits = Limits { deadline: Duration::from_secs(1), chunk_rows: 100, ..Limits::default() };
        let of = |fuel, rows| patience.of_batch(&limits, fuel, rows);
        assert_eq!(of(u64::MAX, 1_000), Duration::from_secs(10 + 2), "by its calls");
        assert_eq!(of(u64::MAX, 1_001), Duration::from_secs(11 + 2), "of which the last may be short");
        assert_eq!(of(10_000_000, 1_000), Duration::from_millis(1_000 + 10 + 2_000), "by its fuel");
        assert_eq!(of(u64::MAX, 0), Duration::from_secs(2), "a set-up");
        let texts = Limits { messages: Messages::Flagged, ..limits };
        assert_eq!(patience.of_batch(&texts, u64::MAX, 100), Duration::from_secs(2 + 4));
        let endless = Limits { deadline: Duration::MAX, ..limits };
        assert_eq!(patience.of_batch(&endless, u64::MAX, usize::MAX), LONGEST);
    }
}
