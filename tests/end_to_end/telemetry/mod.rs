//! What the service says of itself: traces, logs, metrics and the alerts on them.

mod alerts;
mod canaries;
pub mod collector;
mod traces;
