//! `--param name=value`: values as the language writes literals.

use std::str::FromStr;

use rulebox_dsl::check::suggest;
use rulebox_dsl::lexer;
use rulebox_dsl::manifest::{Manifest, ParamInfo, ValueType};
use rulebox_dsl::token::{Sign, TokenKind};

/// One `--param`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    name: String,
    value: String,
}

impl FromStr for Given {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or("write it as name=value, `limit=10%`")?;
        Ok(Self { name: name.trim().to_owned(), value: value.trim().to_owned() })
    }
}

/// A `--param` that the rule does not take.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum ParamError {
    /// No such param.
    #[error("rule `{rule}` has no param `{name}`{}; {}", did_you_mean(near.as_deref()), list(known))]
    Unknown { rule: String, name: String, near: Option<String>, known: Vec<String> },
    /// The same param twice.
    #[error("--param {0} is given twice")]
    Twice(String),
    /// A value of another type.
    #[error("--param {name}={value}: `{value}` is not {expected}")]
    Type { name: String, value: String, expected: &'static str },
    /// A value outside the param's range.
    #[error("--param {name}={value}: outside its range, {low} to {high}")]
    Range { name: String, value: String, low: f64, high: f64 },
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default()
}

fn list(names: &[String]) -> String {
    match names {
        [] => "it has none".to_owned(),
        names => format!("its params are `{}`", names.join("`, `")),
    }
}

/// The values of a rule's params in the order of its manifest: the given ones, else their defaults.
pub(super) fn bind(manifest: &Manifest, given: &[Given]) -> Result<Vec<f64>, ParamError> {
    for (i, param) in given.iter().enumerate() {
        let names = || manifest.params.iter().map(|param| param.name.as_str());
        if !names().any(|name| name == param.name) {
            return Err(ParamError::Unknown {
                rule: manifest.name.clone(),
                name: param.name.clone(),
                near: suggest::nearest(&param.name, names()).map(str::to_owned),
                known: names().map(str::to_owned).collect(),
            });
        }
        if given.iter().take(i).any(|before| before.name == param.name) {
            return Err(ParamError::Twice(param.name.clone()));
        }
    }
    let value = |param: &ParamInfo| match given.iter().find(|given| given.name == param.name) {
        None => Ok(param.default),
        Some(given) => value(param, &given.value),
    };
    manifest.params.iter().map(value).collect()
}

fn value(param: &ParamInfo, text: &str) -> Result<f64, ParamError> {
    let wrong = |expected| ParamError::Type { name: param.name.clone(), value: text.to_owned(), expected };
    let value = match param.ty {
        ValueType::Bool => match text {
            "true" => 1.0,
            "false" => 0.0,
            _ => return Err(wrong("`true` or `false`")),
        },
        ValueType::Int => number(text).filter(|value| value.fract() == 0.0).ok_or_else(|| wrong("a whole number"))?,
        ValueType::Num | ValueType::Clock => {
            number(text).ok_or_else(|| wrong("a number: write `12`, `0.5`, `1e6` or `10%`"))?
        }
    };
    match param.range {
        Some([low, high]) if !(low..=high).contains(&value) => {
            Err(ParamError::Range { name: param.name.clone(), value: text.to_owned(), low, high })
        }
        _ => Ok(value),
    }
}

/// A number as the language writes it, with an optional `-`.
fn number(text: &str) -> Option<f64> {
    let lexed = lexer::lex(text);
    if !lexed.diagnostics.is_empty() || !lexed.comments.is_empty() {
        return None;
    }
    let kinds: Vec<_> = lexed.tokens.iter().map(|token| &token.kind).collect();
    match kinds.as_slice() {
        [TokenKind::Number { value, .. }, TokenKind::End] => Some(*value),
        [TokenKind::Sign(Sign::Minus), TokenKind::Number { value, .. }, TokenKind::End] => Some(-value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(ty: ValueType, range: Option<[f64; 2]>) -> ParamInfo {
        ParamInfo { name: "p".to_owned(), ty, default: 1.0, range }
    }

    #[test]
    fn numbers_are_read_as_in_a_rule() {
        for (text, bits) in [("10%", 0.1_f64), ("7.1%", 0.071), ("-1e3", -1000.0), ("0.12", 0.12), ("12", 12.0)] {
            assert_eq!(value(&param(ValueType::Num, None), text).unwrap().to_bits(), bits.to_bits(), "{text}");
        }
        for text in ["", "x", "1e999", "inf", "NaN", ".5", "5.", "1e2%", "1 2", "1 # one", "--1", "true", "1,5"] {
            assert!(value(&param(ValueType::Num, None), text).is_err(), "{text}");
        }
    }

    #[test]
    fn types_and_ranges_hold() {
        assert_eq!(value(&param(ValueType::Bool, None), "true"), Ok(1.0));
        assert!(value(&param(ValueType::Bool, None), "1").is_err());
        assert_eq!(value(&param(ValueType::Int, Some([1.0, 30.0])), "30"), Ok(30.0));
        assert!(value(&param(ValueType::Int, Some([1.0, 30.0])), "2.5").is_err());
        let outside = value(&param(ValueType::Int, Some([1.0, 30.0])), "31").unwrap_err();
        assert_eq!(outside.to_string(), "--param p=31: outside its range, 1 to 30");
    }
}
