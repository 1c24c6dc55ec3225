//! The Rulebox rule language, edition 1: source text to diagnostics, or to a WebAssembly module and its manifest.
//!
//! ```text
//! text -> tokens -> ast -> typed tree -> ir -> module
//!                              `-> interp: the oracle for everything after the typed tree
//! ```
//!
//! The crate is pure: no files, no clock, no network, and nothing that runs a module.

#![forbid(unsafe_code)]

pub mod ast;
pub mod bars;
pub mod calendar;
pub mod codegen;
pub mod cost;
pub mod diagnostic;
pub mod generate;
pub mod interp;
pub(crate) mod ir;
pub(crate) mod layout;
pub mod limits;
pub mod manifest;
pub mod message;
pub mod number;
pub mod outcome;
pub mod span;
pub mod testing;
pub mod time;
pub mod typed;

pub use limits::Limits;
