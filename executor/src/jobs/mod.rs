//! What goes on beside requests, from time to time.

mod retention;

pub use retention::Retention;
