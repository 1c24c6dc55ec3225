//! Two results of the same bars, and the first thing in which they differ.

use rulebox_abi::Verdict;
use rulebox_abi::columns::OutputColumns;

use super::difference::{Apart, Difference, Field};
use crate::domain::evaluation::Event;

/// The columns of a module's run against those of the interpreter's; both without what the ABI leaves open.
pub(super) fn columns(module: &OutputColumns, interpreter: &OutputColumns) -> Option<Difference> {
    if module == interpreter {
        return None;
    }
    let rows = interpreter.verdicts.len();
    let found =
        (0..rows.min(module.verdicts.len())).find_map(|row| Some(Difference::at(row, at(module, interpreter, row)?)));
    Some(found.unwrap_or(Difference::of(Field::Bars)))
}

fn at(module: &OutputColumns, interpreter: &OutputColumns, row: usize) -> Option<Field> {
    let verdict = |columns: &OutputColumns| {
        columns.verdicts.get(row).copied().and_then(Verdict::from_byte).unwrap_or(Verdict::Fault)
    };
    if verdict(module) != verdict(interpreter) {
        return Some(Field::Verdict { module: verdict(module), interpreter: verdict(interpreter) });
    }
    if module.fired.get(row) != interpreter.fired.get(row) {
        return Some(Field::Fired);
    }
    let apart = |a: Option<&u64>, b: Option<&u64>| match (a, b) {
        (a, b) if a == b => None,
        (Some(a), Some(b)) => Some(Apart::of(*a, *b)),
        _ => Some(Apart::Missing),
    };
    let first = |a: &[Vec<u64>], b: &[Vec<u64>]| {
        (0..a.len().max(b.len())).find_map(|column| {
            let cell = |columns: &[Vec<u64>]| columns.get(column).and_then(|values| values.get(row)).copied();
            Some((column, apart(cell(a).as_ref(), cell(b).as_ref())?))
        })
    };
    if let Some((column, apart)) = first(&module.outs, &interpreter.outs) {
        return Some(Field::Out(column, apart));
    }
    if let Some((column, apart)) = first(&module.message_values, &interpreter.message_values) {
        return Some(Field::MessageValue(column, apart));
    }
    if let Some(apart) = apart(module.keep.get(row), interpreter.keep.get(row)) {
        return Some(Field::Keep(apart));
    }
    let text = |columns: &OutputColumns| columns.messages.iter().find(|(bar, _)| *bar == row).cloned();
    (text(module) != text(interpreter)).then_some(Field::Reasons)
}

/// What an answer tells of bars against what the interpreter tells of them.
pub(super) fn events(answer: &[Event], interpreter: &[Event]) -> Option<Difference> {
    let found = answer.iter().zip(interpreter).find_map(|(a, b)| {
        if a.bar != b.bar {
            return Some(Difference::at(a.bar.min(b.bar), Field::Events));
        }
        Some(Difference::at(a.bar, event(a, b)?))
    });
    if found.is_some() || answer.len() == interpreter.len() {
        return found;
    }
    let longer = if answer.len() > interpreter.len() { answer } else { interpreter };
    let bar = longer.get(answer.len().min(interpreter.len())).map_or(0, |event| event.bar);
    Some(Difference::at(bar, Field::Events))
}

fn event(answer: &Event, interpreter: &Event) -> Option<Field> {
    let (a, b) = (answer, interpreter);
    if a.verdict != b.verdict {
        return Some(Field::Verdict { module: a.verdict, interpreter: b.verdict });
    }
    if a.action != b.action {
        return Some(Field::Action);
    }
    if let Some((column, apart)) = numbers(&a.out, &b.out) {
        return Some(Field::Out(column, apart));
    }
    if a.keep.map(f64::to_bits) != b.keep.map(f64::to_bits) {
        let bits = |keep: Option<f64>| keep.unwrap_or(f64::NAN).to_bits();
        return Some(Field::Keep(Apart::of(bits(a.keep), bits(b.keep))));
    }
    if a.reasons != b.reasons {
        return Some(Field::Reasons);
    }
    // Words of a fault are those of the compiler that wrote the manifest; its place is the text's.
    let place = |event: &Event| event.fault.as_ref().map(|fault| (fault.start, fault.end));
    if place(a) != place(b) {
        return Some(Field::Fault);
    }
    (a.time != b.time).then_some(Field::Time)
}

/// The first number whose bits are others, and its place.
pub(super) fn numbers(a: &[f64], b: &[f64]) -> Option<(usize, Apart)> {
    if a.len() != b.len() {
        return Some((a.len().min(b.len()), Apart::Missing));
    }
    let pairs = a.iter().zip(b).map(|(a, b)| (a.to_bits(), b.to_bits()));
    pairs.enumerate().find(|(_, (a, b))| a != b).map(|(at, (a, b))| (at, Apart::of(a, b)))
}
