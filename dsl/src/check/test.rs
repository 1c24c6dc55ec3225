//! Tests below a rule: their params and bars must fit it.

use rulebox_abi::{MISSING, TIME_MISSING};

use super::scope::Definition;
use super::{Checker, suggest};
use crate::ast::{self, LiteralValue, TestValue};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::Span;
use crate::time;
use crate::typed::{Base, Test, TestBar};

impl Checker<'_> {
    pub(super) fn tests(&mut self, tests: &[ast::Test]) {
        if let Some(test) = tests.get(self.limits.tests) {
            let most = self.limits.tests;
            let help = "keep the tests that matter here, and the others elsewhere";
            self.over_limit(Code::TOO_LARGE, format!("a file has at most {most} tests"), test.span, help);
            return;
        }
        let bars: usize = tests.iter().map(|t| t.bars.len()).sum();
        if let Some(test) = tests.last().filter(|_| bars > self.limits.test_bars) {
            let most = self.limits.test_bars;
            let message = format!("the tests of a file have at most {most} bars together");
            self.over_limit(Code::TOO_LARGE, message, test.span, "run long series with data of their own");
            return;
        }
        for test in tests {
            let params = self.test_params(&test.sets);
            let bars = test.bars.iter().map(|bar| self.test_bar(bar)).collect();
            self.rule.tests.push(Test { name: test.name.value.clone(), params, bars, span: test.span });
        }
    }

    fn test_params(&mut self, sets: &[(ast::Name, ast::Literal)]) -> Vec<f64> {
        let mut params: Vec<f64> = self.rule.params.iter().map(|p| p.default).collect();
        let mut given: Vec<usize> = Vec::new();
        for (name, literal) in sets {
            // Of a param that could not be read, enough has been said.
            if self.scope.find(&name.value).is_some_and(|e| e.definition == Definition::Wrong) {
                continue;
            }
            let Some(at) = self.rule.params.iter().position(|p| p.name == name.value) else {
                let names: Vec<String> = self.rule.params.iter().map(|p| p.name.clone()).collect();
                self.unknown_in_test("param", name, &names);
                continue;
            };
            self.once(&mut given, at, name);
            let Some((kind, range)) = self.rule.params.get(at).map(|p| (p.kind, p.range)) else { continue };
            let Some(value) = self.value_of(literal, kind, "the value", Code::TEST_VALUE) else { continue };
            if let Some((lo, hi)) = range.filter(|(lo, hi)| !(*lo..=*hi).contains(&value)) {
                let message = format!("`{}` is outside its range {lo}..{hi}", name.value);
                self.report(Diagnostic::new(Code::TEST_VALUE, message, literal.span, ""));
            }
            if let Some(slot) = params.get_mut(at) {
                *slot = value;
            }
        }
        params
    }

    fn unknown_in_test(&mut self, what: &str, name: &ast::Name, names: &[String]) {
        let message = format!("the rule has no {what} `{}`", name.value);
        let mut diagnostic = Diagnostic::new(Code::TEST_NAME, message, name.span, "");
        let near = suggest::nearest(&name.value, names.iter().map(String::as_str).filter(|_| self.hints_are_read()));
        if let Some(near) = near {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        self.report(diagnostic);
    }

    fn once(&mut self, given: &mut Vec<usize>, at: usize, name: &ast::Name) {
        if given.contains(&at) {
            let message = format!("`{}` is given twice", name.value);
            self.report(Diagnostic::new(Code::TEST_NAME, message, name.span, ""));
        }
        given.push(at);
    }

    fn test_bar(&mut self, bar: &ast::TestBar) -> TestBar {
        let mut inputs = vec![MISSING; self.rule.inputs.len()];
        let mut bar_time = TIME_MISSING;
        let mut given: Vec<usize> = Vec::new();
        for (name, value) in &bar.values {
            if name.value == "time" {
                self.once(&mut given, usize::MAX, name);
                bar_time = self.test_time(value);
                continue;
            }
            let Some(at) = self.rule.inputs.iter().position(|i| i.name == name.value) else {
                let names: Vec<String> =
                    self.rule.inputs.iter().map(|i| i.name.clone()).chain(["time".to_owned()]).collect();
                self.unknown_in_test("input", name, &names);
                continue;
            };
            self.once(&mut given, at, name);
            let base = self.rule.inputs.get(at).map_or(Base::Num, |i| i.ty.base);
            let number = match (base, value) {
                (Base::Num, TestValue::Literal(ast::Literal { value: LiteralValue::Num(n), .. })) => *n,
                (Base::Bool, TestValue::Literal(ast::Literal { value: LiteralValue::Bool(b), .. })) => {
                    f64::from(u8::from(*b))
                }
                (Base::Bool, _) => self.wrong_value(value, "a bool is `true` or `false`"),
                (_, _) => self.wrong_value(value, "a num is a number"),
            };
            if let Some(slot) = inputs.get_mut(at) {
                *slot = number;
            }
        }
        TestBar { time: bar_time, inputs, expected: bar.expected.value, span: bar.span }
    }

    fn wrong_value(&mut self, value: &TestValue, message: &str) -> f64 {
        self.report(Diagnostic::new(Code::TEST_VALUE, message, value_span(value), ""));
        MISSING
    }

    /// A time; a text that is none is an unreadable time, which a test may want.
    fn test_time(&mut self, value: &TestValue) -> i64 {
        match value {
            TestValue::Text(text) => time::parse(&text.value).unwrap_or(TIME_MISSING),
            TestValue::Literal(ast::Literal { value: LiteralValue::Num(n), .. })
                if n.fract() == 0.0 && n.abs() < 9e15 =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
                time::parse(&(*n as i64).to_string()).unwrap_or(TIME_MISSING)
            }
            TestValue::Literal(literal) => {
                let message = "a time is a string such as \"2026-01-05T15:00Z\", or whole milliseconds";
                self.report(Diagnostic::new(Code::TEST_VALUE, message, literal.span, ""));
                TIME_MISSING
            }
        }
    }
}

const fn value_span(value: &TestValue) -> Span {
    match value {
        TestValue::Literal(literal) => literal.span,
        TestValue::Text(text) => text.span,
    }
}
