//! The module ABI, version 1: names, buffer kinds, verdict codes and limits that a rule module and its host share.
//!
//! A module is core WebAssembly with one exported memory. The host writes columns into buffers that the module
//! names, calls `rulebox_eval`, and reads columns back. This crate has the constants; with the feature `host` it
//! also has the column types that the host and the reference interpreter exchange.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "host")]
extern crate alloc;

#[cfg(feature = "host")]
pub mod columns;

/// Names of the exports of a module.
pub mod export {
    /// The one linear memory.
    pub const MEMORY: &str = "memory";
    /// Marks a module of this ABI; a function or a global of any type.
    pub const MARKER: &str = "rulebox_abi_1";
    /// `(params_len: i32) -> i32`: params are in their buffer; 0 accepts them.
    pub const INIT: &str = "rulebox_init";
    /// `(kind: i32, index: i32, bytes: i32) -> i32`: address of a buffer of at least `bytes` bytes, 8-byte aligned.
    pub const BUFFER: &str = "rulebox_buffer";
    /// `()`: back to bar 0.
    pub const RESET: &str = "rulebox_reset";
    /// `(rows: i32) -> i32`: runs `rows` bars; 0, or a negative number on failure.
    pub const EVAL: &str = "rulebox_eval";
    /// `() -> i64`, optional: `ptr << 32 | len` of the state.
    pub const STATE: &str = "rulebox_state";
    /// `(row: i32) -> i64`, optional: `ptr << 32 | len` of UTF-8 text.
    pub const MESSAGE: &str = "rulebox_message";
}

/// Names of the exports of the form of a compiled rule that runs single bars. It has no memory: what it reads, writes and
/// keeps are globals, each with the number of its param, column or value of the state behind its name. The form is
/// between our compiler and our host alone; a module that somebody else made has none.
pub mod bar {
    /// `() -> i32`: runs one bar; 0, or -1 if it refuses its params.
    pub const BAR: &str = "rulebox_bar_1";
    /// f64, one each.
    pub const PARAM: &str = "param";
    /// f64, one a column.
    pub const INPUT: &str = "input";
    /// i64.
    pub const TIME: &str = "time";
    /// i32.
    pub const LOCAL_DAY: &str = "local_day";
    /// i32.
    pub const MINUTE_OF_DAY: &str = "minute_of_day";
    /// i32.
    pub const WEEKDAY: &str = "weekday";
    /// i32: see [`super::Verdict`].
    pub const VERDICT: &str = "verdict";
    /// i32: the bit set of fired statements.
    pub const FIRED: &str = "fired";
    /// f64, one a column.
    pub const OUT: &str = "out";
    /// f64, one a placeholder.
    pub const MESSAGE_VALUE: &str = "message_value";
    /// f64.
    pub const KEEP: &str = "keep";
    /// i32, i64 or f64: each in 8 bytes of the state, in the order of their numbers; an i32 in the first 4, the others 0.
    pub const STATE: &str = "state";
}

/// Name of the custom section that holds the form for single bars, a module of its own.
pub const BAR_SECTION: &str = "rulebox.bar";

/// Version of this ABI; [`export::MARKER`] carries it.
pub const ABI_VERSION: u32 = 1;

/// Name of the custom section that holds the manifest as JSON.
pub const MANIFEST_SECTION: &str = "rulebox.manifest";

/// The most bars that a host passes to one call of `rulebox_eval`; a module need not have larger buffers.
pub const MAX_ROWS: u32 = 4096;

/// The most verdict statements of a rule: one bit each in the word of fired statements.
pub const MAX_STATEMENTS: usize = 32;

/// The most inputs, params and outs of a rule, together.
pub const MAX_NAMES: usize = 256;

/// The most values of the messages of a rule, together.
pub const MAX_MESSAGE_VALUES: usize = 128;

/// The most bytes of a name.
pub const MAX_NAME_BYTES: usize = 64;

/// The most bytes of text of a message, and of a fault.
pub const MAX_TEXT_BYTES: usize = 1_000;

/// The most faults of a rule.
pub const MAX_SPANS: usize = 2_000;

/// The most bars before this one that a rule can say its verdict depends on.
pub const MAX_LOOKBACK: u64 = 1_000_000_000;

/// Alignment in bytes of every buffer.
pub const BUFFER_ALIGN: u32 = 8;

/// Bits of the one NaN that means "missing".
pub const MISSING_BITS: u64 = 0x7ff8_0000_0000_0000;

/// The one NaN that means "missing".
pub const MISSING: f64 = f64::from_bits(MISSING_BITS);

/// A time that is missing or could not be read.
pub const TIME_MISSING: i64 = i64::MIN;

/// Kinds of buffers: the first argument of `rulebox_buffer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum BufferKind {
    /// One f64 for each param in the order of the manifest; bools are 0 or 1.
    Params = 0,
    /// Input column `index`: f64, missing is NaN, bools are 0 or 1.
    Input = 1,
    /// Time: i64 milliseconds since 1970, [`TIME_MISSING`] if there is none.
    Time = 2,
    /// Local day: i32 days since 1970-01-01 of the rule's trading day.
    LocalDay = 3,
    /// Minute of the local wall-clock day: i32, 0 to 1439.
    MinuteOfDay = 4,
    /// Weekday of the local calendar date: i32, 1 (Monday) to 7.
    Weekday = 5,
    /// Verdicts: u8, see [`Verdict`].
    Verdicts = 6,
    /// Fired statements: u32 bit set; for a fault, an index into the manifest's `spans`.
    Fired = 7,
    /// Out column `index`: f64.
    Out = 8,
    /// Value of placeholder `index`: f64, anything on bars where its statement has not fired.
    MessageValue = 9,
    /// Fraction to keep of the winning statement: f64, anything if it is not a `reduce`.
    Keep = 10,
}

impl BufferKind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 11] = [
        Self::Params,
        Self::Input,
        Self::Time,
        Self::LocalDay,
        Self::MinuteOfDay,
        Self::Weekday,
        Self::Verdicts,
        Self::Fired,
        Self::Out,
        Self::MessageValue,
        Self::Keep,
    ];

    /// Bytes of one row of a buffer of this kind (of one param, for [`BufferKind::Params`]).
    pub const fn row_bytes(self) -> u32 {
        match self {
            Self::Params | Self::Input | Self::Time | Self::Out | Self::MessageValue | Self::Keep => 8,
            Self::LocalDay | Self::MinuteOfDay | Self::Weekday | Self::Fired => 4,
            Self::Verdicts => 1,
        }
    }
}

/// What a rule says of one bar, in ascending severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Verdict {
    /// Nothing to say.
    Ok = 0,
    /// A warning.
    Warn = 1,
    /// A limit is broken.
    Breach = 2,
    /// The rule or its data is wrong; clients treat it as a breach.
    Fault = 3,
}

impl Verdict {
    /// Every verdict, in the order of its number.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Warn, Self::Breach, Self::Fault];

    /// The verdict of a byte that a module wrote; `None` above 3.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Ok),
            1 => Some(Self::Warn),
            2 => Some(Self::Breach),
            3 => Some(Self::Fault),
            _ => None,
        }
    }

    /// `ok`, `warn`, `breach` or `fault`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Breach => "breach",
            Self::Fault => "fault",
        }
    }
}

/// Packs an address and a length as `rulebox_state` and `rulebox_message` return them.
pub const fn pack(ptr: u32, len: u32) -> u64 {
    ((ptr as u64) << 32) | len as u64
}

/// Address and length of a packed pair.
pub const fn unpack(packed: u64) -> (u32, u32) {
    ((packed >> 32) as u32, (packed & 0xffff_ffff) as u32)
}
