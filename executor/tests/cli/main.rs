//! The command line, as a process: what it prints where, and how it exits.

#![expect(clippy::unwrap_used, clippy::format_collect, reason = "tests: clear before fast")]

mod administration;
mod bad_bars;
mod guests;
mod harness;
mod help;
mod params;
mod rules;
mod run;
mod streams;
