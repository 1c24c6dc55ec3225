//! The second opinion: what a module says is held against what the interpreter says of its text, bit for bit.
//!
//! ```text
//! upload       text -> interpreter --\
//!              bars at boundaries      > equal?   (boundary)
//!              stored module ---------/
//! live call    a copy of some bars, params and of the answer; text -> interpreter -> equal?   (sample)
//! ```
//!
//! Both are work for a thread that nobody waits for, and bounded in bars, in memory and in proved fuel. A module differs
//! from its text if the compiler is wrong, or the machine, or somebody has exchanged the one or the other.

pub mod boundary;
mod compare;
mod difference;
mod interpreted;
pub mod sample;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rulebox_dsl::Limits;
use rulebox_dsl::manifest::{self, Manifest};
use rulebox_dsl::typed::Rule;

pub use difference::{Difference, Field};

/// What came of holding a module against its text.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It says the same of as many bars.
    Same(usize),
    /// It does not.
    Different(Difference),
    /// It could not be tried now, or the text is none any more.
    Skipped(&'static str),
}

/// A text as the interpreter reads it.
#[derive(Debug)]
struct Text {
    rule: Arc<Rule>,
    manifest: Manifest,
}

impl Text {
    /// `None` if this version of the compiler does not take it: an older one did.
    fn read(source: &str, limits: &Limits) -> Option<Self> {
        let rule = rulebox_dsl::check_source(source, limits).ok()?.rule;
        let manifest = manifest::describe(&rule, source);
        Some(Self { rule: Arc::new(rule), manifest })
    }

    /// Whether a module with this manifest takes and gives what the text says. Only then can they be held against each
    /// other.
    fn is_of(&self, other: &Manifest) -> bool {
        let Manifest { inputs, params, outs, uses_time, clock, .. } = &self.manifest;
        (inputs, params, outs, uses_time, clock)
            == (&other.inputs, &other.params, &other.outs, &other.uses_time, &other.clock)
    }
}
