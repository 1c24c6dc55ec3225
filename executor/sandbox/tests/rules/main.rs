//! Compiled rules in the sandbox: the same bits as the interpreter, the fuel that was proved, any chunking, any state.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod accepted;
mod cost;
mod differential;
mod harness;
mod largest;
mod operators;
mod reference;
#[path = "../../../../fuzz/src/seeds.rs"]
mod seeds;
mod state;
mod walk;
