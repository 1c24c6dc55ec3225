//! The manifest of a rule: JSON that the compiler writes, since a module has nobody to write it later.
//!
//! Its reader is the host's `Manifest`. Bytes of memory are 0: the linker decides them, and the module itself says.

use rulebox_abi::MAX_TEXT_BYTES;

use crate::checked::refuse;
use crate::declared::{Action, Declared, FAULTS_OF_AN_INPUT, GENERAL_FAULTS, Hold, Input, Param, Range, Statement};
use crate::declared::{Type, at, equal, same};

/// Text of `N` bytes that is being written. More than `N` is counted and not kept, so that the first of two passes
/// measures: `Json::<0>`.
#[derive(Clone, Copy, Debug)]
pub struct Json<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Json<N> {
    /// Writes the manifest of a rule that keeps `state_bytes`.
    pub const fn of(rule: &Declared, state_bytes: usize) -> Self {
        let mut json = Self { bytes: [0; N], len: 0 };
        json.manifest(rule, state_bytes);
        json
    }

    /// Bytes that were written.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes.
    pub const fn bytes(self) -> [u8; N] {
        self.bytes
    }

    const fn manifest(&mut self, rule: &Declared, state_bytes: usize) {
        self.raw("{\"abi\":").whole(rulebox_abi::ABI_VERSION as u64);
        self.raw(",\"name\":").quoted(rule.name);
        self.raw(",\"inputs\":[");
        let mut i = 0;
        while let Some(input) = at(rule.inputs, i) {
            self.comma(i).input(input);
            i += 1;
        }
        self.raw("],\"params\":[");
        i = 0;
        while let Some(param) = at(rule.params, i) {
            self.comma(i).param(param);
            i += 1;
        }
        self.raw("],\"outs\":[");
        i = 0;
        while let Some(out) = at(rule.outs, i) {
            self.comma(i).raw("{\"name\":").quoted(out.name).ty(out.ty).raw("}");
            i += 1;
        }
        self.raw("],\"statements\":[");
        i = 0;
        while let Some(statement) = at(rule.statements, i) {
            self.comma(i).statement(statement, rule.first_value(i), rule.line);
            i += 1;
        }
        let (zone, day_start) = match rule.clock {
            Some(clock) => (clock.zone, clock.day_start),
            None => ("UTC", 0),
        };
        self.raw("],\"uses_time\":").raw(if rule.clock.is_some() { "true" } else { "false" });
        self.raw(",\"clock\":{\"zone\":").quoted(zone).raw(",\"day_start\":").whole(day_start);
        self.raw("},\"lookback\":").whole(rule.lookback);
        self.raw(",\"state_bytes\":").whole(state_bytes as u64);
        self.raw(",\"memory_bytes\":0,\"spans\":[");
        self.spans(rule);
        self.raw("]}");
    }

    const fn input(&mut self, input: &Input) -> &mut Self {
        self.raw("{\"name\":").quoted(input.name).ty(input.ty);
        self.raw(",\"optional\":").raw(if input.optional { "true" } else { "false" });
        self.range(input.range).raw("}")
    }

    const fn param(&mut self, param: &Param) -> &mut Self {
        self.raw("{\"name\":").quoted(param.name).ty(param.ty).raw(",\"default\":");
        match param.ty {
            Type::Bool => self.raw(if param.default > 0.0 { "1" } else { "0" }),
            _ => self.number(param.default_text),
        };
        self.range(param.range).raw("}")
    }

    const fn ty(&mut self, ty: Type) -> &mut Self {
        self.raw(match ty {
            Type::Num => ",\"type\":\"num\"",
            Type::Bool => ",\"type\":\"bool\"",
            Type::Int => ",\"type\":\"int\"",
            Type::Clock => ",\"type\":\"clock\"",
        })
    }

    const fn range(&mut self, range: Option<Range>) -> &mut Self {
        match range {
            Some(range) => self.raw(",\"range\":[").number(range.low_text).raw(",").number(range.high_text).raw("]"),
            None => self,
        }
    }

    const fn statement(&mut self, statement: &Statement, first_value: usize, line: u32) -> &mut Self {
        self.raw("{\"verdict\":\"").raw(statement.verdict.name()).raw("\",\"action\":");
        self.raw(match statement.action {
            None => "null",
            Some(Action::Block) => "\"block\"",
            Some(Action::Reduce) => "\"reduce\"",
            Some(Action::Liquidate) => "\"liquidate\"",
        });
        match statement.hold {
            None => &mut *self,
            Some(Hold::Bars(bars)) => self.raw(",\"hold\":{\"bars\":").whole(bars).raw("}"),
            Some(Hold::Millis(millis)) => self.raw(",\"hold\":{\"millis\":").whole(millis.unsigned_abs()).raw("}"),
            Some(Hold::Day) => self.raw(",\"hold\":\"day\""),
            Some(Hold::Forever) => self.raw(",\"hold\":\"forever\""),
        };
        self.raw(",\"message\":[").message(statement, first_value);
        self.raw("],\"line\":").whole(line as u64).raw("}")
    }

    /// The pieces of a message: text as it stands, `{name}`, `{name:.2}`, `{name:.2%}`, `{{` and `}}`.
    const fn message(&mut self, statement: &Statement, first_value: usize) -> &mut Self {
        let Statement { name, args, .. } = statement;
        let bytes = statement.message.as_bytes();
        let (mut i, mut pieces, mut in_text, mut text_bytes) = (0, 0, false, 0);
        let mut used = 0_u128;
        while let Some(&byte) = at(bytes, i) {
            let doubled = matches!(at(bytes, i + 1), Some(&next) if next == byte);
            if byte == b'{' && !doubled {
                if in_text {
                    self.raw("\"}");
                    in_text = false;
                }
                let (end, arg) = self.comma(pieces).placeholder(statement, i + 1, first_value);
                used |= 1 << arg;
                i = end;
                pieces += 1;
                continue;
            }
            if byte == b'}' && !doubled {
                refuse("the message of `", name, "` has a brace that closes nothing; double it to show it");
            }
            if !in_text {
                self.comma(pieces).raw("{\"text\":\"");
                in_text = true;
                pieces += 1;
            }
            self.escaped(byte);
            text_bytes += 1;
            i += if byte == b'{' || byte == b'}' { 2 } else { 1 };
        }
        if in_text {
            self.raw("\"}");
        }
        if used.count_ones() as usize != args.len() {
            refuse("the statement `", name, "` has a value that its message does not show");
        }
        if text_bytes > MAX_TEXT_BYTES {
            refuse("the message of `", name, "` has more than 1,000 bytes of text");
        }
        self
    }

    /// One placeholder, whose name begins at `start`: one past its brace, and the argument that it shows.
    const fn placeholder(&mut self, statement: &Statement, start: usize, first_value: usize) -> (usize, usize) {
        let Statement { name: of, args, .. } = statement;
        let bytes = statement.message.as_bytes();
        let mut end = start;
        while !matches!(at(bytes, end), Some(b'}' | b':')) {
            if end >= bytes.len() {
                refuse("the message of `", of, "` has a brace that is not closed; double it to show it");
            }
            end += 1;
        }
        let (_, rest) = bytes.split_at(start);
        let (name, _) = rest.split_at(end - start);
        let mut arg = 0;
        let ty = loop {
            let Some(candidate) = at(args, arg) else {
                refuse("the message of `", of, "` shows what is not among the values of the statement")
            };
            if same(candidate.name.as_bytes(), name) {
                break candidate.ty;
            }
            arg += 1;
        };
        self.raw("{\"value\":{\"column\":").whole((first_value + arg) as u64).raw(",\"name\":\"");
        let mut i = start;
        while i < end {
            if let Some(&byte) = at(bytes, i) {
                self.escaped(byte);
            }
            i += 1;
        }
        self.raw("\"").ty(ty).raw(",\"format\":");
        if matches!(at(bytes, end), Some(b'}')) {
            self.raw("\"plain\"}}");
            return (end + 1, arg);
        }
        if !matches!(ty, Type::Num) {
            refuse("the message of `", of, "` gives decimals to what is not a num");
        }
        let (mut i, mut decimals, mut digits) = (end + 2, 0_u64, 0);
        while let Some(&digit @ b'0'..=b'9') = at(bytes, i) {
            decimals = decimals * 10 + (digit - b'0') as u64;
            (i, digits) = (i + 1, digits + 1);
            if digits > 2 || decimals > 12 {
                refuse("the message of `", of, "` shows more than 12 decimals");
            }
        }
        let percent = matches!(at(bytes, i), Some(b'%'));
        self.raw(if percent { "{\"percent\":" } else { "{\"decimals\":" }).whole(decimals).raw("}}}");
        i += percent as usize;
        if digits == 0 || !matches!((at(bytes, end + 1), at(bytes, i)), (Some(b'.'), Some(b'}'))) {
            refuse("the message of `", of, "` has a format that is neither `:.2` nor `:.2%`");
        }
        (i + 1, arg)
    }

    const fn spans(&mut self, rule: &Declared) {
        let mut i = 0;
        while let Some(input) = at(rule.inputs, i) {
            self.comma(i * FAULTS_OF_AN_INPUT).span(rule, "the required input `", input.name, "` is missing");
            self.raw(",").span(rule, "the input `", input.name, "` is not a finite number or a bool");
            self.raw(",").span(rule, "the input `", input.name, "` is outside its range");
            i += 1;
        }
        let first = i;
        i = 0;
        while let Some(fault) = at(&GENERAL_FAULTS, i) {
            self.comma(first + i).span(rule, "", fault, "");
            i += 1;
        }
        i = 0;
        while let Some(fault) = at(rule.faults, i) {
            self.raw(",").span(rule, "", fault, "");
            i += 1;
        }
    }

    /// A fault. Where in the source the rule's bytes begin nobody knows, so all are at its declaration.
    const fn span(&mut self, rule: &Declared, before: &str, name: &str, after: &str) -> &mut Self {
        self.raw("{\"start\":0,\"end\":0,\"line\":").whole(rule.line as u64);
        self.raw(",\"column\":").whole(rule.column as u64).raw(",\"message\":\"");
        self.escaped_text(before).escaped_text(name).escaped_text(after).raw("\"}")
    }

    const fn comma(&mut self, before: usize) -> &mut Self {
        if before > 0 { self.raw(",") } else { self }
    }

    #[expect(clippy::indexing_slicing, reason = "the index is checked")]
    const fn byte(&mut self, byte: u8) {
        if self.len < N {
            self.bytes[self.len] = byte;
        }
        self.len += 1;
    }

    const fn raw(&mut self, text: &str) -> &mut Self {
        let mut i = 0;
        while let Some(&byte) = at(text.as_bytes(), i) {
            self.byte(byte);
            i += 1;
        }
        self
    }

    const fn quoted(&mut self, text: &str) -> &mut Self {
        self.raw("\"").escaped_text(text).raw("\"")
    }

    const fn escaped_text(&mut self, text: &str) -> &mut Self {
        let mut i = 0;
        while let Some(&byte) = at(text.as_bytes(), i) {
            self.escaped(byte);
            i += 1;
        }
        self
    }

    /// One byte of UTF-8 inside quotes.
    const fn escaped(&mut self, byte: u8) {
        assert!(byte >= 0x20, "a text of a rule has no control characters, not even a line break");
        if byte == b'"' || byte == b'\\' {
            self.byte(b'\\');
        }
        self.byte(byte);
    }

    const fn whole(&mut self, number: u64) -> &mut Self {
        let mut power = 1;
        while number / power >= 10 {
            power *= 10;
        }
        while power > 0 {
            self.byte(b'0' + (number / power % 10) as u8);
            power /= 10;
        }
        self
    }

    /// A number as it stands in the source: the same, but for what Rust allows and JSON does not.
    #[expect(clippy::panic, reason = "runs in the compiler: the panic is the compile error")]
    const fn number(&mut self, literal: &str) -> &mut Self {
        let bytes = literal.as_bytes();
        assert!(!equal(literal, "true") && !equal(literal, "false"), "a number is wanted, not a bool");
        let mut i = 0;
        let mut leading = true;
        while let Some(&byte) = at(bytes, i) {
            match byte {
                // 007 is a number of Rust's, and not of JSON's.
                b'0' if leading && a_digit_follows(bytes, i) => {}
                b'0'..=b'9' | b'+' | b'e' | b'E' => {
                    self.byte(byte);
                    leading = false;
                }
                b'-' => self.byte(byte),
                b'.' => {
                    leading = false;
                    self.byte(b'.');
                    if !matches!(at(bytes, i + 1), Some(b'0'..=b'9')) {
                        self.byte(b'0');
                    }
                }
                b'_' | b' ' => {}
                _ => panic!("write the numbers of a rule as decimals without a suffix"),
            }
            i += 1;
        }
        self
    }
}

/// Whether the next byte but `_` is a digit.
const fn a_digit_follows(bytes: &[u8], mut i: usize) -> bool {
    loop {
        i += 1;
        match at(bytes, i) {
            Some(b'_') => {}
            Some(b'0'..=b'9') => return true,
            _ => return false,
        }
    }
}
