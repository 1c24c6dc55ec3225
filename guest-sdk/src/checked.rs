//! What the grammar of [`crate::rule!`] cannot see of a declaration, and the upload would refuse: checked while the rule
//! is compiled, so that each panic here is an error of the compiler.

use rulebox_abi::{
    MAX_LOOKBACK, MAX_MESSAGE_VALUES, MAX_NAME_BYTES, MAX_NAMES, MAX_SPANS, MAX_STATEMENTS, MAX_TEXT_BYTES,
};

use crate::declared::{
    Declared, FAULTS_OF_AN_INPUT, GENERAL_FAULTS, Hold, Input, Range, Statement, Type, accepts, at, equal,
};

impl Declared {
    /// Checks what the macro's grammar cannot.
    ///
    /// # Panics
    /// While the rule is compiled, with a sentence about what to change.
    #[must_use]
    pub const fn checked(self) -> Self {
        self.check_counts();
        self.check_names();
        let mut i = 0;
        while let Some(statement) = at(self.statements, i) {
            self.check_statement(statement);
            i += 1;
        }
        i = 0;
        while let Some(input) = at(self.inputs, i) {
            check_input(input);
            i += 1;
        }
        i = 0;
        while let Some(param) = at(self.params, i) {
            if matches!(param.ty, Type::Clock) {
                refuse("the param `", param.name, "` is a num, an int or a bool, not a clock");
            }
            check_range("the range of the param `", param.name, param.ty, param.range.as_ref());
            if !accepts(param, param.default) {
                refuse("the default of the param `", param.name, "` is not of its type, or outside its range");
            }
            i += 1;
        }
        i = 0;
        while let Some(out) = at(self.outs, i) {
            if !matches!(out.ty, Type::Num | Type::Bool) {
                refuse("the out `", out.name, "` is a num or a bool");
            }
            i += 1;
        }
        i = 0;
        while let Some(fault) = at(self.faults, i) {
            if fault.len() > MAX_TEXT_BYTES {
                refuse("a fault has more than 1,000 bytes: `", fault, "`");
            }
            i += 1;
        }
        self
    }

    const fn check_counts(&self) {
        assert!(self.statements.len() <= MAX_STATEMENTS, "a rule has at most 32 statements");
        let names = self.inputs.len() + self.params.len() + self.outs.len();
        assert!(names <= MAX_NAMES, "a rule has at most 256 inputs, params and outs together");
        assert!(self.values() <= MAX_MESSAGE_VALUES, "the statements of a rule have at most 128 values together");
        let faults = self.inputs.len() * FAULTS_OF_AN_INPUT + GENERAL_FAULTS.len() + self.faults.len();
        assert!(faults <= MAX_SPANS, "a rule has at most 2,000 faults, three of each input among them");
        assert!(self.lookback <= MAX_LOOKBACK, "a rule looks back at most 1,000,000,000 bars");
    }

    const fn check_names(&self) {
        check_name("the rule `", self.name);
        let mut i = 0;
        while let Some(input) = at(self.inputs, i) {
            check_name("the input `", input.name);
            i += 1;
        }
        i = 0;
        while let Some(param) = at(self.params, i) {
            check_name("the param `", param.name);
            let mut k = 0;
            while let Some(input) = at(self.inputs, k) {
                if equal(input.name, param.name) {
                    refuse("an input and a param are both `", param.name, "`: give each a name of its own");
                }
                k += 1;
            }
            i += 1;
        }
        i = 0;
        while let Some(out) = at(self.outs, i) {
            check_name("the out `", out.name);
            i += 1;
        }
    }

    const fn check_statement(&self, statement: &Statement) {
        let Statement { name, hold, args, .. } = statement;
        match hold {
            Some(Hold::Bars(0)) => refuse("the statement `", name, "` holds for nothing: leave its hold out"),
            Some(Hold::Millis(millis)) if *millis <= 0 => {
                refuse("the statement `", name, "` holds for nothing: leave its hold out")
            }
            Some(Hold::Millis(_) | Hold::Day) if self.clock.is_none() => {
                refuse("the statement `", name, "` holds for minutes, hours or days, which needs the rule's `clock`")
            }
            _ => {}
        }
        let mut i = 0;
        while let Some(arg) = at(args, i) {
            if matches!(arg.ty, Type::Int) {
                refuse("the value `", arg.name, "` of a message is a num, a bool or a clock, not an int");
            }
            i += 1;
        }
    }
}

const fn check_input(input: &Input) {
    if !matches!(input.ty, Type::Num | Type::Bool) {
        refuse("the input `", input.name, "` is a num or a bool");
    }
    check_range("the range of the input `", input.name, input.ty, input.range.as_ref());
}

const fn check_range(what: &str, name: &str, ty: Type, range: Option<&Range>) {
    let Some(range) = range else { return };
    if matches!(ty, Type::Bool) {
        refuse(what, name, "` is of a bool, which has none: leave it out");
    }
    // Also false if one of them is no number.
    if !(range.low <= range.high && range.low.is_finite() && range.high.is_finite()) {
        refuse(what, name, "` begins at its lower end, and both ends are finite");
    }
}

const fn check_name(what: &str, name: &str) {
    if !is_name(name) {
        let why = "` cannot have this name: it is a small letter or `_`, then small letters, digits or `_`, at most 64 in \
                   all, and no word of the rule language";
        refuse(what, name, why);
    }
}

/// The words of the rule language, and the names that it gives.
const WORDS: [&str; 39] = [
    "edition",
    "clock",
    "day",
    "rule",
    "param",
    "let",
    "var",
    "per",
    "out",
    "if",
    "then",
    "else",
    "warn",
    "breach",
    "block",
    "reduce",
    "liquidate",
    "for",
    "bars",
    "forever",
    "or",
    "and",
    "not",
    "test",
    "set",
    "bar",
    "ok",
    "fault",
    "in",
    "num",
    "int",
    "bool",
    "true",
    "false",
    "time",
    "new_day",
    "weekday",
    "time_of_day",
    "bar_index",
];

/// Whether the rule language could declare this name.
pub const fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut i = 0;
    while let Some(byte) = at(bytes, i) {
        match byte {
            b'a'..=b'z' | b'_' => {}
            b'0'..=b'9' if i > 0 => {}
            _ => return false,
        }
        i += 1;
    }
    i = 0;
    while let Some(word) = at(&WORDS, i) {
        if equal(word, name) {
            return false;
        }
        i += 1;
    }
    !bytes.is_empty() && bytes.len() <= MAX_NAME_BYTES
}

/// An error of the compiler that names the culprit, which the macro as a whole is underlined for.
#[expect(clippy::panic, clippy::indexing_slicing, reason = "runs in the compiler: the panic is the compile error")]
pub(crate) const fn refuse(what: &str, name: &str, why: &str) -> ! {
    let mut text = [b' '; 512];
    let (mut length, mut part) = (0, 0);
    let parts = [what.as_bytes(), name.as_bytes(), why.as_bytes()];
    while let Some(bytes) = at(&parts, part) {
        let mut i = 0;
        while let Some(byte) = at(bytes, i) {
            if length < text.len() {
                text[length] = *byte;
                length += 1;
            }
            i += 1;
        }
        part += 1;
    }
    match core::str::from_utf8(text.split_at(length).0) {
        Ok(text) => panic!("{}", text),
        // Cut inside of a letter.
        Err(_) => panic!("{}", what),
    }
}
