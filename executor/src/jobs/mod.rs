//! What goes on beside requests, from time to time.

mod retention;
mod usage;

pub use retention::Retention;
pub use usage::FlushUsage;
