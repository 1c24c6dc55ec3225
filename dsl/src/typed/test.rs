//! Tests of a rule.

use crate::ast::Expected;
use crate::span::Span;

/// A test, its params and bars checked.
#[derive(Clone, Debug)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// One value a param, defaults filled in.
    pub params: Vec<f64>,
    /// Its bars.
    pub bars: Vec<TestBar>,
    /// The whole test.
    pub span: Span,
}

/// A bar of a test.
#[derive(Clone, Debug)]
pub struct TestBar {
    /// Milliseconds since 1970; [`rulebox_abi::TIME_MISSING`] if left out or unreadable.
    pub time: i64,
    /// One value an input, missing where left out.
    pub inputs: Vec<f64>,
    /// What the rule must say.
    pub expected: Expected,
    /// The whole line.
    pub span: Span,
}
