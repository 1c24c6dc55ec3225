//! The real binary, from outside.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod delivery;
mod durability;
mod executors;
mod health;
mod hostile;
mod hot_loop;
mod kinds;
mod large;
mod modules;
mod neighbours;
mod readme;
mod replicas;
mod retention;
mod secrets;
mod sessions;
mod start;
mod streams;
mod telemetry;
mod upgrade;
