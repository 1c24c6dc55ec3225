//! Counting repeats in memory, between two writes of their records.
//!
//! A hot loop costs the store one transaction a second, and not one a violation. What a process that is killed had
//! counted since its last write is missing from the row's count, and from nothing else: the first is recorded before
//! its answer, and so is the one that is one too many for its module.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rulebox_sandbox::Severity;
use uuid::Uuid;

use crate::domain::at::At;
use crate::domain::audit::Chain;
use crate::domain::quarantine::Thresholds;
use crate::domain::violation::{NewViolation, Stops};
use crate::store::{Occurrences, Recorded};

/// Violations whose repeats are counted here. More are recorded one by one.
const MOST: usize = 10_000;
/// Of one tenant, or of the platform: none keeps the repeats of others from being counted here.
const MOST_OF_ONE: usize = MOST / 10;

/// What is to be done about a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// Nothing now: it is a repeat of this one, and is counted.
    Counted {
        /// The record.
        id: Uuid,
        /// Of the record.
        severity: Severity,
    },
    /// It is to be recorded, with those before it.
    Record(Occurrences),
}

/// Repeats that are to be added to their record.
#[derive(Clone, Debug)]
pub(super) struct Again {
    pub(super) owner: Chain,
    /// The latest.
    pub(super) violation: NewViolation,
    pub(super) occurrences: Occurrences,
}

/// Whose, and of what.
type Key = (Chain, [u8; 32]);

/// An open violation.
#[derive(Debug)]
struct Open {
    id: Uuid,
    severity: Severity,
    opened_at: At,
    /// Towards the quarantine of its module, when it was last written.
    counted: u64,
    /// Repeats since then.
    waiting: u64,
    latest: NewViolation,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<Key, Open>,
    /// What is of no open violation of this minute and is not written yet, by the record that it belongs to, if it has one.
    /// However often the same comes while the store is away, it is one.
    over: HashMap<(Key, Option<Uuid>), Again>,
}

impl State {
    fn put_over(&mut self, key: Key, again: Again) {
        let room = self.over.len() < MOST;
        match self.over.entry((key, again.occurrences.of)) {
            Entry::Occupied(there) => {
                let there = there.into_mut();
                there.occurrences.times = there.occurrences.times.saturating_add(again.occurrences.times);
                if there.violation.at < again.violation.at {
                    there.violation = again.violation;
                }
            }
            Entry::Vacant(place) if room => {
                place.insert(again);
            }
            Entry::Vacant(_) => {
                let (kind, times) = (again.violation.kind.name(), again.occurrences.times);
                tracing::error!(kind, times, "violations are lost");
            }
        }
    }
}

/// Repeats that are not written yet.
#[derive(Debug, Default)]
pub struct Repeats(Mutex<State>);

fn is_over(opened_at: At, now: At) -> bool {
    // Also if a clock was set back.
    now.0.saturating_sub(opened_at.0).saturating_abs() >= NewViolation::REPEAT_MS
}

impl Open {
    fn again(self, owner: Chain) -> Option<Again> {
        let occurrences = Occurrences { times: self.waiting, of: Some(self.id) };
        (self.waiting > 0).then_some(Again { owner, violation: self.latest, occurrences })
    }
}

impl Repeats {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a violation is a repeat that only has to be counted; then it is.
    pub(super) fn note(&self, owner: Chain, violation: &NewViolation, thresholds: &Thresholds) -> Noted {
        let key = (owner, violation.key());
        let mut state = self.state();
        let Some(open) = state.open.get_mut(&key) else { return Noted::Record(Occurrences::ONE) };
        if is_over(open.opened_at, violation.at) {
            if let Some(again) = state.open.remove(&key).and_then(|open| open.again(owner)) {
                state.put_over(key, again);
            }
            return Noted::Record(Occurrences::ONE);
        }
        open.waiting = open.waiting.saturating_add(1);
        // The one that may stop the module is written before it is answered.
        let may_stop = match violation.kind.info().stops {
            Stops::Never => false,
            Stops::Counted => open.counted > 0 && open.counted.saturating_add(open.waiting) >= thresholds.violations,
            Stops::Deaths | Stops::AtOnce => true,
        };
        if may_stop {
            let times = std::mem::take(&mut open.waiting);
            return Noted::Record(Occurrences { times, of: Some(open.id) });
        }
        open.latest = violation.clone();
        Noted::Counted { id: open.id, severity: open.severity }
    }

    /// Notes what became of one that was written.
    pub(super) fn recorded(&self, owner: Chain, violation: &NewViolation, recorded: &Recorded) {
        let key = (owner, violation.key());
        let mut state = self.state();
        let is_new = !state.open.contains_key(&key);
        if is_new {
            let of_one = state.open.keys().filter(|(one, _)| *one == owner).count();
            if of_one >= MOST_OF_ONE || state.open.len() >= MOST {
                return;
            }
        }
        let open = state.open.entry(key).or_insert_with(|| Open {
            id: recorded.id,
            severity: recorded.severity,
            opened_at: recorded.at,
            counted: 0,
            waiting: 0,
            latest: violation.clone(),
        });
        // What was written late is of a minute before this one's.
        if open.opened_at <= recorded.at {
            open.id = recorded.id;
            open.severity = recorded.severity;
            open.opened_at = recorded.at;
            open.counted = recorded.counted;
        }
    }

    /// What could not be written is written later, also the first of a minute: its request, if there is one, hears that it
    /// was not, but what happened has happened.
    pub(super) fn give_back(&self, owner: Chain, violation: &NewViolation, occurrences: Occurrences) {
        let key = (owner, violation.key());
        let mut state = self.state();
        match state.open.get_mut(&key) {
            Some(open) if occurrences.of == Some(open.id) => {
                open.waiting = open.waiting.saturating_add(occurrences.times);
            }
            _ => state.put_over(key, Again { owner, violation: violation.clone(), occurrences }),
        }
    }

    /// Takes what is to be written now, and forgets violations whose minute is over.
    pub(super) fn take(&self, now: At) -> Vec<Again> {
        let mut state = self.state();
        let mut taken: Vec<_> = std::mem::take(&mut state.over).into_values().collect();
        state.open.retain(|(owner, _), open| {
            if open.waiting > 0 {
                let occurrences = Occurrences { times: std::mem::take(&mut open.waiting), of: Some(open.id) };
                taken.push(Again { owner: *owner, violation: open.latest.clone(), occurrences });
                return true;
            }
            !is_over(open.opened_at, now)
        });
        taken
    }

    /// A reviewer is done with it: what happens from now on is another.
    pub(super) fn forget(&self, id: Uuid) {
        let mut state = self.state();
        let resolved: Vec<_> = state.open.extract_if(|_, open| open.id == id).collect();
        for (key, open) in resolved {
            if let Some(again) = open.again(key.0) {
                state.put_over(key, again);
            }
        }
    }

    /// How many are not written.
    pub(super) fn waiting(&self) -> u64 {
        let state = self.state();
        let open: u64 = state.open.values().map(|open| open.waiting).sum();
        open + state.over.values().map(|again| again.occurrences.times).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::caller::RequestMarks;
    use crate::domain::violation::Kind;

    const NOBODY: Chain = Chain(None);
    const FEW: Thresholds = Thresholds { violations: 5, deaths: 2, within: Duration::from_mins(10) };

    fn violation(kind: Kind, at: i64) -> NewViolation {
        let marks = RequestMarks { request_id: String::new(), trace_id: String::new() };
        NewViolation { at: At(at), ..NewViolation::new(kind, false, marks, None) }
    }

    fn record(repeats: &Repeats, violation: &NewViolation, id: u128, counted: u64) -> Uuid {
        let id = Uuid::from_u128(id);
        let (severity, at) = (violation.severity, violation.at);
        repeats.recorded(NOBODY, violation, &Recorded { id, severity, at, opened: true, counted, quarantined: false });
        id
    }

    #[test]
    fn repeats_of_a_minute_are_counted_and_taken_once() {
        let repeats = Repeats::default();
        let first = violation(Kind::OutputLimit, 1_000);
        assert_eq!(repeats.note(NOBODY, &first, &FEW), Noted::Record(Occurrences::ONE));
        let id = record(&repeats, &first, 1, 0);
        for n in 0..9_999 {
            let noted = repeats.note(NOBODY, &violation(Kind::OutputLimit, 1_000 + n), &FEW);
            assert!(matches!(noted, Noted::Counted { id: of, .. } if of == id), "{n}: {noted:?}");
        }
        assert_eq!(repeats.waiting(), 9_999);
        let [again] = repeats.take(At(2_000)).try_into().unwrap();
        assert_eq!(again.occurrences, Occurrences { times: 9_999, of: Some(id) });
        assert_eq!(again.violation.at, At(10_998), "the latest");
        assert!(repeats.take(At(2_000)).is_empty());
        // The store failed: it is not lost, and not doubled.
        repeats.give_back(NOBODY, &again.violation, again.occurrences);
        repeats.note(NOBODY, &violation(Kind::OutputLimit, 20_000), &FEW);
        assert_eq!(repeats.waiting(), 10_000);
        // The minute is over before it was written.
        assert_eq!(repeats.note(NOBODY, &violation(Kind::OutputLimit, 61_000), &FEW), Noted::Record(Occurrences::ONE));
        record(&repeats, &violation(Kind::OutputLimit, 61_000), 2, 0);
        repeats.note(NOBODY, &violation(Kind::OutputLimit, 61_001), &FEW);
        let mut taken: Vec<_> = repeats.take(At(61_002)).into_iter().map(|again| again.occurrences).collect();
        taken.sort_by_key(|occurrences| occurrences.of);
        let expected = [(10_000, 1), (1, 2)].map(|(times, id)| Occurrences { times, of: Some(Uuid::from_u128(id)) });
        assert_eq!(taken, expected);
        repeats.take(At(200_000));
        assert_eq!(repeats.state().open.len(), 0, "what is over is forgotten");
    }

    #[test]
    fn the_first_of_a_minute_that_could_not_be_written_is_written_later() {
        let repeats = Repeats::default();
        let death = violation(Kind::ExecutorDied, 0);
        for _ in 0..2 {
            assert_eq!(repeats.note(NOBODY, &death, &FEW), Noted::Record(Occurrences::ONE));
            repeats.give_back(NOBODY, &death, Occurrences::ONE);
        }
        assert_eq!(repeats.waiting(), 2);
        let [both] = repeats.take(At(1)).try_into().unwrap();
        assert_eq!(both.occurrences, Occurrences { times: 2, of: None });
        // The store is still away, and the same comes again and again.
        repeats.give_back(NOBODY, &death, both.occurrences);
        for at in 0..MOST {
            repeats.give_back(NOBODY, &violation(Kind::ExecutorDied, i64::try_from(at).unwrap()), Occurrences::ONE);
        }
        let [all] = repeats.take(At(2)).try_into().unwrap();
        assert_eq!((all.occurrences.times, all.occurrences.of), (2 + MOST as u64, None));
        assert_eq!((all.violation.at, repeats.waiting()), (At(9_999), 0));
    }

    #[test]
    fn the_one_that_may_stop_its_module_is_written_at_once() {
        let repeats = Repeats::default();
        let trap = violation(Kind::Trap, 0);
        let id = record(&repeats, &trap, 1, 2);
        for _ in 0..2 {
            assert!(matches!(repeats.note(NOBODY, &trap, &FEW), Noted::Counted { .. }));
        }
        assert_eq!(repeats.note(NOBODY, &trap, &FEW), Noted::Record(Occurrences { times: 3, of: Some(id) }));
        assert_eq!(repeats.waiting(), 0);
        let death = violation(Kind::ExecutorDied, 0);
        let id = record(&repeats, &death, 2, 1);
        assert_eq!(repeats.note(NOBODY, &death, &FEW), Noted::Record(Occurrences { times: 1, of: Some(id) }));
    }

    #[test]
    fn what_is_written_late_does_not_take_the_place_of_what_is_open_now() {
        let repeats = Repeats::default();
        let (early, late) = (violation(Kind::OutputLimit, 0), violation(Kind::OutputLimit, 70_000));
        let id = record(&repeats, &late, 2, 0);
        record(&repeats, &early, 1, 0);
        assert!(matches!(repeats.note(NOBODY, &late, &FEW), Noted::Counted { id: of, .. } if of == id));
    }

    #[test]
    fn what_is_resolved_is_forgotten_and_what_waits_is_not() {
        let repeats = Repeats::default();
        let one = violation(Kind::OutputLimit, 0);
        let id = record(&repeats, &one, 1, 0);
        repeats.note(NOBODY, &one, &FEW);
        repeats.forget(Uuid::from_u128(2));
        assert!(matches!(repeats.note(NOBODY, &one, &FEW), Noted::Counted { .. }));
        repeats.forget(id);
        assert_eq!(repeats.note(NOBODY, &one, &FEW), Noted::Record(Occurrences::ONE));
        let [again] = repeats.take(At(1)).try_into().unwrap();
        assert_eq!(again.occurrences, Occurrences { times: 2, of: Some(id) });
    }

    #[test]
    fn there_is_a_bound_to_what_is_remembered() {
        let repeats = Repeats::default();
        for n in 0..MOST + 5 {
            let other = NewViolation { subject: n.to_string(), ..violation(Kind::AuthAbuse, 0) };
            record(&repeats, &other, 1, 0);
        }
        assert_eq!(repeats.state().open.len(), MOST_OF_ONE);
        let last = NewViolation { subject: (MOST + 4).to_string(), ..violation(Kind::AuthAbuse, 0) };
        assert_eq!(repeats.note(NOBODY, &last, &FEW), Noted::Record(Occurrences::ONE));
        // Another has room, whatever one has done.
        let (other, one) = (Chain::from_store(Uuid::from_u128(7)), violation(Kind::OutputLimit, 0));
        let (severity, at) = (one.severity, one.at);
        let id = Uuid::from_u128(2);
        repeats.recorded(other, &one, &Recorded { id, severity, at, opened: true, counted: 0, quarantined: false });
        assert!(matches!(repeats.note(other, &one, &FEW), Noted::Counted { .. }));
    }
}
