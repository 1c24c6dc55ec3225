//! The outline of a manifest: objects where there are to be objects, which an array in the order of the fields could
//! stand for, and no field of the whole that is none.

use serde_json::Value;

use super::manifest::{ManifestError, shown, wrong};

/// The fields that a manifest has.
const FIELDS: [&str; 12] = [
    "abi",
    "name",
    "inputs",
    "params",
    "outs",
    "statements",
    "uses_time",
    "clock",
    "lookback",
    "state_bytes",
    "memory_bytes",
    "spans",
];
/// Those of compiled rules, of which more is said than that they are none.
const NOT_OF_GUESTS: [&str; 3] = ["edition", "tzdata", "cost"];

/// Checks the outline of a JSON text. What is no JSON passes: whoever reads it next says what is wrong with it.
pub(super) fn check(json: &str) -> Result<(), ManifestError> {
    let Ok(whole) = serde_json::from_str::<Value>(json) else { return Ok(()) };
    let Value::Object(fields) = &whole else {
        return Err(wrong("", format!("it is {}: write one object, `{{\"abi\": 1, ...}}`", kind(&whole))));
    };
    let known = |field: &str| FIELDS.contains(&field) || NOT_OF_GUESTS.contains(&field);
    if let Some(field) = fields.keys().find(|field| !known(field)) {
        let names = FIELDS.join("`, `");
        return Err(wrong(shown(field), format!("a manifest has no such field; it has `{names}`")));
    }
    object("clock", whole.get("clock"))?;
    for list in ["inputs", "params", "outs", "statements", "spans"] {
        for (i, item) in items(whole.get(list)).enumerate() {
            object(&format!("{list}[{i}]"), Some(item))?;
            for (k, piece) in items(item.get("message")).enumerate() {
                let path = format!("{list}[{i}].message[{k}]");
                object(&path, Some(piece))?;
                object(&format!("{path}.value"), piece.get("value"))?;
            }
        }
    }
    Ok(())
}

fn items(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}

fn object(path: &str, value: Option<&Value>) -> Result<(), ManifestError> {
    match value {
        None | Some(Value::Object(_)) => Ok(()),
        Some(other) => Err(wrong(path, format!("it is {}: write an object, {{...}}", kind(other)))),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
