//! What is remembered of the store, and how a replica learns that it is no longer true.
//!
//! Whoever changes something of a tenant writes to the tenant's audit log, which counts. A replica hears of it at once
//! (its own change, or a message by way of the shared state), and in any case within a second: it asks the store which
//! logs were written to. A replica that cannot ask does not trust what it remembers: a revoked key or a stopped module
//! must not live on because the network is away.

mod generations;
mod remembered;
mod watch;

pub use generations::Generations;
pub use remembered::Remembered;
pub use watch::watch;
