//! Counting what tenants use.
//!
//! The service counts in memory, where work is let in and where it is settled ([`Meter`]). Every few seconds, and when
//! it stops, each replica writes the readings of its counters to the store: whole values and no differences. So a
//! reading whose commit is not known is written again, and nothing is counted twice; while the store is away, counting
//! goes on, and nothing is lost. What a process that is killed had counted since it last wrote is lost: usage is for
//! capacity and budgets, not for invoices to the cent.

mod meter;
#[cfg(test)]
mod tests;

pub use meter::Meter;
