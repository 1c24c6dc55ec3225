//! What a generated rule has declared so far.

use super::choices::Choices;
use crate::typed::{Base, Ty};

/// A range of an input or a param.
pub(super) type Range = Option<(f64, f64)>;

/// What a name is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Input(Range),
    Param,
    /// An int param that can be a window size, from `min` to `max`.
    Size {
        min: u32,
        max: u32,
    },
    SeriesLet,
    PlainLet,
    Var,
}

/// A declared name.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) ty: Ty,
    pub(super) kind: Kind,
}

impl Named {
    /// Whether windows and history may read it.
    pub(super) fn is_series(&self) -> bool {
        !matches!(self.kind, Kind::PlainLet | Kind::Var)
    }
}

/// Names in sight, and what the rule still has room for.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) names: Vec<Named>,
    /// Whether the rule may read the time.
    pub(super) time: bool,
    /// Calls with memory written so far.
    pub(super) memories: u32,
    /// Names given so far, also those out of sight.
    pub(super) serial: u32,
    /// Placeholders written so far.
    pub(super) placeholders: u32,
    /// Verdict statements written so far.
    pub(super) statements: u32,
}

/// The most calls with memory of one generated rule.
const MEMORIES: u32 = 24;

impl Scope {
    /// A name that nothing else has.
    pub(super) fn fresh(&mut self, stem: &str) -> String {
        self.serial += 1;
        format!("{stem}{}", self.serial)
    }

    /// Whether one more call with memory fits.
    pub(super) const fn has_memory_left(&self) -> bool {
        self.memories < MEMORIES
    }

    /// Some name in sight that `wanted` accepts.
    pub(super) fn pick(&self, choices: &mut Choices<'_>, wanted: impl Fn(&Named) -> bool) -> Option<Named> {
        let fitting: Vec<&Named> = self.names.iter().filter(|n| wanted(n)).collect();
        let at = choices.below(u32::try_from(fitting.len()).ok()?);
        fitting.get(at as usize).map(|n| (*n).clone())
    }

    /// The inputs, in order.
    pub(super) fn inputs(&self) -> impl Iterator<Item = (&Named, Range)> {
        self.names.iter().filter_map(|n| match n.kind {
            Kind::Input(range) => Some((n, range)),
            _ => None,
        })
    }
}

/// A type.
pub(super) const fn ty(base: Base, optional: bool) -> Ty {
    Ty { base, optional }
}
