//! What a rule declares: constants that [`crate::rule!`] builds and everything else reads.

use rulebox_abi::Verdict;

/// A rule, without its state and its function.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    /// Its name.
    pub name: &'static str,
    /// Input columns, in order.
    pub inputs: &'static [Input],
    /// Params, in order.
    pub params: &'static [Param],
    /// Out columns, in order.
    pub outs: &'static [Out],
    /// Verdict statements: statement i is bit i of the word of fired statements.
    pub statements: &'static [Statement],
    /// The author's own faults: a sentence each.
    pub faults: &'static [&'static str],
    /// The clock, of rules that use time.
    pub clock: Option<Clock>,
    /// Bars before this one that its verdict can depend on, as the author says.
    pub lookback: u64,
    /// Where the declaration stands.
    pub line: u32,
    /// Where on that line.
    pub column: u32,
}

/// Type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A finite double.
    Num,
    /// True or false; 1 or 0 in a column.
    Bool,
    /// A whole number; params alone.
    Int,
    /// Minutes after midnight; values of messages alone.
    Clock,
}

/// Both ends included.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// The lowest value.
    pub low: f64,
    /// The highest value.
    pub high: f64,
    /// The lowest value as it was written.
    pub low_text: &'static str,
    /// The highest value as it was written.
    pub high_text: &'static str,
}

/// An input column.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// Its name.
    pub name: &'static str,
    /// Num or bool.
    pub ty: Type,
    /// Whether its values may be missing.
    pub optional: bool,
    /// What is plausible.
    pub range: Option<Range>,
}

/// A param.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Num, int or bool.
    pub ty: Type,
    /// Its value where a caller gives none; bools are 0 or 1.
    pub default: f64,
    /// The same as it was written.
    pub default_text: &'static str,
    /// What a caller may give.
    pub range: Option<Range>,
}

/// An out column.
#[derive(Clone, Copy, Debug)]
pub struct Out {
    /// Its name.
    pub name: &'static str,
    /// Num or bool.
    pub ty: Type,
}

/// A verdict statement.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    /// Name of its method.
    pub name: &'static str,
    /// Warn or breach.
    pub verdict: Verdict,
    /// What it asks for.
    pub action: Option<Action>,
    /// How long it stays.
    pub hold: Option<Hold>,
    /// The values of its message, in the order of the method's arguments.
    pub args: &'static [Arg],
    /// Its message, with placeholders.
    pub message: &'static str,
}

/// A value of a message.
#[derive(Clone, Copy, Debug)]
pub struct Arg {
    /// The name that placeholders use.
    pub name: &'static str,
    /// Num, bool or clock.
    pub ty: Type,
}

/// What a verdict asks for, in ascending severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open nothing new.
    Block = 1,
    /// Keep a fraction of what is open.
    Reduce = 2,
    /// Close everything.
    Liquidate = 3,
}

/// How long a verdict stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// This many bars, the one that gave it included.
    Bars(u64),
    /// This many milliseconds.
    Millis(i64),
    /// Until the local day changes.
    Day,
    /// To the end of the run.
    Forever,
}

/// Zone and start of the trading day.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// IANA name of the zone.
    pub zone: &'static str,
    /// Minutes after midnight, 0 to 1439.
    pub day_start: u64,
}

/// Faults of each input: missing, invalid, outside its range.
pub(crate) const FAULTS_OF_AN_INPUT: usize = 3;

/// Faults that no author declares: those of time, of results and of fractions.
pub(crate) const GENERAL_FAULTS: [&str; 4] = [
    "the time of the bar is missing or cannot be read",
    "the time goes backwards",
    "the result is not finite",
    "the fraction to keep is outside 0 to 1",
];

/// Index of each of [`GENERAL_FAULTS`].
pub(crate) const TIME_MISSING: usize = 0;
pub(crate) const TIME_BACKWARDS: usize = 1;
pub(crate) const NOT_FINITE: usize = 2;
pub(crate) const KEEP_OUT_OF_RANGE: usize = 3;

impl Declared {
    /// Index of the first value of statement `statement` among the values of all messages; with the number of
    /// statements, how many there are in all.
    pub const fn first_value(&self, statement: usize) -> usize {
        let (mut i, mut first) = (0, 0);
        while i < statement {
            match at(self.statements, i) {
                Some(statement) => first += statement.args.len(),
                None => break,
            }
            i += 1;
        }
        first
    }

    /// Number of message values.
    pub const fn values(&self) -> usize {
        self.first_value(self.statements.len())
    }

    /// Index of the statement of this name; past the last if there is none.
    pub const fn statement(&self, name: &str) -> usize {
        let mut i = 0;
        while let Some(statement) = at(self.statements, i) {
            if equal(statement.name, name) {
                break;
            }
            i += 1;
        }
        i
    }

    /// 1 if the rule uses time, as a number of columns.
    pub const fn times(&self) -> usize {
        self.clock.is_some() as usize
    }

    /// 1 if a statement reduces, as a number of columns.
    pub const fn keeps(&self) -> usize {
        let mut i = 0;
        while let Some(statement) = at(self.statements, i) {
            if matches!(statement.action, Some(Action::Reduce)) {
                return 1;
            }
            i += 1;
        }
        0
    }

    /// Whether any statement is held.
    pub const fn holds(&self) -> bool {
        let mut i = 0;
        while let Some(statement) = at(self.statements, i) {
            if statement.hold.is_some() {
                return true;
            }
            i += 1;
        }
        false
    }

    /// Index of a general fault among all.
    pub(crate) const fn general_fault(&self, fault: usize) -> usize {
        self.inputs.len() * FAULTS_OF_AN_INPUT + fault
    }

    /// Index of the author's fault `fault` among all.
    pub const fn own_fault(&self, fault: usize) -> usize {
        self.general_fault(GENERAL_FAULTS.len() + fault)
    }
}

impl Statement {
    /// Breach over warn; then liquidate over reduce over block over no action.
    pub(crate) const fn rank(&self) -> u8 {
        let action = match self.action {
            Some(action) => action as u8,
            None => 0,
        };
        self.verdict as u8 * 4 + action
    }
}

/// Whether a param may have this value.
pub(crate) const fn accepts(param: &Param, value: f64) -> bool {
    let of_type = match param.ty {
        Type::Bool => matches!(value, 0.0 | 1.0),
        // A whole number that an i64 holds comes back from it.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::float_cmp,
            reason = "see above"
        )]
        Type::Int => value as i64 as f64 == value,
        Type::Num | Type::Clock => value.is_finite(),
    };
    match &param.range {
        Some(range) => of_type && range.low <= value && value <= range.high,
        None => of_type,
    }
}

/// The element at an index; `get` is not a `const fn`.
#[expect(clippy::indexing_slicing, reason = "the index is checked")]
pub(crate) const fn at<T>(slice: &[T], index: usize) -> Option<&T> {
    if index < slice.len() { Some(&slice[index]) } else { None }
}

/// Whether two texts are equal; `==` is not a `const fn`.
pub(crate) const fn equal(a: &str, b: &str) -> bool {
    same(a.as_bytes(), b.as_bytes())
}

pub(crate) const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while let (Some(x), Some(y)) = (at(a, i), at(b, i)) {
        if *x != *y {
            return false;
        }
        i += 1;
    }
    a.len() == b.len()
}
