//! The rules that are measured, as Rulebox has them. Peers have the same in their own words.

/// A rule, and which columns of [`crate::rows::Rows`] it reads.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// `R1` to `R6`.
    pub name: &'static str,
    /// Its text.
    pub source: &'static str,
    /// Whether it has `drawdown` as its second input.
    pub reads_drawdown: bool,
}

/// Two thresholds.
pub const R1: Rule = Rule {
    name: "R1",
    source: "edition 1\nrule r1(equity: num, drawdown: num) = drawdown > 0.2 or equity < 50000\n",
    reads_drawdown: true,
};

/// State: the highest equity, a loss of more than 15 % of it, or three rising drawdowns in a row.
pub const R2: Rule = Rule {
    name: "R2",
    source: "edition 1\nrule r2(equity: num, drawdown: num) {\n  \
        let peak = cum_max(equity)\n  \
        let rising = streak(drawdown > (drawdown[1] ?? drawdown))\n  \
        if peak - equity > peak * 0.15 or rising >= 3 { breach \"\" }\n}\n",
    reads_drawdown: true,
};

/// A window of twenty bars.
pub const R3: Rule = Rule {
    name: "R3",
    source: "edition 1\nrule r3(equity: num) = equity < (sma(equity, 20) ?? 0) * 0.95\n",
    reads_drawdown: false,
};

/// The example `check_custom_rule`.
pub const R4: Rule =
    Rule { name: "R4", source: include_str!("../../../dsl/examples/check_custom_rule.rule"), reads_drawdown: true };

/// The example `vol_target`.
pub const R5: Rule =
    Rule { name: "R5", source: include_str!("../../../dsl/examples/vol_target.rule"), reads_drawdown: false };

/// The sum of twenty conditions.
pub const R6: Rule = Rule { name: "R6", source: include_str!("rules/r6.rule"), reads_drawdown: true };

/// All of them.
pub const ALL: [Rule; 6] = [R1, R2, R3, R4, R5, R6];
