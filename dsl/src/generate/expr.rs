//! Expressions of a wanted type.

use super::choices::Choices;
use super::scope::{Kind, Scope, ty};
use crate::typed::{Base, Ty};

/// How tightly a text binds: an operand looser than its place asks for is put in parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    If,
    Or,
    And,
    Not,
    Comparison,
    Sum,
    Product,
    Unary,
    Default,
    Primary,
}

/// An expression's text.
#[derive(Clone, Debug)]
pub(super) struct Text {
    text: String,
    level: Level,
}

impl Text {
    fn primary(text: impl Into<String>) -> Self {
        Self { text: text.into(), level: Level::Primary }
    }

    /// As an operand where at least `level` is needed.
    fn at(&self, level: Level) -> String {
        if self.level < level { format!("({})", self.text) } else { self.text.clone() }
    }

    /// As a whole expression.
    pub(super) fn into_string(self) -> String {
        self.text
    }
}

/// Where an expression stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Whether it may read series alone.
    pub(super) series: bool,
    /// How deep it may go.
    pub(super) depth: u32,
}

impl Place {
    const fn deeper(self) -> Self {
        Self { depth: self.depth.saturating_sub(1), ..self }
    }

    const fn series(self) -> Self {
        Self { series: true, depth: self.depth.saturating_sub(1) }
    }
}

const NUMBERS: &[&str] = &[
    "1",
    "0",
    "2",
    "0.5",
    "10%",
    "7.1%",
    "3",
    "100",
    "0.1",
    "1e-12",
    "2e-12",
    "1e6",
    "99.5",
    "33.3%",
    "1e300",
    "1e-300",
    "4.9e-324",
    "12",
    "1.7976931348623157e308",
    "0.30000000000000004",
];

const CLOCKS: &[&str] = &["15:25", "00:00", "23:59", "09:30", "12:00"];

/// Writes expressions into a scope.
pub(super) struct Writer<'c, 'b, 's> {
    pub(super) choices: &'c mut Choices<'b>,
    pub(super) scope: &'s mut Scope,
}

impl Writer<'_, '_, '_> {
    /// An expression of exactly a type.
    pub(super) fn expr(&mut self, wanted: Ty, place: Place) -> Text {
        let text = match (wanted.base, wanted.optional) {
            (Base::Num, false) => self.num(place),
            (Base::Bool, false) => self.bool(place),
            (Base::Clock, _) => self.clock(place),
            (_, true) => self.optional(wanted.base, place),
        };
        if self.choices.chance(1, 12) { Text::primary(format!("({})", text.text)) } else { text }
    }

    fn plain(&mut self, base: Base, place: Place) -> Text {
        self.expr(ty(base, false), place)
    }

    fn named(&mut self, wanted: Ty, place: Place) -> Option<Text> {
        let named = self.scope.pick(self.choices, |n| n.ty == wanted && (!place.series || n.is_series()))?;
        Some(Text::primary(named.name))
    }

    fn num(&mut self, place: Place) -> Text {
        if place.depth == 0 {
            return self.num_leaf(place);
        }
        let inner = place.deeper();
        match self.choices.below(16) {
            0..=3 => self.num_leaf(place),
            4..=7 => self.arithmetic(place, false),
            8 => self.negation(ty(Base::Num, false), place),
            9 => self.default(Base::Num, false, place),
            10 => self.conditional(ty(Base::Num, false), place),
            11 | 12 => self.function(inner),
            _ => self.memory(Base::Num, false, place).unwrap_or_else(|| self.num_leaf(place)),
        }
    }

    fn num_leaf(&mut self, place: Place) -> Text {
        match self.choices.below(8) {
            0 | 1 => Text::primary(self.choices.pick(NUMBERS)),
            2 => Text::primary("bar_index"),
            3 if self.scope.time => Text::primary("weekday"),
            _ => self.named(ty(Base::Num, false), place).unwrap_or_else(|| Text::primary(self.choices.pick(NUMBERS))),
        }
    }

    fn negation(&mut self, wanted: Ty, place: Place) -> Text {
        let operand = self.expr(wanted, place.deeper());
        Text { text: format!("-{}", operand.at(Level::Unary)), level: Level::Unary }
    }

    /// Arithmetic; `optional` if at least one operand is.
    fn arithmetic(&mut self, place: Place, optional: bool) -> Text {
        let inner = place.deeper();
        let which = if optional { self.choices.below(3) } else { 3 };
        let left = self.expr(ty(Base::Num, matches!(which, 0 | 2)), inner);
        let (sign, level) = match self.choices.below(7) {
            0 | 1 => ("+", Level::Sum),
            2 | 3 => ("-", Level::Sum),
            4 | 5 => ("*", Level::Product),
            _ => ("/", Level::Product),
        };
        let right = self.expr(ty(Base::Num, matches!(which, 1 | 2)), inner);
        let tighter = if level == Level::Sum { Level::Product } else { Level::Unary };
        // Most divisors are kept away from 0, or every run would end at bar 0.
        let right = if sign == "/" && which != 1 && which != 2 && !self.choices.chance(1, 4) {
            format!("max(abs({}), 0.25)", right.text)
        } else {
            right.at(tighter)
        };
        Text { text: format!("{} {sign} {right}", left.at(level)), level }
    }

    fn default(&mut self, base: Base, optional: bool, place: Place) -> Text {
        let inner = place.deeper();
        let value = self.expr(ty(base, true), inner);
        let default = self.expr(ty(base, optional), inner);
        Text { text: format!("{} ?? {}", value.at(Level::Primary), default.at(Level::Unary)), level: Level::Default }
    }

    /// `if … then … else`; where the result is optional, one branch at least is.
    fn conditional(&mut self, wanted: Ty, place: Place) -> Text {
        let inner = place.deeper();
        let condition = self.plain(Base::Bool, inner);
        let which = if wanted.optional { self.choices.below(3) } else { 3 };
        let then = self.expr(ty(wanted.base, matches!(which, 0 | 2)), inner);
        let otherwise = self.expr(ty(wanted.base, matches!(which, 1 | 2)), inner);
        let text = format!("if {} then {} else {}", condition.text, then.text, otherwise.text);
        Text { text, level: Level::If }
    }

    fn function(&mut self, place: Place) -> Text {
        let arg = |w: &mut Self| w.plain(Base::Num, place).text;
        let text = match self.choices.below(8) {
            0 => format!("min({}, {})", arg(self), arg(self)),
            1 => format!("max({}, {}, {})", arg(self), arg(self), arg(self)),
            2 => format!("abs({})", arg(self)),
            3 if self.choices.chance(1, 5) => format!("sqrt({})", arg(self)),
            3 => format!("sqrt(abs({}))", arg(self)),
            4 => format!("floor({})", arg(self)),
            5 => format!("ceil({})", arg(self)),
            6 => format!("clamp({}, {}, {})", arg(self), arg(self), arg(self)),
            _ => format!("div({}, {}, {})", arg(self), arg(self), arg(self)),
        };
        Text::primary(text)
    }

    fn bool(&mut self, place: Place) -> Text {
        if place.depth == 0 {
            return self.bool_leaf(place);
        }
        let inner = place.deeper();
        match self.choices.below(16) {
            0..=5 => self.comparison(place),
            6 => {
                let left = self.plain(Base::Bool, inner).at(Level::And);
                let right = self.plain(Base::Bool, inner).at(Level::Not);
                Text { text: format!("{left} and {right}"), level: Level::And }
            }
            7 => {
                let left = self.plain(Base::Bool, inner).at(Level::Or);
                let right = self.plain(Base::Bool, inner).at(Level::And);
                Text { text: format!("{left} or {right}"), level: Level::Or }
            }
            8 => Text { text: format!("not {}", self.plain(Base::Bool, inner).at(Level::Not)), level: Level::Not },
            9 => {
                let base = if self.choices.chance(1, 3) { Base::Bool } else { Base::Num };
                Text::primary(format!("known({})", self.expr(ty(base, true), inner).text))
            }
            10 => self.default(Base::Bool, false, place),
            11 => self.conditional(ty(Base::Bool, false), place),
            12 | 13 => self.memory(Base::Bool, false, place).unwrap_or_else(|| self.bool_leaf(place)),
            _ => self.bool_leaf(place),
        }
    }

    fn bool_leaf(&mut self, place: Place) -> Text {
        match self.choices.below(6) {
            0 => Text::primary(self.choices.pick(&["true", "false"])),
            1 if self.scope.time => Text::primary("new_day"),
            _ => self.named(ty(Base::Bool, false), place).unwrap_or_else(|| self.comparison(place)),
        }
    }

    fn comparison(&mut self, place: Place) -> Text {
        let inner = place.deeper();
        let base = match self.choices.below(8) {
            0 if place.depth > 0 => Base::Bool,
            1 if self.scope.time => Base::Clock,
            _ => Base::Num,
        };
        let sign = if base == Base::Bool {
            self.choices.pick(&["==", "!="])
        } else {
            self.choices.pick(&["<", ">", "<=", ">=", "==", "!="])
        };
        let (left, right) = if place.depth == 0 {
            (self.num_leaf(place), self.num_leaf(place))
        } else {
            (self.plain(base, inner), self.plain(base, inner))
        };
        Text { text: format!("{} {sign} {}", left.at(Level::Sum), right.at(Level::Sum)), level: Level::Comparison }
    }

    fn clock(&mut self, place: Place) -> Text {
        match self.choices.below(6) {
            0 | 1 => Text::primary(self.choices.pick(CLOCKS)),
            2 if place.depth > 0 => self.conditional(ty(Base::Clock, false), place),
            3 => self.named(ty(Base::Clock, false), place).unwrap_or_else(|| Text::primary("time_of_day")),
            _ => Text::primary("time_of_day"),
        }
    }

    fn optional(&mut self, base: Base, place: Place) -> Text {
        if place.depth == 0 {
            return self.optional_leaf(base, place);
        }
        match self.choices.below(10) {
            2 | 3 if base == Base::Num => self.arithmetic(place, true),
            4 if base == Base::Num => self.negation(ty(Base::Num, true), place),
            5 => self.default(base, true, place),
            6 => self.conditional(ty(base, true), place),
            7..=9 if base == Base::Num => {
                self.memory(base, true, place).unwrap_or_else(|| self.optional_leaf(base, place))
            }
            _ => self.optional_leaf(base, place),
        }
    }

    /// An optional name, or the history of a series.
    fn optional_leaf(&mut self, base: Base, place: Place) -> Text {
        if self.choices.chance(1, 3)
            && let Some(named) = self.named(ty(base, true), place)
        {
            return named;
        }
        let back = if self.choices.chance(1, 6) { self.choices.between(2, 9) } else { 1 };
        let series = self.scope.pick(self.choices, |n| n.ty.base == base && n.is_series());
        let own = match base {
            Base::Bool if self.scope.time => "new_day",
            Base::Num if self.scope.time && self.choices.chance(1, 8) => "weekday",
            Base::Num => "bar_index",
            _ => "flag",
        };
        Text::primary(format!("{}[{back}]", series.map_or_else(|| own.to_owned(), |n| n.name)))
    }

    /// A window size, and the smallest that it can be.
    fn window(&mut self) -> (String, u32) {
        if self.choices.chance(1, 3)
            && let Some(named) = self.scope.pick(self.choices, |n| matches!(n.kind, Kind::Size { .. }))
            && let Kind::Size { min, .. } = named.kind
        {
            return (named.name, min);
        }
        let n = if self.choices.chance(1, 5) { self.choices.between(6, 40) } else { self.choices.between(1, 5) };
        (n.to_string(), n)
    }

    /// A call with memory of a type; none if the rule has enough of them, or none has that type.
    fn memory(&mut self, base: Base, optional: bool, place: Place) -> Option<Text> {
        if !self.scope.has_memory_left() {
            return None;
        }
        self.scope.memories += 1;
        let inner = Place { depth: place.series().depth.min(2), ..place.series() };
        if base == Base::Bool {
            let name = self.choices.pick(&["crosses_above", "crosses_below"]);
            let (left, right) = (self.plain(Base::Num, inner), self.plain(Base::Num, inner));
            return Some(Text::primary(format!("{name}({}, {})", left.text, right.text)));
        }
        if !optional && self.choices.chance(1, 2) {
            return Some(Text::primary(match self.choices.below(4) {
                0 => format!("cum_max({})", self.plain(Base::Num, inner).text),
                1 => format!("cum_min({})", self.plain(Base::Num, inner).text),
                2 => format!("cum_sum({})", self.plain(Base::Num, inner).text),
                _ => format!("streak({})", self.plain(Base::Bool, inner).text),
            }));
        }
        if optional && self.choices.chance(1, 2) {
            return Some(self.optional_memory(inner));
        }
        Some(self.partial_window(optional, inner))
    }

    /// Calls that are missing until they are full and take no `min:`.
    fn optional_memory(&mut self, place: Place) -> Text {
        let arg = |w: &mut Self| w.plain(Base::Num, place).text;
        let text = match self.choices.below(5) {
            0 => format!("bars_since({})", self.plain(Base::Bool, place).text),
            1 => {
                let (high, low, close) = (arg(self), arg(self), arg(self));
                format!("atr({high}, {low}, {close}, {})", self.window().0)
            }
            which => {
                let name = ["ema", "rma", "rsi"].get(which as usize - 2).copied().unwrap_or("ema");
                format!("{name}({}, {})", arg(self), self.window().0)
            }
        };
        Text::primary(text)
    }

    /// Windows that take `min:`; plain only with `min: 1`.
    fn partial_window(&mut self, optional: bool, place: Place) -> Text {
        let (size, smallest) = self.window();
        let name = self.choices.pick(&["sum", "sma", "highest", "lowest", "count", "stdev"]);
        let value = self.plain(if name == "count" { Base::Bool } else { Base::Num }, place).text;
        let sample = name == "stdev" && optional && smallest >= 2 && self.choices.chance(1, 2);
        let lowest_min = if sample || optional { 2 } else { 1 };
        let min = if !optional {
            ", min: 1".to_owned()
        } else if smallest >= 2 && self.choices.chance(1, 3) {
            format!(", min: {}", self.choices.between(lowest_min, smallest))
        } else {
            String::new()
        };
        let sample = match (name, sample) {
            (_, true) => ", sample: true",
            ("stdev", false) if self.choices.chance(1, 6) => ", sample: false",
            _ => "",
        };
        Text::primary(format!("{name}({value}, {size}{min}{sample})"))
    }
}
