//! Holds a caller's columns and params against what a rule takes.

use rulebox_abi::MISSING;
use rulebox_dsl::manifest::{Manifest, ParamInfo, ValueType};

use crate::domain::bars::{Bars, ParamValue};

/// What is wrong with the columns or params, and where.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum BindError {
    /// No bars at all.
    #[error("there are no rows: a run needs at least one bar")]
    NoRows,
    /// No rule has such an input.
    #[error("no rule of this request has an input `{name}`: leave it out; inputs are {}", list(known))]
    UnknownColumn {
        /// Where.
        path: String,
        /// Of the column.
        name: String,
        /// The inputs that there are.
        known: Vec<String>,
    },
    /// A required input is not there.
    #[error("rule `{rule}` needs {what} `{name}`")]
    MissingColumn {
        /// Where it should be.
        path: String,
        /// The rule.
        rule: String,
        /// `the input`, or `the column`.
        what: &'static str,
        /// The input.
        name: String,
    },
    /// A truth value where a number belongs.
    #[error("`{name}` is a number in rule `{rule}`, and here is a truth value")]
    BoolInNum {
        /// Where.
        path: String,
        /// The rule.
        rule: String,
        /// The input.
        name: String,
    },
    /// The rule has no such param.
    #[error("rule `{rule}` has no param `{name}`; {}", if known.is_empty() { "it has none".to_owned() } else { format!("its params are {}", list(known)) })]
    UnknownParam {
        /// Where.
        path: String,
        /// The rule.
        rule: String,
        /// Of the param.
        name: String,
        /// The params that there are.
        known: Vec<String>,
    },
    /// A value of another type.
    #[error("param `{name}` of rule `{rule}` is {expected}")]
    ParamType {
        /// Where.
        path: String,
        /// The rule.
        rule: String,
        /// Of the param.
        name: String,
        /// `a number`, `a whole number`, `true or false`.
        expected: &'static str,
    },
    /// A value outside the param's range.
    #[error("param `{name}` of rule `{rule}` is {value}, outside {low} to {high}")]
    ParamRange {
        /// Where.
        path: String,
        /// The rule.
        rule: String,
        /// Of the param.
        name: String,
        /// As given.
        value: f64,
        /// Lowest.
        low: f64,
        /// Highest.
        high: f64,
    },
}

fn list(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

impl BindError {
    /// Where in the request.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::NoRows => None,
            Self::UnknownColumn { path, .. }
            | Self::MissingColumn { path, .. }
            | Self::BoolInNum { path, .. }
            | Self::UnknownParam { path, .. }
            | Self::ParamType { path, .. }
            | Self::ParamRange { path, .. } => Some(path),
        }
    }
}

/// Refuses columns that no rule knows, and a request without bars.
///
/// # Errors
/// [`BindError::NoRows`], [`BindError::UnknownColumn`].
pub fn check_columns<'m>(
    bars: &Bars,
    manifests: &(impl Iterator<Item = &'m Manifest> + Clone),
) -> Result<(), BindError> {
    if bars.rows == 0 {
        return Err(BindError::NoRows);
    }
    for column in &bars.columns {
        let mut inputs = manifests.clone().flat_map(|manifest| &manifest.inputs);
        if !inputs.any(|input| input.name == column.name) {
            let mut known: Vec<_> = manifests.clone().flat_map(|m| &m.inputs).map(|input| input.name.clone()).collect();
            known.sort_unstable();
            known.dedup();
            let path = bars.path(&column.name, None);
            return Err(BindError::UnknownColumn { path, name: column.name.clone(), known });
        }
    }
    Ok(())
}

/// For each input of a rule, the index of its column; `None` for an optional input without one.
///
/// # Errors
/// [`BindError::MissingColumn`], [`BindError::BoolInNum`].
pub fn bind_columns(rule: &str, manifest: &Manifest, bars: &Bars) -> Result<Vec<Option<usize>>, BindError> {
    let missing = |path: String, what, name: &str| BindError::MissingColumn {
        path,
        rule: rule.to_owned(),
        what,
        name: name.to_owned(),
    };
    if manifest.uses_time && bars.time.is_none() {
        let path = if bars.single { "time".to_owned() } else { "columns.time".to_owned() };
        return Err(missing(path, "a time for every bar, in", "time"));
    }
    let bind = |input: &rulebox_dsl::manifest::InputInfo| {
        let found = bars.columns.iter().enumerate().find(|(_, column)| column.name == input.name);
        match found {
            None if input.optional => Ok(None),
            None => Err(missing(bars.path(&input.name, None), "the input", &input.name)),
            Some((_, column)) if input.ty == ValueType::Num && column.first_bool.is_some() => {
                let path = bars.path(&input.name, column.first_bool);
                Err(BindError::BoolInNum { path, rule: rule.to_owned(), name: input.name.clone() })
            }
            Some((index, _)) => Ok(Some(index)),
        }
    };
    manifest.inputs.iter().map(bind).collect()
}

/// The values of a rule's params in the order of its manifest: the caller's, else their defaults. `at` is where the
/// params stand in the request, `params` or `params.RULE`.
///
/// # Errors
/// [`BindError::UnknownParam`], [`BindError::ParamType`], [`BindError::ParamRange`].
pub fn bind_params(
    rule: &str,
    manifest: &Manifest,
    params: &[(String, ParamValue)],
    at: &str,
) -> Result<Vec<f64>, BindError> {
    for (name, _) in params {
        if !manifest.params.iter().any(|param| &param.name == name) {
            return Err(BindError::UnknownParam {
                path: format!("{at}.{name}"),
                rule: rule.to_owned(),
                name: name.clone(),
                known: manifest.params.iter().map(|param| param.name.clone()).collect(),
            });
        }
    }
    let value = |param: &ParamInfo| match params.iter().find(|(name, _)| *name == param.name) {
        None => Ok(param.default),
        Some((_, value)) => bind_param(rule, param, *value, at),
    };
    manifest.params.iter().map(value).collect()
}

fn bind_param(rule: &str, param: &ParamInfo, value: ParamValue, at: &str) -> Result<f64, BindError> {
    let path = || format!("{at}.{}", param.name);
    let wrong =
        |expected| BindError::ParamType { path: path(), rule: rule.to_owned(), name: param.name.clone(), expected };
    let value = match (param.ty, value) {
        (ValueType::Bool, ParamValue::Bool(value)) => return Ok(f64::from(u8::from(value))),
        (ValueType::Bool, ParamValue::Num(_)) => return Err(wrong("true or false")),
        (ValueType::Int, ParamValue::Num(value)) if value.is_finite() && value.fract() == 0.0 => value,
        (ValueType::Int, _) => return Err(wrong("a whole number")),
        (ValueType::Num | ValueType::Clock, ParamValue::Num(value)) if value.is_finite() => value,
        (ValueType::Num | ValueType::Clock, _) => return Err(wrong("a number")),
    };
    match param.range {
        Some([low, high]) if !(low..=high).contains(&value) => Err(BindError::ParamRange {
            path: path(),
            rule: rule.to_owned(),
            name: param.name.clone(),
            value,
            low,
            high,
        }),
        _ => Ok(value),
    }
}

/// A column of nothing, for optional inputs without one.
pub fn missing_column(rows: usize) -> Vec<f64> {
    vec![MISSING; rows]
}
