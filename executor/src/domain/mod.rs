//! Plain types that every layer speaks: no HTTP, no SQL, no sandbox.

pub mod at;
pub mod audit;
pub mod bars;
pub mod caller;
pub mod compiled_code;
pub mod evaluation;
pub mod idempotency;
pub mod key;
pub mod outbox;
pub mod quarantine;
pub mod review;
pub mod rule;
pub mod session;
pub mod tenant;
pub mod usage;
pub mod violation;
pub mod webhook;
