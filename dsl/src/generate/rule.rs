//! Whole rules: declarations, statements and messages.

use super::choices::Choices;
use super::expr::{Place, Writer};
use super::scope::{Kind, Named, Scope, ty};
use crate::typed::{Base, Ty};

/// A rule's text, and what its params are.
pub(super) struct GeneratedRule {
    pub(super) source: String,
    pub(super) params: Vec<f64>,
    pub(super) scope: Scope,
}

const CLOCK_LINES: &[&str] = &[
    "",
    "clock \"UTC\" day 00:00\n",
    "clock \"Europe/Prague\" day 00:00\n",
    "clock \"America/New_York\" day 17:00\n",
    "clock \"America/Chicago\" day 17:00\n",
    "clock \"Australia/Lord_Howe\" day 02:00\n",
    "clock \"Asia/Kolkata\" day 09:15\n",
];

/// How deep an expression goes.
const DEPTH: u32 = 3;

/// Statements that a block may nest.
const BLOCKS: u32 = 2;

/// Makes a rule of about `size` statements.
pub(super) fn generate(choices: &mut Choices<'_>, size: u32) -> GeneratedRule {
    let mut rule = Builder { choices, scope: Scope::default(), text: String::new(), params: Vec::new() };
    rule.scope.time = rule.choices.chance(1, 2);
    if rule.choices.chance(3, 4) {
        rule.text.push_str("edition 1\n");
    }
    if rule.scope.time {
        let line = rule.choices.pick(CLOCK_LINES);
        rule.text.push_str(line);
    }
    rule.inputs();
    if rule.choices.chance(1, 20) {
        let condition = rule.expr(ty(Base::Bool, false), DEPTH);
        rule.text.push_str(&format!(" = {condition}\n"));
    } else {
        rule.text.push_str(" {\n");
        rule.params();
        for _ in 0..size.max(1) {
            rule.top_level();
        }
        rule.verdict(1);
        rule.text.push_str("}\n");
    }
    GeneratedRule { source: rule.text, params: rule.params, scope: rule.scope }
}

struct Builder<'c, 'b> {
    choices: &'c mut Choices<'b>,
    scope: Scope,
    text: String,
    params: Vec<f64>,
}

impl Builder<'_, '_> {
    fn expr(&mut self, wanted: Ty, depth: u32) -> String {
        let mut writer = Writer { choices: &mut *self.choices, scope: &mut self.scope };
        writer.expr(wanted, Place { series: false, depth }).into_string()
    }

    /// An expression that reads series alone, so that a let of it is a series.
    fn series_expr(&mut self, wanted: Ty, depth: u32) -> String {
        let mut writer = Writer { choices: &mut *self.choices, scope: &mut self.scope };
        writer.expr(wanted, Place { series: true, depth }).into_string()
    }

    fn declare(&mut self, name: &str, ty: Ty, kind: Kind) {
        self.scope.names.push(Named { name: name.to_owned(), ty, kind });
    }

    fn line(&mut self, indent: u32, text: &str) {
        for _ in 0..indent {
            self.text.push_str("  ");
        }
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn inputs(&mut self) {
        let mut texts = vec!["flag: bool".to_owned()];
        self.declare("flag", ty(Base::Bool, false), Kind::Input(None));
        for _ in 0..self.choices.between(1, 4) {
            let name = self.scope.fresh("in");
            let bool = self.choices.chance(1, 5);
            let optional = self.choices.chance(1, 3);
            let range =
                if bool { None } else { self.choices.pick(&[None, None, Some((-1000.0, 1000.0)), Some((0.0, 200.0))]) };
            let base = if bool { Base::Bool } else { Base::Num };
            let mark = if optional { "?" } else { "" };
            let bounds = range.map_or_else(String::new, |(lo, hi)| format!(" in {lo}..{hi}"));
            let word = if bool { "bool" } else { "num" };
            texts.push(if mark.is_empty() && bounds.is_empty() && !bool && self.choices.chance(1, 2) {
                name.clone()
            } else {
                format!("{name}: {word}{mark}{bounds}")
            });
            self.declare(&name, ty(base, optional), Kind::Input(range));
        }
        let text = format!("rule generated({})", texts.join(", "));
        self.text.push_str(&text);
    }

    fn params(&mut self) {
        for _ in 0..self.choices.below(4) {
            let name = self.scope.fresh("p");
            match self.choices.below(4) {
                0 => {
                    let value = self.choices.chance(1, 2);
                    self.line(1, &format!("param {name}: bool = {value}"));
                    self.params.push(f64::from(u8::from(self.choices.chance(1, 2))));
                    self.declare(&name, ty(Base::Bool, false), Kind::Param);
                }
                1 | 2 => {
                    let min = self.choices.between(1, 3);
                    let max = min + self.choices.below(12);
                    let default = self.choices.between(min, max);
                    self.line(1, &format!("param {name}: int = {default} in {min}..{max}"));
                    self.params.push(f64::from(self.choices.between(min, max)));
                    self.declare(&name, ty(Base::Num, false), Kind::Size { min, max });
                }
                _ => {
                    self.line(1, &format!("param {name}: num = 10% in -5..50"));
                    let value = -5.0 + 55.0 * self.choices.fraction();
                    self.params.push(value);
                    self.declare(&name, ty(Base::Num, false), Kind::Param);
                }
            }
        }
    }

    /// A let that windows may read, any let, a var, or a statement of a block.
    fn top_level(&mut self) {
        match self.choices.below(8) {
            0 | 1 => {
                let wanted = self.value_type(true);
                let name = self.scope.fresh("s");
                let value = self.series_expr(wanted, DEPTH);
                self.line(1, &format!("let {name} = {value}"));
                self.declare(&name, wanted, Kind::SeriesLet);
            }
            2 => {
                let base = if self.choices.chance(1, 3) { Base::Bool } else { Base::Num };
                let name = self.scope.fresh("v");
                let per_day = if self.scope.time && self.choices.chance(1, 2) { " per day" } else { "" };
                let value = self.expr(ty(base, false), DEPTH);
                self.line(1, &format!("var {name}{per_day} = {value}"));
                self.declare(&name, ty(base, false), Kind::Var);
            }
            _ => self.statement(1, BLOCKS),
        }
    }

    fn value_type(&mut self, clocks: bool) -> Ty {
        match self.choices.below(10) {
            0..=3 => ty(Base::Num, false),
            4 | 5 => ty(Base::Num, true),
            6 | 7 => ty(Base::Bool, false),
            8 if clocks && self.scope.time => ty(Base::Clock, false),
            _ => ty(Base::Bool, true),
        }
    }

    fn statement(&mut self, indent: u32, blocks: u32) {
        match self.choices.below(10) {
            0 | 1 => {
                // It may read series alone and so be one itself, which the generator need not know.
                let wanted = self.value_type(true);
                let name = self.scope.fresh("l");
                let value = self.expr(wanted, DEPTH);
                self.line(indent, &format!("let {name} = {value}"));
                self.declare(&name, wanted, Kind::PlainLet);
            }
            2 | 3 => {
                let var = self.scope.pick(self.choices, |n| n.kind == Kind::Var);
                if let Some(var) = var {
                    let value = self.expr(var.ty, DEPTH);
                    self.line(indent, &format!("{} := {value}", var.name));
                } else {
                    self.verdict(indent);
                }
            }
            4 => {
                let wanted = self.value_type(false);
                let name = self.scope.fresh("o");
                let value = self.expr(wanted, DEPTH);
                self.line(indent, &format!("out {name} = {value}"));
            }
            5..=7 if blocks > 0 => self.branch(indent, blocks),
            _ => self.verdict(indent),
        }
    }

    fn branch(&mut self, indent: u32, blocks: u32) {
        let condition = self.expr(ty(Base::Bool, false), DEPTH);
        self.line(indent, &format!("if {condition} {{"));
        self.block(indent + 1, blocks - 1);
        for _ in 0..self.choices.below(2) {
            let condition = self.expr(ty(Base::Bool, false), DEPTH - 1);
            self.line(indent, &format!("}} else if {condition} {{"));
            self.block(indent + 1, blocks - 1);
        }
        if self.choices.chance(1, 2) {
            self.line(indent, "} else {");
            self.block(indent + 1, blocks - 1);
        }
        self.line(indent, "}");
    }

    fn block(&mut self, indent: u32, blocks: u32) {
        let outside = self.scope.names.len();
        for _ in 0..self.choices.between(1, 3) {
            self.statement(indent, blocks);
        }
        self.scope.names.truncate(outside);
    }

    fn verdict(&mut self, indent: u32) {
        if self.scope.statements == 32 {
            return;
        }
        self.scope.statements += 1;
        let word = self.choices.pick(&["breach", "warn"]);
        let action = match self.choices.below(6) {
            0 => " block".to_owned(),
            1 => " liquidate".to_owned(),
            2 => {
                let fraction = self.expr(ty(Base::Num, false), 1);
                format!(" reduce(clamp({fraction}, 0, 1))")
            }
            3 if self.choices.chance(1, 6) => format!(" reduce({})", self.expr(ty(Base::Num, false), 1)),
            _ => String::new(),
        };
        let hold = match self.choices.below(12) {
            0 | 1 => format!(" for {} bars", self.choices.between(1, 5)),
            2 if self.scope.time => self.choices.pick(&[" for 15m", " for 2h", " for 3d", " for 1d"]).to_owned(),
            3 if self.scope.time => " for day".to_owned(),
            4 if self.choices.chance(1, 6) => " forever".to_owned(),
            _ => String::new(),
        };
        let message = self.message();
        // Most verdicts stand in an `if`, so that not every bar gives every one of them.
        if self.choices.chance(4, 5) {
            let condition = self.expr(ty(Base::Bool, false), DEPTH - 1);
            self.line(indent, &format!("if {condition} {{ {word}{action}{hold} \"{message}\" }}"));
        } else {
            self.line(indent, &format!("{word}{action}{hold} \"{message}\""));
        }
    }

    fn message(&mut self) -> String {
        let mut text = format!("m{}", self.scope.statements);
        for _ in 0..self.choices.below(3) {
            if self.scope.placeholders == 60 {
                break;
            }
            let Some(named) = self.scope.pick(self.choices, |n| n.ty.base != Base::Clock) else { break };
            self.scope.placeholders += 1;
            let format =
                if named.ty.base == Base::Num { self.choices.pick(&["", ":.2", ":.0", ":.1%", ":.6"]) } else { "" };
            text.push_str(&format!(" {{{}{format}}}", named.name));
        }
        if self.choices.chance(1, 10) {
            text.push_str(" {{x}}");
        }
        text
    }
}
