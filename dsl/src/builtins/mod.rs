//! The built-in functions: one file each, with its signature, its documentation, and an example that a test runs.
//!
//! What they compute is in [`crate::interp`] (the meaning) and in the code generator (the same bits).

mod abs;
mod atr;
mod bars_since;
mod ceil;
mod clamp;
mod count;
mod crosses_above;
mod crosses_below;
mod cum_max;
mod cum_min;
mod cum_sum;
mod div;
mod ema;
mod floor;
mod highest;
mod known;
mod lowest;
mod max;
mod min;
mod rma;
mod rsi;
mod sma;
mod sqrt;
mod stdev;
mod streak;
mod sum;

use crate::typed::{CumulativeFunction, Function, SmoothFunction, WindowFunction};

/// A built-in function, as authors see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// Its name.
    pub name: &'static str,
    /// How it is called, with the names of its arguments.
    pub signature: &'static str,
    /// What it gives, in a sentence or two.
    pub documentation: &'static str,
    /// A rule that uses it, with a test.
    pub example: &'static str,
    /// What it makes of its arguments.
    pub(crate) computes: Computes,
    /// Arguments that are written with their names, all optional.
    pub named: &'static [&'static str],
    /// The fewest positional arguments.
    pub least: usize,
    /// The most positional arguments, if there is an end.
    pub most: Option<usize>,
}

/// What a call becomes in the typed tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Computes {
    /// A function of the last values of one series.
    Window(WindowFunction),
    /// An exponential mean, or what is made of one.
    Smooth(SmoothFunction),
    /// `atr`.
    Atr,
    /// A function of all values so far.
    Cumulative(CumulativeFunction),
    /// `streak`.
    Streak,
    /// `bars_since`.
    BarsSince,
    /// `crosses_above` or `crosses_below`.
    Crosses { above: bool },
    /// A function of its arguments alone.
    Plain(Function),
    /// `known`.
    Known,
}

impl Builtin {
    /// Whether it remembers bars: it is computed on every bar, and its arguments read series alone.
    pub const fn has_memory(&self) -> bool {
        !matches!(self.computes, Computes::Plain(_) | Computes::Known)
    }

    /// How many arguments it takes, in words.
    pub fn arity(&self) -> String {
        let plural = if self.least == 1 { "" } else { "s" };
        let or_more = if self.most.is_none() { " or more" } else { "" };
        format!("{}{or_more} argument{plural}", self.least)
    }
}

/// Every built-in function, windows first.
pub const ALL: &[Builtin] = &[
    sum::BUILTIN,
    sma::BUILTIN,
    stdev::BUILTIN,
    highest::BUILTIN,
    lowest::BUILTIN,
    count::BUILTIN,
    ema::BUILTIN,
    rma::BUILTIN,
    rsi::BUILTIN,
    atr::BUILTIN,
    cum_max::BUILTIN,
    cum_min::BUILTIN,
    cum_sum::BUILTIN,
    streak::BUILTIN,
    bars_since::BUILTIN,
    crosses_above::BUILTIN,
    crosses_below::BUILTIN,
    min::BUILTIN,
    max::BUILTIN,
    abs::BUILTIN,
    sqrt::BUILTIN,
    floor::BUILTIN,
    ceil::BUILTIN,
    clamp::BUILTIN,
    div::BUILTIN,
    known::BUILTIN,
];

/// The function of a name.
pub fn find(name: &str) -> Option<&'static Builtin> {
    ALL.iter().find(|b| b.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interp::Interpreter;
    use crate::limits::Limits;
    use crate::manifest::describe;
    use crate::span::LineIndex;

    #[test]
    fn every_example_passes_its_test() {
        for builtin in ALL {
            let checked = crate::check_source(builtin.example, &Limits::DEFAULT)
                .unwrap_or_else(|d| panic!("{}: {d}", builtin.name));
            assert!(checked.warnings.is_empty(), "{}: {:?}", builtin.name, checked.warnings);
            assert!(builtin.example.contains(&format!("{}(", builtin.name)), "{}", builtin.name);
            assert!(builtin.signature.starts_with(&format!("{}(", builtin.name)), "{}", builtin.name);
            assert!(!checked.rule.tests.is_empty(), "{} has no test", builtin.name);
            let manifest = describe(&checked.rule, builtin.example);
            let results = crate::testing::run(&checked.rule, &manifest, |params, bars, sink| {
                Interpreter::new(&checked.rule, params).run(bars, 0, sink);
                Ok::<(), std::convert::Infallible>(())
            });
            for result in results {
                assert!(result.passed(), "{:?}", result.describe(&LineIndex::new(builtin.example)));
            }
        }
    }
}
