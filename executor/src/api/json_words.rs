//! Errors of the JSON reader in words for those who wrote the JSON.

use serde_json::error::Category;

/// What is wrong with the text.
pub(super) fn plain(error: &serde_json::Error, text: &[u8]) -> String {
    if text.trim_ascii().is_empty() {
        return "the body is empty; send a JSON object".to_owned();
    }
    let said = error.to_string();
    let at = format!(" at line {} column {}", error.line(), error.column());
    let said = said.strip_suffix(&at).unwrap_or(&said);
    if error.classify() == Category::Data {
        return plain_data(said);
    }
    if said == "number out of range" {
        return "the number is too large for a double; write null for a missing value".to_owned();
    }
    match token(text, error.line(), error.column()) {
        Some(token) if is_missing(&token) => format!("`{token}` is no JSON; write null for a missing value"),
        _ => format!("{said}{at}"),
    }
}

/// The field that is missing, if that is the error.
pub(super) fn missing_field(said: &str) -> Option<&str> {
    said.strip_prefix("missing field `")?.split('`').next()
}

fn plain_data(said: &str) -> String {
    if let Some(field) = missing_field(said) {
        return format!("`{field}` is missing");
    }
    if let Some(rest) = said.strip_prefix("duplicate field ") {
        return format!("{rest} is there twice");
    }
    let wrong = said.strip_prefix("invalid type: ").or_else(|| said.strip_prefix("invalid value: "));
    match wrong.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((found, expected)) => format!("expected {}, found {}", plain_expected(expected), plain_found(found)),
        None => said.to_owned(),
    }
}

fn plain_expected(expected: &str) -> &str {
    match expected {
        "u32" | "u64" | "usize" => "a whole number from 0",
        expected if expected.starts_with("struct ") => "an object",
        expected => expected,
    }
}

fn plain_found(found: &str) -> String {
    let found = found.strip_prefix("integer ").or_else(|| found.strip_prefix("floating point ")).unwrap_or(found);
    match found {
        "sequence" => "an array".to_owned(),
        "map" => "an object".to_owned(),
        found if found.starts_with("string ") => "a string".to_owned(),
        found if found.starts_with("boolean ") => "a truth value".to_owned(),
        found => found.to_owned(),
    }
}

/// What other programs write where there is no number.
fn is_missing(token: &str) -> bool {
    let token = token.trim_start_matches(['-', '+']).to_ascii_lowercase();
    matches!(token.as_str(), "nan" | "inf" | "infinity" | "none" | "nil" | "na" | "undefined")
}

/// The word around a place in the text.
fn token(text: &[u8], line: usize, column: usize) -> Option<String> {
    let line = text.split(|byte| *byte == b'\n').nth(line.checked_sub(1)?)?;
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(*byte, b'-' | b'+');
    let (before, after) = line.split_at_checked(column.checked_sub(1)?)?;
    let start = before.iter().rev().take(16).take_while(|byte| is_word(byte)).count();
    let end = after.iter().take(16).take_while(|byte| is_word(byte)).count();
    let word = line.get(before.len() - start..before.len() + end)?;
    Some(String::from_utf8_lossy(word).into_owned())
}
