//! Reads the results of a run as they come: counts, changes of verdict, and the columns that were asked for.
//!
//! Messages are rendered for bars that the answer shows, and for no others: a million quiet bars cost a comparison
//! each.

use rulebox_abi::columns::{OutputRows, OutputSink};
use rulebox_abi::{TIME_MISSING, Verdict};
use rulebox_dsl::manifest::{Action, FaultInfo, Manifest};
use rulebox_dsl::outcome::Outcome;
use rulebox_sandbox::Shape;

use super::prepared::Prepared;
use crate::domain::at::At;
use crate::domain::evaluation::{Counts, Event, Series, SeriesWanted};

/// What a run is read for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Columns.
    pub series: SeriesWanted,
    /// Changes of verdict, at most.
    pub events: usize,
    /// Whether every bar's verdict, action and fraction are kept, to be combined with other rules'.
    pub combine: bool,
}

impl Wanted {
    /// Columns that are kept of a run of this shape.
    pub fn columns(&self, shape: &Shape) -> usize {
        let outs = if self.series.out { shape.outs } else { 0 };
        let combined = if self.combine { 1 + usize::from(shape.keep) } else { 0 };
        outs + usize::from(self.series.verdict) + combined
    }
}

/// Verdict and action of a bar, as one number that sorts by severity within each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Code(u8);

impl Code {
    /// Packs them.
    pub fn new(verdict: Verdict, action: Option<Action>) -> Self {
        let action = match action {
            None => 0,
            Some(Action::Block) => 1,
            Some(Action::Reduce) => 2,
            Some(Action::Liquidate) => 3,
        };
        Self(verdict as u8 | action << 2)
    }

    /// The verdict.
    pub fn verdict(self) -> Verdict {
        Verdict::from_byte(self.0 & 0b0011).unwrap_or(Verdict::Fault)
    }

    /// The action.
    pub const fn action(self) -> Option<Action> {
        match self.0 >> 2 {
            0 => None,
            1 => Some(Action::Block),
            2 => Some(Action::Reduce),
            _ => Some(Action::Liquidate),
        }
    }

    /// The more severe of both verdicts and of both actions.
    #[must_use]
    pub fn combine(self, other: Self) -> Self {
        Self((self.0 & 0b0011).max(other.0 & 0b0011) | (self.0 & 0b1100).max(other.0 & 0b1100))
    }
}

/// Times of some bars of a run.
#[derive(Clone, Copy, Debug)]
pub struct Times<'a> {
    first_bar: usize,
    values: Option<&'a [i64]>,
}

impl<'a> Times<'a> {
    /// Of the bars from `first_bar` on.
    pub const fn new(first_bar: usize, values: Option<&'a [i64]>) -> Self {
        Self { first_bar, values }
    }

    fn of(&self, bar: usize) -> Option<At> {
        time_of(self.values, bar.checked_sub(self.first_bar)?)
    }
}

/// What results are read with.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The rule.
    pub prepared: &'a Prepared,
    /// Of its bars.
    pub times: Times<'a>,
}

impl Reading<'_> {
    fn code(&self, verdict: Verdict, fired: u32) -> Code {
        let action = match verdict {
            Verdict::Warn => self.prepared.actions.action(false, fired),
            Verdict::Breach => self.prepared.actions.action(true, fired),
            Verdict::Ok | Verdict::Fault => None,
        };
        Code::new(verdict, action)
    }

    /// What was said of a bar, which is row `row` of these.
    pub fn event(&self, rows: &OutputRows<'_>, row: usize, bar: usize) -> Event {
        read_event(&self.prepared.manifest, rows, row, bar, self.times.of(bar))
    }
}

/// Counts and changes of verdict, from the first bar of a run on.
#[derive(Debug, Default)]
pub struct Changes {
    /// As many are kept.
    most: usize,
    before: (u8, u32),
    code: Code,
    /// Bars by verdict.
    pub counts: Counts,
    /// See [`crate::domain::evaluation::RuleRun`].
    pub first: Vec<Event>,
    /// As above.
    pub events: Vec<Event>,
    /// As above.
    pub events_truncated: bool,
}

impl Changes {
    /// Before the first bar, which is as after one that was `ok`.
    pub fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Reads the next bars, those of which the same was said at once; `each` gets how many they are, and their code.
    pub fn rows(
        &mut self,
        reading: &Reading<'_>,
        rows: &OutputRows<'_>,
        first: usize,
        mut each: impl FnMut(usize, Code),
    ) {
        let mut row = 0;
        while row < rows.rows {
            let alike = rows.alike(row).clamp(1, rows.rows - row);
            let code = self.row(reading, rows, (row, alike), first + row);
            each(alike, code);
            row += alike;
        }
    }

    fn row(&mut self, reading: &Reading<'_>, rows: &OutputRows<'_>, (row, alike): (usize, usize), bar: usize) -> Code {
        let verdict = rows.verdict(row);
        let now = (verdict as u8, rows.fired(row));
        self.counts.add(verdict, alike);
        if now != self.before {
            self.before = now;
            let code = reading.code(verdict, now.1);
            if code != self.code {
                self.code = code;
                self.changed(verdict, || reading.event(rows, row, bar));
            }
        }
        self.code
    }

    fn changed(&mut self, verdict: Verdict, event: impl FnOnce() -> Event) {
        let is_first = verdict != Verdict::Ok && self.first.iter().all(|event| event.verdict != verdict);
        let has_room = self.events.len() < self.most;
        self.events_truncated |= !has_room;
        if !is_first && !has_room {
            return;
        }
        let event = event();
        if is_first {
            self.first.push(event.clone());
            self.first.sort_by_key(|event| event.verdict);
        }
        if has_room {
            self.events.push(event);
        }
    }
}

/// Reads one rule's results.
#[derive(Debug)]
pub struct Summary<'a> {
    reading: Reading<'a>,
    wanted: Wanted,
    total: usize,
    /// Counts, firsts and changes.
    pub changes: Changes,
    /// See [`crate::domain::evaluation::RuleRun`].
    pub last: Option<Event>,
    /// As above.
    pub series: Series,
    /// One a bar, if they are to be combined.
    pub codes: Vec<Code>,
    /// Fractions to keep, one a bar, if they are to be combined and the rule has any.
    pub keeps: Vec<f64>,
}

impl<'a> Summary<'a> {
    /// For `total` bars.
    pub fn new(prepared: &'a Prepared, time: Option<&'a [i64]>, wanted: Wanted, total: usize) -> Self {
        let outs = wanted.series.out.then(|| vec![Vec::with_capacity(total); prepared.manifest.outs.len()]);
        Self {
            reading: Reading { prepared, times: Times::new(0, time) },
            wanted,
            total,
            changes: Changes::new(wanted.events),
            last: None,
            series: Series { verdicts: wanted.series.verdict.then(|| Vec::with_capacity(total)), outs },
            codes: Vec::with_capacity(if wanted.combine { total } else { 0 }),
            keeps: Vec::new(),
        }
    }
}

/// What a rule said of a bar, in full.
pub fn read_event(manifest: &Manifest, rows: &OutputRows<'_>, row: usize, bar: usize, time: Option<At>) -> Event {
    let outcome = Outcome::read(manifest, rows, row);
    let place = outcome.fault.and_then(|place| manifest.spans.get(place));
    let fault = (outcome.verdict == Verdict::Fault).then(|| place.cloned().unwrap_or_else(unknown_fault));
    Event {
        bar,
        time,
        verdict: outcome.verdict,
        action: outcome.action,
        keep: outcome.keep,
        reasons: outcome.reasons,
        out: (0..manifest.outs.len()).map(|out| rows.out(out, row)).collect(),
        fault,
    }
}

/// The time of a bar, if there is one.
pub fn time_of(time: Option<&[i64]>, bar: usize) -> Option<At> {
    time?.get(bar).copied().filter(|&time| time != TIME_MISSING).map(At)
}

fn unknown_fault() -> FaultInfo {
    let message = "the module gave no reason".to_owned();
    FaultInfo { start: 0, end: 0, line: 1, column: 1, message }
}

impl OutputSink for Summary<'_> {
    fn rows(&mut self, first_row: usize, rows: &OutputRows<'_>) {
        let mut combined = self.wanted.combine.then_some(&mut self.codes);
        self.changes.rows(&self.reading, rows, first_row, |alike, code| {
            if let Some(codes) = &mut combined {
                codes.extend(std::iter::repeat_n(code, alike));
            }
        });
        if self.wanted.combine && self.reading.prepared.shape.keep {
            self.keeps.extend((0..rows.rows).map(|row| rows.keep(row)));
        }
        if let Some(verdicts) = &mut self.series.verdicts {
            verdicts.extend((0..rows.rows).map(|row| rows.verdict(row)));
        }
        for (out, column) in self.series.outs.iter_mut().flatten().enumerate() {
            column.extend((0..rows.rows).map(|row| rows.out(out, row)));
        }
        if rows.rows > 0 && first_row + rows.rows == self.total {
            self.last = Some(self.reading.event(rows, rows.rows - 1, self.total - 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_keep_verdict_and_action_and_combine_each_by_itself() {
        let actions = [None, Some(Action::Block), Some(Action::Reduce), Some(Action::Liquidate)];
        for verdict in Verdict::ALL {
            for action in actions {
                let code = Code::new(verdict, action);
                assert_eq!((code.verdict(), code.action()), (verdict, action));
            }
        }
        let close = Code::new(Verdict::Warn, Some(Action::Liquidate));
        let fault = Code::new(Verdict::Fault, None);
        assert_eq!(close.combine(fault), Code::new(Verdict::Fault, Some(Action::Liquidate)));
    }
}
