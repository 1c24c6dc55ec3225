//! The answer of the HTTP API to a series, from a file.

use std::io::{self, Write};

use rulebox_abi::Verdict;
use rulebox_dsl::manifest::{Action, OutInfo, ValueType};
use serde_json::{Map, Value, json};

use super::Results;

/// Writes one object and a newline. `fuel` and `digest` are the sandbox's: the interpreter has none.
pub(in crate::cli) fn write(results: &Results<'_>, out: &mut impl Write) -> io::Result<()> {
    let summary = results.summary();
    let counts: Map<_, _> = Verdict::ALL.iter().map(|v| (v.name().to_owned(), json!(summary.counts.of(*v)))).collect();
    let first = |verdict: Verdict| {
        let bar = summary.first.get(verdict as usize).copied().flatten()?;
        Some((verdict.name().to_owned(), event(results, bar)))
    };
    let first: Map<_, _> = [Verdict::Warn, Verdict::Breach, Verdict::Fault].into_iter().filter_map(first).collect();
    let events: Vec<_> = summary.changes.iter().map(|&bar| event(results, bar)).collect();
    let mut answer = json!({
        "rule": results.manifest.name,
        "bars": results.bars(),
        "counts": counts,
        "first": first,
        "events": events,
    });
    if let (Some(fields), Some(metered)) = (answer.as_object_mut(), results.metered) {
        fields.insert("fuel".to_owned(), json!(metered.fuel));
        fields.insert("digest".to_owned(), json!(metered.digest.to_string()));
    }
    if let (Some(fields), Some(tzdata)) = (answer.as_object_mut(), &results.manifest.tzdata) {
        fields.insert("tzdata".to_owned(), json!(tzdata));
    }
    serde_json::to_writer(&mut *out, &answer)?;
    out.write_all(b"\n")
}

fn event(results: &Results<'_>, bar: usize) -> Value {
    let outcome = results.outcome(bar);
    let time = Some(results.times.get(bar)).filter(|time| !time.is_empty());
    let outs = results.manifest.outs.iter().zip(&results.columns.outs);
    let outs: Map<_, _> = outs
        .map(|(info, column)| {
            let bits = column.get(bar).copied().unwrap_or(rulebox_abi::MISSING_BITS);
            (info.name.clone(), out_value(info, f64::from_bits(bits)))
        })
        .collect();
    let mut event = json!({
        "bar": bar,
        "time": time,
        "verdict": outcome.verdict.name(),
        "action": outcome.action.map(Action::name),
        "reasons": outcome.reasons,
        "out": outs,
    });
    if let (Some(fields), Some(keep)) = (event.as_object_mut(), outcome.keep) {
        fields.insert("keep".to_owned(), json!(keep));
    }
    if let (Some(fields), Some(fault)) = (event.as_object_mut(), results.fault(&outcome)) {
        let span = json!({"start": fault.start, "end": fault.end, "line": fault.line, "column": fault.column});
        fields.insert("fault".to_owned(), json!({"bar": bar, "message": fault.message, "span": span}));
    }
    event
}

/// A number, a truth value, or null for missing.
fn out_value(info: &OutInfo, value: f64) -> Value {
    if value.is_nan() {
        Value::Null
    } else if info.ty == ValueType::Bool {
        json!(value != 0.0)
    } else {
        json!(value)
    }
}
