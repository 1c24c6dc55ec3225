//! Verdicts, actions, faults and outs as answers show them.

use std::sync::Arc;

use rulebox_abi::Verdict;
use rulebox_dsl::manifest::{Action, FaultInfo, Manifest, OutInfo, ValueType};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::domain::evaluation::Counts;

/// `ok`, `warn`, `breach` or `fault`.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Verdict)]
pub enum VerdictView {
    /// Nothing to say.
    Ok,
    /// A warning.
    Warn,
    /// A limit is broken.
    Breach,
    /// The rule or its data is wrong: treat it as a breach.
    Fault,
}

impl From<Verdict> for VerdictView {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Ok => Self::Ok,
            Verdict::Warn => Self::Warn,
            Verdict::Breach => Self::Breach,
            Verdict::Fault => Self::Fault,
        }
    }
}

/// What a verdict asks for.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Action)]
pub enum ActionView {
    /// Open nothing new.
    Block,
    /// Keep the fraction `keep`.
    Reduce,
    /// Close everything.
    Liquidate,
}

impl From<Action> for ActionView {
    fn from(action: Action) -> Self {
        match action {
            Action::Block => Self::Block,
            Action::Reduce => Self::Reduce,
            Action::Liquidate => Self::Liquidate,
        }
    }
}

/// Bars by verdict.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Counts)]
pub struct CountsView {
    ok: u64,
    warn: u64,
    breach: u64,
    fault: u64,
}

impl From<Counts> for CountsView {
    fn from(counts: Counts) -> Self {
        Self {
            ok: counts.of(Verdict::Ok),
            warn: counts.of(Verdict::Warn),
            breach: counts.of(Verdict::Breach),
            fault: counts.of(Verdict::Fault),
        }
    }
}

/// Where a fault came from.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Fault {
    /// The bar, from 0; later bars of the run are faults too.
    pub bar: usize,
    /// What went wrong.
    pub message: String,
    /// In the rule's text.
    pub span: FaultSpan,
}

/// A place in a rule's text.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct FaultSpan {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

impl Fault {
    pub(super) fn new(bar: usize, info: FaultInfo) -> Self {
        let span = FaultSpan { start: info.start, end: info.end, line: info.line, column: info.column };
        Self { bar, message: info.message, span }
    }
}

/// A value of an out: a number, a truth value, or null for missing.
#[derive(Clone, Copy, Debug)]
struct OutValue(f64, ValueType);

impl Serialize for OutValue {
    #[expect(clippy::float_cmp, reason = "a truth value is exactly 0 or 1")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self(value, _) if !value.is_finite() => serializer.serialize_none(),
            Self(value, ValueType::Bool) => serializer.serialize_bool(*value == 1.0),
            Self(value, _) => serializer.serialize_f64(*value),
        }
    }
}

/// Outs of a bar by name.
#[derive(Clone, Debug)]
pub(super) struct Outs(pub(super) Arc<Manifest>, pub(super) Vec<f64>);

impl Serialize for Outs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.1.len()))?;
        for (out, value) in self.0.outs.iter().zip(&self.1) {
            map.serialize_entry(&out.name, &OutValue(*value, out.ty))?;
        }
        map.end()
    }
}

/// Out columns by name.
#[derive(Debug)]
pub(super) struct OutColumns(pub(super) Arc<Manifest>, pub(super) Vec<Vec<f64>>);

struct OutColumn<'a>(&'a OutInfo, &'a [f64]);

impl Serialize for OutColumn<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.1.len()))?;
        for value in self.1 {
            list.serialize_element(&OutValue(*value, self.0.ty))?;
        }
        list.end()
    }
}

impl Serialize for OutColumns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.1.len()))?;
        for (out, column) in self.0.outs.iter().zip(&self.1) {
            map.serialize_entry(&out.name, &OutColumn(out, column))?;
        }
        map.end()
    }
}
