//! Files, rules, statements and tests.

use super::printer::{ONE_LINE, Printer, WIDTH};
use crate::ast::{
    Action, ActionWord, Body, Else, Expected, File, If, Input, Item, Param, Range, Rule, Severity, Stmt, StmtKind,
    Test, TestBar, TestValue, TypeName, VerdictStmt,
};
use crate::span::Span;
use crate::token::{Sign, Word};

const fn type_name(ty: TypeName) -> &'static str {
    match ty {
        TypeName::Num => "num",
        TypeName::Bool => "bool",
        TypeName::Int => "int",
    }
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Warn => "warn",
        Severity::Breach => "breach",
    }
}

impl Printer<'_> {
    pub(super) fn file(&mut self, file: &File) {
        if let Some(edition) = &file.edition {
            let start = self.word_after(0, Word::Edition).start;
            self.lead(start, edition.span.end);
            self.line(&format!("edition {}", self.text(edition.span)), edition.span.end);
        }
        if let Some(clock) = &file.clock {
            self.lead(clock.span.start, clock.span.end);
            let text = format!("clock {} day {}", self.text(clock.zone.span), self.text(clock.day.span));
            self.line(&text, clock.span.end);
        }
        self.rule(&file.rule);
        for test in &file.tests {
            self.test(test);
        }
    }

    fn rule(&mut self, rule: &Rule) {
        let close = rule.inputs.last().map_or(rule.name.span, |input| input.span);
        let close = self.sign_after(close.end, Sign::Close);
        self.inputs(rule, close);
        match &rule.body {
            Body::Short(condition) => {
                // The last line may be long already; a break comes where the condition alone would need one.
                let text = self.expr_lines(condition, self.indent + rule.name.value.len() + 10);
                self.append(&format!(" = {text}"), rule.span.end);
                self.lead(rule.span.end, rule.span.end);
            }
            Body::Block(items) => {
                let open = self.sign_after(close.end, Sign::OpenBrace);
                self.append(" {", open.end);
                self.enter();
                for item in items {
                    match item {
                        Item::Param(param) => self.param(param),
                        Item::Stmt(stmt) => self.stmt(stmt),
                    }
                }
                self.leave(Span::new(rule.span.end.saturating_sub(1), rule.span.end));
            }
        }
    }

    /// `rule name(…)`, on one line if it fits.
    fn inputs(&mut self, rule: &Rule, close: Span) {
        let texts: Vec<String> = rule.inputs.iter().map(|input| self.input(input)).collect();
        let line = format!("rule {}({})", rule.name.value, texts.join(", "));
        let commented = self.comment_between(rule.name.span.end, close.start);
        if !commented && line.chars().count() + 2 <= WIDTH {
            self.lead(rule.span.start, close.start);
            self.line(&line, close.end);
            return;
        }
        self.lead(rule.span.start, rule.name.span.end);
        self.line(&format!("rule {}(", rule.name.value), self.sign_after(rule.name.span.end, Sign::Open).end);
        self.enter();
        for (at, (input, text)) in rule.inputs.iter().zip(&texts).enumerate() {
            let comma = if at + 1 < texts.len() { "," } else { "" };
            self.lead(input.span.start, input.span.end);
            self.line(&format!("{text}{comma}"), input.span.end);
        }
        self.lead(close.start, close.start);
        self.indent -= 2;
        self.line(")", close.end);
    }

    fn input(&self, input: &Input) -> String {
        let mut text = input.name.value.clone();
        if let Some(ty) = &input.ty {
            text.push_str(&format!(": {}{}", type_name(ty.value), if input.optional { "?" } else { "" }));
        }
        text + &self.range(input.range.as_ref())
    }

    fn range(&self, range: Option<&Range>) -> String {
        range.map_or_else(String::new, |r| format!(" in {}..{}", self.literal(&r.lo), self.literal(&r.hi)))
    }

    fn param(&mut self, param: &Param) {
        self.lead(param.span.start, param.span.end);
        let (name, ty, default) = (&param.name.value, type_name(param.ty.value), self.literal(&param.default));
        let text = format!("param {name}: {ty} = {default}{}", self.range(param.range.as_ref()));
        self.line(&text, param.span.end);
    }

    fn stmt(&mut self, stmt: &Stmt) {
        if let StmtKind::If(branch) = &stmt.kind {
            self.lead(stmt.span.start, branch.condition.span.end);
            self.line("", stmt.span.start);
            self.branch(branch, stmt.span.start);
            return;
        }
        self.lead(stmt.span.start, stmt.span.end);
        let text = self.simple(stmt);
        self.line(&text, stmt.span.end);
    }

    /// A statement that is no `if`.
    fn simple(&self, stmt: &Stmt) -> String {
        let given = |head: String, value| {
            let before = self.indent + head.len();
            head + &self.expr_lines(value, before)
        };
        match &stmt.kind {
            StmtKind::Let { name, value } => given(format!("let {} = ", name.value), value),
            StmtKind::Var { name, per_day, value } => {
                given(format!("var {}{} = ", name.value, if *per_day { " per day" } else { "" }), value)
            }
            StmtKind::Assign { name, value } => given(format!("{} := ", name.value), value),
            StmtKind::Out { name, value } => given(format!("out {} = ", name.value), value),
            StmtKind::Verdict(verdict) => self.verdict(verdict),
            StmtKind::If(_) => String::new(),
        }
    }

    fn verdict(&self, verdict: &VerdictStmt) -> String {
        let mut text = severity(verdict.severity).to_owned();
        if let Some(action) = &verdict.action {
            text.push_str(&match &action.value {
                Action::Block => " block".to_owned(),
                Action::Liquidate => " liquidate".to_owned(),
                Action::Reduce(keep) => format!(" reduce({})", self.expr(keep)),
            });
        }
        if let Some(hold) = &verdict.hold {
            text.push_str(&format!(" {}", self.words(hold.span, " ")));
        }
        format!("{text} {}", self.text(verdict.message.span))
    }

    /// `if condition { … }`, added to the last line.
    fn branch(&mut self, branch: &If, start: u32) {
        let head = self.expr_lines(&branch.condition, self.indent + 5);
        self.append(&format!("if {head}"), branch.condition.span.end.max(start));
        let open = self.sign_after(branch.condition.span.end, Sign::OpenBrace);
        let (close, inline) = self.block(open, &branch.then);
        let Some(otherwise) = &branch.otherwise else { return };
        let word = self.word_after(close.end, Word::Else);
        if inline || self.comment_before(word.start) {
            self.lead(word.start.min(close.end), word.start);
            self.line("else ", word.end);
        } else {
            self.append(" else ", word.end);
        }
        match otherwise {
            Else::If(inner) => self.branch(&inner.value, inner.span.start),
            Else::Block(stmts) => {
                let open = self.sign_after(word.end, Sign::OpenBrace);
                self.trim_space();
                self.block(open, stmts);
            }
        }
    }

    /// `{ … }`, added to the last line: on that line if the author had it on one and it fits. Its `}`, and whether it
    /// is on one line.
    fn block(&mut self, open: Span, stmts: &[Stmt]) -> (Span, bool) {
        let close = self.sign_after(stmts.last().map_or(open.end, |stmt| stmt.span.end), Sign::CloseBrace);
        let simple = stmts.iter().all(|stmt| !matches!(stmt.kind, StmtKind::If(_)));
        if simple && self.on_one_line(open.start, close.start) {
            let texts: Vec<String> = stmts.iter().map(|stmt| self.simple(stmt)).collect();
            let text = if texts.is_empty() { " { }".to_owned() } else { format!(" {{ {} }}", texts.join(" ")) };
            if !text.contains('\n') && self.last_width() + text.chars().count() <= ONE_LINE {
                self.append(&text, close.end);
                return (close, true);
            }
        }
        self.append(" {", open.end);
        self.enter();
        for stmt in stmts {
            self.stmt(stmt);
        }
        self.leave(close);
        (close, false)
    }

    fn test(&mut self, test: &Test) {
        let open = self.sign_after(test.name.span.end, Sign::OpenBrace);
        self.lead(test.span.start, open.start);
        let mut head = format!("test {} {{", self.text(test.name.span));
        let mut end = open.end;
        let mut sets = test.sets.iter().peekable();
        while let Some((name, literal)) = sets.next_if(|(_, literal)| self.on_one_line(open.start, literal.span.end)) {
            head.push_str(&format!(" set {} = {}", name.value, self.literal(literal)));
            end = literal.span.end;
        }
        self.line(&head, end);
        self.enter();
        for (name, literal) in sets {
            self.lead(self.word_before(name.span.start), literal.span.end);
            self.line(&format!("set {} = {}", name.value, self.literal(literal)), literal.span.end);
        }
        for bar in &test.bars {
            self.lead(bar.span.start, bar.span.end);
            self.line(&self.bar(bar), bar.span.end);
        }
        self.leave(Span::new(test.span.end.saturating_sub(1), test.span.end));
    }

    fn bar(&self, bar: &TestBar) -> String {
        let mut text = "bar".to_owned();
        for (name, value) in &bar.values {
            let value = match value {
                TestValue::Literal(literal) => self.literal(literal),
                TestValue::Text(string) => self.text(string.span).to_owned(),
            };
            text.push_str(&format!(" {}={value}", name.value));
        }
        let expected = match bar.expected.value {
            Expected::Ok => "ok".to_owned(),
            Expected::Fault => "fault".to_owned(),
            Expected::Verdict(verdict, action) => {
                let word = action.map_or("", |action| match action {
                    ActionWord::Block => " block",
                    ActionWord::Reduce => " reduce",
                    ActionWord::Liquidate => " liquidate",
                });
                format!("{}{word}", severity(verdict))
            }
        };
        format!("{text} -> {expected}")
    }
}
