//! What goes on beside requests, from time to time.

mod delivery;
mod retention;
mod upkeep;
mod usage;
mod violations;

pub use delivery::Deliver;
pub use retention::Retention;
pub use upkeep::Upkeep;
pub use usage::FlushUsage;
pub use violations::Violations;
