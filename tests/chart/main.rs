//! The Helm chart, rendered with each set of values, held against programs, schemas and the properties that pods must
//! have.
//!
//! Each property is a function from what is rendered to what breaks it, and is tried on a rendering that breaks it too.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod accounts;
mod backups;
mod budgets;
mod choices;
mod containers;
mod copies;
mod exporters;
mod found;
mod headers;
mod ingresses;
mod jobs;
mod monitoring;
mod names;
mod policies;
mod programs;
mod readme;
mod refused;
mod rendered;
mod rights;
mod running;
mod secrets;
mod settings;
mod stable;
mod sums;
mod tracks;
mod workloads;
