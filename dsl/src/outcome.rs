//! What a bar's columns mean: verdict, action and reasons, as the host reads them.
//!
//! One reading for the service, the command line and the tests, and for every engine. A guest module may write any
//! words: bits without a statement, places without a span, fractions that are none. None of it can do more than give
//! a wrong answer for that module's own rule.

use rulebox_abi::columns::{OutputColumns, OutputRows};
use rulebox_abi::{MAX_STATEMENTS, MISSING, MISSING_BITS, Verdict};

use crate::manifest::{Action, Manifest, MessagePart, StatementInfo, StatementVerdict};
use crate::message;

/// What a rule says of one bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The most severe verdict.
    pub verdict: Verdict,
    /// What the winning statement asks for.
    pub action: Option<Action>,
    /// The fraction to keep, 0 to 1, if the action is `reduce`. What is no such fraction reads as 0.
    pub keep: Option<f64>,
    /// The messages of all statements that fired, in the order of the text, each once.
    pub reasons: Vec<String>,
    /// Of a fault: index into the manifest's `spans`, if the module gave one that is there.
    pub fault: Option<usize>,
}

impl Outcome {
    /// Nothing to say.
    pub const OK: Self = Self { verdict: Verdict::Ok, action: None, keep: None, reasons: Vec::new(), fault: None };

    /// Reads bar `row` of `rows`. Allocates nothing for `ok`.
    pub fn read(manifest: &Manifest, rows: &OutputRows<'_>, row: usize) -> Self {
        Self::from_words(
            manifest,
            rows.verdict(row),
            rows.fired(row),
            || rows.keep(row),
            |column| rows.message_value(column as usize, row),
            || rows.message(row),
        )
    }

    /// Reads bar `row` of results that were kept; past their end, a fault without a place.
    pub fn of_columns(manifest: &Manifest, columns: &OutputColumns, row: usize) -> Self {
        let number = |bits: Option<&u64>| bits.map_or(MISSING, |&bits| f64::from_bits(bits));
        Self::from_words(
            manifest,
            columns.verdicts.get(row).copied().and_then(Verdict::from_byte).unwrap_or(Verdict::Fault),
            columns.fired.get(row).copied().unwrap_or(u32::MAX),
            || number(columns.keep.get(row)),
            |column| number(columns.message_values.get(column as usize).and_then(|values| values.get(row))),
            || {
                let found = columns.messages.binary_search_by_key(&row, |(bar, _)| *bar).ok()?;
                columns.messages.get(found).map(|(_, text)| text.as_str())
            },
        )
    }

    /// A text of the module's own stands for those of the manifest.
    fn from_words<'a>(
        manifest: &Manifest,
        verdict: Verdict,
        fired: u32,
        keep: impl Fn() -> f64,
        value: impl Fn(u32) -> f64,
        own: impl FnOnce() -> Option<&'a str>,
    ) -> Self {
        match verdict {
            Verdict::Ok => Self::OK,
            Verdict::Fault => {
                let place = usize::try_from(fired).ok().filter(|&place| place < manifest.spans.len());
                Self { verdict, fault: place, ..Self::OK }
            }
            Verdict::Warn | Verdict::Breach => {
                let action = winner(manifest, verdict, fired).and_then(|statement| statement.action);
                Self {
                    verdict,
                    action,
                    keep: (action == Some(Action::Reduce)).then(|| fraction(keep())),
                    reasons: match own() {
                        Some(text) => vec![text.to_owned()],
                        None => {
                            fired_statements(manifest, fired).map(|s| message::render(&s.message, &value)).collect()
                        }
                    },
                    fault: None,
                }
            }
        }
    }
}

/// The fraction to keep; nothing is kept of what is not one, which is the safe side.
fn fraction(keep: f64) -> f64 {
    if (0.0..=1.0).contains(&keep) { keep } else { 0.0 }
}

fn fired_statements(manifest: &Manifest, fired: u32) -> impl Iterator<Item = &StatementInfo> {
    let bits = manifest.statements.iter().take(MAX_STATEMENTS).enumerate();
    bits.filter(move |&(bit, _)| fired >> bit & 1 == 1).map(|(_, statement)| statement)
}

/// Of the fired statements that give this verdict, the one with the most severe action, then the first in the text.
fn winner(manifest: &Manifest, verdict: Verdict, fired: u32) -> Option<&StatementInfo> {
    let severity = match verdict {
        Verdict::Warn => StatementVerdict::Warn,
        Verdict::Breach => StatementVerdict::Breach,
        Verdict::Ok | Verdict::Fault => return None,
    };
    let statements = fired_statements(manifest, fired).filter(|statement| statement.verdict == severity);
    statements.reduce(|best, next| if next.action > best.action { next } else { best })
}

/// The verdict of several rules over the same bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Combined {
    /// The most severe verdict of any rule.
    pub verdict: Verdict,
    /// The most severe action of any rule, also beside the fault of another.
    pub action: Option<Action>,
    /// If that action is `reduce`: the smallest fraction to keep.
    pub keep: Option<f64>,
}

/// Combines what several rules say of the same bar; `ok` if there are none.
pub fn combine<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Combined {
    let mut combined = Combined { verdict: Verdict::Ok, action: None, keep: None };
    for outcome in outcomes {
        combined.verdict = combined.verdict.max(outcome.verdict);
        combined.action = combined.action.max(outcome.action);
        combined.keep = match (combined.keep, outcome.keep) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    if combined.action != Some(Action::Reduce) {
        combined.keep = None;
    }
    combined
}

/// Sets every cell that the ABI leaves unspecified to missing, so that the results of two engines compare bit for
/// bit: message values of statements that have not fired, and fractions of bars that no `reduce` wins.
pub fn normalise(columns: &mut OutputColumns, manifest: &Manifest) {
    for row in 0..columns.verdicts.len() {
        let verdict = columns.verdicts.get(row).copied().and_then(Verdict::from_byte).unwrap_or(Verdict::Fault);
        let fired = columns.fired.get(row).copied().unwrap_or_default();
        let has_message = matches!(verdict, Verdict::Warn | Verdict::Breach);
        for (bit, statement) in manifest.statements.iter().take(MAX_STATEMENTS).enumerate() {
            if has_message && fired >> bit & 1 == 1 {
                continue;
            }
            for column in placeholder_columns(statement) {
                if let Some(cell) = columns.message_values.get_mut(column).and_then(|values| values.get_mut(row)) {
                    *cell = MISSING_BITS;
                }
            }
        }
        let reduces = winner(manifest, verdict, fired).is_some_and(|s| s.action == Some(Action::Reduce));
        if let Some(cell) = columns.keep.get_mut(row).filter(|_| !reduces) {
            *cell = MISSING_BITS;
        }
    }
}

fn placeholder_columns(statement: &StatementInfo) -> impl Iterator<Item = usize> {
    statement.message.iter().filter_map(|part| match part {
        MessagePart::Value { column, .. } => usize::try_from(*column).ok(),
        MessagePart::Text(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::StatementVerdict::{Breach, Warn};
    use super::*;
    use crate::manifest::{ClockInfo, FaultInfo, ValueFormat, ValueType};
    use rulebox_abi::columns::OutputSink;

    /// One statement for each pair, whose message is its index and its placeholder.
    fn manifest(statements: &[(StatementVerdict, Option<Action>)]) -> Manifest {
        let statement = |(i, &(verdict, action)): (usize, &(StatementVerdict, Option<Action>))| StatementInfo {
            verdict,
            action,
            hold: None,
            message: vec![
                MessagePart::Text(format!("{i}: ")),
                MessagePart::Value {
                    column: u32::try_from(i).unwrap(),
                    name: "x".to_owned(),
                    ty: ValueType::Num,
                    format: ValueFormat::Plain,
                },
            ],
            line: None,
        };
        Manifest {
            abi: 1,
            name: "rule".to_owned(),
            edition: Some(1),
            inputs: Vec::new(),
            params: Vec::new(),
            outs: Vec::new(),
            statements: statements.iter().enumerate().map(statement).collect(),
            uses_time: false,
            clock: ClockInfo { zone: "UTC".to_owned(), day_start: 0 },
            tzdata: None,
            lookback: 0,
            state_bytes: 0,
            memory_bytes: 0,
            cost: None,
            spans: vec![FaultInfo { start: 0, end: 1, line: 1, column: 1, message: "fault".to_owned() }],
        }
    }

    /// Reads one bar whose placeholder i is i + 0.5.
    fn read(manifest: &Manifest, verdict: u8, fired: u32, keep: f64) -> Outcome {
        let values: Vec<_> =
            (0_u8..).zip(&manifest.statements).map(|(i, _)| (f64::from(i) + 0.5).to_le_bytes()).collect();
        let columns: Vec<&[u8]> = values.iter().map(<[u8; 8]>::as_slice).collect();
        let rows = OutputRows {
            rows: 1,
            verdicts: &[verdict],
            fired: &fired.to_le_bytes(),
            outs: &[],
            message_values: &columns,
            keep: &keep.to_le_bytes(),
            messages: &[],
        };
        let outcome = Outcome::read(manifest, &rows, 0);
        let mut kept = OutputColumns::default();
        kept.rows(0, &rows);
        assert_eq!(Outcome::of_columns(manifest, &kept, 0), outcome);
        outcome
    }

    #[test]
    fn the_most_severe_statement_gives_the_action_and_all_give_reasons() {
        let m = manifest(&[
            (Warn, Some(Action::Liquidate)),
            (Breach, None),
            (Breach, Some(Action::Block)),
            (Breach, Some(Action::Reduce)),
            (Breach, Some(Action::Reduce)),
        ]);
        let outcome = read(&m, 2, 0b11111, 0.25);
        assert_eq!(
            (outcome.verdict, outcome.action, outcome.keep),
            (Verdict::Breach, Some(Action::Reduce), Some(0.25))
        );
        assert_eq!(outcome.reasons, ["0: 0.5", "1: 1.5", "2: 2.5", "3: 3.5", "4: 4.5"]);
        let outcome = read(&m, 2, 0b00110, 0.25);
        assert_eq!((outcome.action, outcome.keep), (Some(Action::Block), None));
        assert_eq!(read(&m, 2, 0b00011, 0.25).action, None);
        assert_eq!(read(&m, 1, 0b00001, 0.25).action, Some(Action::Liquidate));
        assert_eq!(read(&m, 0, 0, 0.25), Outcome::OK);
    }

    #[test]
    fn a_fault_has_a_place_and_nothing_else() {
        let m = manifest(&[(Breach, Some(Action::Block))]);
        assert_eq!(read(&m, 3, 0, 0.5), Outcome { verdict: Verdict::Fault, fault: Some(0), ..Outcome::OK });
        assert_eq!(read(&m, 3, 1, 0.5), Outcome { verdict: Verdict::Fault, ..Outcome::OK });
        assert_eq!(read(&m, 3, u32::MAX, 0.5).fault, None);
    }

    #[test]
    fn words_of_a_hostile_module_are_harmless() {
        let m = manifest(&[(Warn, None), (Breach, Some(Action::Reduce))]);
        let all = read(&m, 2, u32::MAX, f64::NAN);
        assert_eq!((all.action, all.keep, all.reasons.len()), (Some(Action::Reduce), Some(0.0), 2));
        assert_eq!(read(&m, 2, 2, 1.5).keep, Some(0.0));
        assert_eq!(read(&m, 2, 2, f64::NEG_INFINITY).keep, Some(0.0));
        // A verdict that no fired statement gives has no action.
        assert_eq!(read(&m, 1, 2, 0.5).action, None);
        assert_eq!(read(&m, 2, 0, 0.5), Outcome { verdict: Verdict::Breach, ..Outcome::OK });
        assert_eq!(read(&m, 0, u32::MAX, 0.5), Outcome::OK);
        assert_eq!(read(&m, 200, 0, 0.5).verdict, Verdict::Fault);
        // Columns that are not there.
        let nothing = OutputRows {
            rows: 1,
            verdicts: &[2],
            fired: &[2, 0, 0, 0],
            outs: &[],
            message_values: &[],
            keep: &[],
            messages: &[],
        };
        assert_eq!(Outcome::read(&m, &nothing, 0).reasons, ["1: missing"]);
        assert_eq!(Outcome::read(&m, &nothing, 7).verdict, Verdict::Fault);
        assert_eq!(Outcome::of_columns(&m, &OutputColumns::default(), 0).verdict, Verdict::Fault);
    }

    #[test]
    fn several_rules_combine_to_the_most_severe() {
        let outcome = |verdict, action, keep| Outcome { verdict, action, keep, ..Outcome::OK };
        let half = outcome(Verdict::Breach, Some(Action::Reduce), Some(0.5));
        let third = outcome(Verdict::Warn, Some(Action::Reduce), Some(0.3));
        let block = outcome(Verdict::Breach, Some(Action::Block), None);
        let close = outcome(Verdict::Breach, Some(Action::Liquidate), None);
        let fault = outcome(Verdict::Fault, None, None);
        let of = |outcomes: &[&Outcome]| {
            let c = combine(outcomes.iter().copied());
            (c.verdict, c.action, c.keep)
        };
        assert_eq!(of(&[]), (Verdict::Ok, None, None));
        assert_eq!(of(&[&half, &block, &third]), (Verdict::Breach, Some(Action::Reduce), Some(0.3)));
        assert_eq!(of(&[&half, &close]), (Verdict::Breach, Some(Action::Liquidate), None));
        assert_eq!(of(&[&fault, &block, &Outcome::OK]), (Verdict::Fault, Some(Action::Block), None));
    }

    #[test]
    fn normalising_clears_only_what_nobody_specified() {
        const M: u64 = MISSING_BITS;
        let m = manifest(&[(Breach, Some(Action::Block)), (Breach, Some(Action::Reduce)), (Warn, None)]);
        let mut columns = OutputColumns {
            verdicts: vec![0, 2, 2, 3, 1],
            fired: vec![0, 0b001, 0b111, 0b111, 0b100],
            outs: vec![vec![7; 5]],
            message_values: vec![vec![1; 5], vec![2; 5], vec![3; 5]],
            keep: vec![4; 5],
            messages: Vec::new(),
        };
        normalise(&mut columns, &m);
        assert_eq!(columns.message_values, [[M, 1, 1, M, M], [M, M, 2, M, M], [M, M, 3, M, 3]]);
        assert_eq!(columns.keep, [M, M, 4, M, M]);
        assert_eq!((columns.outs, columns.fired), (vec![vec![7; 5]], vec![0, 0b001, 0b111, 0b111, 0b100]));
    }
}
