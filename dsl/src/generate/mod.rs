//! Makes rules that compile, with bars to run them over: for property tests, differential tests and fuzzers.
//!
//! The rules are text, so that they pass through every stage. They use every construct of the language, and they lean
//! towards the edges: numbers that are equal within the tolerance, windows that are not yet full, holds that end on a
//! bar that gives them again, days that step back, values that are missing or overflow.

mod bars;
mod choices;
mod expr;
mod rule;
mod scope;

pub use bars::{GeneratedBars, at_tolerance};
pub use choices::Choices;

/// A rule, its params and bars.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The source text.
    pub source: String,
    /// One value a param, inside its range.
    pub params: Vec<f64>,
    /// The bars.
    pub bars: GeneratedBars,
}

/// Makes a rule of about `size` statements (at least one) and `rows` bars.
pub fn generate(choices: &mut Choices<'_>, size: u32, rows: usize) -> Generated {
    let rule = rule::generate(choices, size);
    let bars = bars::generate(choices, &rule.scope, rows);
    Generated { source: rule.source, params: rule.params, bars }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_choices_make_equal_rules() {
        let once = generate(&mut Choices::seeded(7), 8, 40);
        let again = generate(&mut Choices::seeded(7), 8, 40);
        assert_eq!(once.source, again.source);
        assert_eq!(once.bars.times, again.bars.times);
        assert_ne!(once.source, generate(&mut Choices::seeded(8), 8, 40).source);
    }

    #[test]
    fn every_construct_is_made() {
        let all: String = (0..400).map(|seed| generate(&mut Choices::seeded(seed), 8, 1).source).collect();
        for part in [
            "edition 1",
            "clock ",
            "param ",
            "let ",
            "var ",
            " per day",
            ":=",
            "out ",
            "if ",
            "} else if ",
            "} else {",
            " then ",
            "warn ",
            "breach ",
            " block",
            " reduce(",
            " liquidate",
            " bars",
            " for 15m",
            " for day",
            "forever",
            "not ",
            " and ",
            " or ",
            "??",
            "known(",
            "[1]",
            "sum(",
            "sma(",
            "ema(",
            "rma(",
            "rsi(",
            "stdev(",
            "sample: true",
            "highest(",
            "lowest(",
            "count(",
            "atr(",
            "min: 1",
            "cum_max(",
            "cum_min(",
            "cum_sum(",
            "streak(",
            "bars_since(",
            "crosses_above(",
            "crosses_below(",
            "clamp(",
            "div(",
            "sqrt(",
            "floor(",
            "ceil(",
            "abs(",
            "new_day",
            "weekday",
            "time_of_day",
            "bar_index",
            "15:25",
            "{{x}}",
            ":.1%}",
        ] {
            assert!(all.contains(part), "no rule has `{part}`");
        }
    }
}
