//! Compiled rules in the sandbox: the same bits as the interpreter, the fuel that was proved, any chunking, any state.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod cost;
mod differential;
mod harness;
mod largest;
mod operators;
mod reference;
mod state;
