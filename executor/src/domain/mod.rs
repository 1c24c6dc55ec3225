//! Plain types that every layer speaks: no HTTP, no SQL, no sandbox.

pub mod at;
pub mod bars;
pub mod caller;
pub mod evaluation;
pub mod rule;
pub mod violation;
