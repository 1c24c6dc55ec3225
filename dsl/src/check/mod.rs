//! Names, types and limits: the syntax tree becomes a typed tree, or diagnostics.
//!
//! Every error is reported, each once: an expression that is wrong has no type, and nothing more is said of what is
//! made of it. The checker recurses as deep as the tree, which the parser has bounded, and stops where the rule is
//! over a limit of size, so that its work is bounded too.

mod call;
mod declare;
mod expr;
mod mark;
mod memory;
mod message;
mod name;
mod presence;
mod scope;
mod stmt;
pub mod suggest;
mod test;
#[cfg(test)]
mod tests;

pub use name::is_name;

use crate::Limits;
use crate::ast;
use crate::calendar::Calendar;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::span::Span;
use crate::typed::{self, Clock, Fault, FaultId, FaultKind, Rule, TimeFaults};
use scope::Scope;

/// Checks a file. No rule if there is an error; with a rule there may be warnings.
pub fn check(file: &ast::File, source: &str, limits: &Limits) -> (Option<Rule>, Vec<Diagnostic>) {
    let mut checker = Checker::new(file, source, limits);
    checker.edition(file);
    checker.clock(file);
    checker.rule(&file.rule);
    if !checker.stopped {
        checker.tests(&file.tests);
    }
    checker.finish()
}

/// What is known of the rule so far.
struct Checker<'a> {
    file: &'a ast::File,
    source: &'a str,
    limits: &'a Limits,
    diagnostics: Vec<Diagnostic>,
    scope: Scope,
    rule: Rule,
    /// What first made the rule use time.
    uses_time: Option<Span>,
    /// Whether the rule is too large for its rest to be looked at.
    stopped: bool,
    /// Names of outs so far, also of those whose value is wrong.
    out_names: Vec<(String, Span)>,
    /// Why a let is not a series, by its index.
    not_series: Vec<Option<Reason>>,
    /// Expressions and statements so far.
    nodes: usize,
    /// Bytes that windows and history keep so far.
    kept: usize,
    /// Limits already reported, each once.
    reported: Vec<Code>,
}

/// Why a let is not a series.
#[derive(Clone, Debug)]
enum Reason {
    /// It stands in a block.
    InBlock,
    /// It reads this var, or this let that is not a series.
    Reads(String),
}

impl<'a> Checker<'a> {
    fn new(file: &'a ast::File, source: &'a str, limits: &'a Limits) -> Self {
        let rule = Rule {
            name: file.rule.name.value.clone(),
            edition: 1,
            clock: Clock { zone: "UTC".to_owned(), day_start: 0 },
            time: None,
            inputs: Vec::new(),
            params: Vec::new(),
            histories: Vec::new(),
            memories: Vec::new(),
            lets: Vec::new(),
            vars: Vec::new(),
            outs: Vec::new(),
            statements: Vec::new(),
            message_values: 0,
            advance: Vec::new(),
            body: Vec::new(),
            faults: Vec::new(),
            tests: Vec::new(),
        };
        Self {
            file,
            source,
            limits,
            diagnostics: Vec::new(),
            scope: Scope::default(),
            rule,
            uses_time: None,
            stopped: false,
            out_names: Vec::new(),
            not_series: Vec::new(),
            nodes: 0,
            kept: 0,
            reported: Vec::new(),
        }
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Reports an error of one place and gives nothing, for use in the tail of a function.
    fn error<T>(&mut self, code: Code, message: impl Into<String>, span: Span, label: impl Into<String>) -> Option<T> {
        self.report(Diagnostic::new(code, message, span, label));
        None
    }

    /// Reports a limit the first time that it is passed.
    fn over_limit(&mut self, code: Code, message: String, span: Span, help: &str) {
        if !self.reported.contains(&code) {
            self.reported.push(code);
            self.report(Diagnostic::new(code, message, span, "over the limit here").help(help));
        }
    }

    /// Whether there is room for one more diagnostic: past that nobody reads them, so looking for hints is wasted.
    fn hints_are_read(&self) -> bool {
        self.diagnostics.len() < self.limits.diagnostics
    }

    fn text(&self, span: Span) -> &'a str {
        self.source.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    fn fault(&mut self, kind: FaultKind, span: Span) -> FaultId {
        let id = FaultId(index(self.rule.faults.len()));
        self.rule.faults.push(Fault { kind, span });
        id
    }

    /// Counts one expression or statement. `None` once there are too many: nothing more is looked at then.
    fn node(&mut self, span: Span) -> Option<()> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            let message = format!("the rule has more than {} expressions and statements", self.limits.nodes);
            self.over_limit(Code::TOO_LARGE, message, span, "split it into several rules");
            self.stopped = true;
        }
        (!self.stopped).then_some(())
    }

    /// Counts one declared name. `None` once there are too many: nothing more is looked at then.
    fn count_name(&mut self, span: Span) -> Option<()> {
        if self.scope.count() + self.out_names.len() >= self.limits.names {
            let message = format!("the rule declares more than {} names", self.limits.names);
            self.over_limit(Code::TOO_MANY_NAMES, message, span, "split it into several rules");
            self.stopped = true;
        }
        (!self.stopped).then_some(())
    }

    /// Counts values of eight bytes that the rule keeps from bar to bar.
    fn keep(&mut self, values: usize, span: Span) {
        self.kept = self.kept.saturating_add(values.saturating_mul(8));
        if self.kept > self.limits.state_bytes {
            let message = format!("windows and history keep more than {} bytes", self.limits.state_bytes);
            let help = "make windows shorter, or the ranges of their params narrower";
            self.over_limit(Code::TOO_MUCH_STATE, message, span, help);
        }
    }

    /// Marks that the rule needs the time of its bars, because of this.
    fn use_time(&mut self, span: Span) {
        self.uses_time.get_or_insert(span);
    }

    fn edition(&mut self, file: &ast::File) {
        if let Some(edition) = file.edition.as_ref().filter(|e| e.value != 1) {
            let message = format!("there is no edition {}", edition.value);
            self.report(Diagnostic::new(Code::UNKNOWN_EDITION, message, edition.span, "").help("write `edition 1`"));
        }
    }

    fn clock(&mut self, file: &ast::File) {
        let Some(line) = &file.clock else { return };
        self.rule.clock = Clock { zone: line.zone.value.clone(), day_start: line.day.value };
        if Calendar::new(&line.zone.value, line.day.value).is_err() {
            let shown: String = line.zone.value.chars().take(60).collect();
            let mut diagnostic =
                Diagnostic::new(Code::UNKNOWN_ZONE, format!("there is no time zone \"{shown}\""), line.zone.span, "");
            if let Some(near) = suggest::zone(&line.zone.value) {
                diagnostic = diagnostic.help(format!("did you mean \"{near}\"?"));
            }
            self.report(diagnostic);
        }
    }

    fn finish(mut self) -> (Option<Rule>, Vec<Diagnostic>) {
        if let Some(span) = self.uses_time {
            let missing = self.fault(FaultKind::TimeMissing, span);
            let backwards = self.fault(FaultKind::TimeBackwards, span);
            self.rule.time = Some(TimeFaults { missing, backwards });
        }
        let wrong = self.diagnostics.iter().any(|d| d.level() == Level::Error);
        if !wrong {
            self.warn_unused();
        }
        self.diagnostics.sort_by_key(|d| d.labels.first().map(|label| label.span));
        ((!wrong).then_some(self.rule), self.diagnostics)
    }

    fn warn_unused(&mut self) {
        let unused: Vec<_> = self.scope.unused().map(|e| (e.name.clone(), e.span, e.what())).collect();
        for (name, span, what) in unused {
            self.report(
                Diagnostic::new(Code::UNUSED, format!("`{name}` is never read"), span, what)
                    .help(format!("remove it, or call it `_{name}`")),
            );
        }
    }
}

/// A table's length as an index; tables are bounded far below `u32::MAX`.
fn index(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// A type in the words of an author.
fn type_name(ty: typed::Ty) -> &'static str {
    match (ty.base, ty.optional) {
        (typed::Base::Num, false) => "num",
        (typed::Base::Num, true) => "num?",
        (typed::Base::Bool, false) => "bool",
        (typed::Base::Bool, true) => "bool?",
        (typed::Base::Clock, _) => "clock",
    }
}
