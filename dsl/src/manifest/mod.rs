//! The manifest: what a host must know of a compiled rule. JSON in the answer of a check, and in the custom section
//! [`rulebox_abi::MANIFEST_SECTION`] of the module.

mod describe;

pub use describe::describe;

use serde::{Deserialize, Serialize};

/// What a module takes, gives and costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the module ABI: 1.
    pub abi: u32,
    /// Name of the rule.
    pub name: String,
    /// Edition of the language, for compiled rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<u32>,
    /// Input columns, in order.
    pub inputs: Vec<InputInfo>,
    /// Params, in the order of their buffer.
    pub params: Vec<ParamInfo>,
    /// Out columns, in order.
    pub outs: Vec<OutInfo>,
    /// Verdict statements: statement i is bit i of the word of fired statements.
    pub statements: Vec<StatementInfo>,
    /// Whether bars need a time.
    pub uses_time: bool,
    /// Zone and start of the trading day.
    pub clock: ClockInfo,
    /// Version of the time zone database, if the rule uses time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tzdata: Option<String>,
    /// Bars before this one that its verdict can depend on by windows and history.
    pub lookback: u64,
    /// Bytes that must be saved to resume a run elsewhere.
    pub state_bytes: u32,
    /// Bytes of linear memory.
    pub memory_bytes: u32,
    /// Worst-case cost; none for modules that were not compiled from a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostInfo>,
    /// Where a rule can fault: a fault's word is an index into this.
    pub spans: Vec<FaultInfo>,
}

impl Manifest {
    /// Columns of message values: one a placeholder.
    pub fn message_values(&self) -> usize {
        let parts = self.statements.iter().flat_map(|statement| &statement.message);
        let columns = parts.filter_map(|part| match part {
            MessagePart::Value { column, .. } => Some(*column as usize + 1),
            MessagePart::Text(_) => None,
        });
        columns.max().unwrap_or(0)
    }

    /// Whether any statement gives a fraction to keep.
    pub fn reduces(&self) -> bool {
        self.statements.iter().any(|statement| statement.action == Some(Action::Reduce))
    }
}

/// Type of a value in a column or a param.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    /// A finite double.
    Num,
    /// 0 or 1; `true` or `false` in JSON.
    Bool,
    /// A whole number; params alone.
    Int,
    /// Minutes after midnight; message values alone.
    Clock,
}

/// An input column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputInfo {
    /// Its name.
    pub name: String,
    /// Num or bool.
    #[serde(rename = "type")]
    pub ty: ValueType,
    /// Whether its values may be missing, and with them the column.
    pub optional: bool,
    /// Both ends included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
}

/// A param.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParamInfo {
    /// Its name.
    pub name: String,
    /// Num, int or bool.
    #[serde(rename = "type")]
    pub ty: ValueType,
    /// Its value where a caller gives none; bools are 0 or 1.
    pub default: f64,
    /// Both ends included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
}

/// An out column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutInfo {
    /// Its name.
    pub name: String,
    /// Num or bool.
    #[serde(rename = "type")]
    pub ty: ValueType,
}

/// A verdict statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementInfo {
    /// `warn` or `breach`.
    pub verdict: StatementVerdict,
    /// What it asks for.
    #[serde(default)]
    pub action: Option<Action>,
    /// How long it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldInfo>,
    /// Its message, in pieces.
    pub message: Vec<MessagePart>,
    /// Line of the statement, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// `warn` or `breach`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatementVerdict {
    /// A warning.
    Warn,
    /// A broken limit.
    Breach,
}

/// What a verdict asks for, in ascending severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Open nothing new.
    Block,
    /// Keep a fraction of what is open.
    Reduce,
    /// Close everything.
    Liquidate,
}

impl Action {
    /// `block`, `reduce` or `liquidate`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Reduce => "reduce",
            Self::Liquidate => "liquidate",
        }
    }
}

/// How long a verdict stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldInfo {
    /// This many bars, the one that gave it included.
    Bars(u32),
    /// This many milliseconds.
    Millis(i64),
    /// Until the local day changes.
    Day,
    /// Until the run is reset.
    Forever,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum MessagePart {
    /// Text as it stands.
    Text(String),
    /// A placeholder.
    Value {
        /// Its column among the message values.
        column: u32,
        /// The name that it shows.
        name: String,
        /// Num, bool or clock.
        #[serde(rename = "type")]
        ty: ValueType,
        /// How to print it.
        #[serde(default)]
        format: ValueFormat,
    },
}

/// How a placeholder prints a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueFormat {
    /// The shortest digits that read back the same, without an exponent.
    #[default]
    Plain,
    /// This many decimals, ties to even.
    Decimals(u8),
    /// Times 100, this many decimals, and `%`.
    Percent(u8),
}

/// Zone and start of the trading day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockInfo {
    /// IANA name of the zone.
    pub zone: String,
    /// Minutes after midnight, 0 to 1439.
    pub day_start: u16,
}

/// Worst-case cost in units of fuel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostInfo {
    /// One bar.
    pub bar: u64,
    /// One call of `rulebox_eval`, beside its bars: a run of n bars in c calls costs at most `c * call + n * bar`.
    pub call: u64,
    /// `rulebox_init`, `rulebox_reset` and one `rulebox_buffer` for each buffer, together.
    pub setup: u64,
    /// The share of each source line in the cost of a bar, each line at its own worst.
    pub lines: Vec<LineCost>,
}

impl CostInfo {
    /// Worst-case fuel of `bars` bars passed in calls of at most `rows` bars; saturates.
    pub fn of_run(&self, bars: u64, rows: u64) -> u64 {
        let calls = bars.div_ceil(rows.max(1));
        self.bar.saturating_mul(bars).saturating_add(self.call.saturating_mul(calls))
    }
}

/// Cost of one source line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineCost {
    /// The line, from 1.
    pub line: u32,
    /// Its fuel in one bar, at worst.
    pub fuel: u64,
}

/// A place where a rule can fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultInfo {
    /// First byte in the source.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What went wrong.
    pub message: String,
}
